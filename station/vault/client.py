"""The station's side of the vault: all that the engine may import of it. It relays bytes and sees no key."""

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from drivers.errors import DutError
from drivers.roles.card import Card
from drivers.uninterrupted import uninterrupted
from station.clock import Clock, RealClock
from station.custody.balance import Binned
from station.errors import CustodyError
from station.io_thread import IoThread
from station.model import Disposition, Personalisation
from station.sequence import Die
from station.vault.claims import EVENTS_MAX, Claim
from station.vault.faults import Code
from station.vault.process import VaultProcess
from station.vault.relay import PROTOCOL, Relay, RelayError, result_of, steps_of
from station.vault.tls import ClientTls
from station.vault.wire import floor_pb2 as wire
from station.vault_answers import LotClosing, Quota, VaultGreeting

__all__ = ["LATENCY_S", "ClientTls", "Purpose", "Unit", "VaultClient", "VaultProcess", "VaultRefusedError"]

T = TypeVar("T")

LATENCY_S = 0.1
"""What one exchange with the vault takes under virtual time, all sites of a cell in work.

99 of 100 take that at most on a disk that others write to (ADR 50): the clock seldom waits for the vault.
"""

DISPOSITIONS = {
    wire.SEALED: Disposition.SEALED,
    wire.UNTOUCHED: Disposition.UNTOUCHED,
    wire.RETRY: Disposition.RETRY,
    wire.REJECT_HELD: Disposition.REJECT_HELD,
    wire.QUARANTINE: Disposition.QUARANTINE,
}


class Purpose(Enum):
    """Why a die is brought to the vault."""

    PERSONALISE = wire.PERSONALISE
    RESUME = wire.RESUME
    """Go on with a unit whose personalisation began and was not sealed."""
    VERIFY = wire.VERIFY
    """Have a sealed device prove that it still is what was sealed; SEALED if it does."""
    LOAD = wire.LOAD
    """Give a die at wafer sort its UID and transport keys, and lock its test port."""
    OPEN_TEST = wire.OPEN_TEST
    """Open the test port of a die, for this contact."""
    RMA_OPEN = wire.RMA_OPEN
    """Have a unit that came back wipe its keys and open for analysis."""
    TERMINATE = wire.TERMINATE
    """End a reject for good; REJECT_HELD without an error code if it did."""


DONE = {Purpose.VERIFY: Disposition.SEALED, Purpose.TERMINATE: Disposition.REJECT_HELD}
"""What a die is after a purpose that was served."""


@dataclass(frozen=True)
class Unit:
    """What the vault knows of one unit; an empty standing is one that it has never seen."""

    standing: str
    intent: str
    account: str
    sealed: bool
    uid: bytes = b""
    serial: str = ""


class VaultRefusedError(CustodyError):
    """The vault refused (code 1xx) or failed itself (5xx): hold the lot. It keeps what became of the die."""

    def __init__(self, personalisation: Personalisation) -> None:
        super().__init__(f"vault error {personalisation.error}: {personalisation.detail}")
        self.personalisation = personalisation


class VaultClient:
    """One connection to a vault, for all sites of a cell.

    Under virtual time the vault sees what dies claim (UID, keys) in the order of that time, in every run.
    """

    def __init__(
        self,
        vault: Path | str,
        *,
        clock: Clock,
        io: IoThread,
        station: str,
        latency_s: float = LATENCY_S,
        tls: ClientTls | None = None,
    ) -> None:
        """`vault` is a Unix socket, or `host:port` with `tls`."""
        self._clock, self._io, self._latency_s = clock, io, latency_s
        self.order = ""
        """The work order under which lots are opened."""
        self.greeting: VaultGreeting | None = None
        """What the vault said when it was connected."""
        self._relay = Relay(vault, station, in_order=not isinstance(clock, RealClock), tls=tls)

    async def connect(self) -> str:
        """Open the connection and return the vault's mode, `development` or `production`."""
        hello = await self._answer(self._relay.hello(self._clock.unix()))
        if hello.protocol != PROTOCOL:
            raise CustodyError(f"the vault speaks protocol {hello.protocol}, this station {PROTOCOL}")
        self.greeting = VaultGreeting(hello.vault, hello.mode, tuple(hello.stops))
        return hello.mode

    async def open_sessions(self) -> int:
        """How many channels to dies the vault has open, of all stations."""
        return (await self._answer(self._relay.hello(self._clock.unix()))).sessions

    async def endorsement_p99_ms(self) -> float:
        """What its last 1000 dies took the vault from proofs to certificates, 99 of 100; 0: none was."""
        return (await self._answer(self._relay.hello(self._clock.unix()))).endorsement_p99_ms

    async def open_lot(
        self, lot: str, *, product: str, quantity: int, order: str = "", sorts: bool = False
    ) -> Quota | None:
        """Tell the vault of a lot of `quantity` devices; opening the same one again does nothing.

        Return what is left of its order. `sorts`: nothing is personalised in it, so it needs no order.
        """
        named = "" if sorts else order or self.order
        request = wire.OpenLotRequest(lot=lot, order=named, product=product, count=quantity, sorts=sorts)
        reply = await self._answer(self._relay.open_lot(request, self._clock.unix()))
        _settled(reply)
        return _quota(reply.detail)

    async def claim(self, lot: str, binned: Sequence[Binned]) -> None:
        """Tell the vault where the devices of a lot went; telling it again does nothing."""
        for first in range(0, len(binned), EVENTS_MAX):
            events = [_claim(lot, one, self._clock.unix()) for one in binned[first : first + EVENTS_MAX]]
            request = wire.RecordRequest(first=first, events=events)
            await self._answer(self._relay.record(request, self._clock.unix()))

    async def close_lot(self, lot: str) -> LotClosing:
        """Close a lot, or learn why its balance keeps it open; CustodyError while a unit is in work."""
        request = wire.CloseLotRequest(lot=lot)
        reply = await self._answer(self._relay.close_lot(request, self._clock.unix()))
        if reply.error == Code.BALANCE_OPEN:
            return LotClosing({}, reply.detail)
        return LotClosing(_settled(reply))

    async def release_keys(self, statement: bytes) -> tuple[str, str]:
        """Carry a key release that two officers signed; return `ok` and the order, or code and reason."""
        request = wire.ReleaseRequest(statement=statement)
        reply = await self._answer(self._relay.release_keys(request, self._clock.unix()))
        if reply.done:
            return "ok", reply.detail
        if reply.error:
            _settled(reply)
        code, _, reason = reply.detail.partition(" ")
        return code, reason

    async def export(self, lot: str, folder: Path, *, report: bytes = b"") -> None:
        """Have a lot's evidence, and what one would trust it by, written into `folder`.

        `report` is the station's own and goes into the bundle as its claim. CustodyError if nothing came.
        """
        request = wire.ExportRequest(lot=lot, report=report)
        await self._answer(self._relay.export(request, folder, self._clock.unix()))

    async def ask_unit(self, unit: str) -> Unit:
        """Ask what the vault knows of a unit."""
        reply = await self._answer(self._relay.ask_unit(wire.UnitRequest(unit=unit), self._clock.unix()))
        sealed = reply.HasField("sealed")
        return Unit(
            reply.standing, reply.intent, reply.account, sealed, reply.sealed.uid, reply.sealed.serial
        )

    async def personalise(
        self, die: Die, card: Card, *, purpose: Purpose = Purpose.PERSONALISE
    ) -> Personalisation:
        """Relay between the vault and the die in `card` until the verdict.

        With a die that comes `again` it goes on, or has it prove that it is what was sealed.

        VaultRefusedError for codes 1xx and 5xx, CustodyError if the vault is gone or talks nonsense,
        EquipmentError if the reader fails. Cancelled, it finishes the script under way, unless it is cut
        off, says Gone and ends.
        """
        if die.again:
            known = await self.ask_unit(die.unit)
            purpose = Purpose.VERIFY if known.sealed else Purpose.RESUME
        return _judged(await self._served(die, card, purpose), purpose)

    async def load(self, die: Die, card: Card) -> bool:
        """Have a die at wafer sort given its UID and transport keys, and its test port locked; True.

        DutError if the die did not let itself be loaded, VaultRefusedError for codes 1xx and 5xx, else as
        `personalise`. Again, after whatever doubt, goes on where it was.
        """
        return _in_test(await self._served(die, card, Purpose.LOAD))

    async def open_test(self, die: Die, card: Card) -> bool:
        """Have the test port of a die opened, for this contact; True, or raises as `load`."""
        return _in_test(await self._served(die, card, Purpose.OPEN_TEST))

    async def open_rma(self, die: Die, card: Card) -> bool:
        """Have a unit that came back opened, by the token that two officers brought; True, or as `load`."""
        return _in_test(await self._served(die, card, Purpose.RMA_OPEN))

    async def _served(self, die: Die, card: Card, purpose: Purpose) -> wire.Verdict:
        stream = self._relay.stream(self._clock.unix())
        try:
            said = await self._answer(stream.exchange(_admission(die, purpose)))
            while said.HasField("script"):
                result = await _run(said.script, card)
                said = await self._answer(stream.exchange(wire.FromStation(result=result)))
        except (asyncio.CancelledError, Exception) as error:
            await uninterrupted(self._leave(stream.leave(_reason(error))))
            raise
        return said.verdict

    async def aclose(self) -> None:
        """Close the connection; never raises."""
        await self._leave(self._relay.aclose())

    async def _answer(self, work: Coroutine[Any, Any, T]) -> T:
        try:
            return await self._clock.answered(self._submitted(work), latency_s=self._latency_s)
        except RelayError as fault:
            raise CustodyError(str(fault)) from fault

    async def _leave(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await self._clock.answered(self._submitted(work), latency_s=self._latency_s)
        except (RelayError, CustodyError):
            return

    def _submitted(self, work: Coroutine[Any, Any, T]) -> "Future[T]":
        try:
            return self._io.submit(work)
        except RuntimeError as error:
            raise CustodyError("the vault cannot be reached: the io thread has stopped") from error


async def _run(script: wire.Script, card: Card) -> wire.ScriptResult:
    """Do the steps in order, in one call; a cancellation waits for the script's end, unless it says CUT."""
    try:
        steps = steps_of(script)
    except RelayError as fault:
        raise CustodyError(str(fault)) from fault
    return result_of(script, await uninterrupted(card.run(steps), may_be_cut=True))


def _claim(lot: str, binned: Binned, at: float) -> bytes:
    data = {"bin": binned.hard, "kind": binned.kind}
    return msgspec.json.encode(Claim("unit.binned", binned.unit, lot, at, data))


def _admission(die: Die, purpose: Purpose) -> wire.FromStation:
    admit = wire.Admit(
        session=die.session,
        unit=die.unit,
        lot=die.lot,
        purpose=purpose.value,
        fingerprint=die.fingerprint,
        site=str(die.site),
        contact=die.contact,
    )
    return wire.FromStation(admit=admit)


def _judged(verdict: wire.Verdict, purpose: Purpose) -> Personalisation:
    disposition = DISPOSITIONS.get(verdict.disposition)
    if verdict.disposition == wire.DONE:
        disposition = DONE.get(purpose)
    if disposition is None:
        raise CustodyError(f"the vault's verdict {verdict.disposition} is not one of its contract")
    sealed = verdict.sealed
    outcome = Personalisation(
        disposition,
        verdict.error,
        verdict.detail,
        sealed.uid,
        sealed.serial,
        sealed.record_sha384,
        tuple(sealed.certificate_sha256),
    )
    if verdict.error // 100 in (1, 5):
        raise VaultRefusedError(outcome)
    return outcome


def _in_test(verdict: wire.Verdict) -> bool:
    """Whether the vault has done its part; DutError if it was the die's fault that it could not."""
    if verdict.disposition == wire.DONE:
        return True
    _judged(verdict, Purpose.LOAD)
    raise DutError(f"vault error {verdict.error}: {verdict.detail}")


def _settled(reply: wire.LotReply) -> Mapping[str, int]:
    if not reply.done:
        raise CustodyError(f"vault error {reply.error}: {reply.detail}")
    return dict(reply.accounts)


def _quota(told: str) -> Quota | None:
    """Read what a vault says of an order; one of an older version says nothing."""
    try:
        return msgspec.json.decode(told, type=Quota) if told else None
    except msgspec.DecodeError as error:
        raise CustodyError(f"the vault's word of the order cannot be read: {error}") from error


def _reason(error: BaseException) -> str:
    return "cancelled" if isinstance(error, asyncio.CancelledError) else type(error).__name__
