"""Devices that have their bin and come again: at the end of wafer or lot, or to another site."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import msgspec

from drivers.roles import Feeder, Prober, Touchdown
from station.engine.retests import RetestWatch
from station.model import Bin, DeviceResult
from station.policies import Retest

Name: TypeAlias = tuple[str, int, int] | str
"""How a device is found again: wafer, x and y of a die, else its id."""


@dataclass(frozen=True)
class Kept:
    """A device that is known again by its name."""

    last: DeviceResult
    sites: frozenset[int]
    """Those that have met it."""


def name_at(arrived: Touchdown, site: int) -> Name | None:
    """Name the device at a site; None if nothing tells it from others."""
    if site in arrived.positions:
        return (arrived.wafer, *arrived.positions[site])
    return arrived.ids.get(site)


class LateRetests:
    """What has come, by name, and what of it shall come again."""

    def __init__(self, retest: Retest, watch: RetestWatch) -> None:
        self._retest = retest
        self._watch = watch
        self._known = dict[Name, Kept]()
        self._waiting = dict[Name, Kept]()
        self._asked = set[Name]()
        """Dies that somebody wants to come again, whatever the sequence says."""

    def count_with(self, watch: RetestWatch) -> None:
        """Ask another counter whether retests help: that of a lot that is taken up."""
        self._watch = watch

    def restart(self, wafer: str) -> None:
        """Begin anew at a wafer: those of others are gone."""
        self._known = _of(wafer, self._known)
        self._waiting = _of(wafer, self._waiting)
        self._asked.clear()

    def dies(self, wafer: str) -> Mapping[tuple[int, int], DeviceResult]:
        """Return the last results of the dies of a wafer that have their bin, while it is on the chuck."""
        return {
            name[1:]: kept.last
            for name, kept in self._known.items()
            if not isinstance(name, str) and name[0] == wafer
        }

    def ask(self, wafer: str, dies: Iterable[tuple[int, int]]) -> None:
        """Let dies come again behind all that have no bin yet, because somebody wants it."""
        names = {(wafer, *die) for die in dies}
        self._asked |= names
        self._waiting |= {name: self._known[name] for name in sorted(names)}

    @property
    def pending(self) -> bool:
        """Whether a device is still to come again."""
        return any(self._wanted(name, kept) for name, kept in self._waiting.items())

    def _wanted(self, name: Name, kept: Kept) -> bool:
        """A handler brings its devices again whatever was seen meanwhile."""
        return isinstance(name, str) or name in self._asked or self._watch.still_wants(kept.last)

    def met(self, arrived: Touchdown) -> Mapping[int, Kept]:
        """Return the devices of a contact that were there before, by site."""
        names = {site: name_at(arrived, site) for site in sorted(arrived.sites)}
        return {
            site: self._known[name]
            for site, name in names.items()
            if name is not None and name in self._known
        }

    def strangers(self, met: Iterable[Kept]) -> list[int]:
        """Return the numbers of devices that have come again and were not to."""
        waiting = {kept.last.part for kept in self._waiting.values()}
        return sorted(kept.last.part for kept in met if kept.last.part not in waiting)

    def sorted(self, arrived: Touchdown, results: Mapping[int, DeviceResult]) -> None:
        """Take the last results of devices whose bins are sent."""
        for site, result in results.items():
            name = name_at(arrived, site)
            if name is not None and (self._retest.late or not isinstance(name, str)):
                self._take(name, site, result)

    def _take(self, name: Name, site: int, result: DeviceResult) -> None:
        before = self._known.get(name)
        sites = frozenset({site}) | (frozenset() if before is None else before.sites)
        kept = self._known[name] = Kept(slim(result), sites)
        self._waiting.pop(name, None)
        self._asked.discard(name)
        if self._retest.late and result.contact <= self._retest.times and self._watch.wants(result):
            self._waiting[name] = kept

    def recall(self, before: Iterable[tuple[Name, Kept]]) -> None:
        """Know what a station that has stopped knew: devices that failed and have their bin."""
        for name, kept in before:
            self._known[name] = kept
            if self._retest.late and kept.last.contact <= self._retest.times and self._watch.wants(kept.last):
                self._waiting[name] = kept

    def due(
        self, wafer: str, *, used_up: bool, out: frozenset[int]
    ) -> Mapping[tuple[int, int], frozenset[int]]:
        """Return the dies of a wafer that are to be landed again now, and by which sites not; never `out`."""
        ready = used_up or not self._retest.at_end
        return {
            name[1:]: out | (kept.sites if self._retest.other_site else frozenset())
            for name, kept in sorted(self._waiting.items(), key=lambda item: item[1].last.part)
            if not isinstance(name, str) and name[0] == wafer and self._wanted(name, kept)
            if (used_up if name in self._asked else ready)
        }


def cannot_bring_again(retest: Retest, bins: Iterable[Bin], feeder: Feeder) -> str:
    """Say which policy of retest this machine cannot do, and why; empty if it can.

    A handler brings whole hard bins: what else lies in one of them would come again too.
    """
    if not retest.late or not retest.times or feeder.picks_site:
        return ""
    if retest.other_site:
        return f"retest.other_site: {feeder.name} {_why_no_site(feeder)}"
    hard = {bin_.hard for bin_ in retest.bins}
    if missing := sorted(hard - feeder.brings_again):
        there = ", ".join(map(str, sorted(feeder.brings_again))) or "none"
        return (
            f"retest.at_end: {feeder.name} does not bring devices of hard bin "
            f"{', '.join(map(str, missing))} again so that each is known; it brings {there}"
        )
    others = [bin_.name for bin_ in bins if bin_.hard in hard and bin_ not in retest.bins]
    return f"retest.at_end: the same hard bins hold {', '.join(others)} too" if others else ""


def never_lands_again(retest: Retest, feeder: Feeder) -> str:
    """Say which bins are not retested at once, for the machine cannot land a device again; empty if none."""
    if retest.late or not retest.times or not retest.bins or feeder.can_replunge:
        return ""
    bins = ", ".join(sorted(bin_.name for bin_ in retest.bins))
    return f"{feeder.name} lands no device again: bins {bins} are not retested at once"


def _why_no_site(feeder: Feeder) -> str:
    if isinstance(feeder, Prober):
        return "steps by itself (mode prober_master); with tester_master the station picks die and site"
    return "picks the site of a device itself; another site can be had of a prober in tester_master alone"


def _of(wafer: str, devices: Mapping[Name, Kept]) -> dict[Name, Kept]:
    return {name: kept for name, kept in devices.items() if not isinstance(name, str) and name[0] == wafer}


def slim(result: DeviceResult) -> DeviceResult:
    """Return what has to be known of a contact later, without what was measured."""
    return msgspec.structs.replace(result, measurements=())
