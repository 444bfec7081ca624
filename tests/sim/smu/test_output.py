import pytest

from sim.faults import NO_FAULTS, Faults, parse
from sim.messages import CommandError
from sim.smu.output import SMU_KNOBS, Output, Quantity, outputs
from tests.simulated.instruments import Resistor


def made(load: Resistor | None, seed: str | None = None) -> Output:
    return outputs({"": load} if load else {}, ("",), seed, limit_v=10.0, limit_a=0.01)[""]


def knob(text: str) -> Faults:
    return Faults("it", SMU_KNOBS, (parse(f"it.{text}"),), "x")


def forcing(output: Output, quantity: Quantity, level: float) -> Output:
    output.set_function(quantity)
    output.set_level(quantity, level)
    output.switch(NO_FAULTS, on=True)
    return output


def test_voltage_goes_where_the_load_takes_the_limit() -> None:
    load = Resistor(100.0)
    output = forcing(made(load), "v", 5.0)
    point = output.settle()
    assert point.at_limit
    assert point.volts == pytest.approx(1.0)
    assert point.amps == 0.01
    assert load.history == [pytest.approx(1.0)]


def test_source_in_the_load_pulls_a_forced_zero_away() -> None:
    point = forcing(made(Resistor(10.0, volts=3.3)), "v", 0.0).settle()
    assert point.at_limit
    assert point.volts == pytest.approx(3.2)
    assert point.amps == -0.01


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_current_is_forced_within_the_voltage_limit(sign: float) -> None:
    output = forcing(made(Resistor(1000.0)), "i", sign * 2e-3)
    assert output.reading("v", NO_FAULTS) == pytest.approx(sign * 2.0)
    assert not output.at_limit
    output.set_limit("v", 1.0)
    assert output.reading("v", NO_FAULTS) == pytest.approx(sign * 1.0)
    assert output.reading("i", NO_FAULTS) == pytest.approx(sign * 1e-3)
    assert output.at_limit


def test_nothing_forced_into_nothing_is_no_volt() -> None:
    assert forcing(made(None), "i", 0.0).settle().volts == 0.0
    assert forcing(made(None), "i", 1e-6).settle().volts == pytest.approx(10.0)


def test_load_is_told_of_changes_only() -> None:
    load = Resistor(1e6)
    output = forcing(made(load), "v", 1.0)
    for _ in range(3):
        output.reading("i", NO_FAULTS)
    output.set_level("v", 2.0)
    output.reset()
    assert load.history == [1.0, 2.0, None]


def test_function_does_not_change_under_load() -> None:
    with pytest.raises(CommandError):
        forcing(made(None), "v", 1.0).set_function("i")


def test_noise_is_the_seed_s() -> None:
    first, again, other = (
        [forcing(made(Resistor(1e6), seed), "v", 1.0).reading("i", NO_FAULTS) for _ in range(3)]
        for seed in ("a", "a", "b")
    )
    assert first == again != other
    assert first[0] == pytest.approx(1e-6, rel=1e-3)
    assert first[0] != 1e-6


def test_faults_of_a_reading() -> None:
    output = forcing(made(Resistor(1e6)), "v", 1.0)
    assert output.reading("i", knob("overrange")) == 9.9e37
    assert output.reading("i", knob("overrange=nan")) == 9.91e37
    assert output.reading("i", knob("trip")) == 0.01
    assert output.at_limit


def test_stuck_output_goes_on_driving_its_load() -> None:
    load = Resistor(1e6)
    output = forcing(made(load), "v", 1.0)
    output.switch(knob("stuck_on"), on=False)
    assert output.on
    assert load.history == [1.0]
