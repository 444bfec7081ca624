"""The API of the floor's page: all of it is looking, and from afar only people with accounts look."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import TypeAlias

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from station.authority import Action
from station.console.defence import refusal
from station.console.identity import Identity
from station.console.page_files import PageFile, served
from station.console.sessions import Sessions
from station.console.stream import IDLE_S, Stream
from station.console.way import API, Way, answered, application
from station.floor.view import View

Answer: TypeAlias = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True)
class Floor:
    """What the ways lead to."""

    view: View
    stream: Stream
    identity: Identity
    files: Mapping[str, PageFile]
    afar: bool = False
    """Whether browsers are elsewhere: whoever is unknown then sees nothing."""
    looks_s: float = IDLE_S
    """How often it is looked whether whoever hears the stream is still known."""

    def ways(self) -> tuple[Way, ...]:
        """Every way in."""
        sessions = Sessions(self.identity)
        return (
            Way("/healthz", Action.READ, self._alive),
            Way(f"{API}/session", Action.READ, self._session),
            Way(f"{API}/session", Action.LOG_IN, sessions.enter, "POST"),
            Way(f"{API}/session/end", Action.LOG_IN, sessions.leave, "POST"),
            Way(f"{API}/state", Action.READ, self._known(self._state)),
            Way(f"{API}/events", Action.READ, self._known(self._events)),
            Way("/{path:path}", Action.READ, self._file),
        )

    def app(self, hosts: frozenset[str]) -> Starlette:
        """Return the application, for these values of the Host header."""
        return application(self.ways(), hosts)

    def _known(self, answer: Answer) -> Answer:
        async def guarded(request: Request) -> Response:
            if not await self._knows(request):
                return refusal("denied", "log in first", 403)
            return await answer(request)

        return guarded

    async def _knows(self, request: Request) -> bool:
        return not self.afar or await self.identity.person(request, active=False) is not None

    async def _alive(self, request: Request) -> Response:
        return Response("alive\n", media_type="text/plain")

    async def _session(self, request: Request) -> Response:
        active = request.query_params.get("touched") == "1"
        person = await self.identity.person(request, active=active)
        asks = self.afar and person is None
        return answered({"person": person, "logs_in": self.identity.logs_in, "actions": {}, "asks": asks})

    async def _state(self, request: Request) -> Response:
        return answered(self.view.state)

    async def _events(self, request: Request) -> Response:
        headers = {"X-Accel-Buffering": "no"}
        return StreamingResponse(self._told(request), media_type="text/event-stream", headers=headers)

    async def _told(self, request: Request) -> AsyncGenerator[bytes, None]:
        """Yield what is told for as long as whoever hears it may: a session ends while a stream goes on."""
        loop = asyncio.get_running_loop()
        looked_at = loop.time()
        async with aclosing(self.stream.frames()) as frames:
            async for data in frames:
                if loop.time() - looked_at >= self.looks_s:
                    looked_at = loop.time()
                    if not await self._knows(request):
                        return
                yield data

    async def _file(self, request: Request) -> Response:
        return served(self.files, request)
