"""Certificates follow their units: on hold, revoked, taken off hold; and the lists that tell of it."""

import sqlite3
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import ReasonFlags
from dilithium_py.ml_dsa import ML_DSA_65
from structlog.testing import capture_logs

from drivers.protocols.se1_table import Algorithm
from station.custody.ledger import Fact
from station.custody.moves import Account
from station.errors import CustodyError
from station.vault.asked import Step
from station.vault.die.recovery import Intent, Standing
from station.vault.faults import Code, Fate
from station.vault.journal import Journal
from station.vault.keyring import Keyring
from station.vault.keys.errors import PolicyError
from station.vault.keys.words import Approval, KeyRef, KeyState
from station.vault.names import ISSUING, ISSUING_EC
from station.vault.pki import revoked
from station.vault.pki.authorities import RANKS
from station.vault.pki.crl import CrlDraft, Revoked
from station.vault.pki.issuer import Issuer
from station.vault.pki.publication import CRL_DAYS, DAY_S, FOLDER, Publication
from station.vault.pki.revocation import Revocations
from station.vault.pki.signing import Signing, VerifyingKey
from station.vault.profiles import SE1
from tests.station.vault.dies import NOW, DirectLink, Here, sound_chip
from tests.station.vault.lint import lint_crl
from tests.station.vault.vaults import Vault, opened_vault

DER = bytes(3)
ISSUER, OTHER = b"i" * 20, b"o" * 20
HOLD, SCRAPPED = ReasonFlags.certificate_hold, ReasonFlags.cessation_of_operation


@dataclass
class Plant:
    """A journal with units that have two certificates each, and what was told of them."""

    journal: Journal
    revocations: Revocations
    told: list[Fact] = field(default_factory=list)

    async def move(self, unit: str, account: str, now: float = NOW) -> None:
        def act(db: sqlite3.Connection) -> None:
            db.execute("UPDATE unit SET account = ? WHERE unit = ?", (account, unit))
            self.told += revoked.follow(db, unit, account, now)

        await self.journal.commit(act)

    async def reasons(self, issuer: bytes = ISSUER) -> dict[str, str]:
        """Reason by unit."""
        return {one.unit: one.reason for one in await self.revocations.affected(issuer)}


@pytest.fixture
async def plant(tmp_path: Path) -> AsyncIterator[Plant]:
    journal = Journal(tmp_path / "vault.sqlite")
    await journal.open()
    told: list[Fact] = []
    revocations = Revocations(journal, lambda _db, _now, fact: told.append(fact))
    await journal.commit(_filled)
    yield Plant(journal, revocations, told)
    journal.close()


def _filled(db: sqlite3.Connection) -> None:
    db.execute("INSERT INTO lot VALUES ('L1', 'se1', 'WO-1', 9, 'open', 0)")
    for number in range(1, 4):
        unit = f"L1/{number}"
        uid = bytes([number]) * 16
        db.execute(
            "INSERT INTO unit VALUES (?, 'L1', '', ?, 'REGISTERED', '', 'SECURED', 1, 1, 0)", (unit, uid)
        )
        for slot, issuer in ((1, OTHER), (2, ISSUER)):
            row = (issuer, serial(number), unit, slot, bytes([number, slot]), DER, bytes([number, slot, 0]))
            db.execute("INSERT INTO cert VALUES (?, ?, ?, ?, ?, 0, ?, ?, 'issued')", row)
    db.execute("INSERT INTO cert VALUES (?, x'41', 'L1/3', 3, x'00', 0, NULL, NULL, 'reserved')", (ISSUER,))


def serial(number: int) -> bytes:
    return b"\x40" + bytes([number]) * 19


@pytest.mark.parametrize(
    ("account", "reason"),
    [
        (Account.QUARANTINE, HOLD.value),
        (Account.MISSING, HOLD.value),
        (Account.REJECT_HELD, SCRAPPED.value),
        (Account.DESTROYED, SCRAPPED.value),
        (Account.RETURNED, SCRAPPED.value),
        (Account.SECURED, ""),
        (Account.SHIPPED, ""),
        (Account.WIP, ""),
    ],
)
async def test_certificates_follow_their_unit(plant: Plant, account: Account, reason: str) -> None:
    await plant.move("L1/1", account)
    assert await plant.reasons() == {"L1/1": reason, "L1/2": "", "L1/3": ""}
    assert await plant.reasons(OTHER) == {"L1/1": reason, "L1/2": "", "L1/3": ""}
    assert len(plant.told) == (2 if reason else 0)


async def test_a_change_is_told_once_with_whose_it_is(plant: Plant) -> None:
    for _ in range(2):
        await plant.move("L1/1", Account.QUARANTINE)
    first, second = plant.told
    assert (first.event, first.unit, first.lot, first.order) == ("cert.revoked", "L1/1", "L1", "WO-1")
    assert first.uid_h is not None
    assert first.data == {
        "issuer": OTHER.hex(),
        "reason": "certificateHold",
        "serial": serial(1).hex(),
        "slot": 1,
    }
    assert second.data["slot"] == 2


async def test_a_released_unit_is_taken_off_hold(plant: Plant) -> None:
    await plant.move("L1/1", Account.QUARANTINE)
    await plant.move("L1/1", Account.SECURED)
    assert await plant.reasons() == {"L1/1": "", "L1/2": "", "L1/3": ""}
    assert [fact.data["reason"] for fact in plant.told] == ["certificateHold"] * 2 + ["removeFromCRL"] * 2
    assert (await plant.revocations.listed(ISSUER)).entries == ()


async def test_what_was_on_hold_keeps_its_date_when_it_is_scrapped(plant: Plant) -> None:
    await plant.move("L1/1", Account.QUARANTINE, NOW)
    await plant.move("L1/1", Account.DESTROYED, NOW + 9)
    (entry,) = (await plant.revocations.listed(ISSUER)).entries
    assert entry == Revoked(serial(1), SCRAPPED, int(NOW))


async def test_a_final_reason_stays(plant: Plant) -> None:
    await plant.move("L1/1", Account.REJECT_HELD)
    for account in (Account.QUARANTINE, Account.SECURED, Account.DESTROYED):
        await plant.move("L1/1", account)
        assert (await plant.reasons())["L1/1"] == SCRAPPED.value


async def test_a_compromised_key_revokes_all_that_it_signed(plant: Plant) -> None:
    await plant.move("L1/1", Account.DESTROYED)
    assert await plant.revocations.compromised(ISSUER, NOW) == 3
    assert set((await plant.reasons()).values()) == {"keyCompromise"}
    assert (await plant.reasons(OTHER))["L1/2"] == ""
    assert await plant.revocations.compromised(ISSUER, NOW) == 0
    found = await plant.revocations.affected(ISSUER)
    assert [(one.unit, one.account, one.serial) for one in found] == [
        ("L1/1", "DESTROYED", serial(1)),
        ("L1/2", "SECURED", serial(2)),
        ("L1/3", "SECURED", serial(3)),
    ]


async def test_a_compromise_is_worked_off_in_bites(plant: Plant) -> None:
    facts = await plant.journal.commit(lambda db: revoked.compromise(db, ISSUER, NOW, most=2))
    assert len(facts) == 2
    assert await plant.revocations.compromised(ISSUER, NOW) == 1


async def test_one_unit_can_be_revoked_for_its_own_key(plant: Plant) -> None:
    assert await plant.revocations.revoke("L1/2", ReasonFlags.key_compromise, NOW) == 2
    assert await plant.reasons() == {"L1/1": "", "L1/2": "keyCompromise", "L1/3": ""}
    await plant.move("L1/2", Account.QUARANTINE)
    await plant.move("L1/2", Account.SECURED)
    assert (await plant.reasons())["L1/2"] == "keyCompromise"


async def test_strays_are_settled_at_the_start(plant: Plant) -> None:
    """Moves of an earlier version that told nobody."""

    def act(db: sqlite3.Connection) -> None:
        db.execute("UPDATE unit SET account = 'QUARANTINE' WHERE unit = 'L1/1'")
        db.execute("UPDATE unit SET account = 'REJECT_HELD' WHERE unit = 'L1/2'")
        revoked.follow(db, "L1/3", Account.QUARANTINE, NOW)

    await plant.journal.commit(act)
    assert await plant.revocations.settle(NOW) == 6
    assert await plant.reasons() == {"L1/1": HOLD.value, "L1/2": SCRAPPED.value, "L1/3": ""}
    assert await plant.revocations.settle(NOW) == 0


async def test_a_change_that_cannot_be_told_is_not_made(plant: Plant) -> None:
    def broken(*_: object) -> None:
        raise CustodyError("the ledger is full")

    with pytest.raises(CustodyError):
        await Revocations(plant.journal, broken).revoke("L1/1", SCRAPPED, NOW)
    assert (await plant.reasons())["L1/1"] == ""


# -- lists
@dataclass
class Published:
    """A vault's published folder."""

    vault: Vault
    folder: Path
    told: list[Fact]
    publication: Publication

    async def list_of(self, algorithm: Algorithm) -> x509.CertificateRevocationList:
        path = self.folder / FOLDER / RANKS[algorithm].crl
        return x509.load_der_x509_crl(path.read_bytes())


@pytest.fixture
async def published(tmp_path: Path) -> AsyncIterator[Published]:
    async with opened_vault(tmp_path, msgspec.structs.replace(SE1, slots=(1, 2, 3))) as vault:
        told: list[Fact] = []
        revocations = Revocations(vault.journal, lambda _db, _now, fact: told.append(fact))
        store: Signing = vault.means.store
        publication = Publication(tmp_path, vault.means.issuer, revocations, store, Here())
        await publication.open(NOW, ())
        yield Published(vault, tmp_path, told, publication)


async def test_the_first_lists_are_empty_and_sound(published: Published) -> None:
    await published.publication.publish(NOW)
    for algorithm, rank in RANKS.items():
        authority = published.vault.means.issuer.authority(algorithm)
        content = (published.folder / FOLDER / rank.crl).read_bytes()
        assert lint_crl(content) == []
        found = await published.list_of(algorithm)
        assert len(found) == 0
        assert found.next_update_utc == datetime.fromtimestamp(NOW + CRL_DAYS * DAY_S, UTC)
        assert found.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number == 1
        key = found.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
        assert key == authority.identifier
        assert CrlDraft(authority, 1, int(NOW), int(NOW) + 7 * DAY_S, ()).differences(content) == []


async def test_a_rejected_unit_is_on_the_next_list(published: Published) -> None:
    vault = published.vault
    await vault.personalise("L1/1", DirectLink(sound_chip()))
    await published.publication.publish(NOW)
    step = Step("L1/1", bytes(16), NOW + 5, Standing.ISSUED, Intent.WRITE)
    await vault.means.registry.failed(step, Code.SELF_TEST, Fate.REJECT_HELD)
    assert len(await published.publication.publish(NOW + 6)) == 2
    certificates = await vault.means.registry.certificates("L1/1")
    found = await published.list_of(Algorithm.MLDSA65)
    assert {one.serial_number.to_bytes(20) for one in found} == {c.serial for c in certificates[1:]}
    assert {one.extensions.get_extension_for_class(x509.CRLReason).value.reason for one in found} == {
        SCRAPPED
    }
    assert found.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number == 2
    assert lint_crl(found.public_bytes(Encoding.DER)) == []
    ec_list = await published.list_of(Algorithm.P384)
    assert ec_list.is_signature_valid(vault.means.issuer.authority(Algorithm.P384).certificate.public_key())  # type: ignore[arg-type]
    assert [fact.data["number"] for fact in published.told if fact.event == "crl.signed"] == [1, 1, 2, 2]


async def test_a_second_implementation_verifies_the_list(published: Published) -> None:
    await published.publication.publish(NOW)
    found = await published.list_of(Algorithm.MLDSA65)
    issuing = published.vault.means.issuer.authority(Algorithm.MLDSA65).certificate
    key = issuing.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    assert ML_DSA_65.verify(key, found.tbs_certlist_bytes, found.signature)
    assert not ML_DSA_65.verify(key, found.tbs_certlist_bytes[:-1], found.signature)


async def test_a_list_comes_each_day_and_with_each_change_only(published: Published) -> None:
    publication = published.publication
    assert len(await publication.publish(NOW)) == 2
    assert await publication.publish(NOW + DAY_S - 1) == []
    assert len(await publication.publish(NOW + DAY_S)) == 2
    assert await publication.publish(NOW + DAY_S) == []


async def test_a_list_that_was_lost_as_a_file_is_written_again(published: Published) -> None:
    await published.publication.publish(NOW)
    before = await published.list_of(Algorithm.P384)
    path = published.folder / FOLDER / RANKS[Algorithm.P384].crl
    path.unlink()
    await published.publication.open(NOW, ())
    assert await published.list_of(Algorithm.P384) == before


async def test_a_number_is_not_given_twice(published: Published) -> None:
    await published.publication.publish(NOW)
    issuer = published.vault.means.issuer.authority(Algorithm.P384).identifier
    revocations = Revocations(published.vault.journal, lambda *_: None)
    with pytest.raises(sqlite3.IntegrityError):
        await revocations.keep(issuer, 1, int(NOW), 0, b"another")


async def test_a_list_with_a_wrong_signature_is_not_kept(published: Published, tmp_path: Path) -> None:
    class Wrong(Signing):
        def __init__(self, store: Keyring) -> None:
            self._store = store

        def public(self, key: str) -> VerifyingKey:
            return self._store.public(key)

        async def sign(self, key: str, message: bytes, order: str) -> bytes:
            del key, message, order
            return bytes(3309)

    vault = published.vault
    revocations = Revocations(vault.journal, lambda *_: None)
    issuer: Issuer = vault.means.issuer
    wrong = Publication(tmp_path, issuer, revocations, Wrong(vault.means.store), Here())
    with pytest.raises(CustodyError, match=r"ICA-EC-1\.crl 1 failed its second check: signature"):
        await wrong.publish(NOW)
    assert await revocations.last(issuer.authority(Algorithm.P384).identifier) == b""
    assert not (tmp_path / FOLDER / "ICA-EC-1.crl").exists()


async def test_the_linter_catches_a_bad_list(published: Published) -> None:
    """A list without number and key identifier, which the vault never makes."""
    authority = published.vault.means.issuer.authority(Algorithm.P384)
    builder = x509.CertificateRevocationListBuilder(
        authority.certificate.subject, datetime.fromtimestamp(NOW, UTC), datetime.fromtimestamp(NOW + 1, UTC)
    )
    own = builder.sign(ec.generate_private_key(ec.SECP384R1()), SHA384())
    found = lint_crl(own.public_bytes(Encoding.DER))
    assert "pkix.crl_number_missing: " in found


async def test_a_compromised_key_signs_no_list_and_the_other_goes_on(published: Published) -> None:
    vault, publication, keys = published.vault, published.publication, published.vault.means.store
    await vault.personalise("L1/1", DirectLink(sound_chip()))
    await publication.attempt(lambda: NOW, keys.compromised)
    approval = Approval("p-1", "the module was opened")
    await keys._store.change(KeyRef(ISSUING), KeyState.COMPROMISED, approval)
    assert await keys.compromised() == {ISSUING}
    with capture_logs() as told:
        await publication.attempt(lambda: NOW + DAY_S, keys.compromised)
        await publication.attempt(lambda: NOW + 2 * DAY_S, keys.compromised)
    assert told == [{"event": "compromised", "key": ISSUING, "revoked": 2, "log_level": "error"}]
    issuer = vault.means.issuer
    numbers = {}
    for algorithm in RANKS:
        found = await published.list_of(algorithm)
        numbers[algorithm] = found.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    assert numbers == {Algorithm.P384: 3, Algorithm.MLDSA65: 1}
    revocations = Revocations(vault.journal, lambda *_: None)
    affected = await revocations.affected(issuer.authority(Algorithm.MLDSA65).identifier)
    assert [one.reason for one in affected] == ["keyCompromise"] * 2


async def test_a_key_that_fails_does_not_keep_the_other_list_back(published: Published) -> None:
    keys = published.vault.means.store
    await keys._store.change(KeyRef(ISSUING_EC), KeyState.SUSPENDED, Approval("p-1", "to be looked at"))
    with pytest.raises(PolicyError, match="ICA-EC-1"):
        await published.publication.publish(NOW)
    assert len(await published.list_of(Algorithm.MLDSA65)) == 0
