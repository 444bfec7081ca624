"""What the floor's page is told: the whole at first, then what is new, and from afar nothing to strangers."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import create_engine
from starlette.requests import Request

from station.authority import Action
from station.console.identity import OnPeople, Person
from station.console.stream import Stream
from station.floor.database import opened
from station.floor.keeping import Keeper, told
from station.floor.server import FOLDER, floor_files
from station.floor.view import View
from station.floor.ways import Floor
from station.remote.messages import Online
from station.writer import Writer
from tests.station.floor.floors import database
from tests.station.floor.test_collector import LOADED, event
from tests.station.remote.floor import NOW, TREE

LANGUAGES = ("en", "hi", "gu", "ja")


class Desk:
    """A database, who writes it, and who looks."""

    def __init__(self, folder: Path, writer: Writer) -> None:
        self.now = NOW
        self.engine = opened(database(folder))
        self.keeper = Keeper(self.engine, lambda: self.now)
        self.news = 0
        self.view = View(self.engine, writer, lambda: self.now, self._told)

    def _told(self) -> None:
        self.news += 1

    def tell(self, topic: str, payload: bytes) -> None:
        """A station says something."""
        self.keeper.keep([told(topic, payload, b"")])


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    writer = Writer("floor")
    made = Desk(tmp_path, writer)
    yield made
    writer.close()
    made.engine.dispose()


async def test_a_frame_has_what_is_new_since_the_one_before(desk: Desk) -> None:
    desk.keeper.there("collector", connected=True)
    desk.tell(TREE.online, msgspec.json.encode(Online(True, 1)))
    await desk.view.look()
    first = desk.view.frame()
    assert (first.since, first.seq, first.there, [cell.station for cell in first.cells]) == (
        0,
        1,
        True,
        ["ws-07"],
    )
    await desk.view.look()
    again = desk.view.frame()
    assert (again.since, again.seq, again.cells, again.ended, again.alarms, desk.news) == (
        1,
        1,
        (),
        None,
        None,
        1,
    )
    desk.tell(*event(data=LOADED))
    completed = event(type="lot.completed", id="L1/9.0", data={"outcome": "PASSED", "tested": 4, "good": 3})
    desk.tell(TREE.evt("lot.completed"), completed[1])
    await desk.view.look()
    ended = desk.view.frame()
    assert ended.cells == ()
    assert ended.ended is not None
    assert [(lot.lot, lot.good) for lot in ended.ended] == [("L1", 3)]
    assert "ended" not in msgspec.to_builtins(again), "what is not new is not sent"


async def test_a_silent_collector_and_a_database_that_is_away_are_said(desk: Desk) -> None:
    await desk.view.look()
    assert not desk.view.state.there
    desk.keeper.there("collector", connected=True)
    await desk.view.look()
    assert desk.view.state.there
    desk.now += 20
    await desk.view.look()
    assert not desk.view.state.there
    desk.keeper.there("collector", connected=True)
    desk.view._engine = create_engine("sqlite:////nowhere/floor.db")
    await desk.view.look()
    assert not desk.view.state.there


class Somebody:
    """Whoever it is made to be."""

    logs_in = True
    accounts = True
    on_people: OnPeople | None = None
    who: Person | None = None

    async def person(self, request: Request, *, active: bool) -> Person | None:
        return self.who

    async def enter(self, badge: str, pin: str) -> str:
        return "token"

    async def leave(self, request: Request) -> None:
        self.who = None


async def asked(floor: Floor, path: str) -> tuple[int, bytes]:
    scope: dict[str, Any] = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "scheme": "https",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"host", b"floor:8710")],
    }
    sent: list[Any] = []
    left = asyncio.Event()

    async def receive() -> dict[str, Any]:
        await left.wait()  # a browser that stays
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    await floor.app(frozenset({"floor:8710"}))(scope, receive, send)
    return sent[0]["status"], b"".join(one.get("body", b"") for one in sent[1:])


async def test_from_afar_nobody_sees_the_floor_who_has_not_logged_in(desk: Desk) -> None:
    who = Somebody()
    stream = Stream(lambda counted: desk.view.frame())
    far = Floor(desk.view, stream, who, floor_files(), True)
    for path in ("/api/v1/state", "/api/v1/events"):
        assert (await asked(far, path))[0] == 403
    assert msgspec.json.decode((await asked(far, "/api/v1/session"))[1])["asks"]
    assert (await asked(far, "/"))[0] == 200
    assert (await asked(Floor(desk.view, stream, who, floor_files()), "/api/v1/state"))[0] == 200
    who.who = Person("p-1", "Asha", frozenset({"operator"}))
    assert (await asked(far, "/api/v1/state"))[0] == 200
    assert {way.action for way in far.ways()} == {Action.READ, Action.LOG_IN}


async def test_whoever_is_known_no_more_hears_no_more(desk: Desk) -> None:
    who = Somebody()
    who.who = Person("p-1", "Asha", frozenset({"operator"}))
    stream = Stream(lambda counted: desk.view.frame())
    far = Floor(desk.view, stream, who, floor_files(), afar=True, looks_s=0.0)
    running = asyncio.get_running_loop().create_task(stream.run())
    hearing = asyncio.get_running_loop().create_task(asked(far, "/api/v1/events"))
    try:
        await asyncio.wait({hearing}, timeout=0.0)
        assert not hearing.done()
        who.who = None
        stream.news()
        assert (await hearing)[0] == 200
    finally:
        running.cancel()
        await asyncio.wait({running})


def test_every_language_has_every_word_of_the_floor() -> None:
    words = {lang: msgspec.json.decode((FOLDER / f"i18n/{lang}.json").read_bytes()) for lang in LANGUAGES}
    assert all(found.keys() == words["en"].keys() for found in words.values())
    served = msgspec.json.decode(floor_files()["i18n/gu.json"].plain)
    assert {"floor.title", "view.jobs"} <= served.keys()
