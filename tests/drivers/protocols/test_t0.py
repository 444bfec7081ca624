"""T=0 above a reader that does the procedure bytes."""

import pytest

from drivers.protocols.t0 import ROUNDS, T0Error, transmit


@pytest.mark.parametrize(
    ("command", "carried"),
    [
        ("80CA0000", "80CA000000"),
        ("80CA000010", "80CA000010"),
        ("00D6000002AABB", "00D6000002AABB"),
        ("00A4040002AABB00", "00A4040002AABB"),
    ],
)
def test_the_four_cases(command: str, carried: str) -> None:
    assert next(transmit(bytes.fromhex(command))) == bytes.fromhex(carried)


def test_get_response_in_the_same_channel_without_secure_messaging() -> None:
    exchange = transmit(bytes.fromhex("8DA4040002AABB"))
    next(exchange)
    assert exchange.send(bytes.fromhex("6102")) == bytes.fromhex("81C0000002")
    assert exchange.send(bytes.fromhex("CC6101")) == bytes.fromhex("81C0000001")
    with pytest.raises(StopIteration) as end:
        exchange.send(bytes.fromhex("DD9000"))
    assert end.value.value == bytes.fromhex("CCDD9000")


def test_wrong_length_is_repeated_with_the_right_one() -> None:
    exchange = transmit(bytes.fromhex("80CA000000"))
    next(exchange)
    assert exchange.send(bytes.fromhex("6C03")) == bytes.fromhex("80CA000003")


def test_answers_that_are_not_allowed() -> None:
    exchange = transmit(bytes.fromhex("80CA000000"))
    next(exchange)
    with pytest.raises(T0Error, match="1 bytes has no status"):
        exchange.send(b"\x90")
    exchange = transmit(bytes.fromhex("80CA000000"))
    next(exchange)
    with pytest.raises(T0Error, match="no end"):
        for _ in range(ROUNDS + 1):
            exchange.send(b"\x61\x00")


def test_extended_command_is_refused() -> None:
    with pytest.raises(ValueError, match="at most 261"):
        next(transmit(bytes.fromhex("00D60000000100") + bytes(256)))
