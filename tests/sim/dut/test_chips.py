"""The chip that a device gets, by its defect."""

from drivers.protocols import se1
from drivers.protocols.se1_table import LifeCycle, ObjectType
from sim.dut.chip import Chip
from sim.dut.chips import Chips
from sim.dut.lot import Lot
from sim.dut.wishes import wishes
from sim.faults import parse


def chip(*faults: str) -> Chip:
    asked = wishes(tuple(parse(fault) for fault in ("dut.population=ideal", *faults)), 1)
    make = Chips(1, "zero", asked)
    made = make(Lot("L1017", 1, 1, make, asked).device(1))
    made.power(3.3)
    made.atr()
    made.apdu(se1.select())
    return made


def noise(made: Chip) -> bytes:
    (command,) = se1.read_all(ObjectType.TRNG_RAW, 0, 1024, 1024)
    reply, _ = made.apdu(command)
    assert reply is not None
    return reply[:-2]


def failed(made: Chip) -> int:
    reply, _ = made.apdu(se1.command("SELF TEST"))
    assert reply is not None and reply[-2:] == b"\x90\x00"
    return se1.self_test(reply[:-2]).failed


def test_a_sound_chip_comes_from_sort_with_its_test_port_open() -> None:
    made = chip()
    assert made.life_cycle is LifeCycle.TEST_UNLOCKED
    assert failed(made) == 0
    assert 0.45 < sum(byte.bit_count() for byte in noise(made)) / 8192 < 0.55


def test_noise_defects() -> None:
    assert set(noise(chip("dut.trng_stuck"))) == {0}
    assert sum(byte.bit_count() for byte in noise(chip("dut.trng_biased"))) / 8192 > 0.54
    repeating = noise(chip("dut.trng_repeating"))
    assert repeating[:256] == repeating[256:512]
    assert 0.4 < sum(byte.bit_count() for byte in repeating) / 8192 < 0.6


def test_a_power_cut_silences_the_chip_until_the_next_reset() -> None:
    made = chip("chip.power_cut=1:before")
    reply, _ = made.apdu(se1.command("SET STATUS", life_cycle=LifeCycle.OP_READY))
    assert reply is None
    made.power(None)
    made.power(3.3)
    assert made.atr() is not None


def test_a_chip_that_lies_keeps_its_true_state() -> None:
    made = chip("chip.life_cycle=0x7F")
    reply, _ = made.apdu(se1.command("DIE STATUS"))
    assert reply is not None
    assert se1.die_status(reply[:-2]).life_cycle is LifeCycle.CARD_LOCKED
    assert made.life_cycle is LifeCycle.TEST_UNLOCKED
