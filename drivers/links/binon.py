"""The conversations with a handler that speaks BINON: each is one hop, and holds no state of its own."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from drivers.errors import EquipmentError, ProtocolError, Silent
from drivers.protocols.binon import BinLine, IdsReply, Profile, SitesReply, StartupStep
from drivers.roles.feeder import Touchdown
from drivers.transports import Clear, Conversation, Pause, Read, ReadStatus, Write

T = TypeVar("T")

ASK_TRIES = 4
"""How often a query is put before its answer is given up."""
GLIMPSE_S = 2.0
"""How long an answer may take to a question that needs none."""


@dataclass(frozen=True)
class LotEnded:
    """The handler says that the lot is over."""


def named(sites: Collection[int]) -> str:
    """Return the sites as messages name them."""
    return "sites " + ", ".join(map(str, sorted(sites)))


def told(profile: Profile, line: bytes) -> Conversation[None]:
    """Send one line."""
    yield Write(line)
    if profile.settle_s:
        yield Pause(profile.settle_s)


def _heard(profile: Profile, *, at_most_s: float = float("inf")) -> Conversation[bytes]:
    reply = yield Read(min(profile.reply_timeout_s, at_most_s))
    return reply if isinstance(reply, bytes) else b""


def told_and_heard(profile: Profile, line: bytes) -> Conversation[bytes]:
    """Send one line and return the answer to it."""
    yield from told(profile, line)
    return (yield from _heard(profile))


def heard_exactly(profile: Profile, expected: str) -> Conversation[None]:
    """Take what the handler has to say; ProtocolError unless it is what was expected."""
    reply = yield from _heard(profile)
    if reply.rstrip(b"\r\n") != expected.encode("ascii"):
        raise ProtocolError(f"the handler said {reply!r}, expected was {expected!r}")


def polled() -> Conversation[int]:
    """Return the status byte."""
    status = yield ReadStatus()
    return status if isinstance(status, int) else 0


def exchanged(profile: Profile, steps: Sequence[StartupStep], *, clear: bool) -> Conversation[None]:
    """Clear the device if wanted, then hold the exchanges of a dialect's beginning."""
    if clear:
        yield Clear()
    for step in steps:
        yield from told(profile, profile.line(step.send))
        if step.expect:
            yield from heard_exactly(profile, step.expect)


def _asked(profile: Profile, query: str, decode: Callable[[bytes, Profile], T]) -> Conversation[T]:
    """Ask until the answer can be read. Handlers cut answers short; asked too fast they get confused."""
    fault: EquipmentError | None = None
    for _ in range(ASK_TRIES):
        yield from told(profile, profile.line(query))
        try:
            return decode((yield from _heard(profile)), profile)
        except (Silent, ProtocolError) as error:
            fault = error
        yield Pause(profile.retry_gap_s)
        yield Clear()
    raise ProtocolError(f"no answer to {query} in {ASK_TRIES} tries: {fault}")


def asked_ids(profile: Profile) -> Conversation[Mapping[int, str]]:
    """Return the id of each device, by site."""
    return (yield from _asked(profile, profile.ids_query or "", IdsReply.decode)).ids


def presented(profile: Profile, configured: frozenset[int]) -> Conversation[Touchdown | None]:
    """Learn which devices are in contact; None if none is."""
    sites = (yield from _asked(profile, profile.sites_query, SitesReply.decode)).sites
    return (yield from _described(profile, configured, sites))


def _described(
    profile: Profile, configured: frozenset[int], sites: frozenset[int]
) -> Conversation[Touchdown | None]:
    if not sites:
        return None
    if strange := sites - configured:
        raise EquipmentError(
            f"the handler names parts at {named(strange)}, configured are {named(configured)}: no test"
        )
    ids: Mapping[int, str] = {}
    if profile.ids_query is not None:
        ids = yield from asked_ids(profile)
        if not ids.keys() <= sites:
            raise ProtocolError(f"ids {dict(ids)} for parts at {named(sites)}: whose they are is unknown")
    if profile.pause is not None:
        yield from told(profile, profile.line(profile.pause))
    return Touchdown(sites, ids)


def lot_over(profile: Profile) -> Conversation[bool]:
    """Ask whether the lot is over; false where the dialect has no such question."""
    if profile.lot_query is None:
        return False
    reply = yield from _glimpsed(profile, profile.lot_query)
    return reply.strip() == (profile.lot_ended or "").encode("ascii")


def state(profile: Profile, configured: frozenset[int]) -> Conversation[Touchdown | LotEnded | None]:
    """Ask, without a service request, whether the lot is over or parts are in contact."""
    if (yield from lot_over(profile)):
        return LotEnded()
    first = yield from _glimpsed_sites(profile)
    if not first:
        return None
    yield Pause(profile.retry_gap_s)
    if (yield from _glimpsed_sites(profile)) != first:
        return None
    return (yield from _described(profile, configured, first))


def _glimpsed(profile: Profile, query: str) -> Conversation[bytes]:
    """Ask once; silence is an answer too: not ready."""
    yield from told(profile, profile.line(query))
    try:
        return (yield from _heard(profile, at_most_s=GLIMPSE_S))
    except (Silent, ProtocolError):
        yield Clear()
        return b""


def _glimpsed_sites(profile: Profile) -> Conversation[frozenset[int]]:
    reply = yield from _glimpsed(profile, profile.sites_query)
    try:
        return SitesReply.decode(reply, profile).sites
    except ProtocolError:
        return frozenset()


def ordered(profile: Profile, order: BinLine) -> Conversation[None]:
    """Send the bins; the handler moves only after ECHOOK, which goes out once, and nothing after it."""
    if profile.resume is not None:
        yield from told(profile, profile.line(profile.resume))
    for _ in range(1 + profile.resend):
        yield from told(profile, order.encode(profile))
        if profile.echo == "none":
            return
        if order.echoed_by((yield from _echo(profile)), profile):
            yield from told(profile, profile.answer(profile.echo_ok))
            return
        yield from told(profile, profile.answer(profile.echo_bad))
    raise ProtocolError(f"the handler echoed other bins {1 + profile.resend} times")


def _echo(profile: Profile) -> Conversation[bytes]:
    try:
        return (yield from _heard(profile))
    except Silent as error:
        status = yield from polled()
        raise ProtocolError(f"no echo, and the status byte is {status:#04x}") from error
