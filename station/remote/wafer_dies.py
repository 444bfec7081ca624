"""The dies of the wafer in the cell, as their results come: the map that is told when it ends."""

from station import events
from station.model import BinKind, LotInfo, Outcome, Verdict
from station.remote.messages import MapDie, WaferMap, utc

FLAGS = {Verdict.PASSED: 0, Verdict.FAILED: 1, Verdict.NOT_JUDGED: 2}
AGAIN = 4
"""Flags of a result; the last one: not the first contact."""


def flags(one: Outcome) -> int:
    """Return what a result is, in bits."""
    return FLAGS[one.verdict] | (AGAIN if one.contact > 1 else 0)


class WaferDies:
    """Of one lot; on wafers or not."""

    def __init__(self) -> None:
        self.wafer = ""
        self._places: dict[tuple[int, int], tuple[int, int]] = {}
        """Of the landing that is open: sequence number and site to die."""
        self._dies: dict[tuple[int, int], tuple[MapDie, bool]] = {}
        self._untold = False

    def open(self, event: events.TouchdownOpened) -> None:
        """A landing; on another wafer, what was known of the one before is over."""
        self._places = {(event.seq, site): place for site, place in event.positions.items()}
        if event.positions and event.wafer != self.wafer:
            self.wafer, self._dies = event.wafer, {}

    def place(self, seq: int, site: int) -> tuple[int, int] | None:
        """Return the die under a site, if there is one."""
        return self._places.get((seq, site))

    def close(self, seq: int, one: Outcome) -> None:
        """Keep a result; the last one of a die counts."""
        if (place := self.place(seq, one.site)) is not None:
            die = MapDie(*place, one.site, one.hard, one.soft, flags(one))
            self._dies[place] = die, one.kind is BinKind.PASS
            self._untold = True

    def ended(self, info: LotInfo, at: float) -> WaferMap | None:
        """Return the map, unless there is nothing that was not told already."""
        if not self._untold:
            return None
        self._untold = False
        return WaferMap(
            t=utc(at),
            lot=info.lot,
            product=info.product,
            wafer=self.wafer,
            tested=len(self._dies),
            good=sum(good for _, good in self._dies.values()),
            dies=tuple(die for die, _ in self._dies.values()),
        )
