"""Answers about single certificates, signed in advance: what they say, when they come, who verifies them."""

import sqlite3
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import ReasonFlags, ocsp
from dilithium_py.ml_dsa import ML_DSA_65

from drivers.protocols.se1_table import Algorithm
from station.vault.asked import Step
from station.vault.die.recovery import Intent, Standing
from station.vault.faults import Code, Fate
from station.vault.pki.answers import DAYS, RENEW_DAYS, Answers, file_of
from station.vault.pki.crl import Revoked
from station.vault.pki.ocsp import REASONS, AnswerDraft, status
from station.vault.pki.publication import DAY_S, FOLDER, Publication
from station.vault.pki.revocation import Revocations
from station.vault.pki.signing import Signing, VerifyingKey
from station.vault.profiles import SE1
from tests.station.vault.dies import NOW, DirectLink, Here, sound_chip
from tests.station.vault.lint import lint_ocsp
from tests.station.vault.vaults import Vault, opened_vault

ASKING = msgspec.structs.replace(SE1, ocsp=True)


@pytest.fixture
async def vault(tmp_path: Path) -> AsyncIterator[Vault]:
    async with opened_vault(tmp_path, ASKING) as vault:
        yield vault


async def publication_of(vault: Vault, folder: Path, *, asked: bool = True) -> Publication:
    revocations = Revocations(vault.journal, lambda *_: None)
    made = Publication(folder, vault.means.issuer, revocations, vault.means.store, Here())
    await made.open(NOW, [ASKING if asked else SE1])
    return made


async def answers(vault: Vault, folder: Path) -> dict[int, ocsp.OCSPResponse]:
    """By slot; what was never signed is missing."""
    found = {}
    for cert in await vault.means.registry.certificates("L1/1"):
        path = folder / FOLDER / file_of(cert.serial)
        if path.exists():  # noqa: ASYNC240 - a test
            found[cert.slot] = ocsp.load_der_ocsp_response(path.read_bytes())
    return found


async def test_each_certificate_has_an_answer(vault: Vault, tmp_path: Path) -> None:
    publication = await publication_of(vault, tmp_path)
    await vault.personalise("L1/1", DirectLink(sound_chip()))
    await publication.publish(NOW)
    found = await answers(vault, tmp_path)
    assert {slot: one.certificate_status for slot, one in found.items()} == dict.fromkeys(
        (1, 2, 3), ocsp.OCSPCertStatus.GOOD
    )
    for one in found.values():
        assert one.next_update_utc == datetime.fromtimestamp(NOW + DAYS * DAY_S, UTC)
        assert lint_ocsp(one.public_bytes(Encoding.DER)) == []
    assert [len(found[slot].public_bytes(Encoding.DER)) // 100 for slot in (2, 3)] == [36, 36]


async def test_an_answer_is_about_the_certificate_that_a_client_asks_for(
    vault: Vault, tmp_path: Path
) -> None:
    publication = await publication_of(vault, tmp_path)
    await vault.personalise("L1/1", DirectLink(sound_chip()))
    await publication.publish(NOW)
    issuing = vault.means.issuer.authority(Algorithm.P384).certificate
    kept = (await vault.means.registry.certificates("L1/1"))[0]
    cert = x509.load_der_x509_certificate(kept.der)
    asked = ocsp.OCSPRequestBuilder().add_certificate(cert, issuing, hashes.SHA256()).build()
    found = (await answers(vault, tmp_path))[1]
    assert (found.serial_number, found.issuer_name_hash, found.issuer_key_hash) == (
        asked.serial_number,
        asked.issuer_name_hash,
        asked.issuer_key_hash,
    )


async def test_a_second_implementation_verifies_an_answer(vault: Vault, tmp_path: Path) -> None:
    publication = await publication_of(vault, tmp_path)
    await vault.personalise("L1/1", DirectLink(sound_chip()))
    await publication.publish(NOW)
    issuing = vault.means.issuer.authority(Algorithm.MLDSA65).certificate
    key = issuing.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    found = (await answers(vault, tmp_path))[3]
    assert ML_DSA_65.verify(key, found.tbs_response_bytes, found.signature)
    assert not ML_DSA_65.verify(key, found.tbs_response_bytes + b"\0", found.signature)


async def test_a_unit_in_quarantine_is_answered_on_hold(vault: Vault, tmp_path: Path) -> None:
    publication = await publication_of(vault, tmp_path)
    await vault.personalise("L1/1", DirectLink(sound_chip()))
    await publication.publish(NOW)
    step = Step("L1/1", bytes(16), NOW + 5, Standing.ISSUED, Intent.WRITE)
    await vault.means.registry.failed(step, Code.ATTESTATION, Fate.QUARANTINE)
    await publication.publish(NOW + 6)
    for one in (await answers(vault, tmp_path)).values():
        said = status(one)
        assert said is not None
        assert (said.reason, said.since) == (ReasonFlags.certificate_hold, int(NOW) + 5)
        assert lint_ocsp(one.public_bytes(Encoding.DER)) == []


async def test_answers_are_renewed_in_time_and_not_before(vault: Vault, tmp_path: Path) -> None:
    publication = await publication_of(vault, tmp_path)
    await vault.personalise("L1/1", DirectLink(sound_chip()))
    for later, since in ((0, 0), (RENEW_DAYS * DAY_S - 1, 0), (RENEW_DAYS * DAY_S, RENEW_DAYS * DAY_S)):
        await publication.publish(NOW + later)
        found = (await answers(vault, tmp_path))[1]
        assert found.this_update_utc == datetime.fromtimestamp(NOW + since, UTC)


async def test_a_product_that_does_not_ask_gets_none(vault: Vault, tmp_path: Path) -> None:
    publication = await publication_of(vault, tmp_path, asked=False)
    await vault.personalise("L1/1", DirectLink(sound_chip()))
    await publication.publish(NOW)
    assert await answers(vault, tmp_path) == {}


async def test_a_product_that_asks_later_gets_them_at_the_next_start(vault: Vault, tmp_path: Path) -> None:
    await vault.personalise("L1/1", DirectLink(sound_chip()))
    publication = await publication_of(vault, tmp_path)
    await publication.publish(NOW)
    assert set(await answers(vault, tmp_path)) == {1, 2, 3}


async def test_what_changes_while_it_is_signed_is_signed_again(vault: Vault, tmp_path: Path) -> None:
    publication = await publication_of(vault, tmp_path)
    await vault.personalise("L1/1", DirectLink(sound_chip()))
    store, revocations = vault.means.store, Revocations(vault.journal, lambda *_: None)

    class Slow(Signing):
        def public(self, key: str) -> VerifyingKey:
            return store.public(key)

        async def sign(self, key: str, message: bytes, order: str) -> bytes:
            await revocations.revoke("L1/1", ReasonFlags.key_compromise, NOW)
            return await store.sign(key, message, order)

    slow = Answers(tmp_path / FOLDER, vault.journal, vault.means.issuer, Slow(), Here())
    assert await slow.publish(NOW, "") == 3

    def due(db: sqlite3.Connection) -> int:
        (count,) = db.execute("SELECT count(*) FROM ocsp WHERE due <= ?", (NOW,)).fetchone()
        return int(count)

    assert await vault.journal.commit(due) == 3
    await publication.publish(NOW)
    assert {said.reason for one in (await answers(vault, tmp_path)).values() if (said := status(one))} == {
        ReasonFlags.key_compromise
    }


@pytest.mark.parametrize("reason", REASONS)
def test_every_reason_is_written_as_its_number(vault: Vault, reason: ReasonFlags) -> None:
    authority = vault.means.issuer.authority(Algorithm.P384)
    revoked = Revoked(b"\x40" * 20, reason, int(NOW))
    draft = AnswerDraft(authority, revoked.serial, revoked, int(NOW), int(NOW) + 1)
    wrong = draft.differences(draft.signed(draft.tbs(), b"\x30\x06\x02\x01\x01\x02\x01\x01"))
    assert wrong == ["signature"]


def test_what_is_no_answer_is_told(vault: Vault) -> None:
    authority = vault.means.issuer.authority(Algorithm.P384)
    (wrong,) = AnswerDraft(authority, b"\x40" * 20, None, 0, 1).differences(b"\x30\x00")
    assert wrong.startswith("no answer: ")


def test_the_linter_catches_a_bad_answer(vault: Vault) -> None:
    """One that ends before it begins, which the vault never makes."""
    authority = vault.means.issuer.authority(Algorithm.P384)
    draft = AnswerDraft(authority, b"\x40" * 20, None, int(NOW), int(NOW) - 1)
    assert any(
        "negative_validity" in finding for finding in lint_ocsp(draft.signed(draft.tbs(), b"\x30\x00"))
    )
