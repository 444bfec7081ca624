"""A root, a vault, certificates between them, a product's keys, and a store that comes back elsewhere."""

import shutil
from hashlib import sha256, sha384
from pathlib import Path

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric import ec, mldsa, mlkem

from sim.dut import transport
from station.errors import ConfigError
from station.vault import development
from station.vault.ceremonies import bundle, transcript
from station.vault.ceremonies import rma as rma_keys
from station.vault.ceremonies.certificates import StoreSigning
from station.vault.ceremonies.plan import Given
from station.vault.ceremonies.proof import verified
from station.vault.desk.documents import RmaBox
from station.vault.keys import calls, sealed_keys
from station.vault.keys.errors import PassphraseError, PolicyError, RequestError
from station.vault.keys.soft import SUITE
from station.vault.keys.words import Entry, Health, KeyState, SealedKey, Use
from station.vault.pki import authorities
from station.vault.pki.authorities import RANKS, House, Trust
from tests.station.vault.ceremonies.rooms import HOLDERS, HOUSE, SAID, Cut, Room, carried_out, direct, planned
from tests.station.vault.keys.stores import PASSPHRASES, files

PLANT = House("DE", "plant.example")
MASTER = bytes(range(7, 39))


def root_of(folder: Path) -> Path:
    """A root's ceremony, carried out."""
    made = planned(folder, "init-root", custodians=tuple(PASSPHRASES), holders=tuple(HOLDERS), **HOUSE)
    carried_out(made)
    return made


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return root_of(tmp_path / "root")


@pytest.fixture
def vault(tmp_path: Path) -> Path:
    made = planned(tmp_path / "vault")
    carried_out(made)
    return made


def issued(root: Path, vault: Path) -> Path:
    answers = planned(
        root.parent,
        "issue-ica",
        root=str(root / "root.der"),
        pq=str(vault / "ICA-PQ-1.csr"),
        ec=str(vault / "ICA-EC-1.csr"),
        **HOUSE,
    )
    carried_out(answers)
    return answers


def imported(vault: Path, root: Path, answers: Path) -> Path:
    return planned(
        vault.parent,
        "import-ica",
        root=str(root / "root.der"),
        pq=str(answers / "issuing.der"),
        ec=str(answers / "issuing-ec.der"),
        vault=str(vault.parent / "vault"),
        **HOUSE,
    )


def register(folder: Path) -> dict[str, Entry]:
    with direct(folder / "store") as store:
        return {entry.id: entry for entry in store.ask(calls.Entries(), list[Entry])}


def test_a_vault_is_certified_by_a_root_that_it_never_met(root: Path, vault: Path) -> None:
    answers = issued(root, vault)
    last = imported(vault, root, answers)
    carried_out(last)
    for folder in (root, vault, answers, last):
        verified(folder)
    placed = vault.parent / "vault"
    trust = Trust(PLANT, (placed / "root.der").read_bytes())
    assert trust.refused() == []
    with direct(vault.parent / "store") as store:
        signing = StoreSigning(store)  # type: ignore[arg-type]
        for rank in RANKS.values():
            authorities.take((placed / rank.file).read_bytes(), rank, signing, trust)
            assert signing.entry(rank.key).state is KeyState.ACTIVE
    backed = x509.load_der_x509_certificate((root / "root-ec.der").read_bytes())
    backed.verify_directly_issued_by(backed)
    told = bundle.read((root / "bundle.json").read_bytes())
    assert {f"backup/{name}.share" for name in HOLDERS} | {"root.der", "root-ec.der", "root.crl"} == set(
        told.files
    )
    for secret in (*SAID.values(), *PASSPHRASES.values(), *HOLDERS.values()):
        assert secret not in files(root.parent) + files(vault.parent)


def test_the_root_lists_the_authorities_that_it_revoked(root: Path, vault: Path, tmp_path: Path) -> None:
    first = x509.load_der_x509_crl((root / "root.crl").read_bytes())
    assert len(first) == 0
    answers = issued(root, vault)
    gone = x509.load_der_x509_certificate((answers / "issuing.der").read_bytes())
    listed = [{"serial": f"{gone.serial_number:040x}", "reason": "cACompromise", "since": 1_800_000_000}]
    (tmp_path / "revoked.json").write_bytes(msgspec.json.encode(listed))
    given = {"root": str(root / "root.der"), "number": "2", "revoked": str(tmp_path / "revoked.json")}
    folder = planned(root.parent, "root-list", **given)
    carried_out(folder)
    verified(folder)
    found = x509.load_der_x509_crl((folder / "root.crl").read_bytes())
    assert [one.serial_number for one in found] == [gone.serial_number]
    above = x509.load_der_x509_certificate((root / "root.der").read_bytes())
    key = above.public_key()
    assert isinstance(key, mldsa.MLDSA87PublicKey)
    key.verify(found.signature, found.tbs_certlist_bytes)
    (tmp_path / "revoked.json").write_bytes(b'[{"serial":"1","reason":"none","since":1}]')
    shutil.rmtree(folder)
    with pytest.raises(RequestError, match="not a list of revoked authorities"):
        carried_out(planned(root.parent, "root-list", **given))
    shutil.rmtree(folder)
    with pytest.raises(PolicyError, match="not the certificate of ROOT-EC-1"):
        carried_out(planned(root.parent, "root-list", **given | {"key": "ROOT-EC-1"}))


def test_an_issuing_key_signs_nothing_but_its_request_until_then(vault: Path) -> None:
    asked = x509.load_der_x509_csr((vault / "ICA-EC-1.csr").read_bytes())
    assert asked.is_signature_valid
    assert asked.subject == PLANT.name(RANKS[next(kind for kind in RANKS if kind.name == "P384")])
    assert register(vault.parent)["ICA-EC-1"].used == 0


def test_a_changed_request_is_not_certified(root: Path, vault: Path) -> None:
    path = vault / "ICA-EC-1.csr"
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(PolicyError, match="its signature is not that of its key"):
        issued(root, vault)
    path.write_bytes(b"no request")
    shutil.rmtree(root.parent / "issue-ica")
    with pytest.raises(PolicyError, match="certificate request"):
        issued(root, vault)
    path.unlink()
    shutil.rmtree(root.parent / "issue-ica")
    with pytest.raises(RequestError, match="No such file"):
        issued(root, vault)


def test_certificates_of_another_root_or_key_are_not_taken(root: Path, vault: Path, tmp_path: Path) -> None:
    answers, other = issued(root, vault), root_of(tmp_path / "other")
    with pytest.raises(PolicyError, match="issuing.der"):
        carried_out(imported(vault, other, answers))
    assert not (vault.parent / "vault").exists()
    shutil.rmtree(vault.parent / "import-ica")
    (answers / "issuing.der").write_bytes((answers / "issuing-ec.der").read_bytes())
    with pytest.raises(PolicyError, match="not the certificate of this key store's ICA-PQ-1"):
        carried_out(imported(vault, root, answers))
    assert register(vault.parent)["ICA-PQ-1"].state is KeyState.PRE_ACTIVE


def test_the_root_certifies_with_its_own_certificate_only(root: Path, vault: Path, tmp_path: Path) -> None:
    other = root_of(tmp_path / "other")
    shutil.copy(other / "root.der", root / "root.der")
    with pytest.raises(PolicyError, match="not the certificate of ROOT-PQ-1"):
        issued(root, vault)


def sealed_master(vault: Path, name: str = "IM-se1-1") -> SealedKey:
    told = bundle.read((vault / "bundle.json").read_bytes())
    (public,) = [one.public for one in told.keys if one.profile.id == "IN-1"]
    sent = sealed_keys.seal(bytearray(MASTER), name, bytes.fromhex(told.store), public)
    return SealedKey(told.store, "IN-1", name, sent.ciphertext, sent.box)


def rma(vault: Path) -> dict[str, str]:
    path = vault.parent / "rma.pub"
    path.write_bytes(development.rma_public(1))
    return {"rma": str(path), "vault": str(vault.parent / "vault")}


def test_a_products_keys_come_with_the_customers_witness(vault: Path) -> None:
    path = vault.parent / "im.sealed"
    path.write_bytes(msgspec.json.encode(sealed_master(vault)))
    folder = planned(vault.parent, "load-product", product="se1", sealed=str(path), **rma(vault))
    room = Room()
    carried_out(folder, room)
    assert "fay confirms step 5" in room.asked
    found = register(vault.parent)
    assert {key: found[key].origin for key in ("TM-se1-1", "TT-se1-1", "IM-se1-1")} == {
        "TM-se1-1": "generated",
        "TT-se1-1": "generated",
        "IM-se1-1": "imported",
    }
    assert set(verified(folder).keys) == {"TM-se1-1", "TT-se1-1", "IM-se1-1"}
    assert MASTER not in files(vault.parent)
    assert (vault.parent / "vault" / "rma.pub").read_bytes() == development.rma_public(1)


def test_what_is_no_rma_key_is_not_taken(vault: Path) -> None:
    path = vault.parent / "im.sealed"
    path.write_bytes(msgspec.json.encode(sealed_master(vault)))
    given = rma(vault)
    Path(given["rma"]).write_bytes(development.rma_public(1)[:-1])
    with pytest.raises(RequestError, match="not a public RMA key"):
        carried_out(planned(vault.parent, "load-product", product="se1", sealed=str(path), **given))
    assert not (vault.parent / "vault").exists()


def sealed_file(vault: Path, name: str, key: bytes) -> str:
    told = bundle.read((vault / "bundle.json").read_bytes())
    (public,) = [one.public for one in told.keys if one.profile.id == "IN-1"]
    sent = sealed_keys.seal(bytearray(key), name, bytes.fromhex(told.store), public)
    path = vault.parent / f"{name}.sealed"
    path.write_bytes(msgspec.json.encode(SealedKey(told.store, "IN-1", name, sent.ciphertext, sent.box)))
    return str(path)


def test_a_mask_sets_keys_are_made_or_taken_over(vault: Path, tmp_path: Path) -> None:
    made = planned(vault.parent, "init-mask", product="se1", number="1", generation="2")
    carried_out(made)
    raw, seed = sha256(b"hardbin development raw token master").digest(), transport.PLANT_KEY_SEED
    taken = planned(
        vault.parent,
        "take-mask",
        product="se1",
        number="1",
        tkem=sealed_file(vault, "TKEM-1", seed),
        raw=sealed_file(vault, "RAW-se1-1", raw),
    )
    carried_out(taken)
    found = [msgspec.json.decode((one / "mask.json").read_bytes()) for one in (made, taken)]
    _, public = transport.plant_key()
    assert found[1] == {
        "product_number": 1,
        "plant_key_sha384": sha384(public).hexdigest(),
        "raw_token_sha384": sha384(transport.RAW_TOKEN).hexdigest(),
    }
    assert found[0] != found[1]
    for folder in (made, taken):
        assert set(verified(folder).keys) == {
            one
            for one in register(vault.parent)
            if one.endswith("2" if folder == made else "1") and one.startswith(("TKEM", "RAW"))
        }
    for secret in (raw, seed, transport.RAW_TOKEN):
        assert secret not in files(vault.parent)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{}", "not a key sealed to a store"),
        (b"\xff", "not a key sealed to a store"),
        (None, "No such file"),
    ],
)
def test_what_is_no_sealed_key_is_not_loaded(vault: Path, content: bytes | None, message: str) -> None:
    path = vault.parent / "im.sealed"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(RequestError, match=message):
        carried_out(planned(vault.parent, "load-product", product="se1", sealed=str(path), **rma(vault)))


def test_a_key_for_another_name_is_not_loaded(vault: Path) -> None:
    path = vault.parent / "im.sealed"
    path.write_bytes(msgspec.json.encode(sealed_master(vault, "IM-se2-1")))
    with pytest.raises(PolicyError, match="sealed to another store or name"):
        carried_out(planned(vault.parent, "load-product", product="se1", sealed=str(path), **rma(vault)))


@pytest.mark.parametrize("backup", [False, True], ids=["custodians", "holders of a backup"])
def test_a_store_comes_up_on_another_host(root: Path, tmp_path: Path, *, backup: bool) -> None:
    new = tmp_path / "new"
    shutil.copytree(root.parent / "store", new / "store")
    folder = planned(
        new,
        "recover-store",
        custodians=("anna", "dora", "emil"),
        lost="7",
        backup=str(root / "backup") if backup else "",
    )
    with pytest.raises(PassphraseError):
        carried_out(folder, Room(coming=("fay",)))
    coming = ("h1", "h3", "h5") if backup else ("anna", "cleo")
    carried_out(folder, Room(coming=coming))
    told = bundle.read((folder / "bundle.json").read_bytes())
    assert told.revoked == bundle.read((root / "bundle.json").read_bytes()).store
    assert told.store != told.revoked
    assert set(verified(folder).keys) == {"ROOT-PQ-1", "ROOT-EC-1"}
    with direct(new / "store") as store:
        health = store.ask(calls.Health(), Health)
        assert (health.custodians, health.before) == (("anna", "dora", "emil"), told.revoked)
        said = PASSPHRASES | SAID
        for name in ("dora", "emil"):
            store.ask(calls.Activate(name, bytearray(said[name])), Health)
        assert store.ask(calls.Usage("ROOT-PQ-1"), Use).used >= 7


def test_a_recovery_that_was_cut_is_not_done_twice(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Power goes when the store has its new id, and the transcript does not know it yet."""
    new, real = tmp_path / "new", transcript.Transcript.add

    def cutting(self: transcript.Transcript, what: transcript.What, now: float) -> transcript.Line:
        if isinstance(what, transcript.Done) and "revoked" in what.result:
            raise Cut
        return real(self, what, now)

    shutil.copytree(root.parent / "store", new / "store")
    folder = planned(new, "recover-store", custodians=("anna", "dora", "emil"), lost="7")
    with monkeypatch.context() as patched:
        patched.setattr(transcript.Transcript, "add", cutting)
        with pytest.raises(Cut):
            carried_out(folder, Room(coming=("anna", "cleo")))
    with direct(new / "store") as store:
        identity = store.ask(calls.Health(), Health).store
    carried_out(folder, Room(coming=("dora", "emil")))
    told = bundle.read((folder / "bundle.json").read_bytes())
    assert told.store == identity
    assert told.revoked == bundle.read((root / "bundle.json").read_bytes()).store
    with direct(new / "store") as store:
        assert store.ask(calls.Entries(), list[Entry])[0].used < 14
    verified(folder)


def test_plans_of_backups_need_holders(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="parameter 'holders' is missing"):
        planned(tmp_path, "init-root", custodians=tuple(PASSPHRASES), **HOUSE)


def test_a_token_goes_from_its_box_to_the_vault_that_sealed_it(vault: Path, tmp_path: Path) -> None:
    offline = tmp_path / "offline"
    carried_out(planned(offline, "init-vault", origin="offline.example/rma"))
    born = planned(offline, "init-rma", product="se1")
    carried_out(born)
    public = (born / "rma.pub").read_bytes()
    uid, token = bytes(range(16)), bytes(range(32))
    key = hpke.MLKEM1024P384PublicKey(
        mlkem.MLKEM1024PublicKey.from_public_bytes(public[:1568]),
        ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP384R1(), public[1568:]),
    )
    box = rma_keys.box_head("RMA-se1-1") + SUITE.encrypt(token, key, info=b"PQP1-RMA" + uid)
    (tmp_path / "box.json").write_bytes(msgspec.json.encode(RmaBox("L1/1", uid.hex(), box)))
    given: dict[str, Given] = {
        "product": "se1",
        "unit": "L1/1",
        "order": "RMA-5",
        "box": str(tmp_path / "box.json"),
        "bundle": str(vault / "bundle.json"),
    }
    opened = planned(offline, "rma-open", **given)
    carried_out(opened)
    verified(opened)
    sent = msgspec.json.decode((opened / "token.sealed").read_bytes(), type=SealedKey)
    with direct(vault.parent / "store") as store:
        for name in ("anna", "cleo"):
            store.ask(calls.Activate(name, bytearray(PASSPHRASES[name])), Health)
        assert store.ask(calls.RmaToken(uid, sent.kem, sent.ciphertext, sent.box), bytes) == token
        with pytest.raises(PolicyError, match="another store or name"):
            store.ask(calls.RmaToken(bytes(16), sent.kem, sent.ciphertext, sent.box), bytes)
        with pytest.raises(PolicyError, match="not to decapsulate"):
            store.ask(calls.Decapsulate(sent.kem, sent.ciphertext), bytes)
    assert token not in files(offline) + files(vault.parent) + (opened / "token.sealed").read_bytes()
    (tmp_path / "box.json").write_bytes(msgspec.json.encode(RmaBox("L1/1", bytes(16).hex(), box)))
    shutil.rmtree(opened)
    with pytest.raises(PolicyError, match="another key's or die's"):
        carried_out(planned(offline, "rma-open", **given))
