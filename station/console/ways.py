"""The console's API: each way in names its action of `station.authority`, and the cell decides."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from station.authority import RIGHTS, Action, denied
from station.console.analyses import Analyses
from station.console.defence import body_of, refusal
from station.console.identity import Identity, Person
from station.console.lookups import Lookups
from station.console.orders import NAMES, STATUS, Orders
from station.console.page_files import PageFile, served
from station.console.persons import Persons, Stand
from station.console.picture import Picture
from station.console.stream import Stream
from station.console.way import API, Way, answered, application
from station.engine.states import LEGAL
from station.errors import StorageError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Behind:
    """What the ways lead to."""

    picture: Picture
    stream: Stream
    orders: Orders
    identity: Identity
    files: Mapping[str, PageFile]
    there: Callable[[], bool]
    lookups: Lookups
    analyses: Analyses
    afar: bool = False
    """Whether browsers are elsewhere: whoever is unknown then asks for nothing."""


class Console:
    """Answers requests."""

    def __init__(self, behind: Behind) -> None:
        self._behind = behind

    def ways(self) -> tuple[Way, ...]:
        """Every way in."""
        behind, analyses, persons = (
            self._behind,
            self._behind.analyses,
            Persons(self._behind.identity, self._behind.orders, self._stand),
        )
        orders = (
            Way(f"{API}/commands/{name}", Action(name), self._command, "POST") for name in sorted(NAMES)
        )
        return (
            Way("/healthz", Action.READ, self._alive),
            Way("/readyz", Action.READ, self._ready),
            Way(f"{API}/session", Action.READ, self._session),
            Way(f"{API}/session", Action.LOG_IN, persons.enter, "POST"),
            Way(f"{API}/session/end", Action.LOG_IN, persons.leave, "POST"),
            Way(f"{API}/session/greeting", Action.LOG_IN, persons.greeting, "POST"),
            Way(f"{API}/keys/registration", Action.LOG_IN, persons.registration, "POST"),
            Way(f"{API}/keys", Action.LOG_IN, persons.register, "POST"),
            Way(f"{API}/people", Action.READ, persons.accounts),
            Way(f"{API}/acts", Action.KEEP_PEOPLE, persons.ask, "POST"),
            Way(f"{API}/acts/{{digest}}/question", Action.KEEP_PEOPLE, persons.question, "POST"),
            Way(f"{API}/acts/{{digest}}/approve", Action.KEEP_PEOPLE, persons.approve, "POST"),
            Way(f"{API}/acts/{{digest}}/deny", Action.KEEP_PEOPLE, persons.deny, "POST"),
            Way(f"{API}/state", Action.READ, self._state),
            Way(f"{API}/map", Action.READ, self._map),
            Way(f"{API}/lot/summary", Action.READ, behind.lookups.summary),
            Way(f"{API}/lot/summary.txt", Action.READ, behind.lookups.sheet),
            Way(f"{API}/lot/report", Action.READ, behind.lookups.report),
            Way(f"{API}/lot/device", Action.READ, behind.lookups.device),
            Way(f"{API}/recipes", Action.READ, behind.lookups.recipes),
            Way(f"{API}/assets", Action.READ, behind.lookups.assets),
            Way(f"{API}/evidence", Action.READ, behind.lookups.evidence),
            Way(f"{API}/configs", Action.READ, behind.lookups.configs),
            Way(f"{API}/releases", Action.READ, behind.lookups.releases),
            Way(f"{API}/lot/preflight", Action.READ, behind.lookups.preflight),
            Way(f"{API}/lot/trace", Action.READ, behind.lookups.trace),
            Way(f"{API}/lots", Action.READ, analyses.lots),
            Way(f"{API}/lots/findings", Action.READ, analyses.findings),
            Way(f"{API}/lots/test", Action.READ, analyses.closeup),
            Way(f"{API}/lots/groups", Action.READ, analyses.groups),
            Way(f"{API}/lots/pairs", Action.READ, analyses.pairs),
            Way(f"{API}/lots/scatter", Action.READ, analyses.scatter),
            Way(f"{API}/lots/reduction", Action.READ, analyses.reduction),
            Way(f"{API}/lots/gauge", Action.READ, analyses.gauge),
            Way(f"{API}/lots/gauge.csv", Action.READ, analyses.values),
            Way(f"{API}/lots/sweeps", Action.READ, analyses.sweeps),
            Way(f"{API}/golden", Action.READ, analyses.golden),
            Way(f"{API}/lots/stack", Action.READ, analyses.stack),
            Way(f"{API}/lots/changes", Action.READ, analyses.changes),
            Way(f"{API}/events", Action.READ, self._events),
            *orders,
            Way("/{path:path}", Action.READ, self._file),
        )

    def _stand(self, name: str) -> Stand:
        """How the cell stands, and whom a command takes that lets the lot go on, or be closed."""
        picture = self._behind.picture
        now, lot = picture.sum, "" if picture.lot is None else picture.lot.info.lot
        return Stand(lot, picture.changed_in, now.signs if name == Action.CLOSE else now.takes)

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
            for name in sorted(NAMES)
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
        name = request.url.path.rpartition("/")[2]
        person = await self._who(request, Action(name))
        if person is None and self._behind.afar:
            return refusal("denied", "log in first: this console is not at the machine", 403)
        key = request.headers.get("idempotency-key", "")
        receipt = await self._behind.orders.take(name, key, person, await body_of(request))
        return answered(receipt, STATUS.get(receipt.code, 409))

    async def _who(self, request: Request, action: Action) -> Person | None:
        """Who asks; what is open to anybody neither waits for the station's people nor needs them."""
        anybody = not RIGHTS[action].who
        try:
            return await self._behind.identity.person(request, active=not anybody)
        except StorageError as error:
            if not anybody or self._behind.afar:
                raise
            log.error("%s by nobody: %s", action, error)
            return None
