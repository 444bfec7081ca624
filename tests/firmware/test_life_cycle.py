"""The life cycle in OTP: half-written codes, weak bits, what each state allows, and attempts that count."""

import pytest

from drivers.protocols import se1
from drivers.protocols.se1_objects import Container, Object
from drivers.protocols.se1_replies import Alarms, DieStatus, SelfTests
from drivers.protocols.se1_table import ContainerKind, Kat, KeySet, LifeCycle, ObjectType, StatusWord, Token
from sim.dut.chip import ChipFaults
from sim.dut.memory import BLANK, PowerCut
from sim.dut.transport import unlocking_token
from tests.firmware.host import RMA_TOKEN, Host, credentials, personalise, ready, specimen, twin

FOUR = (LifeCycle.OP_READY, LifeCycle.INITIALIZED, LifeCycle.SECURED, LifeCycle.CARD_LOCKED)
CODE = frozenset(range(7))
RMA_BIT, TERMINATED_BIT = 8, 7


def with_code(state: LifeCycle, bits: set[int]) -> Host:
    """A die in a state whose life-cycle bits are these, as a cut would leave them."""
    host = twin(specimen(state))
    host.chip.memory.bits -= CODE
    host.chip.memory.bits |= bits
    host.power()
    return host


@pytest.mark.parametrize(
    ("state", "bits", "read"),
    [
        (LifeCycle.OP_READY, {0, 1}, LifeCycle.OP_READY),
        (LifeCycle.INITIALIZED, {0}, LifeCycle.INITIALIZED),
        (LifeCycle.INITIALIZED, {0, 1}, LifeCycle.INITIALIZED),
        (LifeCycle.SECURED, {0, 1, 2, 3, 4}, LifeCycle.SECURED),
        (LifeCycle.SECURED, {0, 1, 2, 3, 4, 5}, LifeCycle.SECURED),
        (LifeCycle.CARD_LOCKED, {0, 1, 2, 3, 4, 5, 6}, LifeCycle.CARD_LOCKED),
    ],
)
def test_a_half_written_code_is_completed_if_its_cause_is_committed(
    state: LifeCycle, bits: set[int], read: LifeCycle
) -> None:
    """03 with the identity container becomes 07; without it, and 1F and 3F, read as the lower state."""
    host = with_code(state, bits)
    assert se1.die_status(host.do("DIE STATUS")).life_cycle is read
    completed = {0, 1, 2} if read is LifeCycle.INITIALIZED else bits
    assert host.chip.memory.bits & CODE == completed


@pytest.mark.parametrize("bit", [0, 1, 2, 3, 4, 6, TERMINATED_BIT, RMA_BIT])
def test_a_weak_bit_is_settled_by_the_next_boot(bit: int) -> None:
    """It reads at random until a boot sees it set and programs it again; then it always reads alike."""
    before = {0: (), 1: (0,), 2: (0, 1), 3: (0, 1, 2), 4: (0, 1, 2, 3), 6: (0, 1, 2, 3, 4, 5)}
    host = twin(specimen(LifeCycle.INITIALIZED if bit in (2, 3) else LifeCycle.SECURED))
    host.chip.memory.bits -= CODE
    host.chip.memory.bits |= set(before.get(bit, (0, 1, 2, 3)))
    for _ in range(40):
        host.chip.memory.weak = {bit}
        host.chip.memory.bits.discard(bit)
        host.power()
        if bit not in host.chip.memory.weak:
            break
    assert bit in host.chip.memory.bits, "it was seen set, so it was programmed again"
    states = set()
    for _ in range(8):
        host.power()
        states.add(se1.die_status(host.do("DIE STATUS")).life_cycle)
    assert len(states) == 1


@pytest.mark.parametrize("state", FOUR)
def test_a_session_ends_a_die_in_each_of_the_four_states(state: LifeCycle) -> None:
    host = twin(specimen(state))
    terminate = se1.command("SET STATUS", life_cycle=LifeCycle.TERMINATED)
    assert host.send(terminate).sw == StatusWord.SECURITY, "not in the clear"
    host.power()
    host.open(KeySet.ISSUER if state in (LifeCycle.SECURED, LifeCycle.CARD_LOCKED) else KeySet.TRANSPORT)
    assert host.send(terminate).ok
    host.channel = None
    host.power()
    assert host.chip.life_cycle is LifeCycle.TERMINATED


@pytest.mark.parametrize("state", FOUR)
def test_nothing_goes_back(state: LifeCycle) -> None:
    """From each state only the next one, and the end."""
    after = {
        LifeCycle.OP_READY: (),
        LifeCycle.INITIALIZED: (),
        LifeCycle.SECURED: (LifeCycle.CARD_LOCKED,),
        LifeCycle.CARD_LOCKED: (),
    }
    for target in LifeCycle:
        if target is LifeCycle.TERMINATED or target in after[state]:
            continue
        host = twin(specimen(state))
        host.open(KeySet.ISSUER if state in (LifeCycle.SECURED, LifeCycle.CARD_LOCKED) else KeySet.TRANSPORT)
        assert host.send(se1.command("SET STATUS", life_cycle=target)).sw == StatusWord.CONDITIONS
        assert host.chip.life_cycle is state


def test_a_card_locked_die_answers_select_with_a_warning() -> None:
    reply = twin(specimen(LifeCycle.CARD_LOCKED)).send(se1.select())
    assert (reply.sw, len(reply.data)) == (StatusWord.LOCKED_WARNING, 19)


# ---- tokens


def status(host: Host) -> DieStatus:
    return se1.die_status(host.plain("DIE STATUS").data)


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        (LifeCycle.RAW, Token.RAW),
        (LifeCycle.TEST_LOCKED, Token.TEST),
        (LifeCycle.SECURED, Token.RMA),
        (LifeCycle.CARD_LOCKED, Token.RMA),
    ],
)
def test_a_wrong_token_counts_even_if_the_power_goes(state: LifeCycle, kind: Token) -> None:
    host = twin(specimen(state))
    for tries in (1, 2, 3):
        host.chip.cut(PowerCut(1, "after"))
        with pytest.raises(ConnectionError):
            host.plain("VERIFY TOKEN", kind=kind, token=bytes(32))
        host.power()
        assert status(host).token_failures == tries
    assert host.plain("VERIFY TOKEN", kind=kind, token=bytes(32)).sw == StatusWord.TOKEN_WRONG + 4


def test_the_right_token_forgives_the_wrong_ones() -> None:
    host = twin(specimen(LifeCycle.TEST_LOCKED))
    for _ in range(7):
        host.plain("VERIFY TOKEN", kind=Token.TEST, token=bytes(32))
    assert host.plain("VERIFY TOKEN", kind=Token.TEST, token=unlocking_token(host.uid)).ok
    assert status(host).token_failures == 0
    assert status(host).life_cycle is LifeCycle.TEST_UNLOCKED


@pytest.mark.parametrize("kind", [0, 4, 0xFF])
def test_a_token_of_no_kind_is_refused(kind: int) -> None:
    assert twin(specimen(LifeCycle.SECURED)).plain("VERIFY TOKEN", kind=kind, token=bytes(32)).sw == 0x6A86


@pytest.mark.parametrize("state", LifeCycle)
def test_a_token_opens_in_its_state_only(state: LifeCycle) -> None:
    fitting = {
        Token.RAW: (LifeCycle.RAW,),
        Token.TEST: (LifeCycle.TEST_LOCKED,),
        Token.RMA: (LifeCycle.SECURED, LifeCycle.CARD_LOCKED),
    }
    for kind, states in fitting.items():
        host = twin(specimen(state))
        sw = host.plain("VERIFY TOKEN", kind=kind, token=bytes(32)).sw
        assert (sw != StatusWord.CONDITIONS) is (state in states), kind
        assert status(host).token_failures == (state in states), "an attempt that could not count does not"


def test_a_locked_card_can_be_returned_too() -> None:
    host = twin(specimen(LifeCycle.CARD_LOCKED))
    assert host.plain("VERIFY TOKEN", kind=Token.RMA, token=RMA_TOKEN).ok
    assert host.chip.life_cycle is LifeCycle.RMA
    assert host.plain("VERIFY TOKEN", kind=Token.RMA, token=RMA_TOKEN).sw == StatusWord.CONDITIONS


def test_nothing_that_was_ever_stored_outlives_a_return() -> None:
    """Containers that were replaced, and blocks that were staged and never committed, go too."""
    host = ready()
    personalise(host, until="keys")
    for data in (b"of the customer " * 500, b"x"):
        host.store(Container(ContainerKind.CUSTOMER, (Object(ObjectType.CUSTOMER, 0, 0, data),)).encode())
    host.store(credentials(size=900))
    host.put_issuer_keys()
    host.open(KeySet.ISSUER)
    host.done(se1.delete_key(KeySet.TRANSPORT), *se1.store_data(credentials(size=1200), 1024)[:-1])
    host.do("SET STATUS", life_cycle=LifeCycle.SECURED)
    assert any(b"of the customer" in page for page in host.chip.memory.pages.values())
    host.channel = None
    host.power()
    assert host.plain("VERIFY TOKEN", kind=Token.RMA, token=RMA_TOKEN).ok
    stored = {number: page for number, page in host.chip.memory.pages.items() if number >= 32}
    assert [number for number, page in stored.items() if any(page) and page != BLANK] == []


def test_a_returned_die_can_be_examined_and_holds_nothing() -> None:
    host = twin(specimen(LifeCycle.RMA))
    assert se1.self_test(host.do("SELF TEST")).failed == 0
    host.done(se1.write_operand(0, b"abc"))
    assert len(host.do("RUN KAT", kat=Kat.SHA384)) == 48
    assert len(host.read(ObjectType.TRNG_RAW, 0, 64)) == 64
    for kind in (ObjectType.IDENTITY, ObjectType.CERTIFICATE, ObjectType.ISSUER_IDS, ObjectType.PUBLIC_KEY):
        for slot in range(4):
            assert host.send(se1.read(kind, slot, 0, 16)).sw == StatusWord.NOT_FOUND


# ---- proofs and slots


def test_only_signing_keys_sign_and_only_those_that_are_there() -> None:
    host = twin(specimen(LifeCycle.INITIALIZED))
    host.open()
    for slot, kind, want in (
        (3, 0, StatusWord.P1P2),
        (0, 0, StatusWord.P1P2),
        (4, 1, StatusWord.P1P2),
        (1, 2, StatusWord.P1P2),
    ):
        command = se1.command("INTERNAL AUTHENTICATE", kind=kind, slot=slot, nonce=bytes(32))
        assert host.send(command).sw == want, (slot, kind)
    empty = twin(specimen(LifeCycle.OP_READY))
    empty.open()
    assert empty.send(se1.command("INTERNAL AUTHENTICATE", kind=0, slot=1, nonce=bytes(32))).sw == (
        StatusWord.CONDITIONS
    )


# ---- integrity


def test_a_die_under_attack_computes_nothing_until_it_is_reset() -> None:
    host = twin(specimen(LifeCycle.INITIALIZED))
    channel = host.open()
    host.chip.faults = ChipFaults(sensor=True)
    assert se1.split(host.raw(channel.wrap(se1.command("STORE HASH")))).sw == StatusWord.SENSOR
    host.channel = None
    host.chip.faults = ChipFaults()
    for name in ("SELF TEST", "GET KEY INFO", "TRNG HEALTH"):
        assert host.plain(name).sw == StatusWord.SENSOR
    assert host.send(se1.select()).sw == StatusWord.SENSOR
    assert host.plain("GET UID").ok
    told = status(host)
    assert (told.alarms, told.in_session) == (Alarms.SENSOR, False)
    host.power()
    assert status(host).alarms == 0
    host.open()


def test_a_page_that_changed_raises_the_alarm_of_the_memory() -> None:
    host = twin(specimen(LifeCycle.SECURED))
    bank = next(page for page in sorted(host.chip.memory.pages) if page >= 512)
    page = host.chip.memory.pages[bank]
    host.chip.memory.pages[bank] = page[:20] + bytes((page[20] ^ 1,)) + page[21:]
    host.power()
    host.open(KeySet.ISSUER)
    assert host.send(se1.command("STORE HASH")).sw == StatusWord.NVM_INTEGRITY
    told = se1.die_status(host.do("DIE STATUS"))
    assert told.alarms == Alarms.NVM
    assert se1.self_test(host.do("SELF TEST")).failed == SelfTests.NVM


def test_a_record_of_which_both_pages_are_gone_raises_the_alarm_at_boot() -> None:
    host = twin(specimen(LifeCycle.INITIALIZED))
    for page in (2, 3):
        host.chip.memory.pages[page] = bytes(64)
    host.power()
    assert status(host).alarms & Alarms.NVM
