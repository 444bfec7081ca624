"""The vault without its process, for tests of the protocol."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from sqlite3 import Connection

import msgspec

from sim.dut.chip import Chip
from station.vault.asked import Admission, Purpose
from station.vault.configuration import RegistryTable
from station.vault.desk.client import DeskClient
from station.vault.desk.development_order import Lot, order
from station.vault.desk.documents import KeyRelease, WorkOrder, digest_of
from station.vault.desk.orders import Orders, Place
from station.vault.desk.statement import signed
from station.vault.die.dossier import Dossier
from station.vault.die.job import Job, Means, Sealed
from station.vault.die.pqp import personalise
from station.vault.die.recovery import Intent, Standing
from station.vault.die.script import Script
from station.vault.faults import Code, DoubtError
from station.vault.journal import Journal
from station.vault.pki.issuer import Issuer
from station.vault.plant.courier import Courier, Office
from station.vault.products import Products
from station.vault.profiles import SE1, Profile
from station.vault.registry import EMBEDDED, Registry
from station.vault.sorted_dies import Birthplace, SortedDies
from station.vault.stops import Stops
from station.vault.teller import Teller
from station.vault.unusual import Unusual
from tests.station.vault.dies import FINGERPRINT, NOW, DirectLink, Here, answer_of
from tests.station.vault.store_here import keys_in

QUANTITY = 24
DAY_S = 86_400
TELLER = Teller("00" * 32, lambda: 1.0, 0.0)


@dataclass
class Vault:
    """A vault with the lot L1 open."""

    means: Means
    journal: Journal
    stops: Stops = field(default_factory=Stops)
    courier: Courier | None = None

    async def admit(self, unit: str, purpose: Purpose = Purpose.PERSONALISE) -> Job:
        return (await self._admitted(unit, purpose))[0]

    async def personalise(
        self, unit: str, link: DirectLink, purpose: Purpose = Purpose.PERSONALISE
    ) -> Sealed:
        sealed = await self._served(unit, link, purpose)
        assert sealed is not None
        return sealed

    async def terminate(self, unit: str, link: DirectLink) -> None:
        assert await self._served(unit, link, Purpose.TERMINATE) is None

    async def sort(self, unit: str, link: DirectLink, purpose: Purpose) -> None:
        assert await self._served(unit, link, purpose) is None

    async def _served(self, unit: str, link: DirectLink, purpose: Purpose) -> Sealed | None:
        job, known = await self._admitted(unit, purpose)
        return await personalise(job, link, self.means, known)

    async def _admitted(self, unit: str, purpose: Purpose) -> tuple[Job, Dossier]:
        session = sha256(unit.encode()).digest()[:16]
        admitted = await self.means.registry.admit(
            Admission(unit, "L1", purpose, session, NOW, FINGERPRINT, "cell")
        )
        job = Job(unit, "L1", "WO-1", session, FINGERPRINT, "1", "cell", NOW, purpose=purpose)
        job = replace(job, imported=admitted.imported, customer_data=admitted.customer_data)
        return job, admitted.dossier

    async def standing(self, unit: str) -> tuple[Standing, Intent]:
        known = await self.means.registry.unit(unit)
        assert known is not None
        return known.standing, known.intent


def work_order(**changes: object) -> WorkOrder:
    """Order WO-1 for every die that the tests bring, or as it is changed."""
    sound = WorkOrder(
        id="WO-1",
        customer="a customer",
        product="se1",
        quantity=QUANTITY,
        not_before=int(NOW) - DAY_S,
        not_after=int(NOW) + DAY_S,
        profile_hash=SE1.hash().hex(),
        fingerprints=(FINGERPRINT.hex(),),
        policy_oid=SE1.policy_oid,
    )
    return msgspec.structs.replace(sound, **changes)


def ordered(db: Connection, orders: Orders, **changes: object) -> WorkOrder:
    """Bring an order, and release the keys for it, as if the desk had verified both."""
    order = orders.add(db, signed(work_order(**changes), ()))
    release = KeyRelease(
        key_set=orders.place.key_set, order=order.id, stations=("cell",), not_after=order.not_after
    )
    envelope = signed(release, ())
    orders.release(db, envelope, digest_of(envelope))
    return order


async def development_order_of(
    desk: Path, lot: str, quantity: int, *, station: str = "cell-1", product: str = "se1"
) -> str:
    """Bring an order for a lot to the desk of a development vault."""
    wanted = Lot(lot, product, quantity, FINGERPRINT, station, NOW)
    return await order(DeskClient(desk, told_time=NOW), wanted)


@asynccontextmanager
async def opened_vault(
    folder: Path,
    profile: Profile = SE1,
    site: RegistryTable | None = None,
    name: str = "vault-1",
    *,
    known_only: bool = False,
    quantity: int = QUANTITY,
    imported: tuple[int, ...] = (),
    customer_data: tuple[bytes, ...] = (),
    unusual: Unusual | None = None,
) -> AsyncIterator[Vault]:
    """A vault with its files in `folder`; its keys are drawn from a seed."""
    keys, journal = await keys_in(folder, 7, ("WO-1",)), Journal(folder / "vault.sqlite")
    await journal.open()
    products = Products(production=False)
    products.take(profile)
    orders, stops, courier = Orders(Place(), products), Stops(), None
    if site is not None:
        courier = Courier(Office(journal, TELLER, stops, lambda: NOW), site, name)
    try:
        await journal.commit(
            lambda db: (
                orders.shown(db, "")
                or ordered(
                    db,
                    orders,
                    quantity=quantity,
                    profile_hash=profile.hash().hex(),
                    import_keys=imported,
                    customer_data=customer_data,
                )
            )
        )
        if courier is not None:
            await courier.open()
        sort = SortedDies(journal, TELLER, Birthplace(), known_only=known_only)
        registry = Registry(journal, TELLER, orders, courier or EMBEDDED, sort, unusual)
        await registry.open_lot("L1", "se1", "WO-1", quantity, NOW)
        issuer = await Issuer.open(folder, keys, Here())
        yield Vault(Means(keys, issuer, registry, profile, Here()), journal, stops, courier)
    finally:
        if courier is not None:
            await courier.close()
        journal.close()


def drops(script: str, arrived: int, chip: Chip) -> DirectLink:
    """A link that fails once, when so many commands of a script have reached the die; no reply comes back."""

    class Dropping(DirectLink):
        dropped = False

        async def run(self, wanted: Script) -> dict[str, bytes]:
            if wanted.label[:2] != script or self.dropped:
                return await super().run(wanted)
            self.dropped = True
            for done in wanted.steps[:arrived]:
                answer_of(self.chip, done.apdu)
            raise DoubtError(Code.LINK, "lost")

    return Dropping(chip)


async def steps_of_each_script(vault: Vault, chip: Chip) -> dict[str, int]:
    """Personalise a die and count the steps of each script."""
    link = DirectLink(chip)
    counts: dict[str, int] = {}
    run = link.run

    async def counting(script: Script) -> dict[str, bytes]:
        counts[script.label[:2]] = len(script.steps)
        return await run(script)

    link.run = counting  # type: ignore[method-assign]
    await vault.personalise("L1/1", link)
    return counts
