"""One output of a supply whose verbs are conversations: how it rises, trips and is made safe."""

from abc import abstractmethod
from typing import Literal

from drivers.errors import EquipmentError
from drivers.links.messages import insisting
from drivers.links.scpi import OFF_TIMEOUT_S, SETTING_TIMEOUT_S, TIMEOUT_S, ScpiLink, parsed
from drivers.protocols.scpi import read_boolean, read_number
from drivers.roles import Supply
from drivers.transports import Conversation, Pause, Port

REACHED = 0.98
"""The part of its set point at which an output counts as risen; one that falls is there at the inverse."""
MARGIN_V = 0.02
"""How much more a reading may be: near 0 V a part of the set point is nothing."""
SAFE_V = 0.5
POLL_S = 0.01
USUAL_S = 0.1
"""The time to rise or fall for which a supply's bound in the safe state is made."""


class SupplyChannel(Supply):
    """One output; a model says the words."""

    def __init__(self, name: str, port: Port, link: ScpiLink, *, rise_s: float) -> None:
        super().__init__(name)
        self._port = port
        self._link = link
        self._rise_s = rise_s
        self.slow_s = 2 * max(0.0, rise_s - USUAL_S)  # a poll takes a reading too
        self._volts = 0.0

    async def switch_on(self, volts: float, *, limit_a: float, ovp_v: float) -> None:
        await self._port.run(self._switching_on(volts, limit_a, ovp_v))

    async def switch_off(self) -> None:
        await self._port.run(self._making_safe())

    async def measure_current(self) -> float:
        return await self._port.run(self._measured("CURR"))

    async def measure_voltage(self) -> float:
        return await self._port.run(self._measured("VOLT"))

    async def tripped(self) -> str | None:
        return await self._port.run(self._asking_for_trip())

    async def clear_protection(self) -> None:
        self.on = False
        await self._port.run(self._exchange(*self._clearing()))

    async def make_safe(self) -> None:
        await self._port.run(insisting(self._making_safe))

    def _wiring(self) -> tuple[str, ...]:
        """Set anew what is set at connect: a power that went while the output was off took it along."""
        return ()

    # -- the words of a model
    @abstractmethod
    def _clearing(self) -> tuple[str, ...]:
        """Switch off, then forget a trip: else the output would come back with the trip's end."""

    @abstractmethod
    def _level(self, volts: float) -> str:
        """Set the voltage."""

    @abstractmethod
    def _protection(self, ovp_v: float) -> str:
        """Set the voltage above which the output goes off."""

    @abstractmethod
    def _limit(self, limit_a: float) -> tuple[str, ...]:
        """Set the current above which the output goes off."""

    @abstractmethod
    def _switch(self, *, on: bool) -> str:
        """Switch."""

    @abstractmethod
    def _is_on(self) -> str:
        """Ask whether it is on."""

    @abstractmethod
    def _measure(self, quantity: Literal["VOLT", "CURR"]) -> str:
        """Ask for volts or amps."""

    @abstractmethod
    def _trips(self) -> tuple[str, str]:
        """Ask for an over-voltage trip, and for an over-current trip."""

    def _exchange(self, *units: str, timeout_s: float = SETTING_TIMEOUT_S) -> Conversation[list[str]]:
        """Say the units in one message, for this output."""
        return self._link.exchange(*units, timeout_s=timeout_s)

    # -- what is the same for all
    def _switching_on(self, volts: float, limit_a: float, ovp_v: float) -> Conversation[None]:
        """Two messages, so that a refused setting leaves the output as it is; one if it is on already.

        The protection never lies below the level, or the output would trip on its way. An output that is on
        is not switched on again: some machines forget a trip by it.
        """
        level, protection = self._level(volts), self._protection(ovp_v)
        falling = self.on and abs(volts) < abs(self._volts)
        yield from self._exchange(
            *(() if self.on else (*self._clearing(), *self._wiring())),
            *((level, protection) if falling else (protection, level)),
            *self._limit(limit_a),
        )
        was_on, self.on, self._volts = self.on, True, volts
        if not was_on:
            self.times_on += 1
            yield from self._exchange(self._switch(on=True))
        yield from self._settling(abs(volts))

    def _settling(self, volts: float) -> Conversation[None]:
        """Wait until the level is there, from below or above; a trip meanwhile is the device's doing."""
        least, most = volts * REACHED, volts / REACHED + MARGIN_V
        for _ in self._polls():
            yield Pause(POLL_S)
            voltage = yield from self._measuring("VOLT")
            if least <= abs(voltage) <= most or (yield from self._asking_for_trip()):
                return
        raise EquipmentError(f"{self.name}: {voltage:g} V instead of {volts:g} V after {self._rise_s:g} s")

    def _polls(self) -> range:
        return range(max(1, round(self._rise_s / POLL_S)))

    def _measuring(
        self, quantity: Literal["VOLT", "CURR"], *, timeout_s: float = TIMEOUT_S
    ) -> Conversation[float]:
        query = self._measure(quantity)
        (value,) = yield from self._exchange(query, timeout_s=timeout_s)
        return parsed(read_number, query, value)

    def _measured(self, quantity: Literal["VOLT", "CURR"]) -> Conversation[float]:
        """Believe no reading of an output that is off though nothing tripped: its power has gone."""
        query, asked = self._measure(quantity), self._is_on()
        value, on = yield from self._exchange(query, asked, timeout_s=TIMEOUT_S)
        off = self.on and not parsed(read_boolean, asked, on)
        if off and not (yield from self._asking_for_trip()):
            raise EquipmentError(
                f"{self.name}: the output was switched on and is off: no reading is believed"
            )
        return parsed(read_number, query, value)

    def _asking_for_trip(self) -> Conversation[str | None]:
        queries = self._trips()
        answers = yield from self._exchange(*queries)
        voltage, current = (parsed(read_boolean, *pair) for pair in zip(queries, answers, strict=True))
        if voltage:
            return "over-voltage"
        return "over-current" if current else None

    def _switching_off(self) -> Conversation[None]:
        self.on = False
        query = self._is_on()
        (still_on,) = yield from self._exchange(self._switch(on=False), query, timeout_s=OFF_TIMEOUT_S)
        if parsed(read_boolean, query, still_on):
            raise EquipmentError(f"{self.name}: the output was switched off and is still on")

    def _making_safe(self) -> Conversation[None]:
        yield from self._switching_off()
        for _ in self._polls():
            voltage = yield from self._measuring("VOLT", timeout_s=OFF_TIMEOUT_S)
            if abs(voltage) < SAFE_V:
                return
            yield Pause(POLL_S)
        raise EquipmentError(f"{self.name}: still at {voltage:g} V after it was switched off")
