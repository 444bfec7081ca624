"""What takes custodians: states, passphrases, shares, backups, recovery. And what each must show for it."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import load_der_public_key
from hypothesis import given, settings
from hypothesis import strategies as st

from station.vault.keys import calls, sealed_keys, statements
from station.vault.keys.errors import DamagedError, LockedError, PassphraseError, PolicyError, RequestError
from station.vault.keys.service import Service
from station.vault.keys.words import (
    Algorithm,
    BackupShare,
    Entry,
    Health,
    KeyState,
    Purpose,
    Use,
)
from tests.station.vault.keys.stores import (
    OFFICER,
    OPEN,
    PASSPHRASES,
    At,
    active,
    entry,
    give,
    production,
    profile,
)

NEW = {"anna": b"another passphrase 1", "ben": b"another passphrase 2", "dora": b"another passphrase 4"}
HOLDERS = {f"h{number}": b"backup passphrase %d" % number for number in range(1, 6)}


def holding(said: dict[str, bytes], *names: str) -> tuple[calls.Custodian, ...]:
    return tuple(calls.Custodian(name, bytearray(said[name])) for name in names or said)


@pytest.fixture
def sealed(tmp_path: Path, cheap: None) -> Iterator[Service]:
    del cheap
    made = Service(tmp_path, At(), OPEN, production=True)
    made.answer(production())
    yield made
    made.close()


@pytest.fixture
def opened(sealed: Service) -> Service:
    give(sealed, "anna", "ben")
    active(sealed, profile("K-1", limit=1000))
    return sealed


def again(folder: Path) -> Service:
    return Service(folder, At(), OPEN, production=True)


def reshare(said: dict[str, bytes], **more: int) -> calls.Reshare:
    lost = more.get("lost", 0)
    return calls.Reshare(holding(PASSPHRASES, "anna", "cleo"), holding(said), 2, "lost" in more, lost)


def health(service: Service) -> Health:
    found = service.answer(calls.Health())
    assert isinstance(found, Health)
    return found


# -- states
def test_stopping_needs_nobody_and_all_else_needs_custodians(opened: Service) -> None:
    def decide(state: KeyState, *by: str) -> None:
        opened.answer(calls.Decide("K-1", state, OFFICER, holding(PASSPHRASES, *by) if by else ()))

    decide(KeyState.SUSPENDED)
    with pytest.raises(PassphraseError, match="custodians approve this"):
        decide(KeyState.ACTIVE)
    with pytest.raises(PassphraseError, match="1 custodians do not open this store"):
        decide(KeyState.ACTIVE, "anna")
    with pytest.raises(PassphraseError, match="each once"):
        decide(KeyState.ACTIVE, "anna", "anna")
    assert entry(opened, "K-1").state is KeyState.SUSPENDED
    decide(KeyState.ACTIVE, "anna", "cleo")
    decide(KeyState.COMPROMISED)
    with pytest.raises(PassphraseError):
        decide(KeyState.DESTROYED, "ben")
    decide(KeyState.DESTROYED, "ben", "cleo")
    assert [change.state for change in entry(opened, "K-1").history] == [
        KeyState.ACTIVE,
        KeyState.SUSPENDED,
        KeyState.ACTIVE,
        KeyState.COMPROMISED,
        KeyState.DESTROYED,
    ]


def test_a_wrong_passphrase_among_right_ones_decides_nothing(opened: Service) -> None:
    by = (*holding(PASSPHRASES, "anna"), calls.Custodian("ben", bytearray(b"not his passphrase")))
    with pytest.raises(PassphraseError, match="does not open the share of ben"):
        opened.answer(calls.Decide("K-1", KeyState.DEACTIVATED, OFFICER, by))
    assert entry(opened, "K-1").state is KeyState.ACTIVE


# -- passphrases and shares
def test_a_passphrase_is_changed_by_its_custodian(opened: Service, tmp_path: Path) -> None:
    new = bytearray(b"a newer passphrase")
    with pytest.raises(PassphraseError):
        opened.answer(calls.Repassphrase("anna", bytearray(PASSPHRASES["ben"]), new))
    with pytest.raises(RequestError, match="12 to 1024"):
        opened.answer(calls.Repassphrase("anna", bytearray(PASSPHRASES["anna"]), bytearray(b"short")))
    with pytest.raises(RequestError, match="is the old one"):
        opened.answer(calls.Repassphrase("anna", *(bytearray(PASSPHRASES["anna"]) for _ in range(2))))
    opened.answer(calls.Repassphrase("anna", bytearray(PASSPHRASES["anna"]), new))
    opened.close()
    store = again(tmp_path)
    with pytest.raises(PassphraseError):
        give(store, "anna")
    store.answer(calls.Activate("anna", new))
    give(store, "cleo")
    assert entry(store, "K-1").state is KeyState.ACTIVE


def test_a_custodian_is_replaced_and_the_file_gets_another_key(opened: Service, tmp_path: Path) -> None:
    before = (tmp_path / "keys.hbks").read_bytes()
    with pytest.raises(PassphraseError):
        opened.answer(msgspec.structs.replace(reshare(NEW), by=holding(PASSPHRASES, "anna")))
    opened.answer(reshare(NEW))
    assert health(opened).custodians == ("anna", "ben", "dora")
    opened.answer(calls.Sign("K-1", b"message", ""))
    opened.close()
    store = again(tmp_path)
    for name in ("anna", "cleo"):
        with pytest.raises(PassphraseError):
            give(store, name)
    for holder in holding(NEW, "ben", "dora"):
        store.answer(calls.Activate(holder.name, holder.passphrase))
    assert health(store).state == "active"
    store.answer(calls.Sign("K-1", b"message", ""))
    store.close()
    (tmp_path / "keys.hbks").write_bytes(before)
    old = again(tmp_path)
    give(old, "anna", "cleo")
    assert health(old).state == "active"


def test_who_cannot_hold_shares(opened: Service) -> None:
    for said, threshold, message in (
        ({"anna": b"another passphrase 1"}, 2, "2 of 1 different holders"),
        (NEW, 1, "1 of 3 different holders"),
        (NEW, 4, "4 of 3 different holders"),
        (NEW | {"an na": b"another passphrase 5"}, 2, "letters, digits"),
        (NEW | {"emil": NEW["anna"]}, 2, "different passphrases"),
        (NEW | {"emil": b"short"}, 2, "12 to 1024 bytes"),
    ):
        with pytest.raises(RequestError, match=message):
            opened.answer(msgspec.structs.replace(reshare(said), threshold=threshold))
    with pytest.raises(RequestError, match="uses are lost only"):
        opened.answer(msgspec.structs.replace(reshare(NEW), lost=5))


def test_a_development_store_has_no_shares_to_change(service: Service) -> None:
    for call in (reshare(NEW), calls.Backup((), holding(HOLDERS), 3)):
        with pytest.raises(PolicyError, match="one share, which everybody opens"):
            service.answer(call)


# -- backup and recovery
def backed_up(service: Service) -> dict[str, BackupShare]:
    answer = service.answer(calls.Backup(holding(PASSPHRASES, "anna", "ben"), holding(HOLDERS), 3))
    shares = msgspec.convert(msgspec.to_builtins(answer), tuple[BackupShare, ...])
    return {share.holder: share for share in shares}


def restore(service: Service, share: BackupShare) -> None:
    service.answer(calls.Restore(share, bytearray(HOLDERS[share.holder])))


def test_three_of_five_open_a_store_whose_custodians_are_gone(opened: Service, tmp_path: Path) -> None:
    shares = backed_up(opened)
    store = health(opened).store
    opened.close()
    found = again(tmp_path)
    restore(found, shares["h1"])
    restore(found, shares["h4"])
    assert (health(found).state, health(found).shares) == ("sealed", 2)
    restore(found, shares["h5"])
    assert health(found).state == "active"
    by = holding(HOLDERS, "h1", "h4", "h5")
    with pytest.raises(PassphraseError):
        found.answer(calls.Reshare(by[:2], holding(NEW), 2, True, 50))
    found.answer(calls.Reshare(by, holding(NEW), 2, True, 50))
    new = health(found)
    assert (new.before, new.custodians) == (store, tuple(NEW))
    assert new.store != store
    usage = found.answer(calls.Usage("K-1"))
    assert usage == Use(50, 50, 1000)
    found.close()
    recovered = again(tmp_path)
    with pytest.raises(PassphraseError, match="of another store"):
        restore(recovered, shares["h1"])
    for holder in holding(NEW, "anna", "dora"):
        recovered.answer(calls.Activate(holder.name, holder.passphrase))
    assert recovered.answer(calls.Usage("K-1")) == Use(50, 50, 1000)
    recovered.answer(calls.Sign("K-1", b"message", ""))


def test_a_backup_and_custodians_do_not_mix(opened: Service, tmp_path: Path) -> None:
    shares = backed_up(opened)
    opened.close()
    store = again(tmp_path)
    give(store, "anna")
    restore(store, shares["h1"])
    assert health(store).shares == 1
    give(store, "ben")
    assert health(store).shares == 1
    give(store, "anna")
    assert health(store).state == "active"


def test_a_changed_share_of_a_backup_opens_nothing(opened: Service, tmp_path: Path) -> None:
    shares = backed_up(opened)
    opened.close()
    store = again(tmp_path)
    replace = msgspec.structs.replace
    torn = bytes([shares["h1"].box[0] ^ 1]) + shares["h1"].box[1:]
    for wrong in (
        replace(shares["h1"], box=torn),
        replace(shares["h1"], box=b""),
        replace(shares["h1"], salt=bytes(16)),
        replace(shares["h1"], nonce=b""),
        replace(shares["h1"], store="00" * 16),
    ):
        with pytest.raises(PassphraseError):
            restore(store, wrong)
    restore(store, shares["h2"])
    with pytest.raises(DamagedError):
        restore(store, replace(shares["h3"], threshold=2))
    assert health(store).state == "sealed"
    with pytest.raises(LockedError):
        store.answer(calls.Sign("K-1", b"m", ""))


# -- statements
def test_the_register_is_a_statement_of_the_store(opened: Service) -> None:
    active(opened, profile("REC-1", Algorithm.ML_DSA_65))
    answer = opened.answer(calls.StateRegister(("K-1", "REC-1")))
    assert isinstance(answer, bytes)
    envelope = msgspec.json.decode(answer, type=dict[str, object])
    payload = decoded(str(envelope["payload"]))
    said = msgspec.json.decode(payload)
    assert said["typ"] == "hardbin.key-register.v1"
    assert said["store"] == health(opened).store
    assert [one["profile"]["id"] for one in said["keys"]] == ["K-1", "REC-1"]
    assert said["keys"][0]["used"] >= 1
    signatures = msgspec.convert(envelope["signatures"], list[dict[str, str]])
    assert [(one["kid"], one["alg"]) for one in signatures] == [("K-1", "ES384"), ("REC-1", "ML-DSA-65")]
    raw = decoded(signatures[0]["sig"])
    ecdsa = encode_dss_signature(int.from_bytes(raw[:48]), int.from_bytes(raw[48:]))
    public = load_der_public_key(entry(opened, "K-1").public)
    assert isinstance(public, ec.EllipticCurvePublicKey)
    public.verify(ecdsa, payload, ec.ECDSA(hashes.SHA384()))
    load_der_public_key(entry(opened, "REC-1").public).verify(decoded(signatures[1]["sig"]), payload)  # type: ignore[union-attr,call-arg]


def decoded(text: str) -> bytes:
    from base64 import urlsafe_b64decode

    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def test_nobody_has_a_register_signed_that_is_none(opened: Service) -> None:
    with pytest.raises(PolicyError, match="the store's own"):
        opened.answer(calls.Sign("K-1", b'{"typ":"hardbin.key-register.v1","keys":[]}', ""))
    active(opened, profile("ICA-1", purpose=Purpose.ISSUE))
    for keys in ((), ("ICA-1",)):
        with pytest.raises(RequestError, match="purpose sign"):
            opened.answer(calls.StateRegister(keys))


# -- certificate requests
def tlv(tag: int, content: bytes) -> bytes:
    size = (len(content).bit_length() + 7) // 8
    length = (
        bytes([len(content)]) if len(content) < 128 else bytes([128 + size]) + len(content).to_bytes(size)
    )
    return bytes([tag]) + length + content


def request_of(public: bytes, name: bytes = b"\x30\x02\x31\x00") -> bytes:
    return tlv(0x30, b"\x02\x01\x00" + name + public + b"\xa0\x00")


def test_a_key_asks_for_its_certificate_before_it_is_active(opened: Service) -> None:
    opened.answer(calls.Generate(profile("ICA-1", purpose=Purpose.ISSUE)))
    info = request_of(entry(opened, "ICA-1").public)
    signature = opened.answer(calls.SignRequest("ICA-1", info))
    assert isinstance(signature, bytes)
    algorithm = bytes.fromhex("300a06082a8648ce3d040303")
    csr = x509.load_der_x509_csr(tlv(0x30, info + algorithm + tlv(0x03, b"\0" + signature)))
    assert csr.is_signature_valid
    with pytest.raises(PolicyError):
        opened.answer(calls.Sign("ICA-1", info, ""))


def test_only_a_request_for_itself_is_signed(opened: Service) -> None:
    opened.answer(calls.Generate(profile("ICA-1", purpose=Purpose.ISSUE)))
    own, other = entry(opened, "ICA-1").public, entry(opened, "K-1").public
    good = request_of(own)
    for wrong in (
        request_of(other),
        good[:-1],
        good + b"\0",
        b"\x30\x82\x00" + good[2:],
        b"",
        b"\x30\x80",
        request_of(own, b""),
        request_of(own, b"\x30\x02\x31\x00" * 2),
        request_of(own, b"\x31\x02\x31\x00"),
        good.replace(b"\x02\x01\x00", b"\x02\x01\x02", 1),
    ):
        with pytest.raises(PolicyError, match="not the body of a certificate request"):
            opened.answer(calls.SignRequest("ICA-1", wrong))
    with pytest.raises(PolicyError):
        opened.answer(calls.SignRequest("K-1", request_of(other)))


@given(st.binary(max_size=60))
@settings(max_examples=300)
def test_hostile_bytes_are_no_request(content: bytes) -> None:
    assert not statements.requests(content, b"\x30\x03\x02\x01\x07" * 12)


# -- keys from elsewhere
def test_a_key_comes_sealed_to_this_store_only(opened: Service) -> None:
    active(opened, profile("IN-1", Algorithm.ML_KEM_1024, Purpose.RECEIVE))
    store = bytes.fromhex(health(opened).store)
    public = entry(opened, "IN-1").public
    wanted = profile("IM-1", Algorithm.AES_256, Purpose.DERIVE)
    master = bytes(range(32))
    ciphertext, box = sealed_keys.seal(bytearray(master), "IM-1", store, public)
    for name, sent, content in (
        ("IM-2", ciphertext, box),
        ("IM-1", ciphertext, bytes([box[0] ^ 1]) + box[1:]),
        ("IM-1", ciphertext, box[:10]),
        ("IM-1", bytes([ciphertext[0] ^ 1]) + ciphertext[1:], box),
    ):
        with pytest.raises(PolicyError, match="changed, or is sealed to another store or name"):
            opened.answer(calls.LoadSealed(msgspec.structs.replace(wanted, id=name), "IN-1", sent, content))
    with pytest.raises(RequestError):
        opened.answer(calls.LoadSealed(wanted, "IN-1", b"short", box))
    elsewhere = sealed_keys.seal(bytearray(master), "IM-1", bytes(16), public)
    with pytest.raises(PolicyError):
        opened.answer(calls.LoadSealed(wanted, "IN-1", *elsewhere))
    opened.answer(calls.LoadSealed(wanted, "IN-1", ciphertext, box))
    found = entry(opened, "IM-1")
    assert isinstance(found, Entry)
    assert (found.origin, found.state) == ("imported", KeyState.PRE_ACTIVE)
