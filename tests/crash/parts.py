"""The parts of a plant, each of which can be lost at any step."""

import sqlite3
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TypeVar, cast

import grpc
from cryptography import x509

from drivers.roles.card import Apdu, CardReply, CardStep, ScriptReply, Stopped
from station.vault.configuration import RegistryTable
from station.vault.journal import Change, Journal
from station.vault.keys import calls
from station.vault.keys.errors import DownError
from station.vault.plant.site_registry import SiteDownError, SiteRegistry
from station.vault.plant.uniqueness import Answer as SiteAnswer
from station.vault.plant.uniqueness import Claim, Member
from station.vault.relay import result_of, steps_of
from station.vault.wire import floor_pb2 as wire
from tests.crash.plant import DATABASE, LOT, Plant
from tests.station.vault.dies import ChipCard, answer_of
from tests.station.vault.store_here import StoreHere

T = TypeVar("T")


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
        self._kept = set(_bodies(plant.folder / DATABASE))

    async def _ask(self, call: calls.Call, answer: type[T]) -> T:
        plant = self._plant
        if plant.store_lost:
            self._restart()
        number = plant.points.before("key", type(call).__name__)
        self._still_there()
        result = await super()._ask(call, answer)
        for one in _signatures(call):
            self.signed.append((one.key, one.message))
            plant.again += {one.message} & self._kept
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


def _signatures(call: calls.Call) -> tuple[calls.Sign, ...]:
    match call:
        case calls.Sign():
            return (call,)
        case calls.SignAll():
            return call.asked
        case _:
            return ()


def _bodies(database: Path) -> Iterator[bytes]:
    """The bodies of the certificates that a journal holds."""
    if not database.exists():
        return
    with closing(sqlite3.connect(database)) as db:
        for (der,) in db.execute("SELECT der FROM cert WHERE der IS NOT NULL"):
            yield x509.load_der_x509_certificate(der).tbs_certificate_bytes


class CutSite(SiteRegistry):
    """The registry of the plant: each call is a cut point."""

    def __init__(self, plant: Plant, table: RegistryTable) -> None:
        super().__init__(table.address(), table.wait_s)
        self._plant = plant

    def claim(
        self, member: Member, claims: Collection[Claim], seen: Sequence[int] = (), at_ms: int = 0
    ) -> SiteAnswer:
        number = self._plant.points.before("claim", "claim")
        self._still_there()
        answer = super().claim(member, claims, seen, at_ms)
        self._plant.points.after("claim", number)
        self._still_there()
        return answer

    def _still_there(self) -> None:
        self._plant.check_alive()
        if self._plant.registry_lost:
            raise SiteDownError("nobody answers")


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

    def executemany(self, sql: str, rows: Iterable[Sequence[object]]) -> object:
        return self._db.executemany(sql, rows)

    def _still_there(self) -> None:
        if self._plant.dead:
            raise sqlite3.OperationalError("killed")
