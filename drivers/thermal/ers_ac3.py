"""ERS AC3 chuck controllers, which a station may own where the prober does not.

Ref: ERS AC3 Fusion, as comet reads it.
"""

from collections.abc import Callable
from typing import Annotated, ClassVar, Literal, TypeVar

from msgspec import Meta, Struct

from drivers.errors import EquipmentError, InstrumentError, ProtocolError
from drivers.links.machine import PortMachine
from drivers.links.messages import hear, insisting
from drivers.links.scpi import parsed
from drivers.protocols.ers import (
    AT_TEMPERATURE,
    DEAD_ENDS,
    ERRORS,
    NORMAL,
    STANDBY,
    UNKNOWN,
    Target,
    code,
    value,
)
from drivers.roles import Identity, Thermal, ThermalStatus
from drivers.transports import Conversation, Pause, Port, Timestamp, Write

V = TypeVar("V")

ANSWER_S = 0.5
AGAIN_S = 0.1
TIMES = 3
"""How often an empty answer is asked for again."""
NEAR_K = 0.05
LINE_ENDS = {"lf": "\n", "crlf": "\r\n", "cr": "\r"}


class ErsAc3Options(Struct, frozen=True, forbid_unknown_fields=True):
    """What a station file may say of an AC3."""

    line_end: Literal["lf", "crlf", "cr"] = "lf"
    """What ends a line, as it is set at the controller."""
    dew_point: bool = True
    """Whether it watches the dew point and waits rather than frost the chuck."""
    min_gap_s: Annotated[float, Meta(ge=0, le=1)] = 0.0


class ErsAc3Chuck(Thermal):
    """The chuck."""

    def __init__(self, name: str, port: Port, options: ErsAc3Options) -> None:
        super().__init__(name)
        self._port = port
        self._options = options
        self._target_c = 25.0
        self._window_k = 1.0
        self._soak_s = 0.0
        self._near_since: float | None = None

    async def set(self, celsius: float, *, window_k: float = 1.0, soak_s: float = 0.0) -> None:
        self._target_c, self._window_k, self._soak_s = celsius, window_k, soak_s
        self._near_since = None
        await self._port.run(self._setting(celsius))

    async def status(self) -> ThermalStatus:
        found, number = await self._port.run(self._asking())
        if number in DEAD_ENDS:
            reason = f"{self.name}: error {number}, {ERRORS[number]}: a person must look at it"
            self.turn.poison(reason)
            raise EquipmentError(reason)
        return found

    async def start(self) -> None:
        await self._port.run(self._operating(NORMAL))

    async def stop(self) -> None:
        await self._port.run(self._operating(STANDBY))

    async def make_safe(self) -> None:
        await self._port.run(insisting(lambda: self._operating(STANDBY)))

    def told(self, line: str) -> Conversation[None]:
        """Say what must be answered by OK."""
        answer = yield from self.asked(line)
        if answer != "OK":
            raise ProtocolError(f"{line} answered {answer!r}, not OK")

    def asked(self, line: str) -> Conversation[str]:
        """Ask; an empty answer means that it is not ready, and is asked for again."""
        for _ in range(TIMES):
            if self._options.min_gap_s:
                yield Pause(self._options.min_gap_s)
            yield Write((line + LINE_ENDS[self._options.line_end]).encode("ascii"))
            answer = (yield from hear(timeout_s=ANSWER_S)).strip()
            if answer == UNKNOWN:
                raise InstrumentError(0, f"{line} is not understood")
            if answer:
                return answer
            yield Pause(AGAIN_S)
        raise ProtocolError(f"{line} was answered by nothing, {TIMES} times")

    def _read(self, line: str, read: Callable[[str, str], V], letter: str) -> Conversation[V]:
        answer = yield from self.asked(line)
        return parsed(lambda text: read(text, letter), line, answer)

    def _setting(self, celsius: float) -> Conversation[None]:
        yield from self.told(Target(celsius).encode())
        found = yield from self._read("RT", value, "T")
        if abs(found - celsius) > NEAR_K:
            raise EquipmentError(f"{self.name}: its target is {found:g} °C, asked for was {celsius:g} °C")

    def _asking(self) -> Conversation[tuple[ThermalStatus, int]]:
        celsius = yield from self._read("RC", value, "C")
        state = yield from self._read("RI", code, "I")
        mode = yield from self._read("RO", code, "O")
        number = yield from self._read("RE", code, "E")
        now = yield Timestamp()
        near = state == AT_TEMPERATURE and abs(celsius - self._target_c) <= self._window_k
        if not near:
            self._near_since = None
        elif self._near_since is None:
            self._near_since = float(now or 0)
        soaked = self._near_since is not None and float(now or 0) - self._near_since >= self._soak_s
        wrong = (f"error {number}, {ERRORS.get(number, 'which no table has')}",) if number else ()
        active = mode == NORMAL
        return ThermalStatus(celsius, soaked and active and not number, active, wrong), number

    def _operating(self, mode: int) -> Conversation[None]:
        yield from self.told(f"SO{mode}")
        found = yield from self._read("RO", code, "O")
        if found != mode:
            raise EquipmentError(f"{self.name}: its mode is {found}, asked for was {mode}")


class ErsAc3(PortMachine):
    """An AC3 and its chuck; it works within a block only, and is in standby else."""

    Options: ClassVar[type[ErsAc3Options]] = ErsAc3Options
    models = "AC3"
    queue = None

    def __init__(self, name: str, port: Port, options: ErsAc3Options) -> None:
        super().__init__(name, port)
        self._options = options
        self._chuck = ErsAc3Chuck(name, port, options)
        self.channels: dict[str, ErsAc3Chuck] = {"": self._chuck}

    async def identify(self) -> Identity:
        """It does not tell its name: whoever tells a chuck temperature in its words is one."""
        await self._chuck.status()
        return Identity("ERS", "AC3")

    def _setting_up(self) -> Conversation[None]:
        yield from self._chuck.told(f"SD{int(self._options.dew_point)}")
