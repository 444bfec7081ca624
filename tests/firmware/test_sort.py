"""PQP-0 as the die sees it: a power cut at any write leaves a way forward, and nothing is given twice."""

from typing import Literal

import pytest

from drivers.protocols import se1
from drivers.protocols.se1_table import KeySet, LifeCycle, ObjectType, StatusWord, Token
from sim.dut import transport
from sim.dut.chip import Chip
from sim.dut.memory import PowerCut
from tests.firmware.host import Host, specimen, twin

UID = transport.development_uid(7)


def die(index: int = 7) -> Host:
    return Host(Chip(index, seed="sort", latency="zero"))


def load_keys(host: Host) -> se1.Reply:
    """KEM TRANSPORT and PUT TRANSPORT KEYS, under keys made afresh."""
    private, public = transport.plant_key()
    host.done(*se1.write_operand_all(public, 1024), se1.command("KEM TRANSPORT"))
    ciphertext = host.read(ObjectType.RESULT, 0, transport.CIPHERTEXT)
    wrapping = transport.transport_wrapping_key(private.decapsulate(ciphertext), public, ciphertext, UID)
    keys = transport.die_keys(transport.TRANSPORT_MASTER, UID, KeySet.TRANSPORT)
    wrapped = transport.wrapped_transport_keys(wrapping, keys, transport.unlocking_token(UID), UID)
    return host.plain("PUT TRANSPORT KEYS", kvn=KeySet.TRANSPORT, wrapped=wrapped)


def go_on(host: Host) -> None:
    """Whatever is still to do, after a look at the die: as a station would after a cut."""
    if se1.die_status(host.plain("DIE STATUS").data).life_cycle is LifeCycle.RAW:
        assert host.plain("VERIFY TOKEN", kind=Token.RAW, token=transport.RAW_TOKEN).ok
    if se1.die_status(host.plain("DIE STATUS").data).life_cycle is LifeCycle.TEST_LOCKED:
        return
    if host.plain("GET UID").sw == StatusWord.NOT_FOUND:
        assert host.plain("SET UID", uid=UID).ok
    if KeySet.TRANSPORT not in se1.key_sets(host.plain("GET KEY INFO").data):
        assert load_keys(host).ok
    assert host.plain("SET STATUS", life_cycle=LifeCycle.TEST_LOCKED).ok


@pytest.mark.parametrize("kind", ["before", "torn", "after"])
def test_a_cut_at_any_write_leaves_a_way_forward(kind: Literal["before", "torn", "after"]) -> None:
    for at in range(1, 100):
        host = die()
        host.chip.cut(PowerCut(at, kind))
        try:
            go_on(host)
        except ConnectionError:
            host.power()
            go_on(host)
        else:
            assert at > 8, "there is more than that to write"
            break
        status = se1.die_status(host.plain("DIE STATUS").data)
        assert (status.life_cycle, status.alarms) == (LifeCycle.TEST_LOCKED, 0)
        assert se1.uid_of(host.plain("GET UID").data) == UID
        host.uid = UID
        assert host.plain("VERIFY TOKEN", kind=Token.TEST, token=transport.unlocking_token(UID)).ok
        assert host.plain("SET STATUS", life_cycle=LifeCycle.OP_READY).ok
        host.open()
    else:
        raise AssertionError("it never comes to an end")


def test_uid_and_keys_are_given_once() -> None:
    host = die()
    go_on(host)
    host.plain("VERIFY TOKEN", kind=Token.TEST, token=transport.unlocking_token(UID))
    assert host.plain("SET UID", uid=transport.development_uid(8)).sw == StatusWord.CONDITIONS
    assert host.plain("KEM TRANSPORT").sw == StatusWord.CONDITIONS
    wrapped = bytes(152)
    assert host.plain("PUT TRANSPORT KEYS", kvn=0x30, wrapped=wrapped).sw == StatusWord.CONDITIONS


def test_a_uid_with_a_wrong_checksum_is_refused() -> None:
    host = die()
    host.plain("VERIFY TOKEN", kind=Token.RAW, token=transport.RAW_TOKEN)
    assert host.plain("SET UID", uid=UID[:-1] + bytes((UID[-1] ^ 1,))).sw == StatusWord.DATA
    assert host.plain("GET UID").sw == StatusWord.NOT_FOUND


def test_a_plant_key_that_the_rom_does_not_know_is_refused() -> None:
    host = die()
    host.plain("VERIFY TOKEN", kind=Token.RAW, token=transport.RAW_TOKEN)
    host.plain("SET UID", uid=UID)
    _, public = transport.plant_key()
    host.done(*se1.write_operand_all(public[:-1] + bytes((public[-1] ^ 1,)), 1024))
    assert host.plain("KEM TRANSPORT").sw == StatusWord.DATA
    host.done(*se1.write_operand_all(public[:-1], 1024))
    assert host.plain("KEM TRANSPORT").sw == StatusWord.DATA


def test_keys_wrapped_for_another_exchange_are_refused() -> None:
    host = die()
    host.plain("VERIFY TOKEN", kind=Token.RAW, token=transport.RAW_TOKEN)
    host.plain("SET UID", uid=UID)
    assert host.plain("PUT TRANSPORT KEYS", kvn=0x30, wrapped=bytes(152)).sw == StatusWord.CONDITIONS
    _, public = transport.plant_key()
    host.done(*se1.write_operand_all(public, 1024), se1.command("KEM TRANSPORT"))
    assert host.plain("PUT TRANSPORT KEYS", kvn=0x31, wrapped=bytes(152)).sw == StatusWord.DATA
    assert host.plain("PUT TRANSPORT KEYS", kvn=0x30, wrapped=bytes(152)).sw == StatusWord.DATA
    assert se1.key_sets(host.plain("GET KEY INFO").data) == ()
    assert load_keys(host).ok, "a failed try costs nothing"


@pytest.mark.parametrize("target", [LifeCycle.TEST_LOCKED, LifeCycle.OP_READY])
def test_the_test_port_is_not_left_without_uid_and_keys(target: LifeCycle) -> None:
    host = die()
    host.plain("VERIFY TOKEN", kind=Token.RAW, token=transport.RAW_TOKEN)
    assert host.plain("SET STATUS", life_cycle=target).sw == StatusWord.CONDITIONS
    host.plain("SET UID", uid=UID)
    assert host.plain("SET STATUS", life_cycle=target).sw == StatusWord.CONDITIONS


@pytest.mark.parametrize("target", sorted(set(LifeCycle) - {LifeCycle.TEST_LOCKED, LifeCycle.OP_READY}))
def test_test_leads_nowhere_else(target: LifeCycle) -> None:
    host = twin(specimen(LifeCycle.TEST_UNLOCKED))
    assert host.plain("SET STATUS", life_cycle=target).sw == StatusWord.CONDITIONS
