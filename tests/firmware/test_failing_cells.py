"""A cell that refuses a write: what the die then says of itself is what the next boot finds."""

import pytest

from drivers.protocols import se1
from drivers.protocols.se1_replies import DieStatus
from drivers.protocols.se1_table import KeySet, LifeCycle, StatusWord, Token
from sim.dut.chip import Hal
from sim.dut.firmware import FAIL
from sim.dut.transport import unlocking_token
from tests.firmware.host import Host, credentials, identity, specimen, twin
from tests.firmware.test_power_cut import Step, brought, put_key, set_status

ORDER = (LifeCycle.OP_READY, LifeCycle.INITIALIZED, LifeCycle.SECURED, LifeCycle.CARD_LOCKED)


class Refusing:
    """Refuses one write of NVM or OTP, of all dies together."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left = 0
        """So many writes to the refused one; 0: none is."""
        write, program = Hal.nvm_write, Hal.otp_set
        monkeypatch.setattr(Hal, "nvm_write", lambda hal, page, data: self._or(write, hal, page, data))
        monkeypatch.setattr(Hal, "otp_set", lambda hal, bit: self._or(program, hal, bit))

    def _or(self, written: object, *arguments: object) -> object:
        self.left -= 1
        assert callable(written)
        return FAIL if self.left == 0 else written(*arguments)


@pytest.fixture
def refusing(monkeypatch: pytest.MonkeyPatch) -> Refusing:
    return Refusing(monkeypatch)


def told(host: Host) -> DieStatus:
    return se1.die_status(host.do("DIE STATUS"))


def refuse_each(refusing: Refusing, start: Host, step: Step, kvn: int | None) -> int:
    """Do the step with each of its writes refused; return how many it has."""
    for at in range(1, 400):
        host = twin(start.chip)
        if kvn is not None:
            host.open(kvn)
        refusing.left = at
        try:
            step(host)
        except AssertionError as refused:
            assert "6581" in str(refused) or "6F00" in str(refused)
        left, refusing.left = refusing.left, 0
        if left > 0:
            return at - 1
        says, host.channel = told(host), None
        host.power()
        finds = told(host)
        assert (says.slots, says.containers) == (finds.slots, finds.containers)
        assert says.test_transitions == finds.test_transitions
        if says.life_cycle is not finds.life_cycle:  # what was begun is completed, never taken back
            assert ORDER.index(says.life_cycle) < ORDER.index(finds.life_cycle)
    raise AssertionError("the step never ends")


def generate(host: Host) -> None:
    host.generate()


@pytest.mark.parametrize(
    ("until", "step", "kvn"),
    [
        ("identity", generate, KeySet.TRANSPORT),
        ("identity", put_key, KeySet.TRANSPORT),
        ("keys", lambda die: die.store(credentials(size=500)), KeySet.TRANSPORT),
        ("credentials", lambda die: die.store(credentials(size=300)), KeySet.TRANSPORT),
        ("rotate", lambda die: die.done(se1.delete_key(KeySet.TRANSPORT)), KeySet.ISSUER),
        ("delete", set_status(LifeCycle.SECURED), KeySet.ISSUER),
    ],
)
def test_a_step_of_personalisation(refusing: Refusing, until: str, step: Step, kvn: int) -> None:
    assert refuse_each(refusing, brought(until), step, kvn) > 0


def test_the_identity(refusing: Refusing) -> None:
    start = twin(specimen(LifeCycle.OP_READY))
    assert (
        refuse_each(refusing, start, lambda die: die.store(identity(die.uid).container()), KeySet.TRANSPORT)
        > 3
    )


def test_the_test_states(refusing: Refusing) -> None:
    unlocked, locked = (twin(specimen(state)) for state in (LifeCycle.TEST_UNLOCKED, LifeCycle.TEST_LOCKED))
    for target in (LifeCycle.TEST_LOCKED, LifeCycle.OP_READY):
        assert refuse_each(refusing, unlocked, set_status(target), None) == 1

    def unlock(die: Host) -> None:
        die.do("VERIFY TOKEN", kind=Token.TEST, token=unlocking_token(die.uid))

    assert refuse_each(refusing, locked, unlock, None) > 1


def test_a_transition_that_was_refused_is_made_by_the_next_try(refusing: Refusing) -> None:
    host = twin(specimen(LifeCycle.TEST_UNLOCKED))
    refusing.left = 1
    assert host.plain("SET STATUS", life_cycle=LifeCycle.TEST_LOCKED).sw == StatusWord.NVM_FAILURE
    host.do("SET STATUS", life_cycle=LifeCycle.TEST_LOCKED)
    host.power()
    assert told(host).life_cycle is LifeCycle.TEST_LOCKED


@pytest.mark.parametrize("at", [1, 2, 3])
def test_no_reply_leaves_in_the_clear_when_its_protection_fails(
    monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    """Of GET UID: the counter block and the encryption of what it answers, and its R-MAC."""
    host = twin(brought("identity").chip)
    host.open()
    aes, left = Hal.aes, at + 1  # the C-MAC of the command comes first

    def failing(hal: Hal, op: int, key: bytes, iv: bytes, data: bytes) -> bytes:
        nonlocal left
        left -= 1
        return aes(hal, op, key, iv, data) if left else b""

    monkeypatch.setattr(Hal, "aes", failing)
    refused = host.send(se1.command("GET UID"))
    assert (refused.data, refused.sw, left) == (b"", StatusWord.INTERNAL, 0)
    assert host.send(se1.command("GET UID")).sw == StatusWord.SECURITY
