"""A die, a station, a vault and its key store in one process, each of which can be lost at any cut point.

What is lost is dropped where it stands: the files are copied as they are at that moment, and the next start
finds the copy. The parts talk through the real messages of the floor service.
"""

import resource
import shutil
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TypeVar, cast

import grpc

from drivers.roles.card import Apdu, CardReply, CardStep, ScriptReply, Stopped
from sim.dut.chip import Chip
from sim.dut.memory import PowerCut
from station.custody.ledger import Fact
from station.errors import ConfigError, LedgerError
from station.vault.configuration import Configuration, LedgerTable
from station.vault.faults import Code, FaultError
from station.vault.issuer import Issuer
from station.vault.job import Means
from station.vault.journal import Change, Journal, JournalError
from station.vault.keyring import Keyring
from station.vault.keys import calls
from station.vault.keys.errors import DownError, KeyStoreError
from station.vault.orders import Orders, Place
from station.vault.profiles import SE1
from station.vault.publisher import Publisher
from station.vault.registry import Registry
from station.vault.relay import result_of, steps_of
from station.vault.script import Answer
from station.vault.service import Floor
from station.vault.stops import Stops
from station.vault.stream import Context
from station.vault.times import Times
from station.vault.wire import floor_pb2 as wire
from tests.crash.points import Cut, Kind, Points
from tests.station.vault.dies import FINGERPRINT, NOW, ChipCard, Here, answer_of
from tests.station.vault.keys.stores import work_order_of
from tests.station.vault.store_here import StoreHere
from tests.station.vault.vaults import TELLER, ordered

T = TypeVar("T")
LOT, UNIT, ORDER = "L1", "L1/2", "WO-1"
DATABASE, KEYS, LEDGER = "vault.sqlite", "keys", "ledger"
QUANTITY, SEED = 8, 7
LIVES, CONTACTS, CONTACT_S = 4, 5, 10.0
RESTING = (wire.DONE, wire.REJECT_HELD, wire.QUARANTINE)
STOPS = (Code.LINE_STOPPED, Code.JOURNAL, Code.INTERNAL)


class KilledError(BaseException):
    """The vault is no more; what its coroutines still do counts for nothing."""


class Plant:
    """One die and all that it meets, over as many lives of the vault as it takes."""

    def __init__(self, folder: Path, chip: Chip, cut: Cut | None = None) -> None:
        self.folder, self.chip = folder, chip
        self.points = Points(cut, self._strike)
        self.dead = self.store_lost = self.station_lost = self.power_lost = False
        self.lifted = self.link_lost = self.full = False
        self.struck: Kind | None = None
        self.station, self.now, self.fingerprint = "cell", NOW, FINGERPRINT
        self.lie: Callable[[bytes, Answer], Answer] = _truth
        """What becomes of the reply to a command on its way to the vault."""
        self.production = False
        """Whether the vault has a clock of its own."""
        self.notes: list[bytes] = []
        """Every checkpoint that was published."""
        self.signed: list[tuple[str, bytes]] = []
        """Key and message of every signature that the key store made."""
        self._lives = 1
        if cut is not None and cut.place == "cell":
            self.chip.cut(PowerCut(cut.number, cut.moment))

    def _strike(self, kind: Kind) -> None:
        """Lose a part; the parts themselves notice at their next step."""
        self.struck = kind
        match kind:
            case "die power":
                self.power_lost = True
            case "link":
                self.link_lost = True
            case "contact":
                self.lifted = True
            case "vault" | "site power":
                self._freeze()
                self.dead, self.power_lost = True, kind == "site power"
            case "key store":
                self.store_lost = True
            case "station":
                self.station_lost = True
            case "disk full":
                self.full = True
                _room(0)

    def _freeze(self) -> None:
        """The next life begins with the files as they are now."""
        self._lives += 1
        copy = self.folder.with_name(f"life-{self._lives}")
        shutil.copytree(self.folder, copy, ignore=shutil.ignore_patterns("*-shm"))
        self.folder = copy

    def check_alive(self) -> None:
        """End whatever a dead vault still tries."""
        if self.dead:
            raise KilledError

    def revived(self) -> None:
        """Whatever died is there again."""
        self.dead = self.store_lost = self.station_lost = self.lifted = False

    def make_room(self) -> None:
        """Take the bound off what files may hold."""
        if self.full:
            self.full = False
            _room(None)


def _truth(command: bytes, answer: Answer) -> Answer:
    del command
    return answer


def _room(size: int | None) -> None:
    """Let no file of this process grow beyond `size` bytes; None: let them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    soft = hard if size is None else size
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


class CutCard(ChipCard):
    """The reader: each step of a script is a cut point."""

    def __init__(self, plant: Plant) -> None:
        super().__init__(plant.chip)
        self._plant = plant

    async def run(self, script: Sequence[CardStep]) -> ScriptReply:
        replies: list[CardReply] = []
        for step in script:
            reply = self._answered(step)
            if reply is None:
                return ScriptReply(tuple(replies), Stopped.LINK)
            replies.append(reply)
            if isinstance(step, Apdu) and reply.status not in step.expect:
                return ScriptReply(tuple(replies), Stopped.STATUS_WORD)
        return ScriptReply(tuple(replies), Stopped.END)

    def _answered(self, step: CardStep) -> CardReply | None:
        plant = self._plant
        command = step.command if isinstance(step, Apdu) else b""
        number = plant.points.before("step", command[:2].hex() or "reset")
        if not self._reaches():
            return None
        answer = answer_of(self.chip, command)
        plant.points.after("step", number)
        if not self._reaches() or answer is None:
            return None
        answer = plant.lie(command, answer)
        return CardReply(answer.data, answer.sw, 0.0)

    def _reaches(self) -> bool:
        """Whether station and die are there; a die that lost its power has it again, and forgot all."""
        plant = self._plant
        plant.check_alive()
        if plant.power_lost or plant.lifted:
            plant.power_lost = False
            self.chip.power(None)
            self.chip.power(None if plant.lifted else 3.3)
            return False
        lost, plant.link_lost = plant.link_lost, False
        return not lost and not plant.station_lost


class Conversation:
    """One stream of the floor service, from the station's end: it says what it has to, and relays."""

    def __init__(self, plant: Plant, unit: str, purpose: "wire.Purpose.ValueType", card: ChipCard) -> None:
        self._plant, self._card = plant, card
        admit = wire.Admit(
            session=plant.points.passed.total().to_bytes(16),
            unit=unit,
            lot=LOT,
            purpose=purpose,
            fingerprint=plant.fingerprint,
            site="1",
            contact=1,
        )
        self._says: list[wire.FromStation] = [wire.FromStation(admit=admit)]
        self.verdict: wire.Verdict | None = None
        self.aborted = ""
        self.between: Callable[[str], Awaitable[None]] = _nothing
        """What else happens before a script."""

    def invocation_metadata(self) -> object:
        return ("hardbin-station", self._plant.station), ("hardbin-time", repr(self._plant.now))

    async def read(self) -> object:
        self._plant.check_alive()
        if self._plant.station_lost or not self._says:
            return None
        return self._says.pop()

    async def write(self, message: wire.FromVault) -> None:
        plant = self._plant
        number = plant.points.before("word", message.WhichOneof("say") or "")
        plant.check_alive()
        if message.HasField("verdict") and not plant.station_lost:
            self.verdict = message.verdict
        elif not plant.station_lost:
            await self.between(message.script.label)
            answer = await self._card.run(steps_of(message.script))
            self._says.append(wire.FromStation(result=result_of(message.script, answer)))
        plant.points.after("word", number)
        plant.check_alive()

    async def abort(self, code: grpc.StatusCode, details: str) -> None:
        del code
        self._plant.check_alive()
        self.aborted = details
        raise AbortedError(details)


class AbortedError(Exception):
    """The vault ended the stream."""


async def _nothing(label: str) -> None:
    del label


class CutStore(StoreHere):
    """The key store: each call is a cut point."""

    def __init__(self, plant: Plant, folder: Path) -> None:
        super().__init__(folder)
        self._plant = plant
        self.signed: list[tuple[str, bytes]] = []
        """Key and message of each signature."""

    async def _ask(self, call: calls.Call, answer: type[T]) -> T:
        plant = self._plant
        if plant.store_lost:
            self._restart()
        number = plant.points.before("key", type(call).__name__)
        self._still_there()
        result = await super()._ask(call, answer)
        if isinstance(call, calls.Sign):
            self.signed.append((call.key, call.message))
        plant.points.after("key", number)
        self._still_there()
        return result

    def _still_there(self) -> None:
        self._plant.check_alive()
        if self._plant.store_lost:
            raise DownError("the key store's process ended before it answered")

    def _restart(self) -> None:
        self._plant.store_lost = False
        self.reopen()


class CutJournal(Journal):
    """The journal: each commit is a cut point."""

    def __init__(self, plant: Plant) -> None:
        super().__init__(plant.folder / DATABASE)
        self._plant = plant

    def _transact(self, db: sqlite3.Connection, group: "list[Change[object]]") -> None:
        super()._transact(cast(sqlite3.Connection, _CutConnection(db, self._plant)), group)


class _CutConnection:
    def __init__(self, db: sqlite3.Connection, plant: Plant) -> None:
        self._db, self._plant = db, plant

    @property
    def in_transaction(self) -> bool:
        return self._db.in_transaction

    def execute(self, sql: str, *parameters: object) -> object:
        if sql != "COMMIT":
            return self._db.execute(sql, *parameters)  # type: ignore[arg-type]
        number = self._plant.points.before("commit", "commit")
        self._still_there()
        done = self._db.execute(sql)
        self._plant.points.after("commit", number)
        self._still_there()
        return done

    def _still_there(self) -> None:
        if self._plant.dead:
            raise sqlite3.OperationalError("killed")


class Life:
    """One run of a vault."""

    def __init__(self, plant: Plant, floor: Floor, store: CutStore, publisher: Publisher) -> None:
        self._plant, self._floor, self.store, self.publisher = plant, floor, store, publisher

    async def contact(self, unit: str = UNIT, card: ChipCard | None = None) -> wire.Verdict | None:
        """Bring the die once, for what it needs; the vault's verdict, None if none was heard."""
        plant = self._plant
        plant.station_lost = plant.lifted = False
        plant.chip.power(3.3)
        plant.chip.atr()
        known = await self._floor.ask_unit(wire.UnitRequest(unit=unit), cast(Context, None))
        purpose = wire.RESUME if known.intent else wire.PERSONALISE
        purpose = wire.VERIFY if known.HasField("sealed") else purpose
        conversation = Conversation(plant, unit, purpose, card or CutCard(plant))
        conversation.between = self._between
        try:
            await self._floor.serve(None, cast(Context, conversation))
        except AbortedError:
            return None
        finally:
            if not plant.dead:
                plant.chip.power(None)
        return conversation.verdict

    async def _between(self, label: str) -> None:
        """Checkpoints while the die is in work."""
        if label.startswith(("S3", "S6")):
            await self.publish()

    async def publish(self) -> None:
        """Publish a checkpoint; a vault goes on without one."""
        with suppress(LedgerError, KeyStoreError):
            note = await self.publisher.publish()
            self._plant.notes.append(note.encode())


@asynccontextmanager
async def opened(plant: Plant) -> AsyncIterator[Life]:
    """A vault on the plant's files, started as the process starts it."""
    folder = plant.folder
    store = CutStore(plant, folder / KEYS)
    journal = CutJournal(plant)
    try:
        keys = await Keyring.open(store, folder, production=False, seed=SEED)
        issuer = await Issuer.open(folder, keys, Here())
        await journal.open()
        orders, stops = Orders(Place()), Stops()
        await journal.commit(stops.load)
        registry = Registry(journal, TELLER, orders)
        await registry.began(Fact("log.opened"), Fact("vault.started"), NOW)
        publisher = Publisher(folder / DATABASE, folder / LEDGER, LedgerTable(), keys)
        try:
            await publisher.open()
            await journal.commit(lambda db: _allowed(db, orders))
            with suppress(FaultError):  # a lot that is closed stays so
                await registry.open_lot(LOT, "se1", ORDER, QUANTITY, NOW)
            await keys.open_order(work_order_of(ORDER))
            means = Means(keys, issuer, registry, SE1, Here())
            floor = Floor(means, Times(development=not plant.production), Configuration(), publisher, stops)
            life = Life(plant, floor, store, publisher)
            yield life
            await life.publish()
        finally:
            publisher._thread.shutdown()
    finally:
        plant.signed += store.signed
        await store.aclose()
        journal.close()


def _allowed(db: sqlite3.Connection, orders: Orders) -> None:
    """The desk has an order of the lot's."""
    if not db.execute("SELECT 1 FROM work_order").fetchone():
        ordered(db, orders, quantity=QUANTITY)


async def brought_to_rest(plant: Plant) -> list[wire.Verdict]:
    """Bring the die until it is sealed and verified, or held; the verdicts that the station heard."""
    heard: list[wire.Verdict] = []
    for _ in range(LIVES):
        plant.revived()
        try:
            async with opened(plant) as life:
                await _contacts(plant, life, heard)
        except (KilledError, ConfigError, KeyStoreError, LedgerError, JournalError):
            pass
        finally:
            plant.make_room()
        if heard and heard[-1].disposition in RESTING:
            break
    return heard


async def _contacts(plant: Plant, life: Life, heard: list[wire.Verdict]) -> None:
    """Bring the die to one vault until it rests or the vault must be started anew."""
    for _ in range(CONTACTS):
        verdict = await life.contact()
        plant.now += CONTACT_S
        if verdict is not None:
            heard.append(verdict)
        if verdict is None or verdict.disposition in RESTING or verdict.error in STOPS:
            return
