"""Resources that are out of use beyond a lot, as the engine sees their keeper."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from drivers.roles import Resource
from station import events


class Quarantine(Protocol):
    """Keeps them over lots and restarts."""

    async def keep(self) -> None:
        """Make durable what has gone out of use; StorageError if it cannot be."""

    async def clear(
        self, sites: Iterable[int], of: Mapping[int, Sequence[Resource]], who: events.Cleared
    ) -> None:
        """A person vouches for all that some sites need."""
