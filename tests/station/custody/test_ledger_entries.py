"""Entries: one form for one content, chained, closed; and heads as values."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from station.custody.ledger import LARGEST, Fact, Head, Stamp, canonical, decoded
from station.errors import LedgerError
from tests.station.custody.ledgers import fact

PLAIN = st.none() | st.booleans() | st.integers(-LARGEST, LARGEST) | st.text()
NAMES = st.text(st.characters(max_codepoint=127))
VALUES = st.recursive(
    PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3)
)
STAMP = Stamp(1, 2, "0b" * 32)


def entry(**changes: object) -> bytes:
    """An entry as first leaf, with changes; None takes a field out."""
    first, _ = Head().written(Fact("lot.opened", lot="L1"), STAMP)
    fields = json.loads(first.entry) | changes
    return canonical({name: value for name, value in fields.items() if value is not None})


@given(VALUES)
def test_canonical_json_is_that_of_another_writer(value: Any) -> None:
    written = canonical(value)
    assert json.loads(written) == value
    assert written == json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


@pytest.mark.parametrize(
    "value", [1.5, 2**53, -(2**53), {"\u00e9": 1}, {1: 2}, "\ud800", b"x", {1, 2}, [[1.0]], {"a": {"b": 0.5}}]
)
def test_what_has_no_canonical_form_is_refused(value: object) -> None:
    with pytest.raises(LedgerError):
        canonical(value)


def test_depth_is_bounded() -> None:
    deep: object = 1
    for _ in range(17):
        deep = [deep]
    with pytest.raises(LedgerError, match="16 arrays"):
        canonical(deep)
    with pytest.raises(LedgerError):
        decoded(b'{"data":{"a":' + b"[" * 8000 + b"]" * 8000 + b"}}")


def test_entries_are_chained_and_heads_are_values() -> None:
    head = Head()
    first, after = head.written(*fact(0))
    second, later = after.written(*fact(1))
    assert (first.index, second.index, head.edge.size, later.edge.size) == (0, 1, 0, 2)
    assert decoded(first.entry).prev == "00" * 32
    assert decoded(second.entry).prev == first.hash.hex()
    assert head.followed(first.entry) == (first, after)
    with pytest.raises(LedgerError, match="`seq` is 1"):
        head.followed(second.entry)
    other, _ = head.written(*fact(4))
    _, elsewhere = head.followed(other.entry)
    with pytest.raises(LedgerError, match="`prev` is not the hash"):
        elsewhere.followed(second.entry)


def test_all_fields_come_back() -> None:
    told = Fact(
        "die.sealed",
        "station:cell-3",
        {"serial": "S1"},
        unit="L1/7",
        uid_h="ab" * 32,
        lot="L1",
        order="WO-1",
        key="ICA-PQ-1",
        actor="p-1f3a90c2",
    )
    leaf, _ = Head().written(told, STAMP)
    found = decoded(leaf.entry)
    assert (found.seq, found.t, found.mono, found.cfg) == (0, 1, 2, "0b" * 32)
    assert replace(told) == Fact(
        found.event,
        found.src,
        found.data,
        found.unit,
        found.uid_h,
        found.lot,
        found.order,
        found.key,
        found.actor,
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"event": "die.melted"}, "no event is called"),
        ({"v": 2}, "v"),
        ({"src": "prober"}, "src"),
        ({"src": "vault\n"}, "src"),
        ({"actor": "Jane Doe"}, "actor"),
        ({"prev": "00"}, "prev"),
        ({"uid_h": "AB" * 32}, "uid_h"),
        ({"cfg": None}, "cfg"),
        ({"seq": -1}, "seq"),
        ({"t": "now"}, "t"),
        ({"pin": 1}, "pin"),
        ({"data": {"x": "y" * 17000}}, "16384 are allowed"),
    ],
)
def test_an_entry_has_its_fields_and_no_other(changes: dict[str, object], message: str) -> None:
    with pytest.raises(LedgerError, match=message):
        decoded(entry(**changes))


@pytest.mark.parametrize(
    "bend",
    [
        lambda data: data.replace(b",", b", ", 1),
        lambda data: data.replace(b'"v":1', b'"v":1,"v":1'),
        lambda data: b'{"v":1,' + data[1:].replace(b',"v":1', b""),
        lambda data: data.replace(b"lot.opened", b"lot\\u002eopened"),
        lambda data: data.replace(b'"v":1', b'"unit":null,"v":1'),
        lambda data: data.replace(b'"data":{}', b'"data":{"a":1.5}'),
        lambda data: data.replace(b'"data":{}', b'"data":{"a":1e2}'),
        lambda data: data + b"\n",
        lambda data: data.replace(b"L1", b"\xff\xfe"),
    ],
)
def test_another_form_of_the_same_content_is_refused(bend: Any) -> None:
    good = entry()
    assert decoded(good).event == "lot.opened"
    assert bend(good) != good
    with pytest.raises(LedgerError):
        decoded(bend(good))


def test_a_fact_that_is_none_leaves_no_trace() -> None:
    head = Head()
    with pytest.raises(LedgerError, match="no event is called .unit.melted"):
        head.written(Fact("unit.melted"), STAMP)
    with pytest.raises(LedgerError, match="float"):
        head.written(Fact("lot.opened", data={"yield": 0.5}), STAMP)
    assert head == Head()
