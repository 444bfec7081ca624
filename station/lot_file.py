"""What the STDF file of a lot is to say beside its results: channels, their groups, sections."""

from typing import Any

from station.config import StationConfig
from station.rows import sections
from station.sequence import Sequence
from station.set_up import Datalog, PinGroup


def pins(sequence: Sequence[Any]) -> tuple[str, ...]:
    """Return every channel that a test of a sequence names, once, in datalog order."""
    return tuple(dict.fromkeys(pin for test in sequence.definitions() for pin in test.pins))


def datalog(config: StationConfig, sequence: Sequence[Any]) -> Datalog:
    """Return how a lot's file is written, as the station file asks and the sequence is made."""
    wanted, assets = config.datalog.sections, {one.kind: one.name for one in reversed(config.assets)}
    return Datalog(
        profile=config.datalog.profile,
        sections=tuple(sections(sequence.rows)) if wanted else (),
        groups=_groups(config, pins(sequence)),
        card=assets.get("card", ""),
        board=assets.get("board", ""),
        contactor=assets.get("contactor", ""),
    )


def _groups(config: StationConfig, known: tuple[str, ...]) -> tuple[PinGroup, ...]:
    """Return which of the channels play one role together: `io.IO` and `io.CLK` are the group `io`."""
    found = dict[str, list[str]]()
    for role in next(iter(config.sites.values()), {}):
        group, dot, pin = role.partition(".")
        if dot and pin in known:
            found.setdefault(group, []).append(pin)
    return tuple(PinGroup(name, tuple(sorted(members, key=known.index))) for name, members in found.items())
