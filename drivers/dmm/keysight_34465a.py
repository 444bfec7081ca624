"""Keysight 34460A, 34461A, 34465A and 34470A multimeters.

Ref: Keysight Truevolt Series Operating and Service Guide (34460-90901), SCPI programming reference.
"""

from typing import Annotated, ClassVar

from msgspec import Meta, Struct

from drivers.links.machine import PortMachine
from drivers.links.messages import insisting
from drivers.links.readings import longest_reading
from drivers.links.readout import read_out
from drivers.links.scpi import OFF_TIMEOUT_S, TIMEOUT_S, ScpiLink, parsed
from drivers.links.srq import ENABLE, events_of
from drivers.protocols.scpi import read_number, write_number
from drivers.roles import Dmm, DmmFunction, TriggerSource
from drivers.transports import Conversation, Port

WORDS: dict[DmmFunction, str] = {
    "dc_voltage": "VOLT:DC",
    "ac_voltage": "VOLT:AC",
    "dc_current": "CURR:DC",
    "ac_current": "CURR:AC",
    "resistance": "RES",
    "four_wire_resistance": "FRES",
}
INTEGRATED = frozenset({"dc_voltage", "dc_current", "resistance", "four_wire_resistance"})
"""Functions whose readings last power-line cycles; the others have a bandwidth."""
ZEROED = frozenset({"dc_voltage", "dc_current", "resistance"})
"""Functions that can do without the measurement of their own zero."""
SOURCES: dict[TriggerSource, str] = {"immediate": "IMM", "external": "EXT", "bus": "BUS"}
SAFE = (":ABOR", ":CONF:VOLT:DC")
"""Nothing is waited for, and the inputs are no short: in a current function they would be one."""


class Keysight34465AOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """What a station file may say of a 34465A."""

    auto_zero: bool = True
    """Measure the own zero with each reading; without, readings are twice as fast and drift."""
    min_gap_s: Annotated[float, Meta(ge=0, le=0.1)] = 0.0


class Keysight34465AInputs(Dmm):
    """The one pair of inputs."""

    def __init__(self, name: str, port: Port, link: ScpiLink, *, auto_zero: bool) -> None:
        super().__init__(name)
        self._port = port
        self._link = link
        self._auto_zero = auto_zero
        self._reading_s = longest_reading(1.0)
        self._source: TriggerSource = "immediate"

    async def configure(
        self, function: DmmFunction, *, full_scale: float | None = None, nplc: float = 1.0
    ) -> None:
        await self._port.run(self._link.exchange(*self._settings(function, full_scale, nplc)))
        self._source = "immediate"
        self._reading_s = longest_reading(2 * nplc)

    async def trigger(self, source: TriggerSource, *, delay_s: float = 0.0) -> None:
        settings = (f":TRIG:SOUR {SOURCES[source]}", f":TRIG:DEL {write_number(delay_s)}")
        await self._port.run(self._link.exchange(*settings))
        self._source = source

    async def read(self, count: int = 1, *, timeout_s: float = 10.0) -> tuple[float, ...]:
        if count == 1 and self._source == "immediate":
            return (await self._port.run(self._reading()),)
        settings, fire = f":SAMP:COUN {count}", "*TRG" if self._source == "bus" else ""
        limit_s = timeout_s + count * self._reading_s
        return await read_out(self._port, self._link, settings, count=count, timeout_s=limit_s, fire=fire)

    async def make_safe(self) -> None:
        self._source = "immediate"
        await self._port.run(insisting(lambda: self._link.exchange(*SAFE, timeout_s=OFF_TIMEOUT_S)))

    def _settings(self, function: DmmFunction, full_scale: float | None, nplc: float) -> tuple[str, ...]:
        word = WORDS[function]
        scale = "AUTO" if full_scale is None else write_number(full_scale)
        integration = (f":SENS:{word}:NPLC {write_number(nplc)}",) if function in INTEGRATED else ()
        zero = (f":SENS:{word}:ZERO:AUTO {'ON' if self._auto_zero else 'OFF'}",) if function in ZEROED else ()
        return f":CONF:{word} {scale}", *integration, *zero

    def _reading(self) -> Conversation[float]:
        value, events = yield from self._link.exchange(
            ":SAMP:COUN 1", ":READ?", "*ESR?", timeout_s=TIMEOUT_S + self._reading_s
        )
        events_of(events, self._port.name)
        return parsed(read_number, ":READ?", value)


class Keysight34465A(PortMachine):
    """A 34460A, 34461A, 34465A or 34470A; its trigger can wait, its memory comes back as a block."""

    Options: ClassVar[type[Keysight34465AOptions]] = Keysight34465AOptions
    models = "344(60|61|65|70)A"

    def __init__(self, name: str, port: Port, options: Keysight34465AOptions) -> None:
        super().__init__(name, port, min_gap_s=options.min_gap_s)
        self._link = ScpiLink(options.min_gap_s)
        self.channels: dict[str, Keysight34465AInputs] = {
            "": Keysight34465AInputs(name, port, self._link, auto_zero=options.auto_zero)
        }

    def _setting_up(self) -> Conversation[None]:
        yield from self._link.exchange("*RST", "*CLS", *ENABLE, timeout_s=TIMEOUT_S)
