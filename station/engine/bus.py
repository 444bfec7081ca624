"""Events on their way to whoever watches. A subscriber that lags loses events, and is told how many."""

import asyncio
from collections import deque

from station import events

QUEUE = 10_000


class Subscription:
    """One watcher's queue: async iteration yields events until the bus closes."""

    def __init__(self, *, live: bool) -> None:
        self.live = live
        """Whether it wants each measurement too."""
        self.lost = 0
        self._events: deque[events.Any] = deque()
        self._arrived = asyncio.Event()
        self._closed = False

    def offer(self, event: events.Any) -> None:
        """Queue an event; past the bound the oldest is lost."""
        if len(self._events) >= QUEUE:
            self._events.popleft()
            self.lost += 1
        self._events.append(event)
        self._arrived.set()

    def close(self) -> None:
        """Nothing more will come."""
        self._closed = True
        self._arrived.set()

    def __aiter__(self) -> "Subscription":
        return self

    async def __anext__(self) -> events.Any:
        while not self._events:
            if self._closed:
                raise StopAsyncIteration
            self._arrived.clear()
            await self._arrived.wait()
        return self._events.popleft()


class Bus:
    """Tells every subscriber; never waits for one."""

    def __init__(self) -> None:
        self._subscriptions: list[Subscription] = []
        self.watched_live = False

    def subscribe(self, *, live: bool = False) -> Subscription:
        """Return a queue of what happens from now on; `live` adds every single measurement."""
        subscription = Subscription(live=live)
        self._subscriptions.append(subscription)
        self.watched_live = self.watched_live or live
        return subscription

    def publish(self, event: events.Any) -> None:
        """Tell everybody."""
        measured = isinstance(event, events.Measured)
        for subscription in self._subscriptions:
            if subscription.live or not measured:
                subscription.offer(event)

    def close(self) -> None:
        """End every subscription when its queue is empty."""
        for subscription in self._subscriptions:
            subscription.close()
