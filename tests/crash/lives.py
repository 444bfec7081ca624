"""One life of a vault after the other, until the die rests."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import cast

from station.custody.ledger import Fact
from station.errors import ConfigError, LedgerError
from station.vault.configuration import Configuration, LedgerTable, RegistryTable
from station.vault.desk.orders import Orders, Place
from station.vault.die.job import Means
from station.vault.die.stream import Context
from station.vault.faults import FaultError
from station.vault.journal import JournalError
from station.vault.keyring import Keyring
from station.vault.keys.errors import KeyStoreError
from station.vault.pki.issuer import Issuer
from station.vault.plant.checks import Checks
from station.vault.plant.courier import Courier, Office
from station.vault.plant.site_registry import SiteDownError
from station.vault.profiles import SE1
from station.vault.publisher import Publisher
from station.vault.registry import EMBEDDED, Registry
from station.vault.service import Floor
from station.vault.stops import Stops
from station.vault.times import Times
from station.vault.wire import floor_pb2 as wire
from tests.crash.parts import AbortedError, Conversation, CutCard, CutJournal, CutSite, CutStore
from tests.crash.plant import (
    CONTACT_S,
    CONTACTS,
    DATABASE,
    KEYS,
    LEDGER,
    LIVES,
    LOT,
    ORDER,
    QUANTITY,
    RESTING,
    SEED,
    STOPS,
    UNIT,
    KilledError,
    Plant,
)
from tests.station.vault.dies import NOW, ChipCard, Here
from tests.station.vault.keys.stores import work_order_of
from tests.station.vault.vaults import TELLER, ordered


class Life:
    """One run of a vault."""

    def __init__(self, plant: Plant, floor: Floor, store: CutStore, publisher: Publisher) -> None:
        self._plant, self.floor, self.store, self.publisher = plant, floor, store, publisher

    async def contact(self, unit: str = UNIT, card: ChipCard | None = None) -> wire.Verdict | None:
        """Bring the die once, for what it needs; the vault's verdict, None if none was heard."""
        plant = self._plant
        plant.station_lost = plant.lifted = plant.registry_lost = False
        plant.chip.power(3.3)
        plant.chip.atr()
        known = await self.floor.ask_unit(wire.UnitRequest(unit=unit), cast(Context, None))
        purpose = wire.RESUME if known.intent else wire.PERSONALISE
        purpose = wire.VERIFY if known.HasField("sealed") else purpose
        conversation = Conversation(plant, unit, purpose, card or CutCard(plant))
        conversation.between = self._between
        try:
            await self.floor.serve(None, cast(Context, conversation))
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
    store, journal = CutStore(plant, plant.folder / KEYS), CutJournal(plant)
    try:
        keys = await Keyring.open(store, plant.folder, production=False, seed=SEED)
        issuer = await Issuer.open(plant.folder, keys, Here())
        await journal.open()
        orders, stops = Orders(Place()), Stops()
        await journal.commit(stops.load)
        async with _checks(plant, Office(journal, TELLER, stops, lambda: NOW)) as checks:
            registry = Registry(journal, TELLER, orders, checks)
            opening = Fact("log.opened", data={"origin": LedgerTable().origin})
            await registry.began(opening, Fact("vault.started"), NOW)
            async with _published(plant, keys) as publisher:
                await journal.commit(lambda db: _allowed(db, orders))
                with suppress(FaultError):  # a lot that is closed stays so
                    await registry.open_lot(LOT, "se1", ORDER, QUANTITY, NOW)
                await keys.open_order(work_order_of(ORDER))
                means, times = (
                    Means(keys, issuer, registry, SE1, Here()),
                    Times(development=not plant.production),
                )
                life = Life(plant, Floor(means, times, Configuration(), publisher, stops), store, publisher)
                yield life
                await life.publish()
    finally:
        plant.signed += store.signed
        await store.aclose()
        journal.close()


@asynccontextmanager
async def _published(plant: Plant, keys: Keyring) -> AsyncIterator[Publisher]:
    publisher = Publisher(plant.folder / DATABASE, plant.folder / LEDGER, LedgerTable(), keys)
    try:
        await publisher.open()
        yield publisher
    finally:
        publisher._thread.shutdown()


@asynccontextmanager
async def _checks(plant: Plant, office: Office) -> AsyncIterator[Checks]:
    """The registry of the plant with the task that sends, if there is one; in the end all is sent."""
    if plant.site is None:
        yield EMBEDDED
        return
    table = RegistryTable("site", f"sqlite:///{plant.site}")
    courier = Courier(office, table, "vault-1")
    courier._site = CutSite(plant, table)
    try:
        await courier.open()
        async with _sending(courier):
            await courier.answered("")  # its first round is over, so that the points come in one order
            yield courier
        if not plant.full:
            await _drained(plant, courier)
    finally:
        await courier.close()


async def _drained(plant: Plant, courier: Courier) -> None:
    """The registry is there again, and has all that waited."""
    more = True
    while more:
        plant.registry_lost = False
        with suppress(SiteDownError):
            more = await courier.round()


@asynccontextmanager
async def _sending(courier: Courier) -> AsyncIterator[None]:
    task = asyncio.get_running_loop().create_task(courier.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
        task.cancelled() or task.exception()


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
