"""The customer's manifest: taken out of a bundle, and checked without it."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from station.cli import code_of
from station.cli.codes import Exit
from station.errors import TrustError
from station.evidence import archive, delivered
from station.evidence.archive import INDEX
from station.evidence.manifest import DeviceLine
from station.evidence.strict import encoded
from tests.station.evidence.lots import SEALED, Lot
from tests.synced import watched


@pytest.fixture
def folder(lot: Lot, tmp_path: Path) -> Path:
    out = tmp_path / "manifest"
    delivered.taken(lot.bundle, out)
    return out


def found(folder: Path, lot: Lot) -> list[str]:
    return list(map(str, delivered.verified(folder, lot.trust).findings))


def test_it_has_a_line_for_each_device_and_is_sound(lot: Lot, folder: Path) -> None:
    verdict = delivered.verified(folder, lot.trust)
    assert (verdict.findings, verdict.devices, verdict.lot) == ((), SEALED, "L1")
    assert len(verdict.signed_by) == 2
    lines = (folder / "manifest.jsonl").read_bytes().splitlines()
    assert [msgspec.json.decode(line, type=DeviceLine).log.index for line in lines] == sorted(
        msgspec.json.decode(line, type=DeviceLine).log.index for line in lines
    )
    assert len(lines) == SEALED


def test_all_of_it_is_on_disk(lot: Lot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, synced = tmp_path / "for" / "them", watched(monkeypatch)
    delivered.taken(lot.bundle, out)
    assert set(synced) == {tmp_path, out.parent, out, *out.rglob("*")}


def test_nothing_of_the_ledger_or_of_persons_goes_to_the_customer(folder: Path) -> None:
    there = {one.relative_to(folder).as_posix() for one in folder.rglob("*") if one.is_file()}
    assert {name for name in there if not name.startswith("certificates/")} == {
        "index.json",
        "manifest.jsonl",
        "checkpoint.txt",
        "lot.json",
        "profile.json",
    }


def test_one_other_byte_in_any_file_is_found(lot: Lot, folder: Path) -> None:
    for path in sorted(one for one in folder.rglob("*") if one.is_file()):
        data = path.read_bytes()
        path.write_bytes(data[:40] + bytes([data[40] ^ 1]) + data[41:])
        if path.name == INDEX:
            (wrong,) = found(folder, lot)
            assert wrong.startswith(f"{INDEX}: ")
        else:
            name = path.relative_to(folder).as_posix()
            assert found(folder, lot) == [f"{name}: is not the file that was signed: its SHA-256 is another"]
        path.write_bytes(data)
    assert found(folder, lot) == []


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        (lambda folder: (folder / "lot.json").unlink(), "lot.json: is missing"),
        (lambda folder: (folder / "more").write_text("x"), "more: is not of a manifest"),
    ],
    ids=["less", "more"],
)
def test_a_file_too_few_or_too_many_is_found(
    lot: Lot, folder: Path, change: Callable[[Path], object], wanted: str
) -> None:
    change(folder)
    assert found(folder, lot) == [wanted]


def forged(lot: Lot, tmp_path: Path, lines: bytes) -> list[str]:
    """What is found of a manifest that the holder of the record keys has made otherwise."""
    tmp_path.mkdir(exist_ok=True)
    bundle = lot.forged(tmp_path / "forged.tar", {"manifest.jsonl": lines})
    delivered.taken(bundle, tmp_path / "forged")
    return found(tmp_path / "forged", lot)


def test_a_device_that_was_left_out_or_is_there_twice_is_found(lot: Lot, tmp_path: Path) -> None:
    less = forged(lot, tmp_path / "less", b"".join(lot.lines()[1:]))
    assert less == [f"manifest.jsonl: has {SEALED - 1} devices, the lot {SEALED} that were sealed"]
    twice = forged(lot, tmp_path / "twice", b"".join([*lot.lines()[1:], lot.lines()[1]]))
    assert "manifest.jsonl: L1/2: has the UID of L1/2" in twice


def test_a_device_whose_leaf_is_another_is_found(lot: Lot, tmp_path: Path) -> None:
    first, *rest = lot.lines()
    line = msgspec.json.decode(first)
    line["log"]["index"] += 1
    found_ = forged(lot, tmp_path, msgspec.json.encode(line, order="sorted") + b"\n" + b"".join(rest))
    assert any("is not in the ledger that the checkpoint stands for" in one for one in found_)


@pytest.mark.parametrize("name", ["lot.json", "profile.json", "checkpoint.txt"])
def test_a_file_that_is_none_is_a_finding_although_it_was_signed(lot: Lot, tmp_path: Path, name: str) -> None:
    bundle = lot.forged(tmp_path / "forged.tar", {"lot.json": lot.files["lot.json"], name: b"{}"})
    folder = tmp_path / "taken"
    if name == "lot.json":  # it is read when it is taken out, too
        delivered.taken(lot.forged(tmp_path / "sound.tar", {}), folder)
        with archive.opened(bundle) as forged:
            for changed in (INDEX, name):
                (folder / changed).write_bytes(forged.read(changed))
    else:
        delivered.taken(bundle, folder)
    assert found(folder, lot) != []


def test_a_manifest_whose_last_line_has_no_end_is_a_finding(lot: Lot, tmp_path: Path) -> None:
    assert forged(lot, tmp_path, b"".join(lot.lines())[:-1]) != []


@pytest.mark.parametrize(
    ("name", "other"), [("lot", "L2"), ("mode", "production"), ("product", "se2"), ("order", "W9")]
)
def test_a_summary_of_another_lot_is_found(lot: Lot, tmp_path: Path, name: str, other: str) -> None:
    summary = msgspec.json.decode(lot.files["lot.json"]) | {name: other}
    bundle = lot.forged(tmp_path / "forged.tar", {"lot.json": encoded(summary)})
    delivered.taken(bundle, tmp_path / "taken")
    (wrong,) = found(tmp_path / "taken", lot)
    assert wrong.startswith(f"lot.json: `{name}` is {other}, ")


@given(data=st.data())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_in_a_file_end_with_findings_and_never_with_a_crash(
    lot: Lot, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    name = data.draw(
        st.sampled_from(["manifest.jsonl", "checkpoint.txt", "profile.json", "certificates/root.der"])
    )
    good = lot.files[name]
    start = data.draw(st.integers(0, len(good)))
    end = data.draw(st.integers(start, min(len(good), start + 20)))
    bad = good[:start] + data.draw(st.binary(max_size=20)) + good[end:]
    folder = tmp_path_factory.mktemp("any")
    delivered.taken(lot.forged(folder / "forged.tar", {name: bad}), folder / "taken")
    assert bad == good or found(folder / "taken", lot), name


def test_unknown_keys_are_not_believed(lot: Lot, folder: Path) -> None:
    with pytest.raises(TrustError):
        delivered.verified(folder, msgspec.structs.replace(lot.trust, records=()))
    logs = msgspec.structs.replace(lot.trust, witnesses=lot.trust.logs[-1:], witnesses_needed=2)
    told = list(map(str, delivered.verified(folder, logs).findings))
    assert any("trusted witnesses have signed it, 2 are needed" in one for one in told)


def test_the_command_takes_it_out_once_and_verify_checks_it(
    lot: Lot, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, trust = tmp_path / "out", lot.folder / "trust.json"
    command = ["perso", "manifest", str(lot.bundle), "--out", str(out)]
    assert code_of([*command, "--json"]) == Exit.OK
    told = msgspec.json.decode(capsys.readouterr().out)
    assert told == {"out": str(out), "lot": "L1", "product": "se1", "devices": SEALED}
    assert code_of(["evidence", "verify", str(out), "--trust", str(trust)]) == Exit.OK
    assert capsys.readouterr().out.endswith(f"{out}: lot L1, {SEALED} devices, sound\n")
    assert code_of(command) == Exit.USAGE, "nothing is written over"
    (out / "lot.json").write_text("{}")
    assert code_of(["evidence", "verify", str(out), "--trust", str(trust)]) == Exit.INTEGRITY
    nothing = tmp_path / "none"
    nothing.mkdir()
    assert code_of(["evidence", "verify", str(nothing), "--trust", str(trust)]) == Exit.USAGE
    (tmp_path / "x").write_bytes(b"x" * 2048)
    bad = ["perso", "manifest", str(tmp_path / "x"), "--out", str(tmp_path / "y")]
    assert (code_of(bad), (tmp_path / "y").exists()) == (Exit.USAGE, False)
