"""Keeps a station on its broker: birth, state, outbox, touchdowns out; commands in; again after each loss."""

import asyncio
import logging
from collections.abc import Awaitable
from contextlib import suppress

import msgspec

from station.engine.states import State as CellState
from station.errors import StorageError
from station.remote.herald import Herald
from station.remote.link import AGAIN_S, Broker, Link, LinkError, Message
from station.remote.log_feed import LogFeed
from station.remote.messages import Birth, Online, State, utc
from station.remote.outflow import Outflow
from station.remote.projection import RUN
from station.remote.reception import Reception, Within

STATE_S = 1.0
"""State goes out so often at most; at once if the cell is in another state."""
TD_S = 0.25
LOG_S, LOG_LINES = 0.5, 5
"""So many lines of the log go out in so long at most."""
GOODBYE_S = 1.0

log = logging.getLogger(__name__)


class Agent:
    """One station's presence on the network; made and run on the io loop."""

    def __init__(
        self, broker: Broker, within: Within, reception: Reception, birth: Birth, outflow: Outflow
    ) -> None:
        self._broker, self._reception, self._birth = broker, reception, birth
        self._tree, self._control, self._now = within.tree, within.control, within.now
        self._herald: Herald = within.herald
        self._outflow = outflow
        self._link: Link | None = None
        self._seq = 0
        self.log = LogFeed()
        """What is logged beside us, if somebody feeds it."""
        self.connected = asyncio.Event()
        """Set while the broker has us and knows that we are there."""

    async def run(self) -> None:
        """Be there until cancelled; what is being carried out when the broker goes is carried out."""
        async with asyncio.TaskGroup() as work:
            work.create_task(self._herald.run())
            failures = 0
            while True:
                try:
                    await self._once(work)
                    failures = 0
                except* LinkError as group:
                    failures = 1 if self.connected.is_set() else failures + 1
                    log.warning("broker: %s", _first(group))
                except* StorageError as group:
                    failures += 1  # the next connection may meet it too
                    log.warning("outbox: %s", _first(group))
                finally:
                    self.connected.clear()
                    self._link = None
                await asyncio.sleep(AGAIN_S[min(failures, len(AGAIN_S)) - 1])

    async def _once(self, work: asyncio.TaskGroup) -> None:
        will = self._online(there=False)
        async with self._broker.link(self._tree.station, will) as link:
            try:
                await self._greet(link)
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._outflow.run(link, self._herald.queued))
                    for task in (
                        self._hear(link, work),
                        self._state(link),
                        self._touchdowns(link),
                        self._log(link),
                    ):
                        group.create_task(task)
            except asyncio.CancelledError:
                with suppress(LinkError, TimeoutError):
                    async with asyncio.timeout(GOODBYE_S):
                        await link.publish(will)
                raise

    async def _greet(self, link: Link) -> None:
        """Subscribe first: whoever sees the birth may send a command at once."""
        await link.subscribe(self._tree.cmd("+"), *((self._tree.kept,) if self._outflow.collected else ()))
        born = msgspec.structs.replace(self._birth, t=utc(self._now()))
        await link.publish(Message(self._tree.birth, msgspec.json.encode(born), retain=True))
        await link.publish(self._online(there=True))
        self._link = link
        self.connected.set()

    def _online(self, *, there: bool) -> Message:
        payload = msgspec.json.encode(Online(there, self._birth.epoch))
        return Message(self._tree.online, payload, retain=True)

    # -- in
    async def _hear(self, link: Link, work: asyncio.TaskGroup) -> None:
        async for message in link.messages():
            if message.topic == self._tree.kept:
                await self._outflow.kept(message)
            else:
                work.create_task(self._answer(await self._reception.take(message)))

    async def _answer(self, answer: Awaitable[Message | None]) -> None:
        reply = None
        try:
            reply = await answer
        except* StorageError as group:  # whoever asks again is told that its end is not known
            log.warning("no reply to a command: %s", _first(group))
        if reply is not None and self._link is not None:
            with suppress(LinkError):  # the receipt is kept: whoever asks again gets it
                await self._link.publish(reply)

    # -- out
    async def _state(self, link: Link) -> None:
        while True:
            self._herald.changed.clear()
            cell = self._herald.view.cell
            await link.publish(Message(self._tree.state, msgspec.json.encode(self.state()), retain=True))
            await self._news(cell)

    async def _news(self, cell: CellState) -> None:
        """Return when there is another state to tell, and it is time."""
        changed, view = self._herald.changed, self._herald.view
        told_again = asyncio.get_running_loop().time() + STATE_S
        await changed.wait()
        with suppress(TimeoutError):
            async with asyncio.timeout_at(told_again):
                while view.cell is cell:
                    changed.clear()
                    await changed.wait()

    def state(self) -> State:
        """How the station stands now."""
        self._seq += 1
        view = self._herald.view
        return State(
            epoch=self._birth.epoch,
            seq=self._seq,
            t=utc(self._now()),
            control=self._control.mode.value,
            lease=self._control.holder,
            cell=view.cell.value,
            run=RUN[view.cell],
            reason=view.reason,
            lot=view.lot,
            count=view.count,
            sites=view.sites,
            e10=view.e10(self._herald.later_s),
            alarms=view.alarms,
        )

    async def _log(self, link: Link) -> None:
        while True:
            for line in self.log.take(LOG_LINES):
                await link.publish(Message(self._tree.log, msgspec.json.encode(line), qos=0))
            await asyncio.sleep(LOG_S)

    async def _touchdowns(self, link: Link) -> None:
        landed = self._herald.touchdowns
        while True:
            if landed:
                batch = [landed.popleft() for _ in range(len(landed))]
                await link.publish(Message(self._tree.td, msgspec.json.encode(batch), qos=0))
            await asyncio.sleep(TD_S)


def _first(group: BaseExceptionGroup[Exception]) -> BaseException:
    """Return the first failure, however deep it lies."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
