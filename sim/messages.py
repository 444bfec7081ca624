"""Simulated machines that take lines of text: their error queue, their pace, and how both go wrong."""

from abc import abstractmethod
from collections import deque

from drivers.protocols.scpi import ErrorEntry
from sim.clock import Clock
from sim.faults import NO_FAULTS, Faults
from sim.instrument import Instrument

MESSAGE_KNOBS = frozenset({"scpi_error", "min_gap", "drop_reply", "mute"})
"""`scpi_error=<code>` queues an error, `min_gap=<ms>` loses what comes too soon after the last message or its
answer, `drop_reply` loses an answer, `mute` takes and says nothing."""

BLOCK_KNOBS = frozenset({"block_length"})
"""`block_length=<bytes>` leaves so many bytes, one unless said, out of a block that announces all."""

QUEUE_LENGTH = 32
ROUNDING_S = 1e-9
TEXTS = {
    -102: "Syntax error",
    -104: "Data type error",
    -109: "Missing parameter",
    -113: "Undefined header",
    -211: "Trigger ignored",
    -213: "Init ignored",
    -221: "Settings conflict",
    -222: "Data out of range",
    -223: "Too much data",
    -224: "Illegal parameter value",
    -230: "Data corrupt or stale",
    -350: "Queue overflow",
    -410: "Query INTERRUPTED",
}


class CommandError(ValueError):
    """A command that the machine does not carry out."""

    def __init__(self, code: int, text: str = "") -> None:
        super().__init__(code, text)
        self.entry = ErrorEntry(code, text or TEXTS.get(code, "Device-specific error"))


class MessageInstrument(Instrument):
    """A machine that carries out a message at once and answers after the time that this takes."""

    def __init__(self, clock: Clock, faults: Faults = NO_FAULTS) -> None:
        super().__init__(clock, faults)
        self.errors: deque[ErrorEntry] = deque()
        self._free_at = float("-inf")

    @abstractmethod
    def obey(self, message: str) -> str | None:
        """Carry out one message and return its answer."""

    def handle(self, message: bytes) -> None:
        now = self.clock.time()
        if self.faults.strikes("mute") is not None or self._too_soon(now):
            return
        self._free_at = max(now, self._free_at)
        self._drop_unread_answer()
        if (code := self.faults.strikes("scpi_error")) is not None:
            self.refuse(CommandError(int(code or -222)))
        answer = self.obey(message.decode("latin-1"))
        if answer is not None and self.faults.strikes("drop_reply") is None:
            self.respond(answer.encode("latin-1") + b"\n", after_s=self._free_at - now)

    def shortened(self, block: bytes) -> bytes:
        """Return a block as it goes out: whole, unless the fault takes its last bytes away."""
        missing = self.faults.strikes("block_length")
        return block if missing is None else block[: -abs(int(missing or 1))]

    def cleared(self) -> None:
        """What was under way is given up."""
        self._free_at = self.clock.time()

    def spend(self, seconds: float) -> None:
        """The machine is busy for so much longer."""
        self._free_at += seconds

    def refuse(self, refused: CommandError) -> None:
        """Queue an error; the last place of a full queue says that it is full."""
        if len(self.errors) < QUEUE_LENGTH:
            self.errors.append(refused.entry)
        else:
            self.errors[-1] = CommandError(-350).entry

    def next_error(self) -> ErrorEntry | None:
        """Take the oldest error out of the queue."""
        return self.errors.popleft() if self.errors else None

    def _too_soon(self, now: float) -> bool:
        gap_ms = self.faults.strikes("min_gap")
        return gap_ms is not None and now < self._free_at + float(gap_ms or 50) / 1000 - ROUNDING_S

    def _drop_unread_answer(self) -> None:
        with self.condition:
            unread = bool(self._answers)
            self._answers.clear()
        if unread:
            self.refuse(CommandError(-410))
