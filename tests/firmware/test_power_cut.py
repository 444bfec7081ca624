"""A power cut at every write of every forward step leaves it done or not done, and a way forward."""

from collections.abc import Callable
from typing import Literal

import pytest

from drivers.protocols import se1
from drivers.protocols.se1_table import KeySet, LifeCycle, SlotState, Token
from sim.dut.chip import ChipFaults
from sim.dut.memory import PowerCut
from sim.dut.transport import RAW_TOKEN, unlocking_token
from tests.firmware.host import RMA_TOKEN, Host, credentials, identity, personalise, ready, specimen, twin

KINDS: tuple[Literal["before", "torn", "after"], ...] = ("before", "torn", "after")
Step = Callable[[Host], object]
Facts = tuple[LifeCycle, tuple[int, ...], tuple[SlotState, ...], int, bytes]


def facts(host: Host) -> Facts:
    """What outlives power, as a fresh boot tells it."""
    host.power()
    status = se1.die_status(host.plain("DIE STATUS").data)
    reply = host.plain("GET KEY INFO")
    sets = se1.key_sets(reply.data) if reply.ok else ()
    stored = b""
    if status.life_cycle in (LifeCycle.INITIALIZED, LifeCycle.SECURED) and sets:
        host.open(sets[-1])
        stored = host.do("STORE HASH")
    assert status.alarms == 0
    return status.life_cycle, sets, status.slots, status.containers, stored


def cut_everywhere(start: Host, step: Step, *, open_with: int | None) -> list[Facts]:
    """Do the step once for each write and each kind of cut; what came of it, and then of doing it again."""
    found, at = [], 1
    for kind in KINDS:
        for at in range(1, 400):
            host = twin(start.chip)
            if open_with is not None:
                host.open(open_with)
            host.chip.cut(PowerCut(at, kind))
            try:
                step(host)
            except ConnectionError:
                found.append(facts(host))
                continue
            break
        assert at > 1, "the step writes something"
    return found


def done(start: Host, step: Step, *, open_with: int | None) -> tuple[Facts, Facts]:
    """Before the step, and after it."""
    host = twin(start.chip)
    before = facts(host)
    host.power()
    if open_with is not None:
        host.open(open_with)
    step(host)
    return before, facts(host)


def check(start: Host, step: Step, *, open_with: int | None = KeySet.TRANSPORT) -> None:
    before, after = done(start, step, open_with=open_with)
    found = cut_everywhere(start, step, open_with=open_with)
    assert before != after
    assert set(found) == {before, after}


def brought(until: str) -> Host:
    host = ready()
    personalise(host, until=until)
    return host


def put_key(host: Host) -> None:
    """PUT KEY with keys that the test can open later."""
    host.put_issuer_keys()


def test_put_key() -> None:
    check(brought("identity"), put_key)


def test_delete_key() -> None:
    host = brought("rotate")
    check(host, lambda die: die.done(se1.delete_key(KeySet.TRANSPORT)), open_with=KeySet.ISSUER)


@pytest.mark.parametrize("at", range(1, 5))
def test_no_key_stays_behind(at: int) -> None:
    """Whatever a cut leaves of a key set that is gone, or not yet there, the next boot wipes."""
    host = twin(brought("rotate").chip)
    host.open(KeySet.ISSUER)
    host.chip.cut(PowerCut(at, "before"))
    with pytest.raises(ConnectionError):
        host.done(se1.delete_key(KeySet.TRANSPORT))
    deleted = KeySet.TRANSPORT not in facts(host)[1]
    area = b"".join(host.chip.memory.pages[page] for page in (32, 33, 34))
    assert any(area) is not deleted


def test_identity_makes_initialized_or_nothing() -> None:
    check(ready(), lambda die: die.store(identity(die.uid).container()))


def test_credentials_are_committed_whole() -> None:
    container = credentials(size=2000)
    check(brought("keys"), lambda die: die.store(container))


def test_credentials_replaced_whole() -> None:
    container = credentials(size=300)
    check(brought("credentials"), lambda die: die.store(container))


def set_status(life_cycle: LifeCycle) -> Step:
    return lambda die: die.do("SET STATUS", life_cycle=life_cycle)


def test_lock() -> None:
    host = brought("delete")
    check(host, set_status(LifeCycle.SECURED), open_with=KeySet.ISSUER)


def test_card_lock_and_termination() -> None:
    start = twin(specimen(LifeCycle.SECURED))
    check(start, set_status(LifeCycle.CARD_LOCKED), open_with=KeySet.ISSUER)
    check(start, set_status(LifeCycle.TERMINATED), open_with=KeySet.ISSUER)


def test_leaving_the_test_states() -> None:
    start = twin(specimen(LifeCycle.TEST_UNLOCKED))
    check(start, set_status(LifeCycle.TEST_LOCKED), open_with=None)
    check(start, set_status(LifeCycle.OP_READY), open_with=None)


def test_opening_the_test_port() -> None:
    raw, locked = (twin(specimen(state)) for state in (LifeCycle.RAW, LifeCycle.TEST_LOCKED))
    check(raw, lambda die: die.do("VERIFY TOKEN", kind=Token.RAW, token=RAW_TOKEN), open_with=None)
    token = unlocking_token(locked.uid)
    check(locked, lambda die: die.do("VERIFY TOKEN", kind=Token.TEST, token=token), open_with=None)


def test_rma_is_finished_at_the_next_boot() -> None:
    start = twin(specimen(LifeCycle.SECURED))
    check(start, lambda die: die.do("VERIFY TOKEN", kind=Token.RMA, token=RMA_TOKEN), open_with=None)


def test_key_generation_may_leave_a_partial_slot_and_can_be_done_again() -> None:
    start = brought("identity")
    seen = set()
    for life_cycle, sets, slots, containers, _ in cut_everywhere(
        start, Host.generate, open_with=KeySet.TRANSPORT
    ):
        seen.add(slots[1])
        assert (life_cycle, sets, containers) == (LifeCycle.INITIALIZED, (KeySet.TRANSPORT,), 1)
    assert seen == {SlotState.EMPTY, SlotState.PARTIAL, SlotState.VALID}
    host = twin(start.chip)
    host.open()
    host.chip.cut(PowerCut(10, "torn"))
    with pytest.raises(ConnectionError):
        host.generate()
    host.power()
    host.open()
    assert len(host.generate()) == 1952


def test_an_attempt_counts_even_if_the_power_goes() -> None:
    host = ready()
    offered = se1.command("INITIALIZE UPDATE", kvn=0x30, host_challenge=bytes(16))
    for n in (1, 2):
        host.raw(offered)
        host.chip.cut(PowerCut(1, "after"))
        with pytest.raises(ConnectionError):
            host.raw(bytes.fromhex("8482330020") + bytes(33))
        host.power()
        assert se1.die_status(host.plain("DIE STATUS").data).auth_failures == n


def test_nothing_is_answered_until_the_power_is_back() -> None:
    host = ready()
    host.open()
    host.chip.cut(PowerCut(1, "before"))
    with pytest.raises(ConnectionError):
        host.store(identity(host.uid).container())
    with pytest.raises(ConnectionError):
        host.plain("DIE STATUS")
    host.power()
    assert host.plain("DIE STATUS").ok


@pytest.mark.parametrize("kind", KINDS)
def test_no_half_of_a_failed_pair_stays_behind(kind: Literal["before", "torn", "after"]) -> None:
    """Wherever a cut falls in the wipe of its slot, the private key is gone after the next boot."""
    ends = set[SlotState]()
    for at in range(1, 400):
        host = twin(brought("identity").chip, faults=ChipFaults(pairwise=True))
        host.open()
        host.chip.cut(PowerCut(at, kind))
        try:
            host.generate()
        except ConnectionError:
            host.power()
        except AssertionError:
            break
        state = se1.die_status(host.plain("DIE STATUS").data).slots[1]
        ends.add(state)
        left = b"".join(host.chip.memory.read(page) for page in range(128, 130))
        assert state is not SlotState.WIPED or not any(left)
    assert SlotState.WIPED in ends
