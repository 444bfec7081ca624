"""What outlives the lots of a cell: which resources are out of use until a named person clears them.

A journal of its own, made when there is something to say: `resource.quarantined` and `resource.cleared`.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from drivers.roles import Feeder, Resource
from station import events
from station.clock import Clock
from station.config import StationConfig
from station.custody import durable_file
from station.custody.journal import Journal, read
from station.errors import ConfigError

ENDING = ".cell"


def place(config: StationConfig, out: Path, *, hardware: bool) -> Path | None:
    """Return where the record of a cell is; None of a simulated one whose station file names no place."""
    if named := config.station.record:
        return config.source.parent / named
    return out / f"{config.station.name}{ENDING}" if hardware else None


def quarantined(path: Path) -> dict[str, events.Quarantined]:
    """Return what is out of use, by name; StorageError if the record is damaged."""
    found = dict[str, events.Quarantined]()
    for event in read(path) if path.exists() else ():
        match event:
            case events.Quarantined():
                found[event.resource] = event
            case events.Cleared():
                found.pop(event.resource, None)
            case _:
                pass
    return found


async def append(path: Path, *happened: events.Any) -> None:
    """Return when these are on disk; StorageError if they cannot be."""
    durable_file.keep_folder(path.parent)
    journal = Journal(path, reserve_bytes=0)
    journal.open()
    try:
        await journal.commit(*happened)
    finally:
        journal.close()


def clear(path: Path, name: str, *, actor: str, reason: str, at: float) -> tuple[str, ...]:
    """Let a resource, or all channels of a machine, be used again; ConfigError if none is out of use."""
    out = quarantined(path)
    meant = tuple(one for one in sorted(out) if one == name or one.startswith(f"{name}."))
    if not meant:
        there = ", ".join(sorted(out)) or "nothing"
        raise ConfigError(f"{name} is not out of use; out of use is: {there}")
    cleared = [events.Cleared(at=at, resource=one, actor=actor, reason=reason) for one in meant]
    asyncio.run(append(path, *cleared))
    return meant


class Quarantine:
    """The record of a cell while a lot runs; of handler and prober a person decides."""

    def __init__(self, path: Path | None, clock: Clock, resources: Iterable[Resource]) -> None:
        self._path = path
        self._clock = clock
        self._resources = tuple(one for one in resources if not isinstance(one, Feeder))
        self._known = set[str]()

    def begin(self) -> None:
        """Put those out of use that a person has not cleared since; StorageError if the record is damaged."""
        out = {} if self._path is None else quarantined(self._path)
        self._known = set(out)
        for resource in self._resources:
            if resource.name in out:
                resource.turn.poison(out[resource.name].reason)

    async def keep(self) -> None:
        """Make durable what has gone out of use meanwhile."""
        new = [one for one in self._resources if one.turn.poisoned and one.name not in self._known]
        if new and self._path is not None:
            now = self._clock.unix()
            await append(
                self._path,
                *(
                    events.Quarantined(at=now, resource=one.name, reason=one.turn.poisoned or "")
                    for one in new
                ),
            )
        self._known |= {one.name for one in new}

    async def clear(
        self, sites: Iterable[int], of: Mapping[int, Sequence[Resource]], who: events.Cleared
    ) -> None:
        """A person vouches for all that some sites need."""
        mine = dict.fromkeys(one for site in sites for one in of[site] if one.turn.poisoned)
        for one in mine:
            one.turn.heal()
        kept = [one.name for one in mine if one.name in self._known]
        if kept and self._path is not None:
            await append(
                self._path,
                *(
                    events.Cleared(at=who.at, resource=name, actor=who.actor, reason=who.reason)
                    for name in kept
                ),
            )
        self._known -= set(kept)
