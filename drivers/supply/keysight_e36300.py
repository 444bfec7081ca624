"""Keysight E36311A, E36312A and E36313A triple-output supplies.

Ref: Keysight E36300 Series Programming Guide (E36311-90008), SCPI command reference.
"""

from typing import Annotated, ClassVar

from msgspec import Meta, Struct

from drivers.errors import EquipmentError
from drivers.links.machine import PortMachine
from drivers.links.messages import insisting
from drivers.links.scpi import OFF_TIMEOUT_S, TIMEOUT_S, ScpiLink, parsed
from drivers.protocols.scpi import read_boolean, read_number, write_number
from drivers.roles import Supply
from drivers.transports import Conversation, Pause, Port

REACHED = 0.98
"""The part of its set point at which an output counts as risen."""
SAFE_V = 0.5
POLL_S = 0.01


class KeysightE36300Options(Struct, frozen=True, forbid_unknown_fields=True):
    """What a station file may say of an E36300."""

    rise_s: Annotated[float, Meta(gt=0, le=1)] = 0.1
    """Time within which an output must reach its set point, and fall below 0.5 V when made safe."""
    four_wire: bool = False
    min_gap_s: Annotated[float, Meta(ge=0, le=0.1)] = 0.0


class KeysightE36300Channel(Supply):
    """One of the three outputs."""

    def __init__(self, name: str, port: Port, options: KeysightE36300Options, number: int) -> None:
        super().__init__(name)
        self._port = port
        self._link = ScpiLink(options.min_gap_s)
        self._options = options
        self._at = f"(@{number})"
        # switched off first: else the output would come back with the trip's end
        self._clear = (f":OUTP OFF,{self._at}", f":OUTP:PROT:CLE {self._at}")
        self._on = False
        self._volts = 0.0

    async def switch_on(self, volts: float, *, limit_a: float, ovp_v: float) -> None:
        await self._port.run(self._switching_on(volts, limit_a, ovp_v))

    async def switch_off(self) -> None:
        await self._port.run(self._making_safe())

    async def measure_current(self) -> float:
        return await self._port.run(self._measuring(f":MEAS:CURR? {self._at}"))

    async def measure_voltage(self) -> float:
        return await self._port.run(self._measuring(f":MEAS:VOLT? {self._at}"))

    async def tripped(self) -> str | None:
        return await self._port.run(self._asking_for_trip())

    async def clear_protection(self) -> None:
        """Forget a trip; the output stays off."""
        self._on = False
        await self._port.run(self._link.exchange(*self._clear))

    async def make_safe(self) -> None:
        await self._port.run(insisting(self._making_safe))

    def _switching_on(self, volts: float, limit_a: float, ovp_v: float) -> Conversation[None]:
        """Two messages, so that a refused setting leaves the output as it is.

        The protection never lies below the level, or the output would trip on its way.
        """
        at = self._at
        level = f":VOLT {write_number(volts)},{at}"
        protection = f":VOLT:PROT {write_number(ovp_v)},{at}"
        falling = self._on and abs(volts) < abs(self._volts)
        yield from self._link.exchange(
            *(() if self._on else self._clear),
            *((level, protection) if falling else (protection, level)),
            f":CURR {write_number(limit_a)},{at}",
            f":CURR:PROT:STAT ON,{at}",
        )
        self._on, self._volts = True, volts
        yield from self._link.exchange(f":OUTP ON,{at}")
        yield from self._rising(abs(volts))

    def _rising(self, volts: float) -> Conversation[None]:
        """Wait until the level is there; an output that has tripped meanwhile is the device's doing."""
        for _ in self._polls():
            yield Pause(POLL_S)
            voltage = yield from self._measuring(f":MEAS:VOLT? {self._at}")
            if abs(voltage) >= volts * REACHED or (yield from self._asking_for_trip()):
                return
        raise EquipmentError(
            f"{self.name}: {voltage:g} V instead of {volts:g} V after {self._options.rise_s:g} s"
        )

    def _polls(self) -> range:
        return range(max(1, round(self._options.rise_s / POLL_S)))

    def _measuring(self, query: str, *, timeout_s: float = TIMEOUT_S) -> Conversation[float]:
        (value,) = yield from self._link.exchange(query, timeout_s=timeout_s)
        return parsed(read_number, query, value)

    def _asking_for_trip(self) -> Conversation[str | None]:
        queries = (f":VOLT:PROT:TRIP? {self._at}", f":CURR:PROT:TRIP? {self._at}")
        answers = yield from self._link.exchange(*queries)
        voltage, current = (parsed(read_boolean, *pair) for pair in zip(queries, answers, strict=True))
        if voltage:
            return "over-voltage"
        return "over-current" if current else None

    def _switching_off(self) -> Conversation[None]:
        self._on = False
        query = f":OUTP? {self._at}"
        (still_on,) = yield from self._link.exchange(f":OUTP OFF,{self._at}", query, timeout_s=OFF_TIMEOUT_S)
        if parsed(read_boolean, query, still_on):
            raise EquipmentError(f"{self.name}: the output was switched off and is still on")

    def _making_safe(self) -> Conversation[None]:
        yield from self._switching_off()
        for _ in self._polls():
            voltage = yield from self._measuring(f":MEAS:VOLT? {self._at}", timeout_s=OFF_TIMEOUT_S)
            if abs(voltage) < SAFE_V:
                return
            yield Pause(POLL_S)
        raise EquipmentError(f"{self.name}: still at {voltage:g} V after it was switched off")


class KeysightE36300(PortMachine):
    """An E36300 with its outputs `1`, `2` and `3`; over-current protection always on."""

    Options: ClassVar[type[KeysightE36300Options]] = KeysightE36300Options
    models = "E3631[123]A"

    def __init__(self, name: str, port: Port, options: KeysightE36300Options) -> None:
        super().__init__(name, port, min_gap_s=options.min_gap_s)
        self._options = options
        self._link = ScpiLink(options.min_gap_s)
        self.channels: dict[str, KeysightE36300Channel] = {
            str(number): KeysightE36300Channel(f"{name}.{number}", port, options, number)
            for number in (1, 2, 3)
        }

    def _setting_up(self) -> Conversation[None]:
        sense = "EXT" if self._options.four_wire else "INT"
        yield from self._link.exchange("*RST", "*CLS", f":VOLT:SENS:SOUR {sense},(@1:3)", timeout_s=TIMEOUT_S)
