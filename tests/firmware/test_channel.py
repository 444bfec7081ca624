"""SCP03, the card's side: the rules that are easily got wrong, and what happens to an attacker."""

from dataclasses import replace

import pytest

from drivers.protocols import se1
from drivers.protocols.se1_table import KeySet, LifeCycle, StatusWord
from tests.firmware.host import Channel, Host, ready, specimen, twin

STATUS = se1.command("DIE STATUS")


def challenged(host: Host) -> Channel:
    offered = se1.challenge(host.plain("INITIALIZE UPDATE", kvn=0x30, host_challenge=bytes(16)).data)
    return Channel(host.keys(0x30), bytes(16), offered.card_challenge)


def failures(host: Host) -> int:
    return se1.die_status(se1.split(twin(host.chip).raw(STATUS)).data).auth_failures


def test_offer() -> None:
    host = ready()
    offered = se1.challenge(host.plain("INITIALIZE UPDATE", kvn=0x30, host_challenge=bytes(16)).data)
    assert (offered.kvn, offered.scp, offered.i, offered.diversification) == (0x30, 3, 0x61, host.uid[6:])
    again = se1.challenge(host.plain("INITIALIZE UPDATE", kvn=0x30, host_challenge=bytes(16)).data)
    assert again.card_challenge != offered.card_challenge
    assert host.plain("INITIALIZE UPDATE", kvn=0x31, host_challenge=bytes(16)).sw == StatusWord.NOT_FOUND


def test_a_command_without_data_then_one_with() -> None:
    host = twin(specimen(LifeCycle.INITIALIZED))
    host.open()
    host.do("DIE STATUS")
    host.done(se1.write_operand(0, b"data"))
    host.do("DIE STATUS")


def test_an_error_in_mid_session_moves_the_chain_on() -> None:
    host = ready()
    host.open()
    assert host.send(se1.command("STORE HASH")).sw == StatusWord.CONDITIONS
    assert se1.die_status(host.do("DIE STATUS")).in_session


@pytest.mark.parametrize(("size", "extended"), [(223, False), (224, True), (1024, True)])
def test_payload_at_the_edge_of_the_short_form(size: int, *, extended: bool) -> None:
    host = twin(specimen(LifeCycle.INITIALIZED))
    channel = host.open()
    wrapped = replace(channel).wrap(se1.write_operand(0, bytes(size)))
    assert (wrapped[4] == 0) is extended
    host.done(se1.write_operand(0, bytes(size)))
    assert host.send(se1.write_operand(0, bytes(4097))).sw == StatusWord.LENGTH


def test_reply_at_the_edge_of_the_short_form() -> None:
    host = twin(specimen(LifeCycle.INITIALIZED))
    host.open()
    for length in (239, 257, 1024):
        assert len(host.done(se1.read(0x20, 2, 0, length))) == length
    assert host.send(se1.read(0x20, 2, 0, 240)).sw == StatusWord.LENGTH, "240 need 256 + 16 bytes"


@pytest.mark.parametrize("at", [0, 5, 10, 20, 30])
def test_a_changed_byte_ends_the_session(at: int) -> None:
    host = twin(specimen(LifeCycle.INITIALIZED))
    channel = host.open()
    wrapped = bytearray(channel.wrap(se1.write_operand(0, b"data")))
    wrapped[1 + at] ^= 0x10
    sw = se1.split(host.raw(bytes(wrapped))).sw
    assert sw in (StatusWord.SM_WRONG, StatusWord.LENGTH)
    if sw == StatusWord.SM_WRONG:
        assert se1.split(host.raw(channel.wrap(STATUS))).sw == StatusWord.SECURITY
        assert se1.split(host.raw(STATUS)).sw == StatusWord.SECURITY
    host.open()


def test_replay_is_refused() -> None:
    host = ready()
    channel = host.open()
    wrapped = channel.wrap(STATUS)
    assert channel.unwrap(host.raw(wrapped)).ok
    assert se1.split(host.raw(wrapped)).sw == StatusWord.SM_WRONG


def test_a_plain_command_ends_the_session() -> None:
    host = ready()
    channel = host.open()
    assert se1.split(host.raw(STATUS)).sw == StatusWord.SECURITY
    assert se1.split(host.raw(channel.wrap(STATUS))).sw == StatusWord.SECURITY
    assert se1.split(host.raw(se1.select())).ok
    assert not se1.die_status(se1.split(host.raw(STATUS)).data).in_session


def test_a_secure_command_without_session_is_refused() -> None:
    host = ready()
    assert se1.split(host.raw(challenged(host).wrap(STATUS))).sw == StatusWord.SECURITY
    assert se1.split(host.raw(bytes.fromhex("8482330020") + bytes(33))).sw == StatusWord.CONDITIONS


def test_only_level_33_opens() -> None:
    host = ready()
    command = challenged(host).authenticate()
    for level in (0x00, 0x01, 0x03, 0x11, 0x13):
        host.raw(se1.command("INITIALIZE UPDATE", kvn=0x30, host_challenge=bytes(16)))
        assert se1.split(host.raw(command[:2] + bytes((level,)) + command[3:])).sw == StatusWord.P1P2
    assert failures(host) == 0


def test_authentication_fails_and_counts() -> None:
    host = ready()
    channel = challenged(host)
    channel.host_cryptogram = bytes(16)
    assert se1.split(host.raw(channel.authenticate())).sw == StatusWord.AUTH_FAILED
    command = bytearray(challenged(host).authenticate())
    command[-2] ^= 1
    assert se1.split(host.raw(bytes(command))).sw == StatusWord.SM_WRONG
    assert failures(host) == 2
    host.open()
    assert failures(host) == 0


def test_the_tenth_failure_in_a_row_ends_the_die() -> None:
    host = ready()
    for n in range(10):
        assert failures(host) == n
        channel = challenged(host)
        channel.host_cryptogram = bytes(16)
        sw = se1.split(host.raw(channel.authenticate())).sw
        assert sw == (StatusWord.AUTH_FAILED if n < 9 else StatusWord.BLOCKED)
    assert host.chip.life_cycle is LifeCycle.TERMINATED
    assert host.plain("INITIALIZE UPDATE", kvn=0x30, host_challenge=bytes(16)).sw == StatusWord.CONDITIONS
    assert host.plain("GET UID").ok


def test_wrong_keys_of_the_right_set() -> None:
    """A host with another master is found out by the card cryptogram, and costs no attempt."""
    host = ready()
    offered = se1.challenge(host.plain("INITIALIZE UPDATE", kvn=0x30, host_challenge=bytes(16)).data)
    stranger = Channel(host.keys(KeySet.ISSUER), bytes(16), offered.card_challenge)
    assert stranger.card_cryptogram != offered.card_cryptogram
    assert failures(host) == 0
