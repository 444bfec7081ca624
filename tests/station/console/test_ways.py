"""The console's API: each way names its action, and nothing gets in by another."""

from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from starlette.requests import Request

from station import commands
from station.authority import Action
from station.console.analyses import Analyses
from station.console.identity import Identity, OnPeople, Person
from station.console.lookups import Lookups
from station.console.orders import Orders
from station.console.page_files import PageFile
from station.console.picture import Picture
from station.console.stream import Stream
from station.console.ways import Behind, Console
from station.errors import ConfigError, StorageError
from station.people.person import PeopleError
from tests.station.console.lots import BEGIN, HELLO, NOW, shift

HOST = "127.0.0.1:8700"
OWN = {"content-type": "application/json", "sec-fetch-site": "same-origin", "idempotency-key": "abcdefgh"}
OPERATOR = Person("p-7", "Asha", frozenset({"operator"}))


class Somebody:
    """Whoever it is made to be."""

    logs_in = True
    accounts = True
    on_people: OnPeople | None = None
    person_: Person | None = OPERATOR
    broken: Exception | None = None

    async def person(self, request: Request, *, active: bool) -> Person | None:
        if self.broken is not None:
            raise self.broken
        return self.person_

    async def enter(self, badge: str, pin: str) -> str:
        if (badge, pin) != ("b-7", "471108"):
            raise PeopleError("denied", "badge or PIN is wrong")
        return "token"

    async def leave(self, request: Request) -> None:
        self.person_ = None


class Floor:
    """A console without a socket or a browser."""

    def __init__(self, *, afar: bool = False, identity: Identity | None = None) -> None:
        self.picture = Picture(lambda: NOW, lambda: None)
        self.picture.greeted(HELLO)
        for line, event in enumerate([*BEGIN, shift("RUNNING", "HELD", "door")], start=1):
            self.picture.happened(line, event)
        self.asked: list[commands.Any] = []
        self.who = Somebody()
        stream = Stream(lambda counted: self.picture.frame(counted=counted))
        files = {"index.html": PageFile("text/html", '"t"', b"plain", b"packed")}
        lookups = Lookups(self.picture, lambda: NOW)
        orders = Orders(self._ask)
        analyses = Analyses(self.picture)
        who = identity or self.who
        behind = Behind(self.picture, stream, orders, who, files, lambda: True, lookups, analyses, afar)
        self.console = Console(behind)
        self._app = self.console.app(frozenset({HOST}))

    async def _ask(self, command: commands.Any) -> commands.Receipt:
        self.asked.append(command)
        return commands.Receipt(True, "ok")

    async def call(
        self,
        method: str,
        path: str,
        headers: dict[str, str] | None = None,
        body: bytes = b"",
        query: str = "",
    ) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers and body of the answer."""
        given = {"host": HOST, **(headers or {})}
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in given.items()],
        }
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        await self._app(scope, receive, send)
        told = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        return sent[0]["status"], told, b"".join(one.get("body", b"") for one in sent[1:])

    async def post(self, path: str, body: object = None, **more: str) -> tuple[int, Any]:
        """Ask as our own page does, with other headers where given."""
        headers = {**OWN, **{name.replace("_", "-"): value for name, value in more.items()}}
        headers = {name: value for name, value in headers.items() if value}
        data = body if isinstance(body, bytes) else msgspec.json.encode(body or {})
        status, _, answer = await self.call("POST", f"/api/v1/{path}", headers, data)
        return status, msgspec.json.decode(answer)


@pytest.fixture
def floor() -> Floor:
    return Floor()


def test_every_way_names_an_action(floor: Floor) -> None:
    ways = floor.console.ways()
    assert {way.action for way in ways} <= set(Action)
    assert all(way.action is Action.READ for way in ways if way.method == "GET")
    assert all(way.action is not Action.READ for way in ways if way.method != "GET")
    of_the_cell = {str(kind.__struct_config__.tag) for kind in get_args(commands.Any)}
    assert of_the_cell == {way.path.rpartition("/")[2] for way in ways if "/commands/" in way.path}


async def test_a_command_is_of_whoever_has_logged_in(floor: Floor) -> None:
    status, receipt = await floor.post("commands/hold.release", {"reason": "door closed"})
    assert (status, receipt["code"]) == (200, "ok")
    (asked,) = floor.asked
    assert isinstance(asked, commands.Release)
    assert (asked.actor, asked.roles, asked.source, asked.reason) == (
        "p-7",
        OPERATOR.roles,
        "console",
        "door closed",
    )
    floor.who.person_ = None
    await floor.post("commands/lot.abort", idempotency_key="another-key")
    assert (floor.asked[1].actor, floor.asked[1].roles) == ("nobody", frozenset())


async def test_the_same_key_twice_is_one_command(floor: Floor) -> None:
    for _ in range(2):
        status, _ = await floor.post("commands/lot.pause")
        assert status == 200
    assert len(floor.asked) == 1
    await floor.post("commands/lot.pause", idempotency_key="another-key")
    assert len(floor.asked) == 2


async def test_a_key_is_of_one_command_of_one_person(floor: Floor) -> None:
    assert (await floor.post("commands/lot.pause", {"reason": "one"}))[0] == 200
    for name, body in (("lot.pause", {"reason": "two"}), ("lot.abort", {"reason": "one"})):
        status, receipt = await floor.post(f"commands/{name}", body)
        assert (status, receipt["code"]) == (400, "malformed")
    floor.who.person_ = Person("p-8", "Bo", OPERATOR.roles)
    assert (await floor.post("commands/lot.pause", {"reason": "one"}))[0] == 400
    assert len(floor.asked) == 1


@pytest.mark.parametrize("name", ["lot.pause", "lot.abort"])
async def test_a_stop_reaches_the_cell_though_the_people_cannot_be_read(floor: Floor, name: str) -> None:
    floor.who.broken = StorageError("people.db: disk I/O error")
    assert (await floor.post(f"commands/{name}"))[0] == 200
    assert [one.actor for one in floor.asked] == ["nobody"]


@pytest.mark.parametrize(
    ("name", "afar", "error", "code"),
    [
        ("hold.release", False, StorageError("people.db: disk full"), "integrity"),
        ("lot.abort", True, StorageError("people.db: disk full"), "integrity"),
        ("hold.release", False, ConfigError("station.toml: no site"), "invalid_config"),
    ],
)
async def test_what_cannot_be_read_is_a_receipt(name: str, afar: bool, error: Exception, code: str) -> None:
    floor = Floor(afar=afar)
    floor.who.broken = error
    _, receipt = await floor.post(f"commands/{name}")
    assert receipt == {"ok": False, "code": code, "reason": str(error)}
    assert not floor.asked


@pytest.mark.parametrize("path", ["recipes", "assets", "configs"])
async def test_a_station_file_that_cannot_be_read_is_said(floor: Floor, tmp_path: Path, path: str) -> None:
    file = tmp_path / "station.toml"
    file.write_text("nonsense = [")
    floor.picture.greeted(msgspec.structs.replace(HELLO, station_file=str(file), data=str(tmp_path)))
    status, _, answer = await floor.call("GET", f"/api/v1/{path}")
    told = msgspec.json.decode(answer)
    assert (status, told["code"]) == (409, "invalid_config")
    assert "station.toml" in told["reason"]


@pytest.mark.parametrize(
    "headers",
    [
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
        {"sec_fetch_site": "none"},
        {"sec_fetch_site": "", "origin": "http://evil.example"},
        {"sec_fetch_site": ""},
        {"content_type": "text/plain"},
        {"content_type": "application/x-www-form-urlencoded"},
    ],
)
async def test_a_forged_command_is_refused(floor: Floor, headers: dict[str, str]) -> None:
    for path in ("commands/lot.abort", "commands/alarm.ack"):
        status, receipt = await floor.post(path, {"alarm": "L1/5"}, **headers)
        assert (status, receipt["code"]) == (403, "denied")
    assert not floor.asked
    assert not floor.picture.state.alarms[0].acknowledged


async def test_an_old_browser_of_our_own_page_is_let_in(floor: Floor) -> None:
    status, _ = await floor.post("commands/lot.pause", sec_fetch_site="", origin=f"http://{HOST}")
    assert status == 200


async def test_another_host_name_is_answered_by_nothing(floor: Floor) -> None:
    for method, path in (("GET", "/api/v1/state"), ("POST", "/api/v1/commands/lot.abort")):
        status, _, answer = await floor.call(method, path, {**OWN, "host": "evil.example:8700"})
        assert status == 421
        assert b"L1" not in answer
    assert not floor.asked


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b'{"reason": 7}', 400),
        (b'{"role": "engineer"}', 400),
        (b'{"reason": "' + b"x" * 500 + b'"}', 400),
        (b'{"reason": "' + b"x" * 20_000 + b'"}', 413),
    ],
)
async def test_a_command_that_is_none_is_refused(floor: Floor, body: bytes, status: int) -> None:
    got, receipt = await floor.post("commands/lot.pause", body)
    assert (got, receipt["code"]) == (status, "bad_arguments")
    assert not floor.asked


async def test_a_lot_has_a_name_and_devices(floor: Floor) -> None:
    for wanted in ({}, {"lot": "L2"}, {"lot": "../x", "quantity": 1}, {"lot": "L2", "quantity": -1}):
        status, receipt = await floor.post("commands/lot.load", wanted)
        assert (status, receipt["code"]) == (400, "bad_arguments")
    status, _ = await floor.post("commands/lot.load", {"lot": "L2", "quantity": 64})
    assert status == 200


async def test_a_command_without_a_key_or_of_no_name(floor: Floor) -> None:
    assert (await floor.post("commands/lot.pause", idempotency_key=""))[0] == 400
    assert (await floor.call("POST", "/api/v1/commands/cell.explode", OWN))[0] in (404, 405)
    assert not floor.asked


@pytest.mark.parametrize(
    ("name", "body", "status"),
    [
        ("alarm.ack", {"alarm": "L1/5"}, 200),
        ("alarm.ack", {}, 400),
        ("alarm.shelve", {"alarm": "L1/5", "minutes": 30, "reason": "chatters"}, 200),
        ("alarm.shelve", {"alarm": "L1/5", "minutes": 481}, 400),
        ("site.set", {"site": 2, "on": False, "reason": "pin bent"}, 200),
        ("site.set", {"reason": "pin bent"}, 400),
        ("site.set", {"site": 65}, 400),
        ("retest.start", {"bins": [3, 4], "area": "edge", "reason": "dust"}, 200),
        ("retest.start", {"area": "moon"}, 400),
        ("probe.clean", {}, 200),
    ],
)
async def test_a_command_says_what_it_needs_and_nothing_else(
    floor: Floor, name: str, body: dict[str, object], status: int
) -> None:
    assert (await floor.post(f"commands/{name}", body))[0] == status
    assert len(floor.asked) == (status == 200)
    for asked in floor.asked:
        told = msgspec.to_builtins(asked)
        assert told["command"] == name
        assert body == {key: told[key] for key in body}


async def test_every_answer_is_strict(floor: Floor) -> None:
    for path in ("/", "/api/v1/state", "/nothing.js"):
        _, headers, _ = await floor.call("GET", path)
        policy = headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"


async def test_the_page_has_its_files_and_no_other(floor: Floor) -> None:
    assert (await floor.call("GET", "/"))[2] == b"plain"
    status, headers, body = await floor.call("GET", "/", {"accept-encoding": "gzip"})
    assert (status, headers["content-encoding"], body) == (200, "gzip", b"packed")
    assert (await floor.call("GET", "/", {"if-none-match": '"t"'}))[0] == 304
    for path in ("/../pyproject.toml", "/page_files.py", "/package.json", "//etc/passwd"):
        assert (await floor.call("GET", path))[0] == 404


async def test_the_session_says_what_each_may(floor: Floor) -> None:
    _, _, answer = await floor.call("GET", "/api/v1/session")
    told = msgspec.json.decode(answer)
    assert told["person"]["roles"] == ["operator"]
    assert told["actions"]["lot.pause"] == {"who": [], "states": ["RUNNING"], "may": True}
    assert not told["actions"]["hold.release"]["may"]


async def test_a_badge_and_a_pin_open_a_session_that_no_script_sees(floor: Floor) -> None:
    body = msgspec.json.encode({"badge": "b-7", "pin": "471108"})
    status, headers, _ = await floor.call("POST", "/api/v1/session", OWN, body)
    assert status == 200
    cookie = headers["set-cookie"]
    assert cookie.startswith("hardbin-session=token;")
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert (await floor.post("session", {"badge": "b-7", "pin": "0"}))[0] == 403
    assert (await floor.post("session", {"badge": "b-7"}))[0] == 400
    assert (await floor.post("session", {"badge": "b-7", "pin": "471108"}, sec_fetch_site="none"))[0] == 403
    assert (await floor.post("session/end"))[0] == 200
    assert floor.who.person_ is None


@pytest.mark.parametrize(("afar", "status"), [(False, 200), (True, 403)])
async def test_who_is_unknown_stops_a_lot_at_the_machine_only(afar: bool, status: int) -> None:
    floor = Floor(afar=afar)
    floor.who.person_ = None
    answer, _ = await floor.post("commands/lot.abort", {"reason": "smoke"})
    assert (answer, len(floor.asked)) == (status, 0 if afar else 1)
    _, _, told = await floor.call("GET", "/api/v1/session")
    assert msgspec.json.decode(told)["actions"]["lot.abort"]["may"] is not afar
