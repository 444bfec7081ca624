"""inTEST and Temptronic ThermoStreams: ATS-500 and ATS-600 series, ECO-560 and ECO-660, TP04300.

Ref: TP04300 Interface & Applications Manual, ch. 4 and app. C; ATS-545 Interface Manual.

A machine needs 50 ms between a query and its answer, and 4 s after a reset.
"""

import asyncio
from typing import Annotated, ClassVar, Literal

from msgspec import Meta, Struct

from drivers.errors import EquipmentError
from drivers.links.identity import checked
from drivers.links.machine import PortMachine
from drivers.links.messages import hear, insisting, say
from drivers.links.scpi import parsed
from drivers.protocols import scpi
from drivers.protocols.scpi import read_number, read_whole, write_number
from drivers.protocols.thermostream import Auxiliary, Condition, errors, set_point, temperature
from drivers.roles import Identity, Thermal, ThermalStatus
from drivers.roles.turn import progress
from drivers.transports import Conversation, Pause, Port

GAP_S = 0.05
RESET_S = 4.0
ANSWER_S = 0.5
HEAD_S = 10.0
"""Within which the head must have come down."""
HEAD_POLL_S = 0.25
SENSORS = {"none": 0, "t": 1, "k": 2}
NEAR_K = 0.05
"""How far a set point that is read back may be from the one that was asked for."""


class InTestThermoStreamOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """What a station file may say of a ThermoStream."""

    sensor: Literal["none", "t", "k"] = "none"
    """The thermocouple at the device, which then is what is controlled; none: the air is."""
    head: bool = True
    """Whether the driver lowers the head at start, and raises it at stop."""
    upper_air_c: Annotated[float, Meta(ge=25, le=225)] = 130.0
    lower_air_c: Annotated[float, Meta(ge=-99, le=25)] = -60.0
    """The air's limits, whatever the device needs."""


class InTestThermoStreamHead(Thermal):
    """The one head."""

    def __init__(self, name: str, port: Port, options: InTestThermoStreamOptions) -> None:
        super().__init__(name)
        self._port = port
        self._options = options

    async def set(self, celsius: float, *, window_k: float = 1.0, soak_s: float = 0.0) -> None:
        await self._port.run(self._setting(celsius, window_k, soak_s))

    async def status(self) -> ThermalStatus:
        return await self._port.run(self._asking())

    async def start(self) -> None:
        await self._port.run(told("%RM"))
        if self._options.head:
            await self._lower()
        await self._port.run(self._starting())

    async def stop(self) -> None:
        await self._port.run(self._stopping())

    async def make_safe(self) -> None:
        await self._port.run(insisting(self._stopping))

    def _setting(self, celsius: float, window_k: float, soak_s: float) -> Conversation[None]:
        yield from told("%RM")
        yield from told(
            f"SETN {set_point(celsius)};WNDW {write_number(window_k)};SOAK {round(soak_s)}"
            f";SETP {write_number(celsius)}"
        )
        found = parsed(read_number, "SETP?", (yield from asked("SETP?")))
        if abs(found - celsius) > NEAR_K:
            raise EquipmentError(f"{self.name}: its set point is {found:g} °C, asked for was {celsius:g} °C")

    def _asking(self) -> Conversation[ThermalStatus]:
        condition = parsed(read_whole, "TECR?", (yield from asked("TECR?")))
        celsius = parsed(temperature, "TEMP?", (yield from asked("TEMP?")))
        auxiliary = yield from self._auxiliary()
        register = parsed(read_whole, "EROR?", (yield from asked("EROR?")))
        flows = bool(auxiliary & Auxiliary.FLOW_ON)
        return ThermalStatus(
            celsius,
            at_temperature=bool(condition & Condition.AT_TEMPERATURE) and flows and not register,
            active=flows,
            errors=errors(register),
        )

    async def _lower(self) -> None:
        """Wait until the head is down; one that is locked says nothing: only its place tells."""
        await self._port.run(told("HEAD 1"))
        loop = asyncio.get_running_loop()
        deadline = loop.time() + HEAD_S
        while not await self._port.run(self._is_down(late=loop.time() >= deadline)):
            progress()
            await asyncio.sleep(HEAD_POLL_S)

    def _is_down(self, *, late: bool) -> Conversation[bool]:
        up = (yield from self._auxiliary()) & Auxiliary.HEAD_UP
        if up and late:
            raise EquipmentError(f"{self.name}: the head is up")
        return not up

    def _starting(self) -> Conversation[None]:
        yield from told("FLOW 1")
        auxiliary = yield from self._auxiliary()
        if auxiliary & Auxiliary.HEAD_UP:
            raise EquipmentError(f"{self.name}: the head is up")
        if not auxiliary & Auxiliary.FLOW_ON:
            raise EquipmentError(f"{self.name}: no air flows though it was switched on")

    def _stopping(self) -> Conversation[None]:
        yield from told("FLOW 0")
        if self._options.head:
            yield from told("HEAD 0")
        auxiliary = yield from self._auxiliary()
        yield from told("%GL")
        if auxiliary & Auxiliary.FLOW_ON:
            raise EquipmentError(f"{self.name}: the air was switched off and still flows")

    def _auxiliary(self) -> Conversation[Auxiliary]:
        return Auxiliary(parsed(read_whole, "AUXC?", (yield from asked("AUXC?"))))


class InTestThermoStream(PortMachine):
    """A ThermoStream in manual mode; the air flows within a block only."""

    Options: ClassVar[type[InTestThermoStreamOptions]] = InTestThermoStreamOptions
    models = "ATS-?[567]|ECO-?[56]60|TP0?4"
    queue = None

    def __init__(self, name: str, port: Port, options: InTestThermoStreamOptions) -> None:
        super().__init__(name, port)
        self._options = options
        self.channels: dict[str, InTestThermoStreamHead] = {"": InTestThermoStreamHead(name, port, options)}

    async def identify(self) -> Identity:
        answer = await self._port.run(asked("*IDN?"))
        found = parsed(scpi.identity, "*IDN?", answer)
        return checked(found, models=self.models, name=self.name, port=self._port.name)

    def _setting_up(self) -> Conversation[None]:
        options = self._options
        yield from told("%RM")
        yield from told("RSTO")
        yield Pause(RESET_S)
        yield from told("CLER")
        yield from told(f"DSNS {SENSORS[options.sensor]};DUTM {int(options.sensor != 'none')}")
        yield from told(f"ULIM {write_number(options.upper_air_c)};LLIM {write_number(options.lower_air_c)}")


def told(text: str) -> Conversation[None]:
    """Say what brings no answer."""
    yield from say(text, gap_s=GAP_S)


def asked(query: str) -> Conversation[str]:
    """Ask, and leave the machine its time before the answer is read."""
    yield from say(query, gap_s=GAP_S)
    yield Pause(GAP_S)
    return (yield from hear(timeout_s=ANSWER_S)).strip()
