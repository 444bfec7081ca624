"""What wears out by being landed on: card, contactor, board, the touchdowns that each has had, its limit.

So does what their tips are cleaned on, a block or a wafer, by cleanings.

Counted in the record of the cell, over lots and restarts, as increments of each lot: none is counted twice.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from station import cell_record, events
from station.config import AssetTable
from station.custody.journal import read
from station.engine.plan import Examined
from station.errors import ConfigError

ASSETS = "assets"
BLOCK = "block"
"""The kind of what tips are cleaned on: it wears out by cleanings, all else by touchdowns."""
CLEAN_BLOCK = "clean block"
"""The check of it."""
CELL = ""
"""The name under which the record counts the landings of the cell itself, whatever it is landed with."""


class Worn:
    """The counts of a cell, as its record has them."""

    def __init__(self) -> None:
        self._had = Counter[str]()
        self._seen: dict[tuple[str, str], int] = {}
        """The last landing of a lot that was counted, by asset and lot."""
        self._of_lot = Counter[tuple[str, str]]()

    def add(self, event: events.Any) -> None:
        """Take an event of the record."""
        match event:
            case events.AssetCounted(asset=asset, lot=lot, landings=landings):
                more = max(0, landings - self._seen.get((asset, lot), 0))
                self._seen[asset, lot] = max(landings, self._seen.get((asset, lot), 0))
                self._had[asset] += more
                self._of_lot[asset, lot] += more
            case events.AssetReplaced(asset=asset):
                del self._had[asset]
                for one in [key for key in self._of_lot if key[0] == asset]:
                    del self._of_lot[one]
            case _:
                pass

    def had(self, asset: str) -> int:
        """How many touchdowns it has had since it was new."""
        return self._had[asset]

    def seen(self, asset: str, lot: str) -> int:
        """What was last counted of a lot."""
        return self._seen.get((asset, lot), 0)

    def before(self, asset: str, lot: str) -> int:
        """The same without those of one lot."""
        return self._had[asset] - self._of_lot[asset, lot]


def worn(path: Path | None) -> Worn:
    """Read the record of a cell; nothing is counted without one. StorageError if it is damaged."""
    found = Worn()
    for event in read(path) if path is not None and path.exists() else ():
        found.add(event)
    return found


@dataclass
class Life:
    """The assets of a cell while a lot runs."""

    assets: Sequence[AssetTable]
    path: Path | None
    lot: str
    before: Worn
    cleanings: Callable[[], int] = lambda: 0
    """How often the cell was cleaned since its machines were opened."""
    _landings: int = 0
    _told: frozenset[str] = frozenset()

    def mounted(self, at: float) -> tuple[events.AssetMounted, ...]:
        """What the lot begins with."""
        return tuple(
            events.AssetMounted(
                at=at,
                asset=one.name,
                kind=one.kind,
                touchdowns=self.before.before(one.name, self.lot),
                warning=one.warning,
                limit=one.limit,
            )
            for one in self.assets
        )

    def near(self) -> tuple[str, ...]:
        """Say which have come to their warning and not to their limit."""
        return tuple(
            f"{one.name}: {self._of(one)}" for one in self.assets if one.warning <= self._had(one) < one.limit
        )

    def over(self) -> str:
        """Say which have come to their limit; empty if none has."""
        return "; ".join(map(self._limit, self._over()))

    def _over(self) -> list[AssetTable]:
        return [one for one in self.assets if self._had(one) >= one.limit]

    def overdue(self, landings: int) -> str:
        """Take how many landings the lot has had; say, once of each, which asset has come to its limit."""
        self._landings = landings
        over = [one for one in self._over() if one.name not in self._told]
        self._told |= {one.name for one in over}
        return "; ".join(map(self._limit, over))

    def examined(self, found: Examined, at: float) -> Examined:
        """Add to what is known of the machines; what is over its limit at the begin is not told again."""
        over = self._over()
        self._told = frozenset(one.name for one in over)
        by_check = {name: [one for one in over if check_of(one) == name] for name in (ASSETS, CLEAN_BLOCK)}
        noted = (
            events.RuleTripped(at=at, rule=ASSETS, site=0, action="note", seen=near) for near in self.near()
        )
        more = {name: "; ".join(map(self._limit, those)) for name, those in by_check.items() if those}
        waivable = {**found.waivable, **more}
        return replace(found, waivable=waivable, told=(*self.mounted(at), *noted))

    async def keep(self, landings: int, at: float) -> None:
        """Make the count durable; StorageError if it cannot be."""
        cleanings = self.cleanings()
        if self.path is not None and (landings or cleanings):
            blocks = (one.name for one in self.assets if one.kind == BLOCK)
            cleaned = {name: self.before.seen(name, self.lot) + cleanings for name in blocks}
            await cell_record.append(self.path, *counted(self.assets, self.lot, landings, at, cleaned))

    @property
    def landed(self) -> int:
        """How often the cell has landed before this lot."""
        return self.before.before(CELL, self.lot)

    def _had(self, one: AssetTable) -> int:
        if one.kind == BLOCK:
            return self.before.had(one.name) + self.cleanings()
        return self.before.before(one.name, self.lot) + max(
            self._landings, self.before.had(one.name) - self.before.before(one.name, self.lot)
        )

    def _of(self, one: AssetTable) -> str:
        what = "cleanings" if one.kind == BLOCK else "touchdowns"
        return f"{one.kind}, {self._had(one)} {what} of {one.limit}"

    def _limit(self, one: AssetTable) -> str:
        return f"{one.name} has come to its limit: {self._of(one)}"


def check_of(one: AssetTable) -> str:
    """Return the check before a lot that looks at an asset."""
    return CLEAN_BLOCK if one.kind == BLOCK else ASSETS


def counted(
    assets: Iterable[AssetTable],
    lot: str,
    landings: int,
    at: float,
    cleaned: Mapping[str, int] = MappingProxyType({}),
) -> tuple[events.AssetCounted, ...]:
    """Return what the record is told of a lot's landings, and of its cleanings by name of a block."""
    names = [*(one.name for one in assets), CELL]
    return tuple(
        events.AssetCounted(at=at, asset=name, lot=lot, landings=cleaned.get(name, landings))
        for name in names
    )


def replaced(
    assets: Sequence[AssetTable], name: str, actor: str, reason: str, at: float
) -> events.AssetReplaced:
    """Return what the record is told of a new asset; ConfigError if the cell has none of that name."""
    if name not in {one.name for one in assets}:
        there = ", ".join(one.name for one in assets) or "none"
        raise ConfigError(f"there is no asset {name!r}; there are: {there}")
    return events.AssetReplaced(at=at, asset=name, actor=actor, reason=reason)
