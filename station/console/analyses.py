"""What engineers ask of stored lots at the page: the same that `hardbin report` and `hardbin wafer` say."""

from collections.abc import Callable
from pathlib import Path

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from station import config, events, golden_check
from station.analysis import closeup, correlation, findings, gauge, reduction, study, wafers
from station.analysis.lot import Lot
from station.console.defence import refusal
from station.console.picture import Picture
from station.console.steps_view import StepsView
from station.console.stored_lots import StoredLots
from station.datalog.maps.wafer import WaferMap
from station.errors import AnalysisError, ConfigError, MapError, StorageError
from station.past_sweeps import PastSweep
from station.writer import Writer

GROUPS = range(2, 26)


class Plain(str):
    """A text that is the answer as it is."""


DIGITS = 10
"""Of the highest test number of STDF, 4,294,967,295."""


class Analyses:
    """Works on a thread of its own, so that nothing else of the page waits for it."""

    def __init__(self, picture: Picture) -> None:
        self._picture, self._stored, self._working = picture, StoredLots(), Writer("analyses")

    def close(self) -> None:
        """End the thread."""
        self._working.close()

    async def lots(self, request: Request) -> Response:
        """The lots that were kept."""
        return await self._answered(self._stored.listed)

    async def findings(self, request: Request) -> Response:
        """One lot worked out: bins, tests, sites, test time."""
        names = _names(request)
        return await self._answered(lambda folder: findings.findings(self._stored.lots(folder, names[:1])[0]))

    async def closeup(self, request: Request) -> Response:
        """One test of a lot: distribution, capability, control charts by subgroups of `group`, or single."""
        names, number, group = _names(request), _number(request, "test"), _number(request, "group") or None
        if group is not None and group not in GROUPS:
            return refusal("bad_arguments", "group: 2 to 25", 400)
        return await self._answered(
            lambda folder: closeup.closeup(self._stored.lots(folder, names[:1])[0], number, group)
        )

    async def groups(self, request: Request) -> Response:
        """The sites of one lot, or several lots of other parts, test by test."""
        names = _names(request)

        def compared(folder: Path) -> correlation.Grouping:
            lots = self._stored.lots(folder, names)
            return correlation.by_site(lots[0]) if len(lots) == 1 else correlation.by_lot(lots)

        return await self._answered(compared)

    async def pairs(self, request: Request) -> Response:
        """Two lots of the same parts, test by test."""
        names = _names(request)[:2]
        return await self._answered(lambda folder: correlation.paired(*self._stored.lots(folder, names, 2)))

    async def scatter(self, request: Request) -> Response:
        """The same parts in one test, one by one."""
        names, number = _names(request)[:2], _number(request, "test")

        def pairs(folder: Path) -> correlation.Scatter:
            first, second = self._stored.lots(folder, names, 2)
            return correlation.scatter(first, second, number)

        return await self._answered(pairs)

    async def reduction(self, request: Request) -> Response:
        """What each test of some lots is worth."""
        names = _names(request)
        return await self._answered(lambda folder: reduction.reduction(self._stored.lots(folder, names)))

    async def gauge(self, request: Request) -> Response:
        """A gauge study whose lots are those of its operators, by both methods."""
        names, number = _names(request), _number(request, "test")
        return await self._answered(lambda folder: _judged(self._stored.lots(folder, names, 2), number))

    async def values(self, request: Request) -> Response:
        """The values of a gauge study, as the table that `hardbin report gauge` reads."""
        names, number = _names(request), _number(request, "test")

        def listed(folder: Path) -> Plain:
            lots = self._stored.lots(folder, names, 2)
            return Plain(study.table(study.of_lots(lots, number), [lot.name for lot in lots]))

        return await self._answered(listed)

    async def sweeps(self, request: Request) -> Response:
        """What was swept in a lot, each with its points."""
        names = _names(request)
        return await self._answered(lambda folder: list(map(_drawn, self._stored.sweeps(folder, names))))

    async def golden(self, request: Request) -> Response:
        """The golden units of the station file, and the last check that was kept."""
        engine = self._picture.engine
        if engine is None or not engine.station_file:
            return refusal("not_found", "this console has no station file to look into", 404)
        return await self._answered(lambda folder: golden_check.told(config.load(Path(engine.station_file))))

    async def stack(self, request: Request) -> Response:
        """The wafers of some lots, laid over each other."""
        names = _names(request)
        return await self._answered(lambda folder: _stacked(self._stored.maps(folder, names)))

    async def changes(self, request: Request) -> Response:
        """Two wafers die by die: `one` and `two` are their places among those of `stack`."""
        names, one, two = _names(request), _number(request, "one"), _number(request, "two")
        return await self._answered(lambda folder: _compared(self._stored.maps(folder, names), one, two))

    async def _answered(self, worked: Callable[[Path], object]) -> Response:
        picture = self._picture
        told = "" if picture.engine is None else picture.engine.lots
        folder = Path(told) if told else None if picture.journal is None else picture.journal.parent.parent
        if folder is None:
            return refusal("not_found", "there is no lot", 404)
        try:
            found = await self._working.run(worked, folder)
        except (AnalysisError, ConfigError, MapError, StorageError) as error:
            return refusal("not_found", str(error), 404)
        if isinstance(found, Plain):
            return Response(found, media_type="text/csv")
        return Response(msgspec.json.encode(found), media_type="application/json")


def _drawn(one: PastSweep) -> dict[str, object]:
    """Return a sweep as the page draws those of the lot in the cell."""
    view = StepsView()
    happened: list[events.Any] = [one.begun, *one.points]
    for event in (*happened, *([] if one.ended is None else [one.ended])):
        view.take(event)
    begun, (sweep,) = one.begun, view.sweeps
    who = {"at": begun.at, "part": begun.part, "actor": begun.actor}
    return who | {"sweep": sweep, "points": view.points[begun.site]}


def _names(request: Request) -> list[str]:
    return list(dict.fromkeys(request.query_params.getlist("lot")))


def _number(request: Request, name: str) -> int:
    """Return a number of the query; 0 if it is none: no test has that."""
    said = request.query_params.get(name, "")
    return int(said) if said.isdecimal() and len(said) <= DIGITS else 0


def _stacked(maps: list[WaferMap]) -> dict[str, object]:
    """Return the stack with its dies as rows of column, row, tested, good."""
    found = wafers.stacked(maps)
    named = [f"{one.lot} {one.wafer}" for one in maps]
    dies = [[*place, count, found.good[place]] for place, count in sorted(found.tested.items())]
    return {"wafers": named, "columns": found.columns, "rows": found.rows, "dies": dies}


def _compared(maps: list[WaferMap], one: int, two: int) -> dict[str, object]:
    """Return what differs, and all dies as rows of column, row, bin then, bin now."""
    if not (one < len(maps) and two < len(maps)):
        raise MapError(f"there are {len(maps)} wafers")
    first, second = maps[one], maps[two]
    found = wafers.compared(first, second)
    names = {bin_.number: bin_.name for bin_ in (*first.bins, *second.bins)}
    moved = [
        [was, now, count] for (was, now), count in sorted(found.changed.items(), key=lambda pair: -pair[1])
    ]
    ours, theirs = first.tested, second.tested
    dies = [
        [*place, ours[place].hard if place in ours else 0, theirs[place].hard if place in theirs else 0]
        for place in sorted(ours.keys() | theirs.keys())
    ]
    plain: dict[str, object] = msgspec.to_builtins(msgspec.structs.replace(found, changed={}, places=()))
    size = {"columns": first.columns, "rows": first.rows}
    good = sorted({bin_.number for bin_ in (*first.bins, *second.bins) if bin_.good})
    return plain | size | {"changed": moved, "dies": dies, "names": names, "good": good}


def _judged(lots: list[Lot], number: int) -> dict[str, object]:
    """Return what the study comes to, its values as parts by operators by trials, and the verdict."""
    values = study.of_lots(lots, number)
    test = lots[0].tests[lots[0].column(number)]
    span = None if test.low is None or test.high is None else test.high - test.low
    found = gauge.anova(values, tolerance=span)
    return {
        "number": number,
        "name": test.name,
        "unit": test.unit,
        "anova": found,
        "range": gauge.average_range(values, tolerance=span),
        "verdict": found.verdict,
        "values": values.tolist(),
    }
