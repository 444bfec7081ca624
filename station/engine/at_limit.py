"""What instruments say of a row: that a limit held the output, or a protection switched it off."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import NamedTuple, Self

from drivers.roles import Reading, Smu, Supply
from station.sequence import Site


@dataclass(frozen=True)
class InstrumentWatch:
    """What the instruments of a site said before a row, to be compared with what they say behind it."""

    _site: Site
    _readings: Mapping[str, tuple[Reading, ...]]
    """By role, the latest of each source-measure unit; of a shared one, the latest for this site."""
    _trips: Mapping[str, "_Trip"]
    """By role, of each supply."""

    @classmethod
    async def begun(cls, site: Site) -> Self:
        """Ask the instruments of a site before a row."""
        return cls(site, _readings(site), await _trips(site))

    def at_limit(self) -> list[str]:
        """Name the roles that have read anew since, and were at their limit then."""
        now = _readings(self._site)
        new = [role for role, read in now.items() if read is not self._readings.get(role)]
        return [role for role in new if any(reading.at_limit for reading in now[role])]

    async def tripped(self) -> list[str]:
        """Name the supplies that a protection has switched off, and which it was.

        One that has tripped before counts as long as it is meant to be on: a neighbour's device may have been
        the cause. What is left of an earlier use, after it was switched off, does not.
        """
        now = await _trips(self._site)
        return [
            f"{role} {trip.protection}"
            for role, trip in now.items()
            if trip.protection and (trip.on or trip != self._trips.get(role))
        ]


class _Trip(NamedTuple):
    protection: str | None
    times_on: int
    on: bool


def _readings(site: Site) -> Mapping[str, tuple[Reading, ...]]:
    return {role: unit.readings() for role, unit in _played(site) if isinstance(unit, Smu)}


async def _trips(site: Site) -> Mapping[str, _Trip]:
    return {
        role: _Trip(await unit.tripped(), unit.times_on, unit.on)
        for role, unit in _played(site)
        if isinstance(unit, Supply)
    }


def _played(site: Site) -> Iterator[tuple[str, object]]:
    for field in fields(site):
        played = getattr(site, field.name)
        members = played.items() if isinstance(played, Mapping) else [("", played)]
        for member, unit in members:
            yield f"{field.name}.{member}" if member else field.name, unit
