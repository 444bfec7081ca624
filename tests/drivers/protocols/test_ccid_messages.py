"""Messages and descriptors of card readers."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.errors import ProtocolError
from drivers.protocols.ccid import (
    Answer,
    Ask,
    ClassDescriptor,
    Command,
    Features,
    Icc,
    Outcome,
    Parameters,
    SlotChange,
    Tell,
    error_text,
)
from drivers.transports.usb_descriptors import BULK, IN, INTERRUPT, interfaces, text

BYTE = st.integers(0, 255)


@given(st.sampled_from(Ask), BYTE, BYTE, st.binary(min_size=3, max_size=3), st.binary(max_size=300))
def test_command_round_trip(ask: Ask, slot: int, seq: int, specific: bytes, data: bytes) -> None:
    command = Command(ask, slot, seq, specific, data)
    assert Command.decode(command.encode()) == command


ANSWERS = st.builds(
    Answer,
    st.sampled_from(Tell),
    BYTE,
    BYTE,
    st.sampled_from(Icc),
    st.sampled_from(Outcome),
    BYTE,
    BYTE,
    st.binary(),
)


@given(ANSWERS)
def test_answer_round_trip(answer: Answer) -> None:
    assert Answer.decode(answer.encode()) == answer


@given(st.binary(max_size=40))
def test_any_bytes_are_an_answer_or_are_refused(raw: bytes) -> None:
    with suppress(ProtocolError):
        assert Answer.decode(raw).encode()[:7] == raw[:7]


@pytest.mark.parametrize(
    ("raw", "what"),
    [
        ("80 05 00 00 00 00", "its head alone has 10"),
        ("80 05 00 00 00 00 03 00 00 00 00 E1", "announces 15"),
        ("99 00 00 00 00 00 03 00 00 00", "not allowed"),
        ("80 00 00 00 00 00 03 C0 00 00", "not allowed"),
        ("80 00 00 00 00 00 03 03 00 00", "not allowed"),
    ],
)
def test_answer_that_is_not_allowed(raw: str, what: str) -> None:
    with pytest.raises(ProtocolError, match=what):
        Answer.decode(bytes.fromhex(raw))


@given(
    st.builds(
        Parameters,
        st.just(1),
        BYTE,
        BYTE,
        st.booleans(),
        st.booleans(),
        st.integers(0, 15),
        st.integers(0, 15),
        st.just(10),
        st.integers(0, 3),
        BYTE,
    )
)
def test_parameters_round_trip(parameters: Parameters) -> None:
    assert Parameters.decode(1, parameters.encode()) == parameters


def test_parameters_for_t0() -> None:
    assert Parameters(0, wi=12).encode() == bytes.fromhex("1100000C00")
    assert Parameters.decode(0, bytes.fromhex("1102000C00")) == Parameters(0, inverse=True, wi=12)
    with pytest.raises(ProtocolError, match="T=1 of 5 bytes"):
        Parameters.decode(1, bytes(5))


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=16))
def test_slot_change_round_trip(slots: list[tuple[bool, bool]]) -> None:
    change = SlotChange(tuple(slots))
    assert SlotChange.decode(change.encode(), len(slots)) == change


def test_class_descriptor() -> None:
    one = ClassDescriptor(last_slot=3, features=Features.SHORT_APDU | Features.AUTO_PPS, busy_slots=2)
    assert len(one.encode()) == 54
    assert ClassDescriptor.decode(one.encode()) == one
    with pytest.raises(ProtocolError, match="of 53 bytes"):
        ClassDescriptor.decode(one.encode()[1:])


def test_error_texts_tell_of_the_message_or_by_code() -> None:
    assert error_text(0xFE) == "card absent or mute"
    assert error_text(5) == "the reader does not accept byte 5 of the message"


CONFIGURATION = bytes.fromhex(
    "09 02 27 00 01 01 00 80 32"
    "09 04 00 00 02 0B 00 00 00"
    "07 05 01 02 40 00 00"
    "07 05 82 02 40 00 00"
    "07 05 83 03 08 00 10"
)


def test_configuration_gives_interfaces_and_pipes() -> None:
    (one,) = interfaces(CONFIGURATION)
    assert (one.number, one.device_class) == (0, 0x0B)
    assert (one.pipe(BULK, 0), one.pipe(BULK, IN), one.pipe(INTERRUPT, IN)) == (0x01, 0x82, 0x83)
    assert one.pipe(INTERRUPT, 0) is None


def test_class_descriptor_is_found_at_the_last_pipe_too() -> None:
    (one,) = interfaces(CONFIGURATION + ClassDescriptor().encode())
    assert [piece[1] for piece in one.extra] == [0x21]


def test_descriptor_whose_length_runs_out() -> None:
    with pytest.raises(ProtocolError, match="at byte 32 .* length 7"):
        interfaces(CONFIGURATION[:-1])


def test_string_descriptor() -> None:
    assert text(b"\x06\x03a\0b\0") == "ab"
