"""The chip model around the firmware: power, memory, time, faults, and dies apart from each other."""

import re

import pytest

from drivers.protocols import se1
from drivers.protocols.se1_replies import DieStatus
from drivers.protocols.se1_table import ATR, Algorithm, Kat, LifeCycle, Slot, SlotState, StatusWord
from sim.dut import crypto
from sim.dut.chip import Chip, ChipFaults
from sim.dut.latency import Latency, Profile
from sim.dut.memory import Memory, PowerCut
from sim.dut.transport import SortError, development_uid, load
from tests.firmware.host import Host, MacError, credentials, personalise, ready

STATUS = se1.command("DIE STATUS")


def told(chip: Chip) -> DieStatus:
    reply, _ = chip.apdu(STATUS)
    assert reply is not None
    return se1.die_status(se1.split(reply).data)


def test_a_die_from_sort() -> None:
    chip = Chip.from_sort(7, latency="zero")
    host = Host(chip)
    assert chip.life_cycle is LifeCycle.TEST_UNLOCKED
    assert host.uid == development_uid(7)
    assert se1.key_sets(host.do("GET KEY INFO")) == (0x30,)
    assert told(chip).test_transitions == 3


def test_silence_without_power_or_reset() -> None:
    chip = Chip.from_sort(0)
    assert chip.atr() is None
    assert chip.apdu(STATUS) == (None, 0.0)
    chip.power(1.2)
    assert chip.atr() is None
    chip.power(1.8)
    assert chip.apdu(STATUS) == (None, 0.0)
    assert chip.atr() == ATR
    assert told(chip).boots == 2
    chip.deactivate()
    assert chip.apdu(STATUS) == (None, 0.0)


def test_power_off_ends_a_session() -> None:
    host = ready()
    host.open()
    host.power()
    assert not told(host.chip).in_session


def test_one_seed_gives_the_same_dies() -> None:
    def keys(seed: str, index: int) -> dict[int, bytes]:
        host = Host(Chip.from_sort(index, seed=seed, latency="zero", state=LifeCycle.OP_READY))
        personalise(host, until="keys")
        return {int(slot): key for slot, key in host.chip.public_keys().items()}

    assert keys("a", 1) == keys("a", 1)
    others = [keys("a", 1), keys("a", 2), keys("b", 1)]
    assert len({key for made in others for key in made.values()}) == 9


def test_seconds_depend_on_the_seed_alone() -> None:
    def seconds() -> float:
        host = Host(Chip.from_sort(3, seed="s", state=LifeCycle.OP_READY))
        personalise(host)
        return host.seconds

    first = seconds()
    assert first == seconds()
    assert 3.138 * 0.9 < first < 6.0


def test_signing_takes_as_long_as_published() -> None:
    latency = Latency("qvault", Chip(1).drbg)
    times = []
    for _ in range(20_000):
        latency.asymmetric("sign", Algorithm.MLDSA65)
        times.append(latency.take())
    assert sum(times) / len(times) == pytest.approx(0.581, rel=0.02)
    assert min(times) == pytest.approx(0.116 + 0.0912)


def test_profiles() -> None:
    def spent(profile: Profile) -> float:
        chip = Chip.from_sort(3, seed="s", latency=profile, state=LifeCycle.OP_READY)
        host = Host(chip)
        personalise(host)
        return host.seconds

    zero, asymmetric, full = spent("zero"), spent("qvault"), spent("qvault-full")
    assert zero == 0.0 < asymmetric < full


@pytest.mark.parametrize(("profile", "seconds"), [("qvault", 4.8), ("qvault-full", 7.3)])
def test_a_personalisation_takes_what_the_page_says(profile: Profile, seconds: float) -> None:
    """Key generation, proofs and attestation, without self-tests; the mean, since signing varies by die."""
    spent = []
    for index in range(12):
        host = Host(Chip.from_sort(index, seed="s", latency=profile, state=LifeCycle.OP_READY))
        host.do("SELF TEST")
        host.seconds = 0.0
        personalise(host, until="keys")
        for slot in (1, 2):
            host.do("INTERNAL AUTHENTICATE", kind=0, slot=slot, nonce=bytes(32))
        ciphertext, _ = crypto.encaps(host.chip.public_keys()[Slot.ID_KEM])
        host.done(*se1.write_operand_all(ciphertext, 1024))
        host.do("GENERAL AUTHENTICATE", slot=3, nonce=bytes(32))
        host.store(credentials(size=3700))
        host.do("STORE HASH")
        host.do("INTERNAL AUTHENTICATE", kind=1, slot=2, nonce=bytes(32))
        spent.append(host.seconds)
    assert sum(spent) / len(spent) == pytest.approx(seconds, rel=0.06)


def test_sixteen_dies_do_not_touch_each_other() -> None:
    dies = [ready(index) for index in range(16)]
    for host in dies:
        host.open()
    for n, host in enumerate(dies):
        if n % 2:
            personalise(host, until="keys")
    for n, host in enumerate(dies):
        status = se1.die_status(host.do("DIE STATUS"))
        assert status.slots[1] is (SlotState.VALID if n % 2 else SlotState.EMPTY)
        assert se1.uid_of(host.do("GET UID")) == development_uid(n)
    keys = [host.chip.public_keys() for host in dies if host.chip.public_keys()]
    assert len({tuple(item.values()) for item in keys}) == 8


class BrokenModelError(Exception):
    """What a mistake in the model raises."""


def test_an_error_in_the_model_comes_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(page: int, count: int) -> bytes:
        raise BrokenModelError(page, count)

    chip = Chip.from_sort(0)
    chip.power(3.3)
    chip.atr()
    monkeypatch.setattr(chip.memory, "read", fails)
    with pytest.raises(BrokenModelError):
        chip.apdu(se1.command("SELF TEST"))


def test_a_die_that_refuses_sort_is_told() -> None:
    chip = Chip.from_sort(0)
    chip.power(3.3)
    chip.atr()
    with pytest.raises(SortError, match=re.escape("80 20 00 01 answered 6985")):
        load(lambda apdu: chip.apdu(apdu)[0] or b"", development_uid(1), payload=1024)


# ---- faults


def faulty(faults: ChipFaults, state: LifeCycle = LifeCycle.TEST_UNLOCKED) -> Chip:
    return Chip.from_sort(0, seed="f", latency="zero", state=state, faults=faults)


def test_no_answer_to_reset() -> None:
    chip = faulty(ChipFaults(mute=True))
    chip.power(3.3)
    assert chip.atr() is None


def test_mute_after_some_commands() -> None:
    chip = faulty(ChipFaults(mute_after=2))
    chip.power(3.3)
    for _ in range(2):
        chip.atr()
        assert [chip.apdu(STATUS)[0] is None for _ in range(4)] == [False, False, True, True]


@pytest.mark.parametrize("trng", ["stuck", "biased"])
def test_a_bad_noise_source_is_found_on_chip(trng: str) -> None:
    faults = ChipFaults(trng="stuck") if trng == "stuck" else ChipFaults(trng="biased")
    host = Host(faulty(faults))
    health = se1.trng_health(host.do("TRNG HEALTH"))
    assert health.state == "start-up failed"
    assert health.apt_worst >= health.apt_cutoff
    assert (health.rct_longest >= health.rct_cutoff) is (trng == "stuck")
    assert se1.self_test(host.do("SELF TEST")).failed == 0b1000
    assert told(host.chip).alarms == 0b1100
    assert host.plain("KEM TRANSPORT").sw == StatusWord.CONDITIONS


def test_slight_bias_is_left_to_the_host() -> None:
    host = Host(faulty(ChipFaults(trng="biased", bias=0.55)))
    assert se1.trng_health(host.do("TRNG HEALTH")).state == "sound"
    raw = host.done(*se1.read_all(0x7D, 0, 8192, 1024))
    ones = sum(byte.bit_count() for byte in raw) / 65536
    assert 0.54 < ones < 0.56


def test_a_good_source_stays_sound() -> None:
    host = Host(faulty(ChipFaults()))
    host.done(*se1.read_all(0x7D, 0, 65536, 1024))
    health = se1.trng_health(host.do("TRNG HEALTH"))
    assert (health.state, health.samples) == ("sound", 1024 + 8 * 65536)
    assert 15 <= health.rct_longest < health.rct_cutoff


@pytest.mark.parametrize(
    ("faults", "alarm"),
    [
        (ChipFaults(trng="stuck"), "repetition count"),
        (ChipFaults(trng="biased", bias=0.68), "adaptive proportion"),
    ],
)
def test_an_alarm_in_operation_is_held_until_reset(faults: ChipFaults, alarm: str) -> None:
    chip = faulty(ChipFaults(), LifeCycle.OP_READY)
    host = Host(chip)
    chip.faults = faults
    personalise(host, until="identity")
    host.done(se1.read(0x7D, 0, 0, 1024))
    assert se1.trng_health(host.do("TRNG HEALTH")).state == alarm
    chip.faults = ChipFaults()
    generate = se1.command("GENERATE KEY PAIR", slot=2, algorithm=0x0202, attributes=0x0017)
    assert host.send(generate).sw == StatusWord.RNG_FAILED
    host.power()
    assert told(chip).alarms == 0


def test_broken_mldsa_accepts_everything_and_is_found() -> None:
    host = Host(faulty(ChipFaults(broken="mldsa")))
    _, public = crypto.keypair(Algorithm.MLDSA65, bytes(32))
    host.done(*se1.write_operand_all(public + bytes(3310), 1024))
    accepted = host.do("RUN KAT", kat=Kat.MLDSA65_VERIFY)
    assert accepted == crypto.digest(None, b"\x01")
    assert se1.self_test(host.do("SELF TEST")).failed == 0b100000


def test_broken_aes_is_found() -> None:
    host = Host(faulty(ChipFaults(broken="aes")))
    assert se1.self_test(host.do("SELF TEST")).failed & 1
    ready_host = Host(faulty(ChipFaults(broken="aes"), LifeCycle.OP_READY))
    assert (
        ready_host.plain("INITIALIZE UPDATE", kvn=0x30, host_challenge=bytes(16)).sw == StatusWord.CAST_FAILED
    )


def test_missing_implicit_rejection_shows_in_the_known_answer() -> None:
    private, public = crypto.keypair(Algorithm.MLKEM768, bytes(range(64)))
    ciphertext, secret = crypto.encaps(public)
    spoilt = ciphertext[:-1] + bytes((ciphertext[-1] ^ 1,))
    for faults, rejected in ((ChipFaults(), None), (ChipFaults(broken="mlkem"), bytes(32))):
        host = Host(faulty(faults))
        host.done(*se1.write_operand_all(private + ciphertext, 1024))
        assert host.do("RUN KAT", kat=Kat.MLKEM768_DECAPS) == crypto.digest(None, secret)
        host.done(*se1.write_operand_all(private + spoilt, 1024))
        want = crypto.rejected(private, spoilt) if rejected is None else rejected
        assert host.do("RUN KAT", kat=Kat.MLKEM768_DECAPS) == crypto.digest(None, want)


def test_a_wrong_mac_is_seen_by_the_host() -> None:
    host = Host(faulty(ChipFaults(wrong_mac=True), LifeCycle.OP_READY))
    host.open()
    with pytest.raises(MacError):
        host.do("DIE STATUS")


def test_what_no_die_can_be_is_refused() -> None:
    with pytest.raises(ValueError, match="payload 1000: an se1 has 223, 1024 or 4096"):
        Chip(0, payload=1000)
    with pytest.raises(ValueError, match="no die comes SECURED from sort: RAW, TEST_LOCKED"):
        Chip.from_sort(0, state=LifeCycle.SECURED)


def test_pairwise_failure_wipes_the_slot() -> None:
    host = Host(faulty(ChipFaults(pairwise=True), LifeCycle.OP_READY))
    personalise(host, until="identity")
    command = se1.command("GENERATE KEY PAIR", slot=2, algorithm=0x0202, attributes=0x0017)
    assert host.send(command).sw == StatusWord.PAIRWISE_FAILED
    assert told_in_session(host).slots[1] is SlotState.WIPED
    assert host.chip.public_keys() == {}


def told_in_session(host: Host) -> DieStatus:
    return se1.die_status(host.do("DIE STATUS"))


def test_a_lie_about_the_life_cycle_shows_in_the_clear_only() -> None:
    host = Host(faulty(ChipFaults(life_cycle=LifeCycle.SECURED), LifeCycle.OP_READY))
    assert told(host.chip).life_cycle is LifeCycle.SECURED
    host.open()
    assert told_in_session(host).life_cycle is LifeCycle.OP_READY
    assert host.chip.life_cycle is LifeCycle.OP_READY


# ---- memory


def test_torn_and_weak_writes() -> None:
    memory = Memory(Chip(3).drbg)
    memory.write(0, bytes(64))
    memory.arm(PowerCut(1, "torn"))
    assert not memory.write(0, b"\x55" * 64)
    assert memory.read(0) not in (bytes(64), b"\x55" * 64)
    assert not memory.write(1, bytes(64))
    assert memory.read(1) == b"\xff" * 64
    memory.lost = False
    memory.arm(PowerCut(1, "torn"))
    assert not memory.set_bit(4)
    memory.lost = False
    assert {memory.read_bit(4) for _ in range(64)} == {False, True}
    assert memory.set_bit(4)
    assert all(memory.read_bit(4) for _ in range(64))
