"""A vault's desk without its server: real persons of a development vault, orders and approvals."""

import sqlite3
from hashlib import sha256

from station.vault.desk.client import Asked, approved, requested
from station.vault.desk.documents import KeyRelease
from station.vault.desk.orders import Orders, Place
from station.vault.desk.reception import reception
from station.vault.desk.roles import Action, Role
from station.vault.desk.service import Desk
from station.vault.desk.signers import PersonSigner, development
from station.vault.desk.statement import opened, signed
from station.vault.stops import Stops
from station.vault.times import Times
from station.vault.wire import desk_pb2 as wire
from tests.station.vault.dies import NOW
from tests.station.vault.vaults import TELLER, Vault, work_order

ENGINEER, OFFICER, SECOND, OPERATOR = (development(f"p-0000000{number}") for number in (1, 2, 3, 4))


class DeskHere:
    """Answers in the test's own process."""

    def __init__(self, vault: Vault) -> None:
        self._journal = vault.journal
        self._desk: Desk

    async def opened(self) -> None:
        """Enter the persons, and take away the order that nobody signed."""
        times = Times(development=True, epoch=NOW)
        orders, stops = Orders(Place()), Stops()
        self._desk = await reception(self._journal, orders, stops, TELLER, times, "development")
        await self._journal.commit(_without_orders)

    async def ordered(self) -> None:
        """An order for the lot, and the keys for it."""
        order = work_order()
        document = signed(order, (ENGINEER, OFFICER))
        await self._done(Asked(Action.ADD_ORDER, order.id, document=document))
        release = KeyRelease(key_set="KS-1", order=order.id, stations=("cell",), not_after=order.not_after)
        await self._done(Asked(Action.RELEASE_KEYS, order.id, document=signed(release, (OFFICER, SECOND))))

    async def destroyed(self, unit: str) -> None:
        """Two witnesses see a unit destroyed."""
        how = {"units": [unit], "reason": "scrap", "method": "crushed", "place": "bay 2"}
        asked = Asked(Action.DESTROY, unit.partition("/")[0], how)
        await self._done(asked, ((ENGINEER, Role.ENGINEER), (OPERATOR, Role.OPERATOR)))

    async def recipe_released(self, recipe: bytes, fingerprint: str) -> None:
        """An engineer and an officer release a recipe."""
        digest = sha256(opened(recipe).payload).hexdigest()
        asked = Asked(Action.RELEASE_RECIPE, digest, {"fingerprint": fingerprint}, recipe)
        await self._done(asked, ((ENGINEER, Role.ENGINEER), (OFFICER, Role.OFFICER)))

    async def rotated(self, new: str) -> None:
        """An engineer and an officer end the ledger's log."""
        asked = Asked(Action.ROTATE_LOG, new, {"reason": "a new year"})
        await self._done(asked, ((ENGINEER, Role.ENGINEER), (OFFICER, Role.OFFICER)))

    async def _done(self, asked: Asked, approving: tuple[tuple[PersonSigner, Role], ...] = ()) -> None:
        request = requested(asked, OFFICER.kid, "vault-1", int(NOW))
        approvals = [approved(request, one, role, int(NOW)) for one, role in approving]
        call = wire.Call(request=signed(request, [OFFICER]), approvals=approvals, document=asked.document)
        answer = await self._journal.commit(lambda db: self._desk._attempted(db, asked.action, call, NOW))
        assert answer.code == "ok", answer.detail


def _without_orders(db: sqlite3.Connection) -> None:
    for table in ("key_release", "order_use", "work_order"):
        db.execute(f"DELETE FROM {table}")  # noqa: S608 - of the names above
