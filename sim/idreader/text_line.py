"""A simulated code reader on a serial line: reads when it is triggered, or whenever a code comes by."""

from collections.abc import Callable

from sim.clock import Clock
from sim.faults import NO_FAULTS, Faults
from sim.serial.machine import LINE_KNOBS, SerialMachine

READ_S = 0.05
AGAIN_S = 0.03
LATE_S = 3.0


class TextLineReader(SerialMachine):
    """A reader; `code` returns what is in front of it, empty if nothing is."""

    knobs = LINE_KNOBS | {"no_read", "double_read", "late_read", "same_code"}
    """`late_read` takes how many seconds; `same_code`: it says again what it read before."""

    def __init__(
        self,
        clock: Clock,
        code: Callable[[], str],
        *,
        trigger: str = "",
        wrap: tuple[str, str] = ("", "\r\n"),
        no_read: str = "ERROR",
        faults: Faults = NO_FAULTS,
    ) -> None:
        """`wrap`: what it sends before and after a code."""
        super().__init__(clock, faults)
        self._code = code
        self._trigger = trigger.encode("ascii")
        self._wrap = wrap
        self._no_read = no_read
        self._heard = bytearray()
        self._before = ""

    def on_data(self, data: bytes) -> None:
        self._heard += data
        if self._trigger and self._trigger in self._heard:
            self._heard.clear()
            self.look()

    def look(self) -> None:
        """Read what is in front."""
        code = self._code()
        if not code or self.faults.strikes("no_read") is not None:
            self._tell(self._no_read + self._wrap[1][-2:], READ_S)
            return
        if self._before and self.faults.strikes("same_code") is not None:
            code = self._before
        self._before = code
        text = self._wrap[0] + code + self._wrap[1]
        late = self.faults.strikes("late_read")
        self._tell(text, READ_S if late is None else float(late or LATE_S))
        if self.faults.strikes("double_read") is not None:
            self._tell(text, READ_S + AGAIN_S)

    def _tell(self, text: str, after_s: float) -> None:
        self.clock.call_later(after_s, self.send, text.encode("ascii"))
