"""Whether a cell is safe, and how it is made so."""

from collections.abc import Awaitable, Callable, Mapping, Sequence

from drivers.roles import Resource
from station.engine.cut_off import CutOff
from station.engine.stops import Hold


class Safety:
    """The safe state of one cell: what the last one came to."""

    def __init__(
        self, resources: Sequence[Resource], tell: Callable[[float, tuple[str, ...]], Awaitable[None]]
    ) -> None:
        """`tell` is given what each came to: its seconds, and what could not be verified."""
        self._off = CutOff(resources)
        self._tell = tell
        self.took_s = 0.0
        """How long the last took, read-back included."""
        self.lacks = ""
        """What may be on and nobody can tell, and why; empty if all is off."""

    def cut_off(self) -> None:
        """Switch off at once, before anything is written or waited for."""
        self._off.begin()

    async def over(self) -> None:
        """Return when that is done, if it was begun."""
        await self._off.over()

    async def make(self) -> bool:
        """Run the safe state; whether the cell is safe."""
        return await self.came_to(*await self._off.safe())

    async def came_to(self, took_s: float, failed: Mapping[str, str]) -> bool:
        """Take what a safe state has come to; whether the cell is safe."""
        self.took_s = took_s
        self.lacks = "; ".join(_named(name, why) for name, why in sorted(failed.items()))
        await self._tell(took_s, tuple(sorted(failed)))
        return not failed

    async def must_be(self) -> None:
        """Run the safe state; Hold if the cell is not safe then."""
        if not await self.make():
            raise Hold(self.why, unsafe=True)

    @property
    def why(self) -> str:
        """Why a cell that is not safe is held."""
        return f"the cell could not be made safe: {self.lacks}"

    def said_after(self, reason: str) -> str:
        """Return a reason, and what is not safe if it does not say so itself."""
        return reason if self.lacks in reason else f"{reason}; not safe: {self.lacks}"


def _named(name: str, why: str) -> str:
    return why if why.startswith(f"{name}:") else f"{name}: {why}"
