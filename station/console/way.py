"""One way into a page: every path names its action, and what changes something comes from our page."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

import msgspec
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from station.authority import Action
from station.console.defence import Defence, forged, refusal
from station.console.orders import STATUS
from station.errors import ConfigError, CustodyError
from station.people.person import PeopleError

API = "/api/v1"


@dataclass(frozen=True)
class Way:
    """One path, what it answers with, and which action of the table it is."""

    path: str
    action: Action
    answer: Callable[[Request], Awaitable[Response]]
    method: str = "GET"


def application(ways: Iterable[Way], hosts: frozenset[str]) -> Starlette:
    """Return an application of these ways, for these values of the Host header."""
    routes = [Route(way.path, _guarded(way), methods=[way.method]) for way in ways]
    return Starlette(routes=routes, middleware=[Middleware(Defence, hosts=hosts)])


def _guarded(way: Way) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        if way.method != "GET" and forged(request):
            return refusal("denied", "a command comes from this console's own page, as JSON", 403)
        try:
            return await way.answer(request)
        except PeopleError as error:
            return refusal(error.code, str(error), STATUS.get(error.code, 409))
        except CustodyError as error:
            return refusal("integrity", str(error), 503)
        except ConfigError as error:
            return refusal("invalid_config", str(error), 409)
        except OSError as error:
            return refusal("not_found", f"{error.filename}: {error.strerror}", 404)
        except ValueError as error:
            return refusal("bad_arguments", str(error), 413)

    return answer


def answered(what: object, status: int = 200) -> Response:
    """Return an object as JSON."""
    return Response(msgspec.json.encode(what), status, media_type="application/json")
