import pytest

from sim.faults import Faults, parse
from sim.supply.keysight_e36300 import KeysightE36300
from tests.simulated.instruments import Resistor
from tests.stepclock import StepClock


class Bench:
    """A supply with a resistor at output 1, and a way to ask it."""

    def __init__(self, ohm: float, fault: str = "", seed: str | None = None) -> None:
        self.clock = StepClock()
        self.load = Resistor(ohm)
        faults = Faults("it", KeysightE36300.knobs, tuple(map(parse, fault.split())), "x")
        self.machine = KeysightE36300(self.clock, {"1": self.load}, faults, seed=seed)

    def ask(self, text: str) -> str:
        self.machine.bus_write(text.encode() + b"\n", end=True)
        answer, _ = self.machine.bus_read(4096, None, self.clock.time() + 0.5)
        self.clock.sleep(0.02)
        return answer.decode().rstrip("\n")

    def power(self, *, ocp: str = "OFF") -> None:
        self.ask(f"VOLT 3,(@1);CURR 0.1,(@1);:CURR:PROT:STAT {ocp},(@1);:OUTP ON,(@1)")


def test_constant_current_beyond_the_limit() -> None:
    bench = Bench(10.0)
    bench.power()
    volts, amps = map(float, bench.ask("MEAS:VOLT? (@1);CURR? (@1)").split(";"))
    assert volts == pytest.approx(1.0)
    assert amps == 0.1
    assert bench.load.history == [0.0, pytest.approx(1.0)]


def test_over_current_holds_the_output_off_until_cleared() -> None:
    bench = Bench(10.0)
    bench.power(ocp="ON")
    assert bench.ask("OUTP? (@1);:CURR:PROT:TRIP? (@1)") == "0;1"
    assert bench.ask("OUTP ON,(@1);OUTP? (@1)") == "0"
    bench.load.ohm = 1000.0
    bench.ask("OUTP:PROT:CLE (@1)")
    assert bench.ask("OUTP? (@1);:MEAS:VOLT? (@1)") == "1;+3.00000000E+00"


def test_over_voltage_trips_when_the_level_is_above_it() -> None:
    bench = Bench(1000.0)
    bench.power()
    bench.ask("MEAS:VOLT? (@1)")
    bench.ask("VOLT:PROT 2,(@1)")
    assert bench.ask("VOLT:PROT:TRIP? (@1);:CURR:PROT:TRIP? (@1)") == "1;0"
    assert bench.load.history == [0.0, 3.0, None]


def test_channel_lists() -> None:
    bench = Bench(1000.0)
    bench.ask("VOLT 1.5,(@1,3);VOLT 2, (@2)")
    assert bench.ask("VOLT? (@1:3)") == "+1.50000000E+00,+2.00000000E+00,+1.50000000E+00"
    assert bench.ask("CURR? (@1);:VOLT:PROT? (@1);:CURR:PROT:STAT? (@1)").count(";") == 2


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("VOLT 1", -109),
        ("VOLT 1,@(1)", -109),
        ("VOLT 1,(@4)", -222),
        ("VOLT 7,(@1)", -222),
        ("VOLT ,(@1)", -109),
    ],
)
def test_refuses_by_code(message: str, code: int) -> None:
    bench = Bench(1000.0)
    bench.ask(message)
    assert bench.ask("SYST:ERR?").startswith(f"{code},")


def test_readings_have_the_noise_of_their_seed_and_the_faults() -> None:
    first, again = Bench(1000.0, seed="a"), Bench(1000.0, seed="a")
    for bench in (first, again):
        bench.power()
    noisy = first.ask("MEAS:VOLT? (@1)")
    assert noisy == again.ask("MEAS:VOLT? (@1)") != "+3.00000000E+00"
    assert Bench(1000.0, "it.overrange").ask("MEAS:CURR? (@1)") == "+9.90000000E+37"


def test_slow_rise_strikes_an_output_that_rises() -> None:
    bench = Bench(1000.0, "it.slow_rise=5000@once")
    bench.power()
    volts = float(bench.ask("MEAS:VOLT? (@1)"))
    assert 0.0 < volts < 1.0
    assert bench.load.history == pytest.approx([0.0, volts]), "the load gets no more than that"
    bench.clock.sleep(5.0)
    assert bench.ask("MEAS:VOLT? (@1)") == "+3.00000000E+00"
