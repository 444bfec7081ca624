"""The console's API: each way in names its action of `station.authority`, and the cell decides."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Annotated

import msgspec
from msgspec import Meta
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from station import commands
from station.authority import RIGHTS, Action, denied
from station.console.defence import Defence, body_of, forged, refusal
from station.console.identity import COOKIE, Identity
from station.console.orders import NAMES, NOBODY, STATUS, Orders
from station.console.page_files import PageFile
from station.console.picture import Picture
from station.console.stream import Stream
from station.engine.states import LEGAL
from station.people.person import PeopleError

API = "/api/v1"


@dataclass(frozen=True)
class Way:
    """One path, what it answers with, and which action of the table it is."""

    path: str
    action: Action
    answer: Callable[[Request], Awaitable[Response]]
    method: str = "GET"


@dataclass(frozen=True)
class Behind:
    """What the ways lead to."""

    picture: Picture
    stream: Stream
    orders: Orders
    identity: Identity
    files: Mapping[str, PageFile]
    there: Callable[[], bool]
    afar: bool = False
    """Whether browsers are elsewhere: whoever is unknown then asks for nothing."""


class Acknowledged(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of an acknowledgement."""

    alarm: str


class Entered(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a login."""

    badge: Annotated[str, Meta(max_length=128)]
    pin: Annotated[str, Meta(max_length=64)]


class Console:
    """Answers requests."""

    def __init__(self, behind: Behind) -> None:
        self._behind = behind

    def ways(self) -> tuple[Way, ...]:
        """Every way in."""
        orders = (
            Way(f"{API}/commands/{name}", Action(name), self._command, "POST") for name in sorted(NAMES)
        )
        return (
            Way("/healthz", Action.READ, self._alive),
            Way("/readyz", Action.READ, self._ready),
            Way(f"{API}/session", Action.READ, self._session),
            Way(f"{API}/session", Action.LOG_IN, self._enter, "POST"),
            Way(f"{API}/session/end", Action.LOG_IN, self._leave, "POST"),
            Way(f"{API}/state", Action.READ, self._state),
            Way(f"{API}/map", Action.READ, self._map),
            Way(f"{API}/events", Action.READ, self._events),
            *orders,
            Way(f"{API}/alarms/acknowledge", Action.ACKNOWLEDGE, self._acknowledge, "POST"),
            Way("/{path:path}", Action.READ, self._file),
        )

    def app(self, hosts: frozenset[str]) -> Starlette:
        """Return the application, for these values of the Host header."""
        routes = [Route(way.path, _guarded(way), methods=[way.method]) for way in self.ways()]
        return Starlette(routes=routes, middleware=[Middleware(Defence, hosts=hosts)])

    # -- looked at
    async def _alive(self, request: Request) -> Response:
        return Response("alive\n", media_type="text/plain")

    async def _ready(self, request: Request) -> Response:
        there = self._behind.there()
        return Response("ready\n" if there else "no engine\n", 200 if there else 503, media_type="text/plain")

    async def _session(self, request: Request) -> Response:
        active = request.query_params.get("touched") == "1"
        person = await self._behind.identity.person(request, active=active)
        roles = frozenset[str]() if person is None else person.roles
        unknown = person is None and self._behind.afar
        actions = {
            name: {
                "who": sorted(RIGHTS[Action(name)].who),
                "states": sorted(state.value for state in LEGAL.get(name, ())),
                "may": not (unknown or denied(Action(name), roles)),
            }
            for name in (*sorted(NAMES), Action.ACKNOWLEDGE.value)
        }
        return _json({"person": person, "logs_in": self._behind.identity.logs_in, "actions": actions})

    async def _state(self, request: Request) -> Response:
        return _json(self._behind.picture.state)

    async def _map(self, request: Request) -> Response:
        picture = self._behind.picture
        headers = {"X-Seq": str(picture.seq), "X-Epoch": str(picture.epoch)}
        octets = b"" if picture.grid is None else picture.grid.octets
        return Response(octets, media_type="application/octet-stream", headers=headers)

    async def _events(self, request: Request) -> Response:
        headers = {"X-Accel-Buffering": "no"}
        return StreamingResponse(
            self._behind.stream.frames(), media_type="text/event-stream", headers=headers
        )

    async def _file(self, request: Request) -> Response:
        found = self._behind.files.get(request.path_params["path"] or "index.html")
        if found is None:
            return refusal("not_found", "there is no such page", 404)
        headers = {"ETag": found.tag, "Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
        if request.headers.get("if-none-match") == found.tag:
            return Response(status_code=304, headers=headers)
        if found.compressed and "gzip" in request.headers.get("accept-encoding", ""):
            headers["Content-Encoding"] = "gzip"
            return Response(found.compressed, media_type=found.type, headers=headers)
        return Response(found.plain, media_type=found.type, headers=headers)

    # -- persons
    async def _enter(self, request: Request) -> Response:
        try:
            asked = msgspec.json.decode(await body_of(request), type=Entered)
            token = await self._behind.identity.enter(asked.badge, asked.pin)
        except msgspec.DecodeError as error:
            return refusal("bad_arguments", str(error), 400)
        except PeopleError as error:
            return refusal(error.code, str(error), STATUS.get(error.code, 409))
        answer = _json(commands.Receipt(True, "ok"))
        answer.set_cookie(
            COOKIE, token, httponly=True, samesite="strict", secure=request.url.scheme == "https"
        )
        return answer

    async def _leave(self, request: Request) -> Response:
        await self._behind.identity.leave(request)
        answer = _json(commands.Receipt(True, "ok"))
        answer.delete_cookie(COOKIE, httponly=True, samesite="strict", secure=request.url.scheme == "https")
        return answer

    # -- asked for
    async def _command(self, request: Request) -> Response:
        person = await self._behind.identity.person(request, active=True)
        if person is None and self._behind.afar:
            return refusal("denied", "log in first: this console is not at the machine", 403)
        key = request.headers.get("idempotency-key", "")
        name = request.url.path.rpartition("/")[2]
        receipt = await self._behind.orders.take(name, key, person, await body_of(request))
        return _json(receipt, STATUS.get(receipt.code, 409))

    async def _acknowledge(self, request: Request) -> Response:
        person = await self._behind.identity.person(request, active=True)
        if why := denied(Action.ACKNOWLEDGE, frozenset() if person is None else person.roles):
            return refusal("denied", why, 403)
        try:
            asked = msgspec.json.decode(await body_of(request), type=Acknowledged)
        except msgspec.DecodeError as error:
            return refusal("bad_arguments", str(error), 400)
        if not self._behind.picture.acknowledge(asked.alarm, NOBODY if person is None else person.id):
            return refusal("not_found", f"there is no alarm {asked.alarm!r}", 404)
        return _json(commands.Receipt(True, "ok"))


def _guarded(way: Way) -> Callable[[Request], Awaitable[Response]]:
    if way.method == "GET":
        return way.answer

    async def answer(request: Request) -> Response:
        if forged(request):
            return refusal("denied", "a command comes from this console's own page, as JSON", 403)
        try:
            return await way.answer(request)
        except ValueError as error:
            return refusal("bad_arguments", str(error), 413)

    return answer


def _json(what: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(what), status, media_type="application/json")
