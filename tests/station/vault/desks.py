"""A desk without its socket, for tests of what persons may do."""

import sqlite3
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from station.vault.desk import people
from station.vault.desk.calls import CALLS
from station.vault.desk.client import Asked, approved, requested
from station.vault.desk.documents import Request
from station.vault.desk.orders import Orders, Place
from station.vault.desk.reception import reception
from station.vault.desk.roles import Action, Role
from station.vault.desk.signers import PersonSigner, development
from station.vault.desk.statement import signed
from station.vault.die.recovery import Intent, Standing
from station.vault.journal import Journal
from station.vault.registry import Registry
from station.vault.stops import Stops
from station.vault.times import TIME_KEY, Times
from station.vault.wire import desk_pb2 as wire
from tests.station.vault.dies import NOW
from tests.station.vault.vaults import TELLER, ordered

SIGNERS: Mapping[Role, PersonSigner] = {
    Role.ENGINEER: development("p-00000001"),
    Role.OFFICER: development("p-00000002"),
    Role.OPERATOR: development("p-00000004"),
    Role.TECHNICIAN: development("p-00000005"),
    Role.AUDITOR: development("p-00000006"),
}
SECOND_OFFICER = development("p-00000003")


class Told:
    """What gRPC tells of a call: here, its time."""

    def __init__(self, now: float) -> None:
        self._now = now

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        return ((TIME_KEY, repr(self._now)),)


@dataclass
class DeskHere:
    """A development vault's desk, its journal, and a clock that tests set."""

    journal: Journal
    registry: Registry
    orders: Orders
    stops: Stops
    calls: Mapping[str, object] = field(default_factory=dict)
    now: float = NOW

    async def call(self, action: Action, call: wire.Call) -> wire.Answer:
        """Make a call as it comes over the socket."""
        name = next(name for name, one in CALLS.items() if one is action)
        serve = self.calls[name]
        return await serve(call, Told(self.now))  # type: ignore[operator,no-any-return]

    def request(self, asked: Asked, signer: PersonSigner) -> Request:
        return requested(asked, signer.kid, self.orders.place.vault, int(self.now))

    async def ask(
        self, asked: Asked, signer: PersonSigner, approving: Sequence[tuple[PersonSigner, Role]] = ()
    ) -> wire.Answer:
        request = self.request(asked, signer)
        approvals = [approved(request, who, role, int(self.now)) for who, role in approving]
        call = wire.Call(request=signed(request, [signer]), approvals=approvals, document=asked.document)
        return await self.call(asked.action, call)

    async def approve(self, proposal: Request, signer: PersonSigner, role: Role) -> wire.Answer:
        asked = Asked(Action.APPROVE, proposal.action_hash())
        request = signed(self.request(asked, signer), [signer])
        approvals = [approved(proposal, signer, role, int(self.now))]
        return await self.call(Action.APPROVE, wire.Call(request=request, approvals=approvals))

    async def account(self, unit: str) -> str:
        found = await self.registry.unit(unit)
        return "" if found is None else found.account

    async def facts(self, event: str) -> list[dict[str, object]]:
        """What the ledger tells of an event."""
        query = "SELECT entry FROM leaf ORDER BY idx"
        entries = await self.journal.commit(lambda db: [e for (e,) in db.execute(query)])
        read = [msgspec.json.decode(entry, type=dict[str, object]) for entry in entries]
        return [entry for entry in read if entry["event"] == event]


@asynccontextmanager
async def opened_desk(folder: Path, *, seals: bool = False) -> AsyncIterator[DeskHere]:
    """A desk with lot L1 of ten units: L1/1 to L1/3 in quarantine, L1/4 rejected; order WO-1."""
    journal = Journal(folder / "vault.sqlite")
    await journal.open()
    orders, stops = Orders(Place(seals=seals)), Stops()
    registry = Registry(journal, TELLER, orders)
    times = Times(development=True, epoch=NOW)
    desk = await reception(journal, orders, stops, TELLER, times, "development")
    calls = {name: desk.answering(action) for name, action in CALLS.items()}
    try:
        await journal.commit(lambda db: ordered(db, orders, quantity=10))
        await registry.open_lot("L1", "se1", "WO-1", 10, NOW)
        for n in range(1, 5):
            account = "QUARANTINE" if n < 4 else "REJECT_HELD"
            await journal.commit(lambda db, n=n, account=account: _unit(db, f"L1/{n}", account))  # type: ignore[misc]
        yield DeskHere(journal, registry, orders, stops, calls)
    finally:
        journal.close()


def _unit(db: sqlite3.Connection, unit: str, account: str) -> None:
    row = (unit, "L1", unit[3:], Standing.POP_OK.name, Intent.ISSUE.value, account, NOW)
    db.execute("INSERT INTO unit VALUES (?, ?, ?, NULL, ?, ?, ?, 1, 1, ?)", row)


def add_person(db: sqlite3.Connection, signer: PersonSigner, roles: Sequence[Role]) -> None:
    """Enter one more person."""
    people.enter(db, signer.card(), roles, NOW)
