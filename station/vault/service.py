"""The floor service: what stations may ask. One stream serves exactly one die."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from hashlib import sha256
from importlib.metadata import version
from typing import TypeAlias

import grpc
import msgspec
import structlog

from station.custody.ledger import Entry
from station.errors import LedgerError
from station.vault import notices, tls
from station.vault.asked import Admission, Purpose, Step
from station.vault.claims import Claims
from station.vault.configuration import Configuration
from station.vault.desk.statement import StatementError
from station.vault.die import scp03
from station.vault.die.dossier import Unit
from station.vault.die.job import Job, Means, Sealed
from station.vault.die.pqp import personalise
from station.vault.die.recovery import Intent
from station.vault.die.stream import Context, StreamLink, nonsense
from station.vault.faults import STOPPING, Code, Fate, FaultError, GoneError
from station.vault.journal import JournalError
from station.vault.keys.errors import KeyStoreError
from station.vault.publisher import Publisher
from station.vault.stops import Stops
from station.vault.times import Times
from station.vault.vigilance import Place, Stop
from station.vault.wire import floor_pb2 as wire

log = structlog.get_logger()

Watcher: TypeAlias = "grpc.aio.ServicerContext[wire.WatchRequest, wire.Notice]"

PROTOCOL = 1
STREAM_S = 300.0
SESSION_SIZE, FINGERPRINT_SIZE = 16, 32
NAME_MAX = 128
"""Characters of a lot's, unit's or site's name."""


class Floor:
    """The vault as stations see it."""

    def __init__(
        self,
        means: Means,
        times: Times,
        configuration: Configuration,
        publisher: Publisher,
        stops: Stops,
    ) -> None:
        self._means, self._times, self._publisher = means, times, publisher
        self._configuration, self._stops = configuration, stops
        self._in_work: dict[str, str] = {}
        """Lot by unit."""
        self._opened: dict[str, str] = {}
        """Station by lot, of those that were opened since the start."""
        self._places = asyncio.Semaphore(configuration.limits.sessions_max)

    async def hello(self, request: wire.HelloRequest, context: Context) -> wire.HelloReply:
        """Say who we are and whether anything stops the line."""
        del context
        log.info("hello", station=request.station)
        return wire.HelloReply(
            vault=self._configuration.name,
            version=version("hardbin"),
            protocol=PROTOCOL,
            mode=self._means.store.mode,
            stops=list(self._stops.reasons.values()),
            config_hash=bytes.fromhex(self._configuration.hash()),
            sessions=scp03.Session.alive,
            endorsement_p99_ms=self._means.endorsements.p99_s * 1e3,
        )

    async def open_lot(self, request: wire.OpenLotRequest, context: Context) -> wire.LotReply:
        """Open a lot of a known product."""
        try:
            now = self._times.now(context.invocation_metadata())
            self._known(station := _station(context))
            if request.product not in self._means.products:
                known = ", ".join(self._means.products) or "those released: there are none"
                raise FaultError(Code.PROFILE_MISMATCH, f"product {request.product!r} is none of {known}")
            if not request.lot or request.count < 1:
                raise FaultError(Code.LOT_CLOSED, "a lot has a name and at least one device")
            if lacking := self._means.store.lacks(request.product):
                raise FaultError(Code.KEY_NOT_ACTIVE, f"the key store has no {', '.join(lacking)}")
            if not request.order and not request.sorts:
                raise FaultError(Code.ORDER_INVALID, "a lot that is to be personalised names its order")
            quota = await self._means.registry.open_lot(
                request.lot, request.product, request.order, request.count, now
            )
            if request.order:
                await self._means.store.open_order(await self._means.registry.order_statement(request.order))
        except (FaultError, KeyStoreError) as error:
            return _refused(error)
        self._opened[request.lot] = station
        return wire.LotReply(done=True, detail="" if quota is None else msgspec.json.encode(quota).decode())

    async def close_lot(self, request: wire.CloseLotRequest, context: Context) -> wire.LotReply:
        """Close a lot that has no unit in work; the accounts tell where its units ended.

        The checkpoint is the ledger's, with every witness's signature, and covers the closing.
        """
        try:
            now = self._times.now(context.invocation_metadata())
            if request.lot in self._in_work.values():
                raise FaultError(Code.LOT_CLOSED, f"lot {request.lot} has a die in contact")
            accounts = await self._means.registry.close_lot(request.lot, now)
            note = await self._publisher.publish()
        except (FaultError, KeyStoreError, LedgerError) as error:
            return _refused(error)
        return wire.LotReply(done=True, accounts=accounts, checkpoint=note.encode())

    async def release_keys(self, request: wire.ReleaseRequest, context: Context) -> wire.LotReply:
        """Take a key release that two officers signed; the station that carries it decides nothing."""
        try:
            now = self._times.now(context.invocation_metadata())
            self._known(station := _station(context))
            order = await self._means.registry.release_keys(request.statement, station, now)
        except StatementError as error:
            return wire.LotReply(detail=f"{error.code} {error}")
        except (FaultError, KeyStoreError) as error:
            return _refused(error)
        return wire.LotReply(done=True, detail=order)

    async def record(self, request: wire.RecordRequest, context: Context) -> wire.RecordReply:
        """Take the station's claims into the ledger; those that came before are not taken again."""
        try:
            claims = Claims.read(_station(context), request.first, request.events)
            following, leaf = await self._means.registry.claimed(claims)
        except LedgerError as error:
            await nonsense(context, str(error))
        return wire.RecordReply(next=following, leaf=max(leaf, 0))

    async def ask_unit(self, request: wire.UnitRequest, context: Context) -> wire.UnitReply:
        """Tell what is known of a unit; nothing, if it was never admitted."""
        del context
        unit = await self._means.registry.unit(request.unit)
        if unit is None:
            return wire.UnitReply()
        reply = wire.UnitReply(standing=unit.standing.name, intent=unit.intent.value, account=unit.account)
        record = await self._means.registry.record_of(request.unit)
        if record is not None:
            hashes = [sha256(c.der).digest() for c in await self._means.registry.certificates(request.unit)]
            sealed = Sealed(unit.uid, record.serial, record.hash, tuple(hashes), record.leaf)
            reply.sealed.CopyFrom(_sealed(sealed))
        return reply

    async def watch(self, request: wire.WatchRequest, context: Watcher) -> None:
        """Tell of what a station is to know and of each checkpoint from now on, until it leaves.

        It may name the entry behind which it is to be told.
        """
        concerns, seen = partial(self._concerns, _station(context)), self._publisher.rows
        if (after := self._publisher.row(request.origin, request.after)) is not None:
            seen = max(min(seen, after + 1), seen - notices.LATE_MAX)
        now = self._publisher.reached
        await context.send_initial_metadata(())  # from here on nothing is missed
        if now is not None and now.end == seen:
            await context.write(notices.published(now.checkpoint, now.at))
        while True:
            for reached in await self._publisher.beyond(seen):
                rows = max(seen, reached.base), reached.end
                for notice in await self._means.registry.notices(*rows, concerns, reached.base):
                    await context.write(notice)
                await context.write(notices.published(reached.checkpoint, reached.at))
                seen = reached.end

    def _concerns(self, station: str, entry: Entry) -> bool:
        """Whether a station is to know: not of another's site, and not of a lot that another has opened."""
        at, opened = entry.data.get("station", station), self._opened.get(entry.lot or "", station)
        return at == opened == station

    async def serve(self, requests: object, context: Context) -> None:
        """Serve one die: admission, scripts, verdict."""
        del requests
        admit = await _admission(context)
        try:
            now = self._times.now(context.invocation_metadata())
        except FaultError as fault:
            await context.write(wire.FromVault(verdict=_verdict_of(fault)))
            return
        async with self._places:
            try:
                async with asyncio.timeout(STREAM_S):
                    verdict = await self._verdict(admit, context, now)
                    await self._stopped(now)
            except TimeoutError:
                log.warning("stream too long", unit=admit.unit)
                return
            except JournalError as error:
                self._stops.now(Stop(Code.JOURNAL, STOPPING[Code.JOURNAL]))
                log.error("journal", error=str(error))
                await context.abort(grpc.StatusCode.UNAVAILABLE, "the journal cannot be written")
        if verdict is not None:
            await context.write(wire.FromVault(verdict=verdict))

    async def _verdict(self, admit: wire.Admit, context: Context, now: float) -> wire.Verdict | None:
        """Bring one die to its end; None if the station left."""
        place = Place(_station(context), admit.site, admit.lot)
        try:
            sealed = await self._personalised(admit, place.station, context, now)
        except FaultError as fault:
            return await self._judged(admit, place, fault, now)
        except GoneError as gone:
            await self._note(admit, FaultError(Code.RELAY_GONE, str(gone), Fate.RETRY), now)
            log.warning("station left", unit=admit.unit, reason=str(gone))
            return None
        except KeyStoreError as error:
            down = FaultError(Code.KEY_STORE_DOWN, str(error), Fate.RETRY)
            return await self._judged(admit, place, down, now)
        except JournalError:
            raise
        except Exception as error:  # noqa: BLE001 - a fault of our own must stop the line, not pass as a die's
            log.exception("internal", unit=admit.unit)
            own = FaultError(Code.INTERNAL, type(error).__name__, await self._fate(admit.unit))
            return await self._judged(admit, place, own, now)
        self._means.vigilance.sealed()
        if sealed is None:
            log.info("terminated", unit=admit.unit)
            return wire.Verdict(disposition=wire.DONE)
        done = wire.DONE if admit.purpose == wire.VERIFY else wire.SEALED
        log.info(wire.Disposition.Name(done).lower(), unit=admit.unit, serial=sealed.serial)
        return wire.Verdict(disposition=done, sealed=_sealed(sealed))

    async def _personalised(
        self, admit: wire.Admit, station: str, context: Context, now: float
    ) -> Sealed | None:
        self._known(station)
        if why := self._stops.at(station, admit.site):
            raise FaultError(Code.LINE_STOPPED, why)
        if why := self._publisher.unsafe():
            raise FaultError(Code.LOG_UNSAFE, why)
        now = self._times.admitting(now, self._publisher.signed_at)
        with self._working(admit):
            purpose = Purpose(admit.purpose)
            ask = Admission(admit.unit, admit.lot, purpose, admit.session, now, admit.fingerprint, station)
            admitted = await self._means.registry.admit(ask)
            job = Job(
                unit=admit.unit,
                lot=admit.lot,
                order=admitted.order,
                session=admit.session,
                fingerprint=admit.fingerprint,
                site=admit.site,
                station=station,
                now=now,
                purpose=purpose,
                imported=admitted.imported,
                customer_data=admitted.customer_data,
                payload_max=admit.payload_max,
            )
            means = replace(self._means, profile=self._means.products[admitted.product])
            return await personalise(job, StreamLink(context), means, admitted.dossier)

    def _known(self, station: str) -> None:
        """Refuse a station that the vault's file does not name, if it names any."""
        if self._configuration.stations and station not in self._configuration.stations:
            raise FaultError(Code.STATION_UNKNOWN, f"station {station[:64] or '?'} is none of this vault's")

    @contextmanager
    def _working(self, admit: wire.Admit) -> Iterator[None]:
        if admit.unit in self._in_work:
            raise FaultError(Code.UNIT_SPOILED, f"unit {admit.unit} is in work on another stream")
        self._in_work[admit.unit] = admit.lot
        try:
            yield
        finally:
            del self._in_work[admit.unit]
            self._means.registry.left(admit.unit)

    async def _judged(self, admit: wire.Admit, place: Place, fault: FaultError, now: float) -> wire.Verdict:
        await self._note(admit, fault, now)
        self._means.vigilance.judged(place, fault.code)
        log.warning(
            "not sealed", unit=admit.unit, code=fault.code.name, fate=fault.fate.name, why=fault.detail
        )
        return _verdict_of(fault)

    async def _stopped(self, now: float) -> None:
        """Stop what is to stop, at once and for the next start too: only two officers end it."""
        for stop in self._means.vigilance.due():
            self._stops.now(stop)
            await self._means.registry.stop_line(self._stops, stop, now)

    async def _note(self, admit: wire.Admit, fault: FaultError, now: float) -> None:
        """Journal a failure of a unit that is known; a refused admission changes nothing of the unit."""
        unit = await self._means.registry.unit(admit.unit)
        if unit is not None and fault.code // 100 != 1:
            step = Step(admit.unit, admit.session, now, unit.standing, unit.intent)
            await self._means.registry.failed(step, fault.code, fault.fate)

    async def _fate(self, unit: str) -> Fate:
        known: Unit | None = await self._means.registry.unit(unit)
        return Fate.RETRY if known is None or known.intent is Intent.NONE else Fate.QUARANTINE


async def _admission(context: Context) -> wire.Admit:
    said = await context.read()
    if not isinstance(said, wire.FromStation) or not said.HasField("admit"):
        await nonsense(context, "a stream begins with Admit")
    admit = said.admit
    if len(admit.session) != SESSION_SIZE or len(admit.fingerprint) != FINGERPRINT_SIZE or not admit.unit:
        await nonsense(context, "Admit needs a unit, a session of 16 bytes and a fingerprint of 32")
    if max(len(admit.unit), len(admit.lot), len(admit.site)) > NAME_MAX:
        await nonsense(context, f"names have at most {NAME_MAX} characters")
    if admit.purpose not in {purpose.value for purpose in Purpose}:
        what = f"this vault does not serve purpose {admit.purpose}"
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, what)
    return admit


def _station(context: "Context | Watcher") -> str:
    """Who calls: over TLS the one whom the certificate names, whatever the call says."""
    if (name := tls.named(context)) is not None:
        return name
    for key, value in context.invocation_metadata() or ():
        if key == "hardbin-station" and isinstance(value, str):
            return value
    return ""


def _refused(error: FaultError | KeyStoreError | LedgerError) -> wire.LotReply:
    match error:
        case FaultError():
            return wire.LotReply(error=error.code, detail=error.detail)
        case KeyStoreError():
            return wire.LotReply(error=Code.KEY_STORE_DOWN, detail=str(error))
        case LedgerError():
            return wire.LotReply(error=Code.LOG_UNSAFE, detail=str(error))


def _sealed(sealed: Sealed) -> wire.Sealed:
    return wire.Sealed(
        uid=sealed.uid,
        serial=sealed.serial,
        leaf=sealed.leaf,
        record_sha384=sealed.record,
        certificate_sha256=list(sealed.certificates),
    )


def _verdict_of(fault: FaultError) -> wire.Verdict:
    disposition = wire.Disposition.ValueType(fault.fate.value)
    return wire.Verdict(disposition=disposition, error=fault.code, detail=fault.detail)
