"""What an instrument sees at a pin, at room heat and at the corners."""

from math import inf, log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.bench import InputLoad
from sim.dut.electrical import BOOT_V, DROP_A, Diode, InputPin, SupplyPin, diode, omega
from sim.sockets import voltage_at


def input_pin(
    *, drop_v: float = 0.6, ohm: float = 2.0, siemens: float = 1e-9, celsius: float = 25.0
) -> InputPin:
    return InputPin(diode(drop_v, ohm, celsius), siemens)


def supply_pin(*, idle_a: float = 5e-3, siemens: float = 0.0) -> SupplyPin:
    return SupplyPin(diode(0.54, 2.0, 25.0), siemens, idle_a)


def drop(pin: InputPin) -> float:
    load = InputLoad()
    load.circuit = pin
    return voltage_at(load, -DROP_A, 2.0)


@given(st.floats(-5.9, 1e6))
def test_omega_solves_its_equation(y: float) -> None:
    x = omega(y)
    assert x + log(x) == pytest.approx(y, rel=1e-9, abs=1e-9)


@given(st.floats(-1000.0, -5.9))
def test_omega_stays_positive_far_below(y: float) -> None:
    assert 0.0 < omega(y) < 3e-3


@pytest.mark.parametrize("celsius", [-40.0, 25.0, 125.0])
def test_continuity_shows_the_drop_and_the_resistance(celsius: float) -> None:
    pin = input_pin(drop_v=0.6, ohm=50.0, celsius=celsius)
    assert drop(pin) == pytest.approx(-0.6 - 50.0 * DROP_A, abs=1e-5)


@given(st.floats(1e-12, 1.0))
def test_diode_voltage_is_the_inverse_of_its_current(amps: float) -> None:
    junction = diode(0.6, 2.0, 25.0)
    volts = junction.voltage(-amps)
    if volts < -0.1:
        assert junction.current(volts) == pytest.approx(-amps, rel=1e-6)


@given(st.floats(-200.0, 200.0), st.floats(-200.0, 200.0))
def test_current_is_finite_and_never_falls(a: float, b: float) -> None:
    for pin in (input_pin(), supply_pin(), input_pin(siemens=0.1)):
        low, high = pin.current(min(a, b)), pin.current(max(a, b))
        assert -inf < low <= high < inf


def test_a_short_to_ground_has_no_diode_drop() -> None:
    assert drop(input_pin(siemens=1 / 20.0)) == pytest.approx(-2e-3, abs=1e-6)


def test_leakage_is_ohmic() -> None:
    assert input_pin(siemens=5e-9 / 3.6).current(3.6) == pytest.approx(5e-9)
    assert input_pin(siemens=5e-9 / 3.6).current(1.8) == pytest.approx(2.5e-9)


def test_the_clamp_opens_above_seven_volts() -> None:
    assert input_pin().current(8.0) > 10e-3


@pytest.mark.parametrize(("volts", "amps"), [(3.3, 5e-3), (0.5, 0.0), (0.0, 0.0)])
def test_idle_current(volts: float, amps: float) -> None:
    assert supply_pin().current(volts) == pytest.approx(amps, abs=1e-12)


def test_idle_current_is_flat_where_the_chip_works() -> None:
    pin = supply_pin()
    assert pin.current(BOOT_V) == pytest.approx(5e-3, rel=0.02)
    assert pin.current(3.6) == pytest.approx(5e-3, rel=0.01)
    assert pin.current(3.3, busy_a=12e-3) == pytest.approx(17e-3)


def test_a_diode_of_no_current_costs_nothing() -> None:
    assert Diode(0.027, 1e-14, 2.0).current(0.0) == 0.0
