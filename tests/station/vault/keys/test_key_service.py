"""One store from its making to its end, with the keys in the file."""

import os
import shutil
from base64 import b64encode, urlsafe_b64decode
from collections.abc import Callable, Iterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import cast

import msgspec
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, mlkem
from cryptography.hazmat.primitives.serialization import load_der_public_key

from station.custody.checkpoint import Checkpoint, signatures
from station.custody.log_keys import Key, Kind
from station.custody.merkle import Tree, consistency, leaf_hash
from station.vault.die import scp03
from station.vault.keys import calls, hbks, orders
from station.vault.keys.errors import (
    DamagedError,
    KeyStoreError,
    LimitError,
    LockedError,
    PassphraseError,
    PolicyError,
    RequestError,
)
from station.vault.keys.header import parse
from station.vault.keys.service import Service
from station.vault.keys.soft import SoftKeys
from station.vault.keys.words import Algorithm, Entry, Health, KeyState, Mode, Purpose, Use
from station.vault.secret import Secret
from tests.station.vault.keys.stores import (
    LABEL,
    OFFICER,
    OPEN,
    PASSPHRASES,
    UNLOCKED,
    At,
    active,
    development,
    entry,
    files,
    give,
    production,
    profile,
    work_order_of,
)

MASTER = bytes(range(100, 132))
DIE = b"\x07" * 16


def again(folder: Path, clock: At, *, in_production: bool = False) -> Service:
    return Service(folder, clock, OPEN, production=in_production)


@pytest.fixture
def sealed(tmp_path: Path, clock: At, cheap: None) -> Iterator[Service]:
    """A production store that nobody activated."""
    del cheap
    made = again(tmp_path, clock)
    made.answer(production())
    yield made
    made.close()


def test_a_new_store_is_sealed_until_two_of_three_came(sealed: Service) -> None:
    with pytest.raises(LockedError, match="sealed: its custodians must activate it"):
        sealed.answer(calls.Random(8))
    give(sealed, "ben")
    give(sealed, "ben")
    assert (sealed.health().state, sealed.health().shares) == ("sealed", 1), "one share twice is one share"
    with pytest.raises(LockedError):
        sealed.answer(calls.Random(8))
    give(sealed, "cleo")
    assert sealed.health().state == "active"
    assert len(cast(bytes, sealed.answer(calls.Random(8)))) == 8
    with pytest.raises(PolicyError, match="active already"):
        give(sealed, "anna")


@pytest.mark.parametrize("two", [("anna", "ben"), ("cleo", "anna"), ("ben", "cleo")])
def test_any_two_custodians_find_the_same_keys(
    sealed: Service, tmp_path: Path, clock: At, two: tuple[str, str]
) -> None:
    give(sealed, "anna", "ben")
    key = active(sealed, profile())
    public = sealed.answer(calls.Public(key))
    sealed.close()
    reopened = again(tmp_path, clock, in_production=True)
    give(reopened, *two)
    assert reopened.answer(calls.Public(key)) == public
    assert reopened.answer(calls.Sign(key, b"m", ""))
    reopened.close()


def test_wrong_passphrases_open_nothing(sealed: Service) -> None:
    for name, said in (("anna", PASSPHRASES["ben"]), ("anna", b""), ("dora", PASSPHRASES["anna"])):
        with pytest.raises(PassphraseError) as caught:
            sealed.answer(calls.Activate(name, bytearray(said)))
        assert b"planted" not in str(caught.value).encode()
    assert sealed.health().shares == 0


def test_nothing_planted_is_on_disk(sealed: Service, tmp_path: Path) -> None:
    give(sealed, "anna", "ben")
    sealed.answer(calls.Load(profile("TM", Algorithm.AES_256, Purpose.DERIVE), bytearray(MASTER)))
    content = files(tmp_path)
    assert b"planted" not in content
    assert MASTER not in content
    assert MASTER.hex().encode() not in content


def test_a_changed_file_is_refused_whoever_opens_it(sealed: Service, tmp_path: Path, clock: At) -> None:
    give(sealed, "anna", "ben")
    active(sealed, profile())
    sealed.close()
    path = tmp_path / "keys.hbks"
    whole = path.read_bytes()
    for at in (0, 4, 8, *range(9, len(whole), 151)):
        changed = bytearray(whole)
        changed[at] ^= 4
        path.write_bytes(changed)
        with pytest.raises((DamagedError, PassphraseError)):
            give(again(tmp_path, clock), "anna", "ben")
    path.write_bytes(whole)
    give(again(tmp_path, clock), "anna", "ben")


def test_production_refuses_a_development_store(service: Service, tmp_path: Path, clock: At) -> None:
    assert service.health().mode is Mode.DEVELOPMENT
    service.close()
    with pytest.raises(PolicyError, match="a development store, which production refuses"):
        again(tmp_path, clock, in_production=True)


def test_production_refuses_memory_that_can_be_swapped(sealed: Service, tmp_path: Path, clock: At) -> None:
    sealed.close()
    with pytest.raises(PolicyError, match="locked memory"):
        Service(tmp_path, clock, UNLOCKED, production=True)


def test_bad_plans_are_refused_and_leave_nothing(tmp_path: Path, clock: At, cheap: None) -> None:
    del cheap
    one, two, three = production().custodians
    short = calls.Custodian("cleo", bytearray(b"short"))
    same = calls.Custodian("cleo", bytearray(PASSPHRASES["anna"]))
    odd = calls.Custodian("c/leo", three.passphrase)
    store = again(tmp_path, clock)
    for holders in ((one, two), (one, two, short), (one, two, same), (one, one, three), (one, two, odd)):
        with pytest.raises(RequestError):
            store.answer(calls.Init(Mode.PRODUCTION, holders, None))
    assert not files(tmp_path)
    store.answer(development())
    with pytest.raises(PolicyError, match="there is a key store already"):
        store.answer(production())


def test_derivation_is_that_of_the_protocol(service: Service) -> None:
    service.answer(calls.Load(profile("TM", Algorithm.AES_256, Purpose.DERIVE), bytearray(MASTER)))
    service.answer(calls.Move("TM", KeyState.ACTIVE, OFFICER))
    for bits in (128, 192, 256):
        derived = cast(Secret, service.answer(calls.Derive("TM", (LABEL,), DIE + b"\x30", bits)))
        expected = scp03.kdf(Secret(MASTER), LABEL, DIE + b"\x30", bits)
        assert derived.reveal() == expected.reveal()
    for label, bits in ((b"short", 256), (LABEL, 512), (b"hardbin-proof-v1"[:12], 256)):
        with pytest.raises(RequestError):
            service.answer(calls.Derive("TM", (label,), DIE, bits))


@pytest.mark.parametrize(
    "algorithm",
    [Algorithm.P384, Algorithm.ED25519, Algorithm.ML_DSA_44, Algorithm.ML_DSA_65, Algorithm.ML_DSA_87],
)
def test_signatures_verify(service: Service, algorithm: Algorithm) -> None:
    key = active(service, profile(algorithm=algorithm))
    signature = cast(bytes, service.answer(calls.Sign(key, b"message", "")))
    public = load_der_public_key(cast(bytes, service.answer(calls.Public(key))))
    match public:
        case ec.EllipticCurvePublicKey():
            public.verify(signature, b"message", ec.ECDSA(hashes.SHA384()))
        case (
            ed25519.Ed25519PublicKey()
            | mldsa.MLDSA44PublicKey()
            | mldsa.MLDSA65PublicKey()
            | mldsa.MLDSA87PublicKey()
        ):
            public.verify(signature, b"message")
        case _:
            pytest.fail("no signing key")


def test_decapsulation_and_wrapping(service: Service) -> None:
    kem = active(service, profile("KEM", Algorithm.ML_KEM_768, Purpose.DECAPSULATE))
    public = load_der_public_key(cast(bytes, service.answer(calls.Public(kem))))
    assert isinstance(public, mlkem.MLKEM768PublicKey)
    shared, ciphertext = public.encapsulate()
    assert cast(Secret, service.answer(calls.Decapsulate(kem, ciphertext))).reveal() == shared
    with pytest.raises(RequestError, match="a ciphertext of 3 bytes"):
        service.answer(calls.Decapsulate(kem, b"abc"))
    kek = active(service, profile("KEK", Algorithm.AES_256, Purpose.WRAP))
    wrapped = cast(bytes, service.answer(calls.Wrap(kek, bytearray(b"21 bytes of a secret!"))))
    assert cast(Secret, service.answer(calls.Unwrap(kek, wrapped))).reveal() == b"21 bytes of a secret!"
    for at in range(len(wrapped)):
        changed = wrapped[:at] + bytes([wrapped[at] ^ 1]) + wrapped[at + 1 :]
        with pytest.raises(PolicyError, match="changed, or is under another key"):
            service.answer(calls.Unwrap(kek, changed))


def test_a_key_proves_itself_before_it_is_active_and_never_signs_a_proof(service: Service) -> None:
    service.answer(calls.Generate(profile(algorithm=Algorithm.ED25519)))
    proof = cast(bytes, service.answer(calls.Prove("K-1", b"n" * 16)))
    public = load_der_public_key(cast(bytes, service.answer(calls.Public("K-1"))))
    assert isinstance(public, ed25519.Ed25519PublicKey)
    message = b"hardbin-proof-v1\0" + b"n" * 16
    public.verify(proof, message)
    with pytest.raises(PolicyError, match="it cannot sign"):
        service.answer(calls.Sign("K-1", b"m", ""))
    service.answer(calls.Move("K-1", KeyState.ACTIVE, OFFICER))
    with pytest.raises(PolicyError, match="the store's own proofs"):
        service.answer(calls.Sign("K-1", message, ""))


def test_an_ecdsa_signature_that_comes_out_short_is_made_again(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = active(service, profile(algorithm=Algorithm.P384))
    made = iter([bytes(101), bytes(100), bytes(102)])
    monkeypatch.setattr(SoftKeys, "sign", lambda *_: next(made))
    assert service.answer(calls.Sign(key, b"message", "")) == bytes(102)
    assert cast(Use, service.answer(calls.Usage(key))).used == 1


def test_issuing_needs_an_open_order_and_counts_it(service: Service) -> None:
    key = active(service, profile("ICA", Algorithm.P384, Purpose.ISSUE, limit=100))
    with pytest.raises(PolicyError, match="issues for an open order only"):
        service.answer(calls.Sign(key, b"tbs", ""))
    order = work_order_of("WO-1", 1)
    service.answer(calls.OpenOrder(order))
    service.answer(calls.OpenOrder(order))
    with pytest.raises(PolicyError, match="order WO-1 was opened before, and is another one"):
        service.answer(calls.OpenOrder(work_order_of("WO-1", 2)))
    limit = 3 + orders.SPARE
    for _ in range(limit):
        service.answer(calls.Sign(key, b"tbs", "WO-1"))
    with pytest.raises(LimitError, match=f"order WO-1: all {limit} uses are spent"):
        service.answer(calls.Sign(key, b"tbs", "WO-1"))
    assert service.answer(calls.Usage(key)) == Use(limit, limit, 100)
    service.answer(calls.OpenOrder(work_order_of("WO-2", 9)))
    for _ in range(100 - limit):
        service.answer(calls.Sign(key, b"tbs", "WO-2"))
    with pytest.raises(LimitError, match="ICA: all 100 uses are spent"):
        service.answer(calls.Sign(key, b"tbs", "WO-2"))


def test_several_signatures_are_each_counted_and_none_comes_if_one_is_refused(service: Service) -> None:
    key = active(service, profile("ICA", Algorithm.P384, Purpose.ISSUE, limit=4))
    service.answer(calls.OpenOrder(work_order_of("WO-1")))
    first, second = calls.Sign(key, b"one", "WO-1"), calls.Sign(key, b"two", "WO-1")
    signatures = cast(list[bytes], service.answer(calls.SignAll((first, second))))
    public = cast(ec.EllipticCurvePublicKey, load_der_public_key(entry(service, key).public))
    for signature, message in zip(signatures, (b"one", b"two"), strict=True):
        public.verify(signature, message, ec.ECDSA(hashes.SHA384()))
    assert service.answer(calls.Usage(key)) == Use(2, 2, 4)
    with pytest.raises(PolicyError, match="issues for an open order only"):
        service.answer(calls.SignAll((first, calls.Sign(key, b"two", "WO-2"))))
    with pytest.raises(LimitError, match="ICA: all 4 uses are spent"):
        service.answer(calls.SignAll((first, second)))


@pytest.mark.parametrize("count", [0, 9])
def test_as_many_signatures_are_made_at_once_as_a_die_needs(service: Service, count: int) -> None:
    key = active(service, profile())
    with pytest.raises(RequestError, match=f"1 to 8 signatures are made at once, not {count}"):
        service.answer(calls.SignAll((calls.Sign(key, b"m", ""),) * count))


def test_limits_and_states_outlive_a_restart(service: Service, tmp_path: Path, clock: At) -> None:
    key = active(service, profile(limit=4))
    for _ in range(3):
        service.answer(calls.Sign(key, b"m", ""))
    service.close()
    reopened = again(tmp_path, clock)
    assert entry(reopened, key).state is KeyState.ACTIVE
    assert [change.state for change in entry(reopened, key).history] == [KeyState.ACTIVE]
    reopened.answer(calls.Sign(key, b"m", ""))
    with pytest.raises(LimitError):
        reopened.answer(calls.Sign(key, b"m", ""))
    reopened.close()


def test_a_period_ends(service: Service, clock: At) -> None:
    key = active(service, profile(not_after=int(clock.now) + 10))
    service.answer(calls.Sign(key, b"m", ""))
    clock.now += 10
    with pytest.raises(PolicyError, match="its period is over"):
        service.answer(calls.Sign(key, b"m", ""))


def records_in(path: Path) -> int:
    """How many sealed records a file has."""
    content, count = path.read_bytes(), 0
    at = parse(content, "file").end
    while at < len(content):
        at += 4 + int.from_bytes(content[at : at + 4])
        count += 1
    return count


def test_a_destroyed_key_is_gone_from_memory_and_disk(service: Service, tmp_path: Path, clock: At) -> None:
    path = tmp_path / "keys.hbks"
    empty = records_in(path)
    key = active(service, profile())
    assert records_in(path) == empty + 1
    with pytest.raises(PolicyError, match="not destroyed"):
        service.answer(calls.Move(key, KeyState.DESTROYED, OFFICER))
    service.answer(calls.Move(key, KeyState.COMPROMISED, OFFICER))
    service.answer(calls.Move(key, KeyState.DESTROYED, OFFICER))
    assert service.answer(calls.Attest(key)) == {"present": False}
    assert records_in(path) == empty
    service.close()
    reopened = again(tmp_path, clock)
    assert entry(reopened, key).state is KeyState.DESTROYED
    assert reopened.health().findings == ()
    assert reopened.answer(calls.Attest(key)) == {"present": False}
    reopened.close()


def test_a_key_whose_making_was_cut_short_is_not_there(
    service: Service, tmp_path: Path, clock: At, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes = 0
    real = hbks.write

    def cut(path: Path, content: bytes) -> None:
        nonlocal writes
        writes += 1
        if writes == 2:
            raise PowerLost
        real(path, content)

    with monkeypatch.context() as patched:
        patched.setattr(hbks, "write", cut)
        with pytest.raises(PowerLost):
            service.answer(calls.Generate(profile()))
    service.close()
    reopened = again(tmp_path, clock)
    assert reopened.answer(calls.Entries()) == []
    assert reopened.health().findings == ()
    active(reopened, profile())
    reopened.close()


class PowerLost(BaseException):
    """Nothing after this happens."""


def losing_power(patched: pytest.MonkeyPatch, at: int) -> list[str]:
    """Have the power go before this step that touches the disk; return the steps that were done."""
    done: list[str] = []

    def watched(name: str, real: Callable[..., object]) -> Callable[..., object]:
        def step(*arguments: object, **more: object) -> object:
            if len(done) >= at:
                raise PowerLost
            done.append(name)
            return real(*arguments, **more)

        return step

    for name in ("open", "write", "fsync", "rename"):
        patched.setattr(os, name, watched(name, getattr(os, name)))
    return done


def worked(store: Service) -> None:
    """Make a key, activate it, use it, suspend it, end it."""
    active(store, profile("NEW", limit=3))
    store.answer(calls.Sign("NEW", b"m", ""))
    store.answer(calls.Sign("OLD", b"m", ""))
    for state in (KeyState.COMPROMISED, KeyState.DESTROYED):
        store.answer(calls.Move("NEW", state, OFFICER))


def test_power_may_go_at_any_step_of_a_key_s_life(
    service: Service, tmp_path: Path, clock: At, tmp_path_factory: pytest.TempPathFactory
) -> None:
    active(service, profile("OLD", limit=1000))
    public = service.answer(calls.Public("OLD"))
    service.close()
    states, uses = [], []
    for at in range(999):
        folder = tmp_path_factory.mktemp("cut") / "store"
        shutil.copytree(tmp_path, folder)
        store = again(folder, clock)
        with pytest.MonkeyPatch.context() as patched:
            done = losing_power(patched, at)
            with suppress(PowerLost):
                worked(store)
        store.close()
        store = again(folder, clock)
        assert store.health().findings == ()
        assert store.answer(calls.Public("OLD")) == public
        entries = cast(list[Entry], store.answer(calls.Entries()))
        states.append([one.state for one in entries if one.id == "NEW"])
        uses.append(cast(Use, store.answer(calls.Usage("OLD"))).used)
        store.close()
        if len(done) < at:
            break
    assert len(states) > 30
    seen = [state for number, state in enumerate(states) if number == 0 or state != states[number - 1]]
    life = (KeyState.PRE_ACTIVE, KeyState.ACTIVE, KeyState.COMPROMISED, KeyState.DESTROYED)
    assert seen == [[], *([state] for state in life)]
    assert uses == sorted(uses)
    assert (uses[0], uses[-1]) == (0, 10)


def test_a_change_that_cannot_be_written_did_not_happen(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = active(service, profile())
    before = stated_generation(service, key)

    def full(file: int) -> None:
        del file
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(KeyStoreError, match="No space left"):
            service.answer(calls.Move(key, KeyState.SUSPENDED, OFFICER))
    assert entry(service, key).state is KeyState.ACTIVE
    assert service.answer(calls.Sign(key, b"m", ""))
    assert stated_generation(service, key) == before, "it states the file as it is"


def stated_generation(service: Service, key: str) -> int:
    stated = cast(bytes, service.answer(calls.StateRegister((key,))))
    payload = msgspec.json.decode(stated)["payload"]
    return cast(int, msgspec.json.decode(urlsafe_b64decode(payload + "=="))["generation"])


def test_zeroise_names_the_store_and_ends_it(sealed: Service, tmp_path: Path, clock: At) -> None:
    give(sealed, "anna", "ben")
    key = active(sealed, profile())
    before = (tmp_path / "keys.hbks").read_bytes()
    (tmp_path / "same").hardlink_to(tmp_path / "keys.hbks")
    store = sealed.health().store
    with pytest.raises(PolicyError, match=f"names the store's id, {store}"):
        sealed.answer(calls.Zeroise("00"))
    assert cast(Health, sealed.answer(calls.Zeroise(store))).state == "zeroised"
    assert (tmp_path / "same").read_bytes() == bytes(len(before)), "overwritten where it lay"
    left = files(tmp_path)
    assert entry(sealed, key).state is KeyState.DESTROYED
    for share in parse(before, "before").header.shares:
        assert b64encode(share.box) in before
        assert b64encode(share.box) not in left
    for reopened in (sealed, again(tmp_path, clock)):
        assert reopened.health().state == "zeroised"
        for wanted in (calls.Random(8), calls.Activate("anna", bytearray(PASSPHRASES["anna"]))):
            with pytest.raises(LockedError, match="zeroised"):
                reopened.answer(wanted)
    with pytest.raises(PolicyError, match="there is a key store already"):
        sealed.answer(production())


def test_a_sealed_store_is_zeroised_without_its_custodians(sealed: Service) -> None:
    sealed.answer(calls.Zeroise(sealed.health().store))
    with pytest.raises(LockedError, match="zeroised"):
        give(sealed, "anna")


def tree_of(size: int) -> Tree:
    tree = Tree()
    for number in range(size):
        tree.append(leaf_hash(number.to_bytes(4)))
    return tree


def head_call(old: int, size: int) -> calls.SignCheckpoint:
    tree = tree_of(size)
    proof = consistency(tree.node, old, size) if 0 < old < size else []
    return calls.SignCheckpoint(old, size, tree.root(), tuple(proof))


def test_heads_are_signed_only_as_they_grow(service: Service, tmp_path: Path, clock: At) -> None:
    origin = "ahm1.example/vault-1/2026"
    for key, algorithm in (("LOG-1", Algorithm.ED25519), ("LOG-2", Algorithm.ML_DSA_44)):
        active(service, profile(key, algorithm, Purpose.CHECKPOINT))
    with pytest.raises(PolicyError, match="no ledger was opened"):
        service.answer(head_call(0, 3))
    with pytest.raises(RequestError):
        service.answer(calls.OpenLedger("two words"))
    service.answer(calls.OpenLedger(origin))
    lines = cast(list[str], service.answer(head_call(0, 3)))
    head = Checkpoint(origin, 3, tree_of(3).root())
    for line, (key, kind) in zip(lines, (("LOG-1", Kind.ED25519), ("LOG-2", Kind.MLDSA44)), strict=True):
        (signature,) = signatures(line + "\n")
        spki = load_der_public_key(cast(bytes, service.answer(calls.Public(key))))
        assert isinstance(spki, ed25519.Ed25519PublicKey | mldsa.MLDSA44PublicKey)
        assert Key(origin, kind, spki.public_bytes_raw()).verifies(head, signature)
    for forked in (
        head_call(0, 7),
        head_call(2, 7),
        calls.SignCheckpoint(3, 3, sha256(b"fork").digest(), ()),
        calls.SignCheckpoint(3, 7, sha256(b"fork").digest(), head_call(3, 7).proof),
        calls.SignCheckpoint(3, 2, tree_of(2).root(), ()),
    ):
        with pytest.raises(PolicyError, match="does not grow from the last one signed, of size 3"):
            service.answer(forked)
    service.close()
    reopened = again(tmp_path, clock)
    with pytest.raises(PolicyError, match="of size 3"):
        reopened.answer(head_call(0, 5))
    assert len(cast(list[str], reopened.answer(head_call(3, 7)))) == 2
    with pytest.raises(PolicyError, match="signs for the ledger"):
        reopened.answer(calls.OpenLedger("another.example/log"))
    with pytest.raises(PolicyError, match="is there to checkpoint, not to sign"):
        reopened.answer(calls.Sign("LOG-1", b"m", ""))
    reopened.close()
