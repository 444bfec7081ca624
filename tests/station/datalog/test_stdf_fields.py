"""Every field type there and back, in both byte orders."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from station.datalog.stdf.fields import (
    BIG,
    LITTLE,
    Bits,
    CutError,
    Item,
    Order,
    Scalar,
    pack,
    pack_array,
    read_array,
    reader,
)

ORDERS = st.sampled_from((LITTLE, BIG))
LATIN = st.text(st.characters(max_codepoint=255), max_size=255)
FLOATS = {"R4": st.floats(width=32, allow_nan=False), "R8": st.floats(allow_nan=False)}
INTEGERS = {
    "U1": (0, 2**8 - 1),
    "U2": (0, 2**16 - 1),
    "U4": (0, 2**32 - 1),
    "U8": (0, 2**64 - 1),
    "I1": (-(2**7), 2**7 - 1),
    "I2": (-(2**15), 2**15 - 1),
    "I4": (-(2**31), 2**31 - 1),
    "B1": (0, 255),
}
BITS = st.integers(0, 300).flatmap(
    lambda count: st.builds(
        Bits, st.just(count), st.binary(min_size=(count + 7) // 8, max_size=(count + 7) // 8)
    )
)
KINDS: dict[str, st.SearchStrategy[Scalar]] = {
    **{kind: st.integers(*span) for kind, span in INTEGERS.items()},
    **FLOATS,
    "Cn": LATIN,
    "C1": st.characters(max_codepoint=255),
    "Bn": st.binary(max_size=255),
    "Dn": BITS,
}
GENERIC = st.one_of(
    st.just(Item(0, 0)),
    st.builds(Item, st.just(2), KINDS["U2"]),
    st.builds(Item, st.just(6), KINDS["I4"]),
    st.builds(Item, st.just(7), KINDS["R4"]),
    st.builds(Item, st.just(10), LATIN),
    st.builds(Item, st.just(12), BITS),
    st.builds(Item, st.just(13), st.integers(0, 15)),
)
ANY = st.one_of(
    *[st.tuples(st.just(kind), values) for kind, values in KINDS.items()], st.tuples(st.just("Vn"), GENERIC)
)


@given(ANY, ORDERS, st.binary(max_size=3))
def test_a_field_reads_back(field: tuple[str, Scalar], order: Order, behind: bytes) -> None:
    kind, value = field
    packed = pack(kind, value, order)
    assert reader(kind, order)(packed + behind, 0) == (value, len(packed))


@given(ANY, ORDERS)
def test_a_field_that_is_cut_is_told(field: tuple[str, Scalar], order: Order) -> None:
    kind, value = field
    packed = pack(kind, value, order)
    for end in range(len(packed)):
        with pytest.raises(CutError):
            reader(kind, order)(packed[:end], 0)


@given(st.lists(st.integers(0, 15)), ORDERS)
def test_nibbles_stand_two_a_byte_low_half_first(values: list[int], order: Order) -> None:
    packed = pack_array("N1", tuple(values), order)
    assert len(packed) == (len(values) + 1) // 2
    assert all(packed[i // 2] >> 4 * (i % 2) & 15 == value for i, value in enumerate(values))
    assert read_array("N1", order, packed, 0, len(values)) == (tuple(values), len(packed))


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("U1", 256),
        ("U2", -1),
        ("I1", 128),
        ("U4", 2**32),
        ("U4", 1.5),
        ("R4", 1e39),
        ("Cn", "x" * 256),
        ("C1", "ab"),
        ("C1", ""),
        ("Bn", bytes(256)),
        ("Dn", Bits(9, b"\0")),
        ("U1", "1"),
        ("Cn", "\u03a9"),
        ("Vn", Item(9, 0)),
    ],
)
def test_what_does_not_fit_is_refused(kind: str, value: Scalar) -> None:
    with pytest.raises(ValueError, match=r"."):
        pack(kind, value)


def test_byte_orders() -> None:
    assert pack("U4", 300, LITTLE) == struct.pack("<I", 300)
    assert pack("U4", 300, BIG) == struct.pack(">I", 300)
    assert pack("Dn", Bits(9, b"\x01\x01"), BIG) == b"\x00\x09\x01\x01"
