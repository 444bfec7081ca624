import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.protocols import scpi, tsp

finite = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e30, max_value=1e30)


@given(finite)
def test_number_survives_the_wire(value: float) -> None:
    assert scpi.read_number(scpi.write_number(value)) == pytest.approx(value, rel=1e-8)


@pytest.mark.parametrize(
    ("text", "value"),
    [("+4.200000E-06", 4.2e-6), (" 1 ", 1.0), ("-.5", -0.5), ("3.", 3.0), ("1.00000e+00", 1.0)],
)
def test_numbers_as_machines_write_them(text: str, value: float) -> None:
    assert scpi.read_number(text) == value


def test_over_range_and_no_reading_are_not_values() -> None:
    assert scpi.read_number("+9.900000E+37") == math.inf
    assert scpi.read_number("-9.9E37") == -math.inf
    assert math.isnan(scpi.read_number("9.91000e+37"))


@pytest.mark.parametrize("text", ["", "nan", "inf", "1,2", "1;2", "0x10", "1e", "one", "1 2"])
def test_anything_else_is_no_number(text: str) -> None:
    with pytest.raises(ValueError, match="not a number"):
        scpi.read_number(text)


@pytest.mark.parametrize("value", [math.inf, math.nan])
def test_setting_is_finite(value: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        scpi.write_number(value)


def test_booleans() -> None:
    assert scpi.read_boolean("1") and scpi.read_boolean("ON")
    assert not scpi.read_boolean("0") and not scpi.read_boolean("off")
    with pytest.raises(ValueError, match="neither"):
        scpi.read_boolean("2")


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ('+0,"No error"', 0, "No error"),
        ("0, 'No error'", 0, "No error"),
        ('-113,"Undefined header;1;0 0"', -113, "Undefined header;1;0 0"),
    ],
)
def test_error_entries_of_several_makers(text: str, code: int, words: str) -> None:
    assert scpi.read_error(text) == scpi.ErrorEntry(code, words)


@pytest.mark.parametrize("text", ["", "0", "No error", '1.5,"x"', '0,"x",1'])
def test_other_texts_are_no_error_entries(text: str) -> None:
    with pytest.raises(ValueError, match="error queue"):
        scpi.read_error(text)


@given(st.lists(st.sampled_from(["1", "", '"a;b"', "'c;d'", '0,"No error;0;0 0"', "+1.0E-3"]), min_size=1))
def test_units_are_cut_outside_quotes_only(parts: list[str]) -> None:
    assert scpi.units(";".join(parts)) == parts


def test_queries_are_known_by_their_header() -> None:
    assert scpi.is_query(":OUTP? (@1)")
    assert scpi.is_query("*IDN?")
    assert not scpi.is_query(':DISP:TEXT "ready?"')


def test_identity_has_four_fields() -> None:
    assert scpi.identity("KEITHLEY, MODEL 2450 ,1,2.0,b") == ("KEITHLEY", "MODEL 2450", "1", "2.0,b")
    with pytest.raises(ValueError, match="maker,model"):
        scpi.identity("KEITHLEY,2450,1")


def test_tsp_values() -> None:
    assert tsp.fields("1.00000e+00\ttrue\t0.00000e+00") == ["1.00000e+00", "true", "0.00000e+00"]
    assert tsp.read_boolean("true")
    assert not tsp.read_boolean("false")
    assert scpi.read_whole("-2.86000e+02") == -286
    with pytest.raises(ValueError, match="neither true nor false"):
        tsp.read_boolean("1")
    with pytest.raises(ValueError, match="whole"):
        scpi.read_whole("1.50000e+00")


def test_tsp_error_entries() -> None:
    entry = scpi.ErrorEntry(1102, "Parameter too big")
    assert tsp.read_error("1.10200e+03\tParameter too big\t2.00000e+01\t1.00000e+00") == entry
    assert tsp.read_error('0\t"Queue is Empty"\t0\t0') == scpi.ErrorEntry(0, "Queue is Empty")
    with pytest.raises(ValueError, match="error queue"):
        tsp.read_error("nonsense")
