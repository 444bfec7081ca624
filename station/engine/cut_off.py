"""The safe state of a cell, and what comes before it when an interlock opens."""

import asyncio
from collections.abc import Mapping, Sequence

from drivers.roles import Feeder, Resource
from station.engine.safe_state import make_safe


class CutOff:
    """Switches off before anything is written or waited for; the safe state follows when all tests ended."""

    def __init__(self, resources: Sequence[Resource]) -> None:
        self._resources = resources
        self._sources = [resource for resource in resources if not isinstance(resource, Feeder)]
        self._task: asyncio.Task[object] | None = None
        self._began: float | None = None

    def begin(self) -> None:
        """Have all that may drive a device switched off; who brings the devices is told later."""
        loop = asyncio.get_running_loop()
        if self._began is None:
            self._began = loop.time()
        if self._task is None or self._task.done():
            self._task = loop.create_task(make_safe(self._sources))

    async def over(self) -> None:
        """Return when that is done, if it was begun."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def safe(self) -> tuple[float, Mapping[str, str]]:
        """Run the safe state; return the seconds since it was first asked for, and what is not verified."""
        await self.over()
        began, self._began, self._task = self._began, None, None
        took, failed = await make_safe(self._resources)
        return took if began is None else asyncio.get_running_loop().time() - began, failed
