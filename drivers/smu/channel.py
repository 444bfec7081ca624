"""A source-measure channel whose verbs are conversations: what is forced, and when the output goes off."""

import asyncio
from abc import abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from typing import Literal

from drivers.errors import EquipmentError
from drivers.links.messages import insisting
from drivers.roles import Reading, Smu
from drivers.smu.stairs import Stairs, listed, straight
from drivers.transports import Conversation, Port
from drivers.uninterrupted import uninterrupted

ABORT_S = 2.0

Function = Literal["VOLT", "CURR"]
OTHER: dict[Function, Function] = {"VOLT": "CURR", "CURR": "VOLT"}
"""What is measured, and limited, while a function is forced."""


class SmuChannel(Smu):
    """One output; a model says the words."""

    def __init__(self, name: str, port: Port, *, trigger_in: int | None = None) -> None:
        """Take `trigger_in`, the line whose edges start the steps of a triggered sweep."""
        super().__init__(name)
        self._port = port
        self._trigger_in = trigger_in
        self._function: Function | None = None
        self._off = True

    async def force_voltage(self, volts: float, *, limit_a: float) -> None:
        await self._force("VOLT", volts, limit_a)

    async def force_current(self, amps: float, *, limit_v: float) -> None:
        await self._force("CURR", amps, limit_v)

    async def switch_off(self) -> None:
        self._function = None
        await self._port.run(self._switching_off())
        self._off = True

    async def measure(self) -> float:
        reading = await self._port.run(self._measuring(self._forced()))
        self._keep((reading,))
        return reading.value

    async def sweep(self, levels: Sequence[float], *, triggered: bool = False) -> tuple[Reading, ...]:
        return await self._sweep(listed(levels), triggered=triggered)

    async def sweep_linear(
        self, start: float, stop: float, points: int, *, triggered: bool = False
    ) -> tuple[Reading, ...]:
        return await self._sweep(straight(start, stop, points), triggered=triggered)

    async def burst(self, count: int) -> tuple[Reading, ...]:
        return await self._unless_cut(self._bursting(self._forced(), count))

    async def make_safe(self) -> None:
        self._function = None
        await self._port.run(insisting(self._making_safe))
        self._off = True

    # -- the words of a model
    @abstractmethod
    def _forcing(
        self, function: Function, level: float, limit: float, *, off_first: bool
    ) -> Conversation[None]:
        """Set and switch on; a refused setting leaves the output as it is, or off if that comes first."""

    @abstractmethod
    def _measuring(self, function: Function) -> Conversation[Reading]:
        """Take one reading with its flag, in one message."""

    @abstractmethod
    def _bursting(self, function: Function, count: int) -> Conversation[tuple[Reading, ...]]:
        """Fill the machine's buffer and fetch it, each reading with its own flag."""

    @abstractmethod
    def _sweeping(
        self, function: Function, stairs: Stairs, edge: int | None
    ) -> Conversation[tuple[Reading, ...]]:
        """Have the machine climb the stairs, and fetch its buffer; it stays on the last of them.

        `edge` is the line that each step waits for.
        """

    @abstractmethod
    def _aborting(self) -> Conversation[None]:
        """Give up a sweep or burst, whether one is under way or not; a reading is one reading again."""

    @abstractmethod
    def _switching_off(self) -> Conversation[None]:
        """Switch off and read back; EquipmentError if it is still on."""

    @abstractmethod
    def _making_safe(self) -> Conversation[None]:
        """Switch off with both levels 0, and read back."""

    # -- what is the same for all
    async def _sweep(self, stairs: Stairs, *, triggered: bool) -> tuple[Reading, ...]:
        function = self._forced()
        self._keep(())
        if triggered and self._trigger_in is None:
            raise EquipmentError(f"{self.name} has no trigger line: its station file names no `trigger_in`")
        edge = self._trigger_in if triggered else None
        return await self._unless_cut(self._sweeping(function, stairs, edge))

    async def _unless_cut(self, taking: Conversation[tuple[Reading, ...]]) -> tuple[Reading, ...]:
        """Take many readings; a device clear in their midst leaves the machine as it was set for them."""
        try:
            return self._keep(await self._port.run(taking))
        except (EquipmentError, asyncio.CancelledError):  # else the machine would go on by itself
            with suppress(EquipmentError, TimeoutError):  # what was to be told is told already
                await uninterrupted(self._port.run(self._aborting()), bound_s=ABORT_S)
            raise

    def _forced(self) -> Function:
        if self._function is None:
            raise EquipmentError(f"{self.name} forces nothing: there is nothing to measure")
        return self._function

    async def _force(self, function: Function, level: float, limit: float) -> None:
        off_first = not self._off and self._function != function
        self._function, self._off = None, False
        await self._port.run(self._forcing(function, level, limit, off_first=off_first))
        self._function = function

    def _check_on(self, *, on: bool) -> None:
        """Believe no reading of an output that is off: its power has gone, or somebody touched it."""
        if not on:
            raise EquipmentError(
                f"{self.name}: the output was switched on and is off: no reading is believed"
            )

    def _check_off(self, *, on: bool) -> None:
        if on:
            raise EquipmentError(f"{self.name}: the output was switched off and is still on")
