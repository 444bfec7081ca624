"""Digital inputs and outputs: lines that are high or low."""

import asyncio
from abc import abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from drivers.errors import Silent
from drivers.roles.resource import Resource


@dataclass(frozen=True)
class Levels:
    """Drive these outputs high (true) or low; the others stay."""

    high: Mapping[str, bool]


@dataclass(frozen=True)
class Wait:
    """Leave everything as it is for so long."""

    seconds: float


DioStep: TypeAlias = Levels | Wait


class Dio(Resource):
    """A set of lines, each an input or an output, known by name. It serves whoever its lines lead to."""

    inputs: frozenset[str]
    outputs: frozenset[str]
    resting: Mapping[str, bool]
    """The level of each output in the safe state, true for high."""
    sample_s = 0.001
    """Time between two looks at the inputs, when an edge is waited for."""

    @abstractmethod
    async def read(self) -> Mapping[str, bool]:
        """Return the level of every line, true for high."""

    @abstractmethod
    async def play(self, steps: Sequence[DioStep]) -> None:
        """Do the steps in one go, and read back that each output follows; EquipmentError if one does not.

        Never repeated by itself: when it fails, what came of it is unknown.
        """

    async def write(self, high: Mapping[str, bool]) -> None:
        """Drive outputs."""
        await self.play((Levels(high),))

    async def pulse(self, line: str, *, high: bool, width_s: float) -> None:
        """Drive an output to a level and, `width_s` later, to the other one."""
        await self.play((Levels({line: high}), Wait(width_s), Levels({line: not high})))

    async def wait_edge(self, line: str, *, high: bool, timeout_s: float) -> float:
        """Wait until an input changes to a level; return the loop's time. Silent if it does not in time.

        What is shorter than `sample_s` and the time of two readings may be missed.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + timeout_s
        before = (await self.read())[line]
        while loop.time() < until:
            await asyncio.sleep(self.sample_s)
            now = (await self.read())[line]
            if now is high and before is not high:
                return loop.time()
            before = now
        raise Silent(f"{self.name}: {line} did not go {'high' if high else 'low'} within {timeout_s:g} s")

    async def health(self) -> str:
        """Tell which lines are low."""
        low = sorted(line for line, high in (await self.read()).items() if not high)
        return f"low: {', '.join(low) or 'none'}"

    async def make_safe(self) -> None:
        """Bring every output to its resting level, and read that back."""
        await self.write(self.resting)


def unknown(dio: Dio, lines: Collection[str], *, among: frozenset[str], what: str) -> str | None:
    """Say which of the lines are not among those allowed; None if all are."""
    strange = sorted(set(lines) - among)
    known = ", ".join(sorted(among)) or "none"
    return f"{dio.name} has no {what} {', '.join(strange)}; there are: {known}" if strange else None
