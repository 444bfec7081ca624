"""The floor's database, looked at once a second: what the page shows, and what is new in it."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from msgspec.structs import replace
from sqlalchemy import Connection, Engine, Row, select

from drivers.uninterrupted import heed
from station.errors import StorageError
from station.floor import schema, shown
from station.floor.database import working
from station.writer import Writer

LOOK_S = 1.0
SILENT_S = 15.0
"""A collector that has said nothing for so long is away."""
NEWEST = 50
ALARM = "alarm.raised"

log = logging.getLogger(__name__)


class View:
    """Looks on the thread of `writer`, and calls `news` when something is another."""

    def __init__(
        self, engine: Engine, writer: Writer, clock: Callable[[], float], news: Callable[[], None]
    ) -> None:
        """`clock`: seconds since 1970."""
        self._engine, self._writer, self._clock, self._news = engine, writer, clock, news
        epoch = int(clock() * 1000)
        self.state = shown.State(epoch=epoch, seq=0, there=False, cells=(), ended=(), alarms=())
        self._told = self.state

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_S)

    async def look(self) -> None:
        """Take in how the floor stands now."""
        try:
            found = await self._writer.run(self._found)
        except StorageError as error:
            heed()
            log.warning("database: %s", error)
            found = replace(self.state, there=False)
        if found != self.state:
            self.state = replace(found, seq=self.state.seq + 1)
            self._news()

    def frame(self) -> shown.Frame:
        """Return what is new since the last frame."""
        now, before = self.state, self._told
        self._told = now
        known = set(before.cells)
        return shown.Frame(
            epoch=now.epoch,
            since=before.seq,
            seq=now.seq,
            there=now.there,
            cells=tuple(cell for cell in now.cells if cell not in known),
            ended=None if now.ended == before.ended else now.ended,
            alarms=None if now.alarms == before.alarms else now.alarms,
        )

    # -- on the writer's thread
    def _found(self) -> shown.State:
        with working(self._engine) as connection:
            return replace(
                self.state,
                there=self._written(connection),
                cells=_cells(connection),
                ended=_ended(connection),
                alarms=_alarms(connection),
            )

    def _written(self, connection: Connection) -> bool:
        columns = schema.COLLECTOR.c
        alive = columns.connected & (columns.at > self._clock() - SILENT_S)
        return connection.execute(select(columns.name).where(alive)).first() is not None


def _cells(connection: Connection) -> tuple[shown.Cell, ...]:
    columns = schema.STATION.c
    rows = connection.execute(select(schema.STATION).order_by(columns.plant, columns.station))
    return tuple(_cell(row) for row in rows)


def _cell(row: Row[Any]) -> shown.Cell:
    """Read what a collector has checked before it wrote it."""
    birth, state = row.birth or {}, row.state or {}
    lot, count, sites = state.get("lot") or {}, state.get("count") or {}, state.get("sites", ())
    return shown.Cell(
        plant=row.plant,
        station=row.station,
        online=row.online,
        state=state.get("cell", ""),
        reason=state.get("reason", ""),
        control=state.get("control", ""),
        product=birth.get("product", ""),
        sequence=birth.get("sequence", ""),
        version=birth.get("version", ""),
        lot=lot.get("id", ""),
        quantity=lot.get("quantity", 0),
        tested=count.get("tested", 0),
        good=count.get("good", 0),
        sites=len(sites),
        off=sum(site[1] == "OFF" for site in sites),
        since=state.get("t", ""),
    )


def _ended(connection: Connection) -> tuple[shown.Ended, ...]:
    columns = schema.LOT.c
    over = select(schema.LOT).where(columns.ended.is_not(None)).order_by(columns.ended.desc(), columns.lot)
    return tuple(
        shown.Ended(
            plant=row.plant,
            station=row.station,
            lot=row.lot,
            product=row.product or "",
            outcome=row.outcome or "",
            tested=row.tested or 0,
            good=row.good or 0,
            ended=row.ended,
        )
        for row in connection.execute(over.limit(NEWEST))
    )


def _alarms(connection: Connection) -> tuple[shown.Alarm, ...]:
    columns = schema.EVENT.c
    raised = select(schema.EVENT).where(columns.type == ALARM).order_by(columns.id.desc()).limit(NEWEST)
    return tuple(
        shown.Alarm(
            id=row.id,
            plant=row.plant,
            station=row.station,
            lot=row.lot,
            at=row.time,
            alarm=str(row.data.get("alarm", "")),
            reason=str(row.data.get("reason", "")),
        )
        for row in connection.execute(raised)
    )
