"""Every command in every state of life, in the clear and in a session, answers as the table says."""

import pytest

from drivers.protocols import se1
from drivers.protocols.se1_table import (
    COMMANDS,
    Command,
    KeySet,
    LifeCycle,
    StatusWord,
)
from tests.firmware.host import Host, specimen, twin

ALWAYS = {StatusWord.LENGTH, StatusWord.P1P2, StatusWord.SECURITY, StatusWord.INTERNAL}
SESSION_STATES = [LifeCycle.OP_READY, LifeCycle.INITIALIZED, LifeCycle.SECURED, LifeCycle.CARD_LOCKED]
SIZES = {"u8": 1, "u16": 2, "u24": 3, "u32": 4, "u64": 8}


def header(row: Command) -> bytes:
    """CLA INS P1 P2, parameters 1."""
    p1, p2 = (1 if isinstance(value, str) else value for value in (row.p1, row.p2))
    return bytes((row.cla, row.ins, p1, p2))


def body(row: Command) -> bytes:
    """Data of the right length and no sense."""
    sizes = (SIZES.get(kind) or int(kind.replace("*", "4")[6:]) for _, kind in row.data)
    return bytes(sum(sizes))


def allowed(row: Command, sw: int) -> bool:
    return any(sw == word or (word == 0x63C0 and sw & 0xFFF0 == word) for word in words(row))


def words(row: Command) -> set[int]:
    return {int(StatusWord[name]) for name in row.sw} | ALWAYS | {StatusWord.CONDITIONS}


def answer(host: Host, row: Command) -> int:
    return host.send(se1.apdu(header(row), body(row))).sw


@pytest.mark.parametrize("state", LifeCycle)
@pytest.mark.parametrize("name", COMMANDS)
def test_in_the_clear(name: str, state: LifeCycle) -> None:
    row, host = COMMANDS[name], twin(specimen(state))
    sw = answer(host, row)
    if state.name not in row.states:
        assert sw == StatusWord.CONDITIONS
    elif row.channel == "secure":
        assert sw == StatusWord.SECURITY
    else:
        assert allowed(row, sw), se1.status_name(sw)


@pytest.mark.parametrize("state", SESSION_STATES)
@pytest.mark.parametrize("name", COMMANDS)
def test_in_a_session(name: str, state: LifeCycle) -> None:
    row, host = COMMANDS[name], twin(specimen(state))
    if row.cla == 0x00 or name in ("INITIALIZE UPDATE", "EXTERNAL AUTHENTICATE"):
        return
    host.open(KeySet.ISSUER if state in (LifeCycle.SECURED, LifeCycle.CARD_LOCKED) else KeySet.TRANSPORT)
    sw = answer(host, row)
    if state.name not in row.states:
        assert sw == StatusWord.CONDITIONS
    elif row.channel == "plain":
        assert sw == StatusWord.SECURITY
    else:
        assert allowed(row, sw), se1.status_name(sw)
    assert se1.die_status(host.do("DIE STATUS")).in_session, "an error word must not end the session"


@pytest.mark.parametrize("name", COMMANDS)
def test_wrong_length_is_refused(name: str) -> None:
    row = COMMANDS[name]
    if any(kind == "bytes:*" for _, kind in row.data) or name == "EXTERNAL AUTHENTICATE":
        return
    state = LifeCycle[row.states[-1 if name == "DIE STATUS" else 0]]
    host = twin(specimen(state))
    if row.channel == "secure":
        state = next(state for state in SESSION_STATES if state.name in row.states)
        host = twin(specimen(state))
        host.open(KeySet.ISSUER if state is LifeCycle.SECURED else KeySet.TRANSPORT)
    assert host.send(se1.apdu(header(row), body(row) + b"\0")).sw == StatusWord.LENGTH


@pytest.mark.parametrize(
    ("apdu", "sw"),
    [
        ("80ff000000", StatusWord.INS),
        ("80ca123400", StatusWord.P1P2),
        ("81cadf0000", StatusWord.CLA),
        ("00cadf0000", StatusWord.CLA),
        ("80cadf", StatusWord.LENGTH),
        ("80cadf00000000000000", StatusWord.LENGTH),
        ("80db00450511", StatusWord.LENGTH),
        ("00a4040008a00000015100000100", StatusWord.NOT_FOUND),
    ],
)
def test_what_is_no_command(apdu: str, sw: StatusWord) -> None:
    host = twin(specimen(LifeCycle.TEST_UNLOCKED))
    assert se1.split(host.raw(bytes.fromhex(apdu))).sw == sw


def test_parameters_that_every_state_must_show() -> None:
    for state in LifeCycle:
        host = twin(specimen(state))
        assert se1.die_status(host.do("DIE STATUS")).life_cycle is state
        assert host.chip.life_cycle is state
