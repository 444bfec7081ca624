"""SECS-II items, HSMS frames and GEM messages: round trips, the worked example, and what is refused."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.errors import ProtocolError
from drivers.protocols import gem
from drivers.protocols.gem import Alarm, Event
from drivers.protocols.hsms import Frame, Frames, Kind, Message
from drivers.protocols.secs import Format, Item, array, binary, boolean, decode, numbers, text, u4
from tests.dialogue import find


def test_the_worked_example_is_read_and_written() -> None:
    for turn in find("gem/reference").turns:
        (frame,) = Frames().feed(turn.data)
        assert frame.encode() == turn.data
        if frame.kind is Kind.DATA:
            assert Message.of(frame).frame(frame.session, frame.system) == frame
    (event,) = Frames().feed(find("gem/reference").turns[6].data)
    assert Event.of(Message.of(event)) == Event(1, 2001, {10: (text("LOT7"),)})
    (alarm,) = Frames().feed(find("gem/reference").turns[8].data)
    assert Alarm.of(Message.of(alarm)) == Alarm(True, 17, "JAM")


WHOLE = [
    (Format.U1, 0, 255),
    (Format.U8, 0, 2**64 - 1),
    (Format.I2, -(2**15), 2**15 - 1),
    (Format.I8, -(2**63), 2**63 - 1),
]
LEAVES = st.one_of(
    st.text(st.characters(max_codepoint=255), max_size=300).map(text),
    st.binary(max_size=300).map(lambda raw: Item(Format.B, raw)),
    st.lists(st.booleans(), max_size=5).map(lambda values: Item(Format.BOOLEAN, tuple(values))),
    *(
        st.lists(st.integers(low, high), max_size=5).map(lambda v, f=kind: Item(f, tuple(v)))  # type: ignore[misc]
        for kind, low, high in WHOLE
    ),
    st.lists(st.floats(allow_nan=False), max_size=5).map(lambda values: Item(Format.F8, tuple(values))),
)
TREES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4).map(lambda items: array(*items)), max_leaves=12
)


@given(TREES)
def test_trees_come_back(item: Item) -> None:
    assert decode(item.encode()) == item


@given(st.binary(max_size=60))
def test_noise_is_refused_in_one_way(raw: bytes) -> None:
    with suppress(ProtocolError):
        decode(raw)
    with suppress(ProtocolError):
        for frame in Frames().feed(raw):
            Message.of(frame)


@pytest.mark.parametrize(
    "raw",
    ["FF", "01", "00 01", "01 02 21 01 00", "41 05 41", "A9 01 00", "01 00 00", "01 01 " * 40 + "01 00"],
)
def test_items_that_are_none(raw: str) -> None:
    with pytest.raises(ProtocolError):
        decode(bytes.fromhex(raw))


def test_items_of_another_kind_are_refused() -> None:
    for call in (
        lambda: text("x").number,
        lambda: u4(1, 2).number,
        lambda: text("x").items,
        lambda: u4(1).text,
    ):
        with pytest.raises(ProtocolError):
            call()
    assert list(numbers(array(u4(1, 2), binary(3)))) == [1, 2, 3]
    for item in (text("x"), Item(Format.F4, (1.5,))):
        with pytest.raises(ProtocolError, match="no whole numbers"):
            list(numbers(item))
    assert str(array(text("a"), boolean(True))) == "[A:'a' BOOLEAN:(True,)]"


def test_messages_of_another_shape_are_refused() -> None:
    with pytest.raises(ProtocolError, match="S6F11 with"):
        Event.of(Message(6, 11, array(u4(1))))
    with pytest.raises(ProtocolError, match="no pair"):
        Event.of(Message(6, 11, array(u4(1), u4(1), array(array(u4(1))))))
    with pytest.raises(ProtocolError, match="S5F1 with"):
        Alarm.of(Message(5, 1))
    with pytest.raises(ProtocolError, match="without a code"):
        gem.acknowledged(Message(1, 18))
    with pytest.raises(ProtocolError, match="without the variable"):
        gem.sites_of((), "mask")
    with pytest.raises(ProtocolError, match="no mask"):
        gem.sites_of((u4(1, 2),), "mask")
    assert gem.sites_of((array(u4(2), u4(5)),), "list") == {2, 5}
    assert gem.number(7, "A") == text("7")
    assert gem.number(7, "U2") == Item(Format.U2, (7,))


def test_frames_out_of_step() -> None:
    with pytest.raises(ProtocolError, match="out of step"):
        Frames().feed(b"\xff\xff\xff\xff")
    with pytest.raises(ProtocolError, match="type 99"):
        Frame.decode(bytes(5) + b"\x63" + bytes(4))
    with pytest.raises(ProtocolError, match="no header"):
        Frame.decode(bytes(4) + b"\1" + bytes(5))
