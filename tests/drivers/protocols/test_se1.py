"""The codec of the chip `se1` against the reference vectors."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.errors import DutError
from drivers.protocols import se1, se1_objects
from drivers.protocols.se1_replies import NewKey
from drivers.protocols.se1_table import COMMANDS, KeySet, LifeCycle, SlotState

VECTORS: dict[str, Any] = tomllib.loads(Path("tests/golden/personalisation.toml").read_text())
KEYS = ((1, 0x0102, b"\x04" + bytes(96)), (2, 0x0202, bytes(1952)), (3, 0x0302, bytes(1184)))


def taken(section: str, name: str) -> bytes:
    return bytes.fromhex(VECTORS[section][name])


def test_uid() -> None:
    want = VECTORS["uid"]
    uid = se1_objects.Uid(
        **{key: value for key, value in want.items() if key not in ("uid", "crc8_check_123456789")}
    )
    assert uid.encode().hex() == want["uid"]
    assert se1_objects.decode_uid(uid.encode()) == uid
    assert se1_objects.crc8(b"123456789") == want["crc8_check_123456789"]
    with pytest.raises(DutError, match="CRC-8"):
        se1_objects.decode_uid(bytes(15) + b"\x01")


def test_identity_container() -> None:
    want = VECTORS["identity"]
    identity = se1_objects.Identity(
        uid=taken("uid", "uid"),
        serial=want["serial"],
        product=want["product"],
        profile_hash=taken("identity", "profile_hash"),
        fingerprint=taken("identity", "fingerprint"),
        rma_token_hash=taken("identity", "rma_token_hash"),
        issued_at=want["issued_at"],
        order=se1_objects.order_tag(want["order_id"]),
        policy_oid=se1_objects.oid_der(want["policy_oid"]),
    )
    assert identity.container().hex() == want["container"]
    decoded = se1_objects.decode_container(identity.container())
    assert se1_objects.decode_identity(decoded.objects[0].data) == identity


def test_proof_message() -> None:
    hashed = se1_objects.keys_hash(KEYS)
    assert hashed == taken("proof", "keys_hash")
    proof = se1_objects.Proof(
        taken("uid", "uid"), taken("proof", "nonce"), hashed, taken("identity", "fingerprint")
    )
    assert proof.message() == taken("proof", "pop_message")
    assert len(proof.message(se1_objects.KEM_LABEL)) == 138


def test_commands_on_the_wire() -> None:
    status, generate, lock = (bytes.fromhex(row[0]) for row in VECTORS["scp03"]["exchanges"])
    assert se1.command("DIE STATUS") == status
    assert se1.command("GENERATE KEY PAIR", slot=2, algorithm=0x0202, attributes=0x0017) == generate
    assert se1.command("SET STATUS", life_cycle=LifeCycle.SECURED) == lock
    opening = se1.command("INITIALIZE UPDATE", kvn=0x30, host_challenge=taken("scp03", "host_challenge"))
    assert opening == taken("scp03", "initialize_update")
    assert se1.select().hex() == "00a4040008a00000015100000000"
    assert se1.delete_key(KeySet.TRANSPORT).hex() == "80e4000003d2013000"
    put = taken("put_key", "data")
    keys = dict(zip(("enc", "mac", "dek"), (put[at : at + 47] for at in (1, 48, 95)), strict=True))
    assert se1.command("PUT KEY", kvn=0x31, **keys)[5:-1] == put


def test_extended_form_where_data_or_reply_need_it() -> None:
    assert se1.write_operand(0x1234, bytes(300))[:7].hex() == "80da123400012c"
    assert se1.read(0x7E, 0, 0, 256).hex() == "80cb0000077e00000000010000"
    assert se1.read(0x7E, 0, 0, 257).hex() == "80cb00000000077e0000000001010000"


def test_long_data_in_chunks() -> None:
    blocks = se1.store_data(bytes(500), 223)
    assert [block[2:4].hex() for block in blocks] == ["0000", "0001", "8002"]
    assert [len(se1.split(chunk).data) for chunk in se1.read_all(0x20, 2, 1952, 1024)] == [14, 14]
    with pytest.raises(ValueError, match="256 blocks"):
        se1.store_data(bytes(16384), 32)


def test_replies() -> None:
    reply = se1.split(bytes.fromhex(VECTORS["scp03"]["exchanges"][0][2]))
    status = se1.die_status(reply.data)
    assert reply.ok
    assert (status.life_cycle, status.in_session, status.boots) == (LifeCycle.OP_READY, True, 5)
    assert status.slots == (SlotState.EMPTY,) * 3
    opened = se1.challenge(se1.split(taken("scp03", "initialize_update_reply")).data)
    assert (opened.kvn, opened.scp, opened.i) == (0x30, 3, 0x61)
    assert opened.diversification == taken("uid", "uid")[6:]
    assert se1.check_values(taken("put_key", "reply")).dek.hex() == VECTORS["die_keys"]["kcv31"][2]
    assert se1.new_key(bytes.fromhex("020007a0")) == NewKey(SlotState.VALID, 1952)
    assert se1.status_name(0x63C5) == "63C5 TOKEN_WRONG, 5 tries left"
    assert se1.status_name(0x6985) == "6985 CONDITIONS"


@pytest.mark.parametrize(
    ("name", "given_fields"),
    [
        ("DIE STATUS", {"slot": 1}),
        ("SET UID", {"uid": bytes(3)}),
        ("SET STATUS", {"life_cycle": 256}),
        ("READ", {}),
    ],
)
def test_wrong_use_is_refused(name: str, given_fields: dict[str, int | bytes]) -> None:
    with pytest.raises(ValueError, match=name):
        se1.command(name, **given_fields)


@given(st.sampled_from(sorted(COMMANDS)), st.binary(max_size=64))
def test_any_reply_is_read_or_blamed_on_the_device(name: str, data: bytes) -> None:
    for parse in (
        lambda d: se1.fields(name, d),
        se1.die_status,
        se1.trng_health,
        se1.key_sets,
        se1.slot_info,
    ):
        try:
            parse(data)
        except DutError:
            continue


@given(st.binary(max_size=400))
def test_any_container_is_read_or_blamed_on_the_device(data: bytes) -> None:
    framed = b"HBC1\x01" + data
    for read in (se1_objects.decode_container, se1_objects.decode_attestation, se1_objects.decode_identity):
        with pytest.raises(DutError):
            read(framed + se1_objects.sha384(framed)[::-1])
