"""Logging in and out of a page, by badge and PIN."""

from typing import Annotated

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from station import commands
from station.console.defence import body_of, refusal
from station.console.identity import COOKIE, Identity
from station.console.orders import STATUS
from station.console.way import answered
from station.people.person import PeopleError


class Entered(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a login."""

    badge: Annotated[str, Meta(max_length=128)]
    pin: Annotated[str, Meta(max_length=64)]


class Sessions:
    """Opens and ends them."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity

    async def enter(self, request: Request) -> Response:
        """Give the session's cookie to whoever has badge and PIN."""
        try:
            asked = msgspec.json.decode(await body_of(request), type=Entered)
            token = await self._identity.enter(asked.badge, asked.pin)
        except msgspec.DecodeError as error:
            return refusal("bad_arguments", str(error), 400)
        except PeopleError as error:
            return refusal(error.code, str(error), STATUS.get(error.code, 409))
        return opened(request, token)

    async def leave(self, request: Request) -> Response:
        """End the session."""
        await self._identity.leave(request)
        answer = answered(commands.Receipt(True, "ok"))
        answer.delete_cookie(COOKIE, httponly=True, samesite="strict", secure=request.url.scheme == "https")
        return answer


def opened(request: Request, token: str) -> Response:
    """Give a session's cookie to the browser."""
    answer = answered(commands.Receipt(True, "ok"))
    answer.set_cookie(COOKIE, token, httponly=True, samesite="strict", secure=request.url.scheme == "https")
    return answer
