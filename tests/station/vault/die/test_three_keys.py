"""The three keys of a die, P-384, ML-DSA-65 and ML-KEM-768: their records, certificates and proofs."""

from collections.abc import AsyncIterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from dilithium_py.ml_dsa import ML_DSA_65, ML_DSA_87

from drivers.protocols import se1_objects
from drivers.protocols.se1_table import Algorithm, LifeCycle, ObjectType, Slot
from sim.dut.chip import Chip
from station.vault.asked import Purpose
from station.vault.die.job import Sealed
from station.vault.die.kinds import KINDS
from station.vault.die.recovery import Intent, Standing
from station.vault.die.script import Script
from station.vault.faults import Code, Fate, FaultError
from station.vault.pki.certificates import certified_key
from station.vault.profiles import SE1, Profile
from tests.station.vault.dies import DirectLink, sound_chip
from tests.station.vault.vaults import Vault, drops, opened_vault, steps_of_each_script

ALL = msgspec.structs.replace(SE1, rejection_check=1)
"""Each die is also sent a ciphertext that it must reject."""
ALGORITHMS = {1: "P384", 2: "MLDSA65", 3: "MLKEM768"}
REACHED = (
    Standing.ADMITTED,
    Standing.SCREENED,
    Standing.KEYS_READY,
    Standing.POP_OK,
    Standing.ISSUED,
    Standing.ATTESTED,
    Standing.KEYS_ROTATED,
    Standing.SECURED,
    Standing.REGISTERED,
)
"""The standings that the journal tells."""


@pytest.fixture
async def vault(tmp_path: Path) -> AsyncIterator[Vault]:
    async with opened_vault(tmp_path, ALL) as vault:
        yield vault


def with_profile(vault: Vault, **changes: object) -> Vault:
    profile: Profile = msgspec.structs.replace(ALL, **changes)
    return Vault(replace(vault.means, profile=profile), vault.journal)


@pytest.mark.parametrize("payload", [223, 1024, 4096])
async def test_a_die_gets_three_keys_and_three_certificates(vault: Vault, payload: int) -> None:
    chip = sound_chip(payload=payload)
    before = vault.journal.commits
    sealed = await vault.personalise("L1/1", DirectLink(chip))
    assert vault.journal.commits - before == 8
    assert chip.life_cycle is LifeCycle.SECURED
    assert await vault.standing("L1/1") == (Standing.REGISTERED, Intent.NONE)
    certificates = await vault.means.registry.certificates("L1/1")
    assert [cert.slot for cert in certificates] == [1, 2, 3]
    assert sealed.certificates == tuple(sha256(cert.der).digest() for cert in certificates)
    certified = {Slot(cert.slot): certified_key(cert.der, KINDS[Slot(cert.slot)]) for cert in certificates}
    assert certified == chip.public_keys()


async def test_the_journal_tells_each_step_once_with_what_it_announced(vault: Vault) -> None:
    await vault.personalise("L1/1", DirectLink(sound_chip()))
    query = "SELECT phase, name FROM step WHERE unit = 'L1/1' ORDER BY seq"
    steps = await vault.journal.commit(lambda db: db.execute(query).fetchall())
    done = [name for phase, name in steps if phase == "done"]
    assert done == [standing.name.lower() for standing in REACHED]
    announced = [name for phase, name in steps if phase == "intent"]
    assert announced == ["keys", "issue", "write", "rotate", "lock"]


async def test_the_record_tells_of_each_key_and_its_proof(vault: Vault) -> None:
    await vault.personalise("L1/1", DirectLink(sound_chip()))
    record = await vault.means.registry.record_of("L1/1")
    assert record is not None
    body = msgspec.json.decode(record.body)
    assert [(key["slot"], key["alg"]) for key in body["keys"]] == list(ALGORITHMS.items())
    assert [cert["slot"] for cert in body["certs"]] == [1, 2, 3]
    assert {"pop_1_sha384", "pop_2_sha384", "pop_3_sha384"} < set(body["proofs"])


async def test_each_certificate_is_of_the_authority_and_for_the_use_of_its_key(vault: Vault) -> None:
    await vault.personalise("L1/1", DirectLink(sound_chip()))
    issuer, certificates = vault.means.issuer, await vault.means.registry.certificates("L1/1")
    ec, pq = issuer.authority(Algorithm.P384), issuer.authority(Algorithm.MLDSA65)
    assert [cert.issuer for cert in certificates] == [ec.identifier, pq.identifier, pq.identifier]
    leaves = [x509.load_der_x509_certificate(cert.der) for cert in certificates]
    leaves[0].verify_directly_issued_by(ec.certificate)
    assert leaves[0].signature_algorithm_oid.dotted_string == "1.2.840.10045.4.3.3"
    assert leaves[2].public_key_algorithm_oid.dotted_string == "2.16.840.1.101.3.4.4.2"
    usages = [leaf.extensions.get_extension_for_class(x509.KeyUsage).value for leaf in leaves]
    assert [(u.digital_signature, u.key_encipherment, u.key_agreement) for u in usages] == [
        (True, False, False),
        (True, False, False),
        (False, True, False),
    ]
    assert [560 < len(cert.der) < limit for cert, limit in zip(certificates, (800, 5900, 5200), strict=True)]


async def test_a_second_implementation_verifies_what_the_authorities_signed(vault: Vault) -> None:
    await vault.personalise("L1/1", DirectLink(sound_chip()))
    issuer, certificates = vault.means.issuer, await vault.means.registry.certificates("L1/1")
    ec, pq = issuer.authority(Algorithm.P384).certificate, issuer.authority(Algorithm.MLDSA65).certificate
    root_key, pq_key = (
        cert.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        for cert in (x509.load_der_x509_certificate(issuer.root), pq)
    )
    assert ML_DSA_87.verify(root_key, ec.tbs_certificate_bytes, ec.signature)
    kem = x509.load_der_x509_certificate(certificates[2].der)
    assert ML_DSA_65.verify(pq_key, kem.tbs_certificate_bytes, kem.signature)


async def test_the_die_holds_the_certificates_and_who_issued_them(vault: Vault) -> None:
    link = DirectLink(sound_chip())
    written: list[bytes] = []
    secure = Script.secure

    def watched(
        script: Script, command: str, apdu: bytes, *expect: int, name: str = "", reply: int = 223
    ) -> None:
        if command == "STORE DATA" and script.label == "S4 write":
            written.append(apdu[7:-2] if apdu[4] == 0 else apdu[5:-1])
        secure(script, command, apdu, *expect, name=name, reply=reply)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Script, "secure", watched)
        await vault.personalise("L1/1", link)
    container = se1_objects.decode_container(b"".join(written))
    assert [(item.type, item.slot) for item in container.objects] == [
        (ObjectType.CERTIFICATE, 1),
        (ObjectType.CERTIFICATE, 2),
        (ObjectType.CERTIFICATE, 3),
        (ObjectType.ISSUER_IDS, 0),
    ]
    issuer = vault.means.issuer
    assert container.objects[-1].data == b"".join(
        algorithm.to_bytes(2) + issuer.authority(algorithm).identifier
        for algorithm in (Algorithm.P384, Algorithm.MLDSA65)
    )
    assert 11_000 < sum(map(len, written)) < 12_000


STEPS = {"S0": 7, "S1": 5, "S2": 8, "S3": 8, "S4": 6, "S5": 2, "S6": 6, "S7": 10}
"""Steps of each script at the largest payload."""


async def test_the_steps_are_those_that_the_drops_count(vault: Vault) -> None:
    assert await steps_of_each_script(vault, sound_chip(payload=4096)) == STEPS


async def test_a_link_lost_while_a_die_proves_its_keys_is_recovered_on_the_same_contact(vault: Vault) -> None:
    for arrived in range(STEPS["S3"] + 1):
        link = drops("S3", arrived, sound_chip(10 + arrived, payload=4096))
        unit = f"L1/{arrived}"
        await vault.personalise(unit, link)
        assert await vault.standing(unit) == (Standing.REGISTERED, Intent.NONE)
        assert len(await vault.means.registry.certificates(unit)) == 3
        assert link.chip.life_cycle is LifeCycle.SECURED


async def test_a_sealed_device_attests_and_proves_its_lock_again(vault: Vault) -> None:
    chip = sound_chip()
    sealed = await vault.personalise("L1/1", DirectLink(chip))
    again: Sealed = await vault.personalise("L1/1", DirectLink(chip), Purpose.VERIFY)
    assert again == sealed


async def test_a_vault_that_makes_fewer_keys_than_the_die_wants_does_not_lock_it(vault: Vault) -> None:
    chip: Chip = sound_chip()
    with pytest.raises(FaultError) as caught:
        await with_profile(vault, slots=(2,)).personalise("L1/1", DirectLink(chip))
    assert (caught.value.code, caught.value.fate) == (Code.STATUS_WORD, Fate.QUARANTINE)
    assert chip.life_cycle is LifeCycle.INITIALIZED


async def test_one_die_in_sixteen_is_drawn_for_the_rejection_check(vault: Vault) -> None:
    store = vault.means.store
    uids = [sha256(number.to_bytes(2)).digest()[:16] for number in range(4096)]
    drawn = [await store.drawn(uid, 16) for uid in uids]
    assert drawn == [await store.drawn(uid, 16) for uid in uids]
    assert 200 < sum(drawn) < 320


async def test_a_die_that_is_not_drawn_is_spared_the_rejection_check(vault: Vault) -> None:
    spared = with_profile(vault, rejection_check=1 << 31)
    assert await steps_of_each_script(spared, sound_chip(payload=4096)) == STEPS | {"S3": 6}
