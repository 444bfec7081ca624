"""One output of a supply that takes channel lists, as in `VOLT 1.8,(@1)`: what E36300 and N6700 share.

Ref: Keysight E36300 Programming Guide (E36311-90008); N6700 Programmer's Reference Guide (N6700-90902).
"""

from abc import abstractmethod

from drivers.errors import EquipmentError
from drivers.links.messages import insisting
from drivers.links.scpi import OFF_TIMEOUT_S, TIMEOUT_S, ScpiLink, parsed
from drivers.protocols.scpi import read_boolean, read_number, write_number
from drivers.roles import Supply
from drivers.transports import Conversation, Pause, Port

REACHED = 0.98
"""The part of its set point at which an output counts as risen."""
SAFE_V = 0.5
POLL_S = 0.01


class ListedChannel(Supply):
    """One output of a supply that takes channel lists: what E36300 and N6700 have in common."""

    def __init__(self, name: str, port: Port, link: ScpiLink, number: int, *, rise_s: float) -> None:
        super().__init__(name)
        self._port = port
        self._link = link
        self._rise_s = rise_s
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
        raise EquipmentError(f"{self.name}: {voltage:g} V instead of {volts:g} V after {self._rise_s:g} s")

    def _polls(self) -> range:
        return range(max(1, round(self._rise_s / POLL_S)))

    def _measuring(self, query: str, *, timeout_s: float = TIMEOUT_S) -> Conversation[float]:
        (value,) = yield from self._link.exchange(query, timeout_s=timeout_s)
        return parsed(read_number, query, value)

    @abstractmethod
    def _asking_for_trip(self) -> Conversation[str | None]:
        """Ask which protection holds the output off."""

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
