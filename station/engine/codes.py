"""Who each device is, by the code that is read on it when it arrives: once in a lot, kept over contacts."""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from drivers.errors import EquipmentError
from drivers.roles import IdReader, Touchdown
from station.engine.stops import Hold
from station.events import TouchdownOpened

LONGEST = 64
_NUMBERED = re.compile(r"#\d+")


def numbered(part: int) -> str:
    """Return how a device without a code of its own is called where the others have one."""
    return f"#{part}"


def is_own(code: str, part: int, of_pass: str) -> bool:
    """Tell whether a device's name in the records is a code that it bears, not one that the lot gave it."""
    return bool(code) and code not in {numbered(part), of_its_pass(of_pass, part)}


def of_its_pass(of_pass: str, part: int) -> str:
    """Return how a device without a code is called in a second pass."""
    return f"{of_pass}-{part}"


def unnamed(opened: TouchdownOpened, site: int) -> bool:
    """Tell whether a device was not tested because nobody knows who it is."""
    return site in opened.untested and opened.ids.get(site) == numbered(opened.parts[site])


@dataclass
class Codes:
    """The codes of one lot: read by the station at each site, or by the machine that brings the devices."""

    readers: Mapping[int, IdReader]
    of_pass: str = ""
    """Of a second pass: what its devices without codes are called after, since their numbers are others'."""
    golden: Mapping[str, str] = field(default_factory=dict)
    """By code, the names of units that are known and never product."""
    seen: dict[str, int] = field(default_factory=dict)
    """The device of each code that was read in this lot."""
    refused: dict[int, str] = field(default_factory=dict)
    """By site, why the device that has arrived there is not tested."""
    doubled: list[str] = field(default_factory=list)
    """What came twice: nobody knows which of the devices is the right one."""
    strangers: list[str] = field(default_factory=list)
    """Golden units that have come as if they were devices of the lot."""

    async def read(self, arrived: Touchdown) -> Touchdown:
        """Return the touchdown with the codes that are read: by the readers, where there are any."""
        self.refused.clear()
        if not self.readers:
            return arrived
        return replace(arrived, ids=await self._read(sorted(arrived.sites)))

    def named(self, arrived: Touchdown, parts: Mapping[int, int], known: Mapping[int, str]) -> Touchdown:
        """Return the touchdown with a name for each device: its code, or `#` and its number if it has none.

        `known`: the names, by site, of devices that come again. Hold if another device is there now.
        """
        if not self.readers and not arrived.ids:
            return replace(arrived, ids=self._by_pass(arrived, parts)) if self.of_pass else arrived
        ids = dict[int, str]()
        for site in sorted(arrived.sites):
            code = arrived.ids.get(site)
            if site in known:
                ids[site] = _same(site, known[site], code)
            elif code is None or self._objection(site, parts[site], code, arrived.ids):
                ids[site] = numbered(parts[site])
                self.refused.setdefault(site, "no code was read")
            else:
                ids[site] = code
        self.seen |= {code: parts[site] for site, code in ids.items() if site not in known}
        return replace(arrived, ids=ids)

    def _by_pass(self, arrived: Touchdown, parts: Mapping[int, int]) -> dict[int, str]:
        return {site: of_its_pass(self.of_pass, parts[site]) for site in sorted(arrived.sites)}

    async def _read(self, sites: list[int]) -> dict[int, str]:
        """Read at all sites at once; a site whose code did not come is left out."""
        async with asyncio.TaskGroup() as group:
            reading = {site: group.create_task(self._one(site)) for site in sites if site in self.readers}
        return {site: code for site, task in reading.items() if (code := task.result())}

    async def _one(self, site: int) -> str:
        """Return the code of one site; what keeps the reader from reading it is the reason of no test."""
        try:
            return (await self.readers[site].read() or "").strip()
        except EquipmentError as error:
            self.refused[site] = f"no code: {error}"
            return ""

    def _objection(self, site: int, part: int, code: str, read: Mapping[int, str]) -> str:
        """Say why a device is not tested, and remember it; empty if it is."""
        why = _unfit(code)
        if not why and (twin := self._twin(code, part, read)):
            why = f"code {code} is that of {twin} too"
            self.doubled.append(f"device {part}: {why}")
        elif not why and code in self.golden:
            why = f"code {code} is that of golden unit {self.golden[code]}, which is no product"
            self.strangers.append(f"device {part}: {why}")
        if why:
            self.refused[site] = why
        return why

    def _twin(self, code: str, part: int, read: Mapping[int, str]) -> str:
        """Name the other device, or the sites, with the same code; empty if there is none."""
        if (other := self.seen.get(code, part)) != part:
            return f"device {other}"
        sites = sorted(site for site, found in read.items() if found == code)
        return f"another, at sites {sites}," if len(sites) > 1 else ""


def _unfit(code: str) -> str:
    """Say why a code cannot be the name of a device; empty if it can."""
    if len(code) <= LONGEST and code.isascii() and code.isprintable() and not _NUMBERED.fullmatch(code):
        return ""
    return f"code {code!r} cannot be a device's: up to {LONGEST} ASCII characters, not # and digits"


def _same(site: int, before: str, now: str | None) -> str:
    """Return the code of a device that is still there; one that was not read before need not be read now."""
    if now == before or _NUMBERED.fullmatch(before):
        return before
    read = "no code was read" if now is None else f"it is {now}"
    raise Hold(f"site {site} held the device with code {before} when the station stopped, now {read}")
