"""The console's API: each way in names its action of `station.authority`, and the cell decides."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from station import commands
from station.authority import RIGHTS, Action, denied
from station.console.defence import body_of, refusal
from station.console.identity import Identity
from station.console.orders import NAMES, NOBODY, STATUS, Orders
from station.console.page_files import PageFile, served
from station.console.picture import Picture
from station.console.sessions import Sessions
from station.console.stream import Stream
from station.console.way import API, Way, answered, application
from station.engine.states import LEGAL


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


class Console:
    """Answers requests."""

    def __init__(self, behind: Behind) -> None:
        self._behind = behind
        self._sessions = Sessions(behind.identity)

    def ways(self) -> tuple[Way, ...]:
        """Every way in."""
        orders = (
            Way(f"{API}/commands/{name}", Action(name), self._command, "POST") for name in sorted(NAMES)
        )
        return (
            Way("/healthz", Action.READ, self._alive),
            Way("/readyz", Action.READ, self._ready),
            Way(f"{API}/session", Action.READ, self._session),
            Way(f"{API}/session", Action.LOG_IN, self._sessions.enter, "POST"),
            Way(f"{API}/session/end", Action.LOG_IN, self._sessions.leave, "POST"),
            Way(f"{API}/state", Action.READ, self._state),
            Way(f"{API}/map", Action.READ, self._map),
            Way(f"{API}/events", Action.READ, self._events),
            *orders,
            Way(f"{API}/alarms/acknowledge", Action.ACKNOWLEDGE, self._acknowledge, "POST"),
            Way("/{path:path}", Action.READ, self._file),
        )

    def app(self, hosts: frozenset[str]) -> Starlette:
        """Return the application, for these values of the Host header."""
        return application(self.ways(), hosts)

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
        return answered({"person": person, "logs_in": self._behind.identity.logs_in, "actions": actions})

    async def _state(self, request: Request) -> Response:
        return answered(self._behind.picture.state)

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
        return served(self._behind.files, request)

    # -- asked for
    async def _command(self, request: Request) -> Response:
        person = await self._behind.identity.person(request, active=True)
        if person is None and self._behind.afar:
            return refusal("denied", "log in first: this console is not at the machine", 403)
        key = request.headers.get("idempotency-key", "")
        name = request.url.path.rpartition("/")[2]
        receipt = await self._behind.orders.take(name, key, person, await body_of(request))
        return answered(receipt, STATUS.get(receipt.code, 409))

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
        return answered(commands.Receipt(True, "ok"))
