"""Any content in any file, signed by a vault that lies: a check ends with findings, never with a crash."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.station.evidence.lots import Lot

UNREAD = frozenset({"configuration.json", "sbom.cdx.json", "versions.json"})
"""What a check only hashes."""
FREELY = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def names(lot: Lot) -> list[str]:
    return sorted(lot.files.keys() - UNREAD - {"index.json"})


@given(data=st.data())
@FREELY
def test_other_bytes_in_a_file(lot: Lot, tmp_path: Path, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(names(lot)))
    content = data.draw(st.binary(max_size=64) | st.text(max_size=64).map(str.encode))
    if content != lot.files[name]:
        assert lot.judged(tmp_path / "b.tar", {name: content}), name


@given(data=st.data())
@settings(FREELY, max_examples=60)
def test_one_other_byte_in_a_file(lot: Lot, tmp_path: Path, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from([name for name in names(lot) if lot.files[name]]))
    changed = bytearray(lot.files[name])
    changed[data.draw(st.integers(0, len(changed) - 1))] ^= data.draw(st.integers(1, 255))
    assert lot.judged(tmp_path / "b.tar", {name: bytes(changed)}), name


@given(data=st.data())
@FREELY
def test_a_file_that_is_cut(lot: Lot, tmp_path: Path, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from([name for name in names(lot) if lot.files[name]]))
    cut = data.draw(st.integers(0, len(lot.files[name]) - 1))
    assert lot.judged(tmp_path / "b.tar", {name: lot.files[name][:cut]}), name


@pytest.mark.parametrize("depth", [10, 1000, 100_000])
def test_json_within_json(lot: Lot, tmp_path: Path, depth: int) -> None:
    deep = b"[" * depth + b"]" * depth
    for name in ("lot.json", "balance.json", "order.json", "key-register.json", "profile.json"):
        assert lot.judged(tmp_path / "b.tar", {name: deep}), name
    for name in ("manifest.jsonl", "unsealed.jsonl", "persons.jsonl", "actions.jsonl"):
        assert lot.judged(tmp_path / "b.tar", {name: deep + b"\n"}), name


def test_every_file_may_be_missing(lot: Lot, tmp_path: Path) -> None:
    kept = [name for name in names(lot) if not name.startswith("crls/")]
    sound = {name for name in kept if not lot.judged(tmp_path / "b.tar", {name: None})}
    assert sound <= {"certificates/root.der", "station/report.json"}
