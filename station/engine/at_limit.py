"""What source-measure units say of their own readings: that a limit held the output, and no device did."""

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import TypeAlias

from drivers.roles import Reading, Smu
from station.sequence import Site

Readings: TypeAlias = Mapping[str, tuple[Reading, ...]]
"""By role, the latest of each unit that is this site's alone: of a shared one it may be a neighbour's."""


def readings(site: Site) -> Readings:
    """Return the latest readings of a site's units."""
    return {role: smu.readings() for role, smu in _units(site) if not smu.turn.shared}


def held(before: Readings, after: Readings) -> str:
    """Name the roles that have read anew since, and were at their limit then; empty if none was."""
    new = (role for role, read in after.items() if read is not before.get(role))
    return ", ".join(role for role in new if any(reading.at_limit for reading in after[role]))


def _units(site: Site) -> Iterator[tuple[str, Smu]]:
    for field in fields(site):
        played = getattr(site, field.name)
        members = played.items() if isinstance(played, Mapping) else [("", played)]
        for member, unit in members:
            if isinstance(unit, Smu):
                yield f"{field.name}.{member}" if member else field.name, unit
