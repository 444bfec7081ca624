"""The secure channel against fixed vectors, and each rule that is easily got wrong."""

import pickle
import tomllib
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from station.vault.die import scp03
from station.vault.secret import Secret

VECTORS = tomllib.loads(Path(__file__).with_name("vectors.toml").read_text("utf-8"))
UID = bytes.fromhex(VECTORS["uid"]["uid"])
CHANNEL = VECTORS["scp03"]


def hexed(secret: Secret) -> str:
    return bytes(secret.reveal()).hex()


def key_set(master: str, kvn: int) -> scp03.KeySet:
    with Secret(bytes.fromhex(VECTORS["die_keys"][master])) as key:
        labels = (b"PQP1-DIE-ENC", b"PQP1-DIE-MAC", b"PQP1-DIE-DEK")
        return scp03.KeySet(kvn, *(scp03.kdf(key, label, UID + bytes([kvn]), 256) for label in labels))


OPENED: list[scp03.Session] = []
"""The sessions of a test."""


@pytest.fixture(autouse=True)
def nothing_stays_open() -> Iterator[None]:
    """Sessions are counted for the whole process: others' tests look whether any is left."""
    before = scp03.Session.alive
    yield
    while OPENED:
        OPENED.pop().close()
    assert scp03.Session.alive == before


def opened(reply: bytes | None = None) -> scp03.Session:
    host = bytes.fromhex(CHANNEL["host_challenge"])
    reply = reply or bytes.fromhex(CHANNEL["initialize_update_reply"])[:-2]
    OPENED.append(scp03.open_session(key_set("transport_master", 0x30), host, reply))
    return OPENED[-1]


def plain(apdu: str) -> scp03.Command:
    return scp03.Command.of(bytes.fromhex(apdu))


@pytest.mark.parametrize(
    ("apdu", "data"),
    [
        ("80ca004500", ""),
        ("80ca0045000000", ""),
        ("80e2000001aa00", "aa"),
        ("80e20000000002aabb0000", "aabb"),
    ],
)
def test_commands_are_taken_apart_in_short_and_extended_form(apdu: str, data: str) -> None:
    assert plain(apdu).data.hex() == data


@pytest.mark.parametrize(
    ("master", "kvn", "name"), [("transport_master", 0x30, "kvn30"), ("issuer_master", 0x31, "kvn31")]
)
def test_die_keys_are_those_of_the_vectors(master: str, kvn: int, name: str) -> None:
    keys = key_set(master, kvn)
    assert [hexed(key) for key in (keys.enc, keys.mac, keys.dek)] == VECTORS["die_keys"][name]


def test_check_values() -> None:
    keys = key_set("issuer_master", 0x31)
    values = [scp03.check_value(key).hex() for key in (keys.enc, keys.mac, keys.dek)]
    assert values == VECTORS["die_keys"]["kcv31"]


def test_session_exchanges_are_those_of_the_vectors() -> None:
    host = bytes.fromhex(CHANNEL["host_challenge"])
    assert scp03.initialize_update(0x30, host).hex() == CHANNEL["initialize_update"]
    session = opened()
    assert session.authenticate().hex() == CHANNEL["external_authenticate"]
    tickets = []
    for command, wrapped, _, _ in CHANNEL["exchanges"]:
        apdu, ticket = session.wrap(plain(command))
        assert apdu.hex() == wrapped
        tickets.append(ticket)
    for ticket, (_, _, reply, protected) in zip(tickets, CHANNEL["exchanges"], strict=True):
        raw = bytes.fromhex(protected)
        assert session.unwrap(ticket, raw[:-2], 0x9000).hex() == reply[:-4]


def test_put_key_data_is_that_of_the_vectors() -> None:
    data = opened().wrapped_keys(key_set("issuer_master", 0x31))
    assert data.hex() == VECTORS["put_key"]["data"]


def test_wrong_card_cryptogram_is_found_before_an_attempt_is_spent() -> None:
    reply = bytearray.fromhex(CHANNEL["initialize_update_reply"])[:-2]
    reply[-1] ^= 1
    with pytest.raises(scp03.CryptogramError):
        opened(bytes(reply))


@pytest.mark.parametrize(("place", "value"), [(10, 0x31), (11, 0x02), (12, 0x60)])
def test_a_card_that_offers_something_else_is_refused(place: int, value: int) -> None:
    reply = bytearray.fromhex(CHANNEL["initialize_update_reply"])[:-2]
    reply[place] = value
    with pytest.raises(scp03.OfferError):
        opened(bytes(reply))


@pytest.mark.parametrize("place", [0, 31, 47])
def test_tampered_reply_closes_the_session(place: int) -> None:
    session = opened()
    session.authenticate()
    command, _, _, protected = CHANNEL["exchanges"][0]
    _, ticket = session.wrap(plain(command))
    reply = bytearray.fromhex(protected)[:-2]
    reply[place] ^= 0x80
    with pytest.raises(scp03.ReplyMacError):
        session.unwrap(ticket, bytes(reply), 0x9000)
    with pytest.raises(scp03.ChannelError, match="closed"):
        session.wrap(plain(command))


def test_reply_without_mac_and_forged_success_are_refused() -> None:
    session = opened()
    session.authenticate()
    _, ticket = session.wrap(scp03.Command(0xF0, 0x80, 0x0F))
    with pytest.raises(scp03.ReplyMacError):
        session.unwrap(ticket, b"", 0x9000)


def test_an_error_word_carries_nothing_and_the_channel_goes_on() -> None:
    session = opened()
    session.authenticate()
    _, refused = session.wrap(plain(CHANNEL["exchanges"][0][0]))
    assert session.unwrap(refused, b"", 0x6985) == b""
    apdu, _ = session.wrap(plain(CHANNEL["exchanges"][1][0]))
    assert apdu.hex() == CHANNEL["exchanges"][1][1], (
        "counter and chaining value moved on with the failed command"
    )


@pytest.mark.parametrize(("size", "head"), [(223, "84e20000f0"), (224, "84e20000000100")])
def test_extended_form_begins_where_wrapped_data_no_longer_fit(size: int, head: str) -> None:
    apdu, _ = opened().wrap(scp03.Command(0xE2, data=bytes(size)))
    assert apdu.hex().startswith(head)
    assert apdu.endswith(b"\0\0" if size > 223 else b"\0")


@pytest.mark.parametrize(("reply", "head"), [(239, "84cb000010"), (240, "84cb0000000010")])
def test_extended_form_begins_where_a_wrapped_reply_no_longer_fits(reply: int, head: str) -> None:
    apdu, _ = opened().wrap(scp03.Command(0xCB, reply=reply))
    assert apdu.hex().startswith(head)


def test_s8_keeps_the_full_chaining_value() -> None:
    keys = scp03.KeySet(0x30, *(Secret(bytes(16)) for _ in range(3)))
    suite = scp03.Suite(16, 8, 0x60)
    session = scp03.Session(keys, bytes(16), suite)
    OPENED.append(session)
    assert len(session.authenticate()) == 5 + 8 + 8
    first, ticket = session.wrap(scp03.Command(0xCA, 0xDF))
    assert len(ticket.chain) == 16
    assert first[5:13] == ticket.chain[:8]


def test_secrets_are_not_shown_compared_hashed_or_pickled() -> None:
    secret = Secret(sha256(b"x").digest())
    keys = key_set("transport_master", 0x30)
    session = opened()
    for shown in (repr(secret), f"{secret}", repr(keys), repr(session)):
        assert hexed(secret) not in shown
        assert hexed(keys.enc) not in shown
        assert CHANNEL["s_enc"] not in shown
    with pytest.raises(TypeError):
        assert secret == secret  # noqa: PLR0124 - the comparison itself is what is refused
    with pytest.raises(TypeError):
        hash(secret)
    with pytest.raises(TypeError):
        pickle.dumps(secret)
    with secret:
        pass
    assert hexed(secret) == "00" * 32
