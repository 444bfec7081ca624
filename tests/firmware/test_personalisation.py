"""PQP-1 as the die sees it: containers, slots, key sets, lock; and that no secret ever leaves."""

import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PublicKey
from cryptography.hazmat.primitives.keywrap import aes_key_wrap_with_padding

from drivers.protocols import se1
from drivers.protocols.se1_objects import (
    Container,
    Object,
    decode_attestation,
    decode_container,
    decode_identity,
    sha384,
    store_hash,
    token_hash,
)
from drivers.protocols.se1_table import (
    PERSONALISED_SLOTS,
    Algorithm,
    ContainerKind,
    KeySet,
    LifeCycle,
    ObjectType,
    Slot,
    SlotAttribute,
    SlotState,
    StatusWord,
    Token,
)
from sim.dut import crypto, firmware, transport
from sim.dut.chip import Chip
from sim.dut.memory import PAGE
from tests.firmware.host import (
    KEYS,
    RMA_TOKEN,
    SIGNING,
    Host,
    check_value,
    credentials,
    identity,
    personalise,
    put_key,
    ready,
    specimen,
    twin,
)


@pytest.fixture
def die() -> Host:
    """INITIALIZED, without keys."""
    host = ready()
    personalise(host, until="identity")
    return host


def sw(host: Host, *apdus: bytes) -> int:
    """The last status word of commands of which all but the last must succeed."""
    host.done(*apdus[:-1])
    return host.send(apdus[-1]).sw


def generate_all(host: Host) -> list[bytes]:
    """A key pair in every slot of the personalisation list; the public keys."""
    return [host.generate(slot) for slot in PERSONALISED_SLOTS]


def generate(slot: int, algorithm: int, attributes: int) -> bytes:
    return se1.command("GENERATE KEY PAIR", slot=slot, algorithm=algorithm, attributes=attributes)


@pytest.mark.parametrize("payload", [223, 1024, 4096])
def test_a_die_is_personalised(payload: int) -> None:
    chip = Chip.from_sort(1, seed="t", latency="zero", payload=payload, state=LifeCycle.OP_READY)
    host = Host(chip, payload=payload)
    assert se1.payload_size(se1.split(host.raw(se1.select())).data) == payload
    personalise(host)
    assert chip.life_cycle is LifeCycle.SECURED
    assert sorted(chip.public_keys()) == list(PERSONALISED_SLOTS)
    assert sw(host, generate(2, *KEYS[2])) == StatusWord.CONDITIONS
    assert se1.key_sets(host.do("GET KEY INFO")) == (KeySet.ISSUER,)
    host.power()
    assert host.plain("INITIALIZE UPDATE", kvn=0x30, host_challenge=bytes(16)).sw == StatusWord.NOT_FOUND
    assert host.plain("VERIFY TOKEN", kind=Token.TEST, token=bytes(32)).sw == StatusWord.CONDITIONS


def test_identity_reads_back_and_goes_in_once(die: Host) -> None:
    want = identity(die.uid)
    assert decode_identity(die.read(ObjectType.IDENTITY, 0, 203)) == want
    assert sw(die, *se1.store_data(want.container(), 1024)) == StatusWord.CONDITIONS


def spoilt(data: bytes, at: int) -> bytes:
    return data[:at] + bytes((data[at] ^ 1,)) + data[at + 1 :]


@pytest.mark.parametrize("at", [0, 4, 7, 10, 12, 40, -1])
def test_a_spoilt_container_is_refused(at: int) -> None:
    host = ready()
    host.open()
    container = identity(host.uid).container()
    assert sw(host, *se1.store_data(spoilt(container, at % len(container)), 1024)) == StatusWord.DATA
    body = spoilt(container, at % len(container))[:-48]
    resealed = body + sha384(body)
    if at not in (40, -1):
        assert sw(host, *se1.store_data(resealed, 1024)) == StatusWord.DATA
    assert se1.die_status(host.do("DIE STATUS")).containers == 0


def test_the_identity_must_be_this_dies() -> None:
    host = ready()
    host.open()
    other = identity(transport.development_uid(99))
    assert sw(host, *se1.store_data(other.container(), 1024)) == StatusWord.DATA


def test_blocks_come_in_order(die: Host) -> None:
    def block(number: int, *, last: int = 0) -> int:
        return die.send(se1.command("STORE DATA", last=last, block=number, chunk=bytes(200))).sw

    assert [block(0), block(1), block(3), block(2)] == [0x9000, 0x9000, StatusWord.DATA, StatusWord.DATA]
    assert se1.die_status(die.do("DIE STATUS")).containers == 0x01
    assert block(0) == 0x9000
    assert se1.die_status(die.do("DIE STATUS")).containers == 0x81
    assert block(1, last=0x40) == StatusWord.P1P2


def test_what_a_session_staged_dies_with_it(die: Host) -> None:
    blocks = se1.store_data(bytes(2000), 1024)
    die.done(blocks[0])
    die.open()
    assert sw(die, blocks[1]) == StatusWord.DATA


def test_staging_has_an_end(die: Host) -> None:
    blocks = se1.store_data(bytes(16385), 1024)
    assert sw(die, *blocks) == StatusWord.NO_SPACE


def test_credentials_need_keys_and_their_certificates(die: Host) -> None:
    assert sw(die, *se1.store_data(credentials(), 1024)) == StatusWord.CONDITIONS
    for slot in PERSONALISED_SLOTS:
        assert sw(die, *se1.store_data(credentials((1,)), 1024)) == StatusWord.CONDITIONS
        die.generate(slot)
    for slots in ((), (2,), (1, 2), (1, 2, 2, 3)):
        assert sw(die, *se1.store_data(credentials(slots), 1024)) == StatusWord.DATA
    algorithms = (Algorithm.P384, Algorithm.P384, Algorithm.MLKEM768)
    wrong = [Object(ObjectType.CERTIFICATE, slot, kind, b"x") for slot, kind in enumerate(algorithms, 1)]
    assert sw(die, *se1.store_data(Container(ContainerKind.CREDENTIALS, tuple(wrong)).encode(), 1024)) == (
        StatusWord.DATA
    )
    die.store(credentials())
    die.store(credentials(size=100))
    assert sw(die, generate(2, *KEYS[2])) == StatusWord.CONDITIONS, "vouched for by a certificate"


def test_credentials_as_large_as_real_ones(die: Host) -> None:
    generate_all(die)
    container = credentials(size=5300)
    die.store(container)
    assert die.do("STORE HASH") == store_hash([identity(die.uid).container(), container])
    large = Container(
        ContainerKind.CUSTOMER, (Object(ObjectType.CUSTOMER, 0, 0, bytes(16384 - 66)),)
    ).encode()
    die.store(large)
    assert sw(die, *se1.store_data(credentials(size=5430), 1024)) == StatusWord.NO_SPACE


def test_store_hash_covers_all_containers_in_order(die: Host) -> None:
    generate_all(die)
    customer = Container(ContainerKind.CUSTOMER, (Object(ObjectType.CUSTOMER, 0, 0, b"hello"),)).encode()
    containers = [credentials(), customer, identity(die.uid).container()]
    die.store(customer)
    die.store(containers[0])
    assert die.do("STORE HASH") == store_hash(containers)
    certificate = decode_container(containers[0]).objects[1].data
    assert die.read(ObjectType.CERTIFICATE, 2, len(certificate)) == certificate
    assert die.read(ObjectType.CUSTOMER, 0, 9) == b"hello"
    assert sw(die, se1.read(ObjectType.CUSTOMER, 0, 6, 1)) == StatusWord.DATA
    assert sw(die, se1.read(ObjectType.CERTIFICATE, 4, 0, 1)) == StatusWord.NOT_FOUND


@pytest.mark.parametrize(
    ("slot", "algorithm", "attributes", "want"),
    [
        (0, 0x0102, SIGNING, StatusWord.P1P2),
        (4, 0x0203, SIGNING, StatusWord.P1P2),
        (1, 0x0202, SIGNING, StatusWord.DATA),
        (2, 0x0202, SIGNING ^ SlotAttribute.NO_EXPORT, StatusWord.DATA),
        (2, 0x0202, SIGNING ^ SlotAttribute.ON_CHIP ^ SlotAttribute.IMPORTED, StatusWord.DATA),
    ],
)
def test_keys_only_as_the_slot_allows(
    die: Host, slot: int, algorithm: int, attributes: int, want: StatusWord
) -> None:
    assert sw(die, generate(slot, algorithm, attributes)) == want


def test_slots_tell_what_they_hold(die: Host) -> None:
    first = die.generate(2)
    second = die.generate(2)
    assert first != second
    empty, slot, _ = se1.slot_info(die.do("SLOT INFO"))
    assert (empty.state, empty.public_key_hash) == (SlotState.EMPTY, bytes(48))
    assert (slot.slot, slot.algorithm, slot.state, slot.attributes) == (2, 0x0202, SlotState.VALID, SIGNING)
    assert slot.public_key_hash == sha384(second)


def test_attestation_is_signed_under_its_own_label() -> None:
    host = ready()
    personalise(host, until="credentials")
    nonce = bytes(range(32))
    n = se1.result_length(host.do("INTERNAL AUTHENTICATE", kind=1, slot=2, nonce=nonce))
    said, message, signature = decode_attestation(host.read(ObjectType.RESULT, 0, n))
    assert len(message) == 335
    MLDSA65PublicKey.from_public_bytes(host.chip.public_keys()[Slot.ID_PQ]).verify(
        signature, message, b"PQP1-ATT"
    )
    assert (said.uid, said.nonce, said.life_cycle, said.key_set) == (host.uid, nonce, 0x07, 0x30)
    assert said.store_hash == host.do("STORE HASH")
    assert said.slots == se1.slot_info(host.do("SLOT INFO"))
    image = bytes.fromhex("a0000001510000000001000000010002")
    assert said.rom_hash == hashlib.sha384(image + trusted_hashes()).digest()


def trusted_hashes() -> bytes:
    seeds = [hashlib.sha512(f"hardbin development transport KEM {n}".encode()).digest() for n in (1, 2)]
    keys = [crypto.keypair(Algorithm.MLKEM768, seed)[1] for seed in seeds]
    return b"".join(sha384(item) for item in (transport.RAW_TOKEN, *keys))


def test_a_bad_ciphertext_is_rejected_without_saying_so(die: Host) -> None:
    public = generate_all(die)[2]
    ciphertext, _ = crypto.encaps(public)
    tags = []
    for sent in (ciphertext, ciphertext, spoilt(ciphertext, 500)):
        die.done(*se1.write_operand_all(sent, 1024))
        tags.append(die.do("GENERAL AUTHENTICATE", slot=3, nonce=bytes(32)))
    assert tags[0] == tags[1] != tags[2]
    die.done(se1.write_operand(0, ciphertext[:1000]))
    assert sw(die, se1.command("GENERAL AUTHENTICATE", slot=3, nonce=bytes(32))) == StatusWord.DATA
    assert sw(die, se1.command("GENERAL AUTHENTICATE", slot=2, nonce=bytes(32))) == StatusWord.P1P2


def test_key_sets_come_and_go_only_in_order(die: Host) -> None:
    assert sw(die, se1.delete_key(KeySet.TRANSPORT)) == StatusWord.CONDITIONS, "the set of this session"
    assert sw(die, se1.delete_key(KeySet.ISSUER)) == StatusWord.NOT_FOUND
    assert die.channel is not None
    keys = die.keys(KeySet.ISSUER)
    wrapped = [aes_key_wrap_with_padding(die.channel.kek, key) for key in keys]
    checks = [check_value(key) for key in keys]
    for bad in (
        put_key(0x31, wrapped, [checks[0], checks[1], bytes(3)]),
        put_key(0x31, [wrapped[0], wrapped[1], spoilt(wrapped[2], 9)], checks),
        put_key(0x32, wrapped, checks),
    ):
        assert sw(die, bad) == StatusWord.DATA
    assert se1.key_sets(die.do("GET KEY INFO")) == (KeySet.TRANSPORT,)
    die.done(put_key(0x31, wrapped, checks))
    assert sw(die, put_key(0x31, wrapped, checks)) == StatusWord.CONDITIONS
    die.done(se1.delete_key(KeySet.ISSUER))
    die.put_issuer_keys()


def test_the_lock_checks_its_conditions() -> None:
    lock = se1.command("SET STATUS", life_cycle=LifeCycle.SECURED)
    for until in ("identity", "keys", "credentials", "rotate"):
        host = ready()
        personalise(host, until=until)
        assert sw(host, lock) == StatusWord.CONDITIONS, until
    personalise(host := ready(), until="delete")
    assert sw(host, lock) == 0x9000


def test_public_objects_of_a_secured_die_read_in_the_clear() -> None:
    host = twin(specimen(LifeCycle.SECURED))
    assert host.send(se1.read(ObjectType.CERTIFICATE, 2, 0, 16)).ok
    assert host.send(se1.read(ObjectType.ISSUER_IDS, 0, 0, 22)).ok
    for kind in (ObjectType.IDENTITY, ObjectType.PUBLIC_KEY, ObjectType.RESULT, ObjectType.TRNG_RAW):
        assert host.send(se1.read(kind, 2, 0, 16)).sw == StatusWord.SECURITY


def test_import_of_a_key(die: Host) -> None:
    for slot, (algorithm, attributes) in KEYS.items():
        given = attributes ^ SlotAttribute.ON_CHIP ^ SlotAttribute.IMPORTED
        private, public = crypto.keypair(algorithm, bytes(range({1: 48, 2: 32, 3: 64}[slot])))
        assert die.channel is not None
        head = algorithm.to_bytes(2, "big") + given.to_bytes(2, "big")
        die.done(se1.write_operand(0, aes_key_wrap_with_padding(die.channel.kek, head + private)))
        for check, want in ((bytes(8), StatusWord.DATA), (sha384(public)[:8], StatusWord.OK)):
            fields = {"slot": slot, "algorithm": algorithm, "attributes": given}
            assert sw(die, se1.command("IMPORT KEY", **fields, public_key_check=check)) == want
        assert die.read(ObjectType.PUBLIC_KEY, slot, len(public)) == public
    assert se1.slot_info(die.do("SLOT INFO"))[0].attributes & SlotAttribute.IMPORTED


def test_tokens_block_for_good() -> None:
    host = twin(specimen(LifeCycle.SECURED))
    for left in range(7, -1, -1):
        assert host.plain("VERIFY TOKEN", kind=Token.RMA, token=bytes(32)).sw == 0x63C0 + left
        host.power()
    assert host.plain("VERIFY TOKEN", kind=Token.RMA, token=RMA_TOKEN).sw == StatusWord.BLOCKED


def test_rma_wipes_everything_first() -> None:
    host = twin(specimen(LifeCycle.SECURED))
    before = set(host.chip.memory.pages.values())
    host.do("VERIFY TOKEN", kind=Token.RMA, token=RMA_TOKEN)
    status = se1.die_status(host.do("DIE STATUS"))
    assert status.life_cycle is LifeCycle.RMA
    assert (status.containers, status.slots) == (0, (SlotState.WIPED,) * 3)
    left = [page for page in host.chip.memory.pages.values() if page[0] != 0x43 and any(page)]
    assert before
    assert left == []
    assert sw(host, se1.command("SET STATUS", life_cycle=LifeCycle.TERMINATED)) == 0x9000


def test_test_port_reopens_with_its_token_only_so_often() -> None:
    host = twin(specimen(LifeCycle.TEST_LOCKED))
    token = transport.unlocking_token(host.uid)
    lock = se1.command("SET STATUS", life_cycle=LifeCycle.TEST_LOCKED)
    transitions = 2
    while (reply := host.plain("VERIFY TOKEN", kind=Token.TEST, token=token)).ok:
        transitions += 2
        if not host.send(lock).ok:
            break
    assert reply.sw == StatusWord.CONDITIONS
    assert transitions == 24


def secrets(host: Host) -> list[bytes]:
    """Everything that must never leave: keys, token hashes, private keys and seeds, as memory has them."""
    kept = [*host.keys(KeySet.TRANSPORT), *host.keys(KeySet.ISSUER)]
    kept.append(token_hash(b"PQP1-TST", host.uid, transport.unlocking_token(host.uid)))
    pages = host.chip.memory.pages
    for slot, size in ((0, 48), (1, 32), (2, 64)):
        area = b"".join(pages.get(64 + 64 * slot + page, bytes(PAGE))[:60] for page in range(2))
        kept.append(area[:size])
    return kept


def test_no_secret_stays_in_the_working_memory_of_a_die() -> None:
    """Once its session is over: not in a buffer, not in what was left of a command."""
    host = ready()
    personalise(host, until="credentials")
    host.put_issuer_keys()
    host.do("SELF TEST")
    host.raw(se1.select())
    assert host.chip._firmware is not None
    held = bytes(firmware.ffi.buffer(host.chip._firmware._memory))
    assert host.uid in held
    for secret in secrets(host):
        assert not any(secret[at : at + 16] in held for at in range(len(secret) - 15))


def test_no_reply_holds_sixteen_bytes_of_a_secret() -> None:
    host = ready()
    personalise(host, until="credentials")
    for slot in (1, 2):
        n = se1.result_length(host.do("INTERNAL AUTHENTICATE", kind=1, slot=slot, nonce=bytes(32)))
        host.read(ObjectType.RESULT, 0, n)
    for kind in range(256):
        for slot in (0, 1, 2, 3, 0x30, 0x31, 0xF0):
            host.send(se1.read(kind, slot, 0, 239))
    host.put_issuer_keys()
    known = secrets(host)
    assert all(any(secret) for secret in known)
    for secret in known:
        assert not any(
            secret[at : at + 16] in reply for at in range(len(secret) - 15) for reply in host.replies
        )
