"""Where the sites of a touchdown wait for each other."""

import asyncio


class SiteBarrier:
    """Opens when every site that still runs has come; a site that stops leaves the count."""

    def __init__(self, sites: int) -> None:
        self._running = sites
        self._waiting: list[asyncio.Future[None]] = []

    async def wait(self) -> None:
        """Go on when all have come."""
        came: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(came)
        self._open_if_all_came()
        try:
            await came
        finally:
            if came in self._waiting:
                self._waiting.remove(came)

    def leave(self) -> None:
        """A site has stopped."""
        self._running -= 1
        self._open_if_all_came()

    def _open_if_all_came(self) -> None:
        if self._waiting and len(self._waiting) >= self._running:
            for came in self._waiting:
                if not came.done():
                    came.set_result(None)
            self._waiting = []
