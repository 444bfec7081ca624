"""Answers to reset, and PPS."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.protocols.atr import (
    AtrError,
    block_waiting_s,
    etu_s,
    parse,
    pps_agreed,
    pps_request,
)


def test_block_protocol_with_parameters_and_historical_bytes() -> None:
    atr = parse(bytes.fromhex("3B848131FE455345313098"))
    assert (atr.protocols, atr.protocol, atr.specific) == ((1,), 1, None)
    assert (atr.ifsc, atr.bwi, atr.cwi, atr.crc, atr.historical) == (254, 4, 5, False, b"SE10")


def test_defaults_of_an_atr_that_offers_both_protocols() -> None:
    atr = parse(bytes.fromhex("3B80800101"))
    assert (atr.protocols, atr.protocol, atr.fi_di, atr.guard, atr.wi) == ((0, 1), 0, 0x11, 0, 10)
    assert (atr.ifsc, atr.bwi, atr.cwi) == (32, 4, 13)


def test_atr_for_t0_alone_has_no_check_byte() -> None:
    atr = parse(bytes.fromhex("3B02AABB"))
    assert (atr.protocols, atr.historical) == ((0,), b"\xaa\xbb")


def test_specific_mode_rates_guard_time_and_inverse_convention() -> None:
    atr = parse(bytes.fromhex("3F D0 96 FF 91 81 31 FE 45 23"))
    assert (atr.inverse, atr.fi_di, atr.guard, atr.specific) == (True, 0x96, 255, 0x81)
    assert (atr.protocol, atr.rate, atr.ifsc) == (1, 0x96, 254)


@pytest.mark.parametrize(
    ("raw", "what"),
    [
        ("3B", "1 bytes"),
        ("3C00", "begins with 3C"),
        ("3B80800102", "wrong TCK"),
        ("3B8080", "ends within"),
        ("3B80800101FF", "announces 5"),
        ("3B02AA", "announces 4"),
        ("3B1071", "FiDi 71 is reserved"),
        ("3B" + "00" * 33, "34 bytes"),
    ],
)
def test_atr_that_is_not_allowed(raw: str, what: str) -> None:
    with pytest.raises(AtrError, match=what):
        parse(bytes.fromhex(raw))


@given(st.binary(max_size=40))
def test_any_bytes_are_an_atr_or_are_refused(raw: bytes) -> None:
    with suppress(AtrError):
        assert parse(b"\x3b" + raw).raw == b"\x3b" + raw


def test_bit_time_and_block_waiting_time() -> None:
    assert etu_s(0x11, 4e6) == pytest.approx(93e-6)
    assert etu_s(0x18, 4e6) == pytest.approx(7.75e-6)
    assert block_waiting_s(4, 0x11, 4e6) == pytest.approx(1.4295, abs=1e-3)
    with pytest.raises(AtrError, match="reserved"):
        etu_s(0x71, 4e6)


def test_pps_for_rate_and_protocol() -> None:
    assert pps_request(1, 0x18) == bytes.fromhex("FF1118F6")
    assert pps_request(1) == bytes.fromhex("FF01FE")
    assert pps_agreed(bytes.fromhex("FF1118F6"), bytes.fromhex("FF1118F6")) == 0x18
    assert pps_agreed(bytes.fromhex("FF1118F6"), bytes.fromhex("FF01FE")) == 0x11


@pytest.mark.parametrize("answer", ["", "FF1118F7", "FF1018F7", "FF00FF", "FF1197" + "79"])
def test_pps_that_was_not_agreed_to(answer: str) -> None:
    with pytest.raises(AtrError, match="PPS"):
        pps_agreed(bytes.fromhex("FF1118F6"), bytes.fromhex(answer))
