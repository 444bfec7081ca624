"""What the page looks up in a lot's files, off the loop: summary, devices, traces."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from station import config, config_shelf, key_releases
from station.alarms import LASTING
from station.analysis.page import STYLE
from station.console.defence import own_style, refusal
from station.console.evidence_list import EvidenceList
from station.console.lot_records import LotRecords
from station.console.picture import Picture
from station.console.preflight import checks
from station.console.summary_sheet import sheet
from station.errors import StorageError
from station.recipe.shelf import OnShelf, Shelf
from station.writer import Writer

T = TypeVar("T")
WANTED_MAX = 64


class Lookups:
    """Answers from the folder of the lot that the page shows."""

    def __init__(self, picture: Picture, now: Callable[[], float]) -> None:
        """`now` tells seconds since 1970."""
        self._picture, self._now = picture, now
        self._reading, self._evidence = Writer("lookups"), EvidenceList()

    def close(self) -> None:
        """End the thread."""
        self._reading.close()

    async def summary(self, request: Request) -> Response:
        """The lot on one sheet, as JSON."""
        return await self._answered(lambda lot: _json(lot.summary()))

    async def sheet(self, request: Request) -> Response:
        """The same as plain text."""
        return await self._answered(
            lambda lot: Response(sheet(lot.summary()), media_type="text/plain; charset=utf-8")
        )

    async def report(self, request: Request) -> Response:
        """The lot worked out, as a page of its own that the engineers' page has a frame for."""
        return await self._answered(
            lambda lot: Response(lot.report(), media_type="text/html", headers=own_style(STYLE))
        )

    async def device(self, request: Request) -> Response:
        """One device: `wanted` is its running number, serial number or UID."""
        wanted = request.query_params.get("wanted", "")[:WANTED_MAX]
        return await self._answered(lambda lot: _found(lot.device(wanted), f"no device {wanted!r}"))

    async def preflight(self, request: Request) -> Response:
        """What is looked at before the lot is started."""
        engine = self._picture.engine
        file = Path(engine.station_file) if engine is not None and engine.station_file else None
        real = engine is not None and engine.real
        alarms = self._picture.alarms.all
        of_vault = [one.reason for one in alarms if one.active and one.code in LASTING]
        return await self._answered(
            lambda lot: _json(checks(lot.folder, self._today(), file, real=real, of_vault=of_vault))
        )

    async def trace(self, request: Request) -> Response:
        """The latest values of a test."""
        number = request.query_params.get("test", "")
        if not number.isdecimal():
            return refusal("bad_arguments", "test: its number", 400)
        return await self._answered(lambda lot: _found(lot.trace(int(number)), f"no test {number}"))

    async def recipes(self, request: Request) -> Response:
        """The recipes that lie with the station, and why some of them are not believed."""
        engine = self._picture.engine
        if engine is None or not engine.data:
            return _json([])
        return _json(await self._reading.run(self._listed, Path(engine.data), Path(engine.station_file)))

    async def assets(self, request: Request) -> Response:
        """Card, contactor and boards of the station file: what a traveller may name."""
        engine = self._picture.engine
        if engine is None or not engine.station_file:
            return _json([])
        return _json(await self._reading.run(lambda: config.load(Path(engine.station_file)).assets))

    async def evidence(self, request: Request) -> Response:
        """The bundles of the latest lots."""
        journal = self._picture.journal
        if journal is None:
            return _json([])
        return _json(await self._reading.run(self._evidence.of, journal.parent.parent))

    async def configs(self, request: Request) -> Response:
        """The station files that lie with the station, and what each would change."""
        engine = self._picture.engine
        if engine is None or not engine.data:
            return _json([])
        data, file = Path(engine.data), Path(engine.station_file)
        return _json(await self._reading.run(lambda: config_shelf.listed(data, config.load(file))))

    async def releases(self, request: Request) -> Response:
        """The key releases that lie with the station, for its vault."""
        engine = self._picture.engine
        if engine is None or not engine.data:
            return _json([])
        return _json(await self._reading.run(key_releases.listed, Path(engine.data)))

    def _listed(self, data: Path, station_file: Path) -> list[OnShelf]:
        return Shelf(data, config.load(station_file), self._now).listed()

    def _today(self) -> date:
        return datetime.fromtimestamp(self._now(), UTC).date()

    async def _answered(self, answer: Callable[[LotRecords], Response]) -> Response:
        journal = self._picture.journal
        if journal is None:
            return refusal("not_found", "there is no lot", 404)
        try:
            return await self._reading.run(answer, LotRecords(journal.parent))
        except StorageError as error:
            return refusal("not_found", str(error), 404)


def _json(what: object) -> Response:
    return Response(msgspec.json.encode(what), media_type="application/json")


def _found(what: object | None, missing: str) -> Response:
    return refusal("not_found", missing, 404) if what is None else _json(what)
