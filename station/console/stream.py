"""One frame for all browsers, encoded once; each has a queue, and whoever lags begins anew."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress

import msgspec

FRAME_S = 0.03
"""Dies are told so often: more seldom than a panel shows pictures, and sooner than devices come."""
CROWDED_S = 0.05
"""So often where many look."""
CROWD = 10
"""Browsers that are many."""
COUNTED_S = 0.2
"""Numbers are told so often."""
IDLE_S = 1.0
"""A frame comes at least so often: without one for 3 s a page says that it is stale."""
QUEUE = 64
"""Frames that wait for one browser."""
_ENCODER = msgspec.json.Encoder()
HELLO = b"retry: 500\nevent: hello\ndata: {}\n\n"
GAP = b'data: {"gap":true}\n\n'


class Stream:
    """Makes the frames; `frame` is asked for one, with the numbers or without."""

    def __init__(self, frame: Callable[[bool], msgspec.Struct]) -> None:
        self._frame = frame
        self._browsers = set[asyncio.Queue[bytes | None]]()
        self._news = asyncio.Event()

    def news(self) -> None:
        """There is something to tell."""
        self._news.set()

    async def run(self) -> None:
        """Make frames until cancelled."""
        loop = asyncio.get_running_loop()
        counted_at, owed = 0.0, True
        while True:
            with suppress(TimeoutError):
                wait_s = max(0.0, counted_at + COUNTED_S - loop.time()) if owed else IDLE_S
                async with asyncio.timeout(wait_s):
                    await self._news.wait()
            owed = owed or self._news.is_set()
            self._news.clear()
            counted = loop.time() - counted_at >= COUNTED_S
            self._tell(self._frame(counted))
            if counted:
                counted_at, owed = loop.time(), False
            await asyncio.sleep(CROWDED_S if len(self._browsers) > CROWD else FRAME_S)

    def _tell(self, frame: msgspec.Struct) -> None:
        data = b"data: " + _ENCODER.encode(frame) + b"\n\n"
        for queue in self._browsers:
            if queue.full():
                while not queue.empty():
                    queue.get_nowait()
                queue.put_nowait(GAP)
            else:
                queue.put_nowait(data)

    def close(self) -> None:
        """Let all browsers go, so that the server can end."""
        for queue in self._browsers:
            while not queue.empty():
                queue.get_nowait()
            queue.put_nowait(None)

    async def frames(self) -> AsyncGenerator[bytes, None]:
        """Yield what one browser is sent, from the moment at which it was there."""
        queue = asyncio.Queue[bytes | None](QUEUE)
        self._browsers.add(queue)
        try:
            yield HELLO
            while (data := await queue.get()) is not None:
                yield data
        finally:
            self._browsers.discard(queue)
