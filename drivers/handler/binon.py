"""Device handlers that speak BINON over GPIB: pick-and-place and gravity machines of several makers.

The handler pulls SRQ when parts are in contact; the station asks which sites hold one, and orders their
bins by one line that the handler echoes and the station confirms. Messages and dialects are those of
`drivers.protocols.binon`, conversations those of `drivers.links.binon`.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, Mapping
from typing import Any, Literal

from msgspec import Struct

from drivers.errors import EquipmentError, InstrumentError, ProtocolError
from drivers.links.binon import (
    LotEnded,
    asked_ids,
    exchanged,
    heard_exactly,
    lot_over,
    named,
    ordered,
    polled,
    presented,
    state,
    told,
    told_and_heard,
)
from drivers.protocols.binon import RQS, BinLine, Profile, StartupStep, check_sites, profile_of
from drivers.roles import happening
from drivers.roles.feeder import Touchdown
from drivers.roles.handler import Handler
from drivers.roles.resource import Identity, Machine
from drivers.transports import Port

DRAIN_S = 0.005
"""Time for the port to fetch a service request that is pulled already."""
MOST_STALE = 64
"""Requests that are dropped before one order; a line that never rests must not keep the bins back."""

log = logging.getLogger(__name__)


class BinonOptions(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the station's configuration says of one BINON handler."""

    sites: frozenset[int]
    """The sites that are wired to the station; the handler naming another one is an alarm."""
    profile: str = ""
    """A shipped dialect; empty: the defaults of the protocol."""
    fields: dict[str, Any] = {}
    """Fields of the dialect that differ on this machine."""
    ask_again_s: float = 5.0
    """How often the handler is asked without a service request, for one that was lost; 0: never."""
    refeeds: frozenset[int] = frozenset()
    """Hard bins whose devices the machine feeds once more by itself when its input is empty, as it is set."""
    empty_check: Literal["measured", "looked"] = "measured"
    """How its question at connect, whether all sockets are empty, is answered; `looked`: a person vouches."""

    def __post_init__(self) -> None:
        check_sites(self.dialect, self.sites)
        if self.ask_again_s < 0:
            raise ValueError(f"ask_again_s {self.ask_again_s:g}: 0 (never) or more is allowed")
        if self.refeeds and self.dialect.ids_query is None:
            raise ValueError("refeeds: this dialect tells no ids, nobody would know which device comes again")

    @property
    def dialect(self) -> Profile:
        """The shipped dialect with this machine's fields over it."""
        return profile_of(self.profile, self.fields)


class BinonHandler(Machine, Handler):
    """One handler. It moves nothing by itself once parts are in contact: it waits for the bins.

    A lost service request is made good by asking again. Every `srq_poll_s` the status byte is polled. Every
    `ask_again_s` the lot's state and the sites are asked for, and parts are believed to be in contact only if
    two answers `retry_gap_s` apart name the same sites: a machine on the move answers with an empty mask, or
    not at all. These queries move nothing and are sent only while no part waits for its bin. On a machine
    that keeps its last mask while it moves, `ask_again_s` must be 0.
    """

    Options = BinonOptions
    port = Port

    def __init__(self, name: str, port: Port, options: BinonOptions) -> None:
        super().__init__(name)
        self.channels = {"": self}
        self._port = port
        self._options = options
        self._profile = options.dialect
        self._codes = self._profile.codes
        self.hard_bins = frozenset(self._codes)
        self.brings_again = options.refeeds
        self.can_replunge = self._profile.retest_code is not None
        self.stale = 0
        """How many service requests were dropped because they belonged to a contact already known."""
        self._kept: deque[int] = deque()
        self._contact: Touchdown | None = None
        self._again: frozenset[int] | None = None
        self._paused = False

    def _forget(self) -> None:
        """What is in contact is learned anew from the handler."""
        self._kept.clear()
        self._contact = self._again = None
        self._paused = False

    # -- the machine
    async def connect(self) -> None:
        profile = self._profile
        self._forget()
        await self._port.open()
        plain: list[StartupStep] = []
        clear = profile.clear_at_connect
        for step in profile.startup:
            plain.append(step)
            if step.stb is not None:
                await self._port.run(exchanged(profile, plain, clear=clear))
                await self._asked_for_empty_sockets(step.stb)
                await self._answer_empty_check(step.read, step.answer, at_start=True)
                plain, clear = [], False
        await self._port.run(exchanged(profile, plain, clear=clear))
        if profile.run_query is not None:
            answer = await self._port.run(told_and_heard(profile, profile.answer(profile.run_query)))
            log.info("%s: %s answered %r", self.name, profile.run_query, answer)

    async def identify(self) -> Identity:
        """Name the dialect: no query of the protocol tells maker or model."""
        return Identity(maker="", model=f"BINON handler, profile {self._options.profile or 'of its own'}")

    async def aclose(self) -> None:
        await self._port.aclose()

    async def make_safe(self) -> None:
        """Poll once, to know that the handler answers; nothing is sent, so nothing moves."""
        status = await self._port.run(polled())
        if status & RQS:
            self._kept.append(status)

    async def raw(self, command: str) -> str:
        """Send a command of the maker's manual and return the answer; for engineers."""
        answer = await self._port.run(told_and_heard(self._profile, self._profile.line(command)))
        return answer.decode("ascii", "backslashreplace").strip()

    # -- the handler
    async def start_lot(self, lot: str) -> None:
        """Forget the contacts of the lot before; the protocol has no message for a new one."""
        log.info("%s: lot %s begins", self.name, lot)
        self._contact = self._again = None

    async def touchdowns(self) -> AsyncGenerator[Touchdown, None]:
        self._contact = None
        if self._paused:
            await self._resume()
        while not isinstance(found := await self._next(), LotEnded):
            self._contact = self._expected(found)
            self._paused = self._profile.resume is not None
            yield found
            if self._contact is not None:
                raise EquipmentError(
                    f"{self.name}: {named(found.sites)} were neither sorted nor plunged again"
                )
        self.heard(happening.LotEnded())

    async def sort(self, bins: Mapping[int, int]) -> None:
        contact = self._in_contact()
        if strange := bins.keys() - contact.sites:
            raise EquipmentError(
                f"{self.name}: bins for {named(strange)}, where no device is: nothing was sent"
            )
        if missing := contact.sites - bins.keys():
            raise EquipmentError(f"{self.name}: no bins for {named(missing)}: nothing was sent")
        if unknown := set(bins.values()) - self.hard_bins:
            allowed = ", ".join(map(str, sorted(self.hard_bins)))
            raise EquipmentError(
                f"{self.name}: no hard bin {sorted(unknown)}; {allowed} are: nothing was sent"
            )
        await self._order(contact, {site: self._codes[number] for site, number in bins.items()})

    async def replunge(self) -> None:
        if (code := self._profile.retest_code) is None:
            raise EquipmentError(f"{self.name}: this dialect has no retest_code, so nothing plunges again")
        contact = self._in_contact()
        await self._order(contact, dict.fromkeys(contact.sites, code))
        self._again = contact.sites

    def _in_contact(self) -> Touchdown:
        if self._contact is None:
            raise EquipmentError(f"{self.name}: no devices in contact that wait for bins: nothing was sent")
        return self._contact

    async def _order(self, contact: Touchdown, codes: Mapping[int, str]) -> None:
        """Send the codes of this contact, once and never again, whatever comes of it.

        A start of test that came meanwhile is stale: the handler takes bins only for parts whose sites were
        asked for. Where it reads ids they are asked for again, to be sure that nobody exchanged the parts.
        """
        if await self._drained() and self._profile.ids_query is not None:
            await self._same_devices(contact)
        self._contact = None
        self._paused = False
        try:
            await self._port.run(ordered(self._profile, BinLine(codes)))
        except EquipmentError as error:
            raise EquipmentError(f"{self.name}: bins of {named(contact.sites)} unknown: {error}") from error

    async def _same_devices(self, contact: Touchdown) -> None:
        ids = await self._port.run(asked_ids(self._profile))
        if ids != contact.ids:
            self._contact = None
            raise EquipmentError(
                f"{self.name}: {named(contact.sites)} hold other devices than were tested: no bin was sent"
            )

    async def _drained(self) -> int:
        """Drop the starts of test that came during the test; an alarm among them stops the order."""
        stale = 0
        while stale < MOST_STALE and (status := await self._request(within_s=DRAIN_S)) is not None:
            if status in self._profile.ready_stb:
                stale += 1
            elif status & RQS:
                raise self._alarm(status)
        self.stale += stale
        return stale

    # -- waiting for parts
    async def _resume(self) -> None:
        """End the pause of a contact that never got its bins."""
        await self._port.run(told(self._profile, self._profile.line(self._profile.resume or "")))
        self._paused = False

    async def _next(self) -> Touchdown | LotEnded:
        loop = asyncio.get_running_loop()
        again_s = self._options.ask_again_s
        asked_at = loop.time()
        while True:
            found: Touchdown | LotEnded | None = None
            if (status := await self._status()) & RQS:
                found = await self._served(status)
            elif again_s and loop.time() - asked_at >= again_s:
                found = await self._port.run(state(self._profile, self._options.sites))
                asked_at = loop.time()
            if found is not None:
                return found

    async def _status(self) -> int:
        """Return the next service request's status byte, or what a poll says when none came for a while."""
        if (status := await self._request(within_s=self._profile.srq_poll_s)) is not None:
            return status
        return await self._port.run(polled())

    async def _request(self, *, within_s: float) -> int | None:
        if self._kept:
            return self._kept.popleft()
        try:
            async with asyncio.timeout(within_s):
                return await self._port.service_request()
        except TimeoutError:
            return None

    async def _served(self, status: int) -> Touchdown | LotEnded | None:
        """Deal with a service request; one that nobody knows is an alarm, unless the lot is over."""
        profile = self._profile
        if status in profile.ready_stb:
            found = await self._port.run(presented(profile, self._options.sites))
            self.stale += found is None
            return found
        if status != profile.empty_check_stb:
            if await self._port.run(lot_over(profile)):
                return LotEnded()
            raise self._alarm(status)
        await self._answer_empty_check(profile.empty_check_text, profile.empty_check_answer, at_start=False)
        return None

    def _expected(self, found: Touchdown) -> Touchdown:
        again, self._again = self._again, None
        if again not in (None, found.sites):
            raise EquipmentError(f"{self.name}: plunged {named(again)} again, but {named(found.sites)} came")
        return found

    def _alarm(self, status: int) -> InstrumentError:
        self.heard(happening.AlarmRaised(f"{status:#04x}", "asked for service"))
        return InstrumentError(
            status, f"{self.name} asked for service with {status:#04x}: alarm of the handler"
        )

    # -- the empty-socket check
    async def _asked_for_empty_sockets(self, stb: int) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + self._profile.reply_timeout_s
        while (status := await self._request(within_s=max(0.0, until - loop.time()))) != stb:
            if status is None:
                raise ProtocolError(f"{self.name}: no service request {stb:#04x} came")
            if status not in self._profile.ready_stb and status & RQS:
                raise self._alarm(status)
            self.stale += 1

    async def _answer_empty_check(self, text: str, answer: str, *, at_start: bool) -> None:
        await self._port.run(heard_exactly(self._profile, text))
        self.heard(happening.EmptyCheckRequested())
        if not (at_start and self._options.empty_check == "looked"):
            await self._measure_empty_sockets()
        await self._port.run(told(self._profile, self._profile.answer(answer)))

    async def _measure_empty_sockets(self) -> None:
        if self.sockets_empty is None:
            raise EquipmentError(
                f"{self.name}: asks whether all sockets are empty, and nothing here measures it"
            )
        if not await self.sockets_empty():
            raise EquipmentError(f"{self.name}: a socket is not empty; take the part out by hand")
