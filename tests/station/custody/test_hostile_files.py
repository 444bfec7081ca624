"""Files and requests from strangers: refused in one way, whatever is in them."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from station.custody import checkpoint, log_keys, proof, witness
from station.custody.audit import Trust, audited
from station.custody.ledger import Head, decoded
from station.custody.tiles import TileReader, unbundled
from station.custody.witness import Submission, Witness
from station.errors import LedgerError
from tests.station.custody.ledgers import LOG, Plant, fact, now, witness_signer

KEYS = [signer.key for signer in LOG.signers()]


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Plant:
    made = Plant(tmp_path_factory.mktemp("plant"))
    made.grow(300)
    return made


def samples(plant: Plant) -> list[tuple[Callable[[bytes], object], bytes]]:
    """Each reader with something that it accepts."""
    note = plant.notes[300]
    reader = TileReader(plant.ledger, 300)
    entry = Head().written(*fact(0))[0].entry
    return [
        (checkpoint.parsed, note.encode()),
        (proof.parsed, proof.proof_of(reader.node, 9, note).encode()),
        (witness.submission_of, Submission(0, (), note).encode()),
        (decoded, entry),
        (lambda data: log_keys.key_of(data.decode(errors="replace")), str(KEYS[0]).encode()),
        (lambda data: unbundled(data, 3), b"\0\1a\0\0\0\2bc"),
    ]


@settings(max_examples=150)
@given(data=st.data())
def test_readers_take_what_is_good_and_refuse_the_rest(plant: Plant, data: st.DataObject) -> None:
    read, good = data.draw(st.sampled_from(samples(plant)))
    read(good)
    start = data.draw(st.integers(0, len(good)))
    end = data.draw(st.integers(start, min(len(good), start + 20)))
    bad = good[:start] + data.draw(st.binary(max_size=20)) + good[end:]
    try:
        read(bad)
    except LedgerError as error:
        assert len(str(error)) < 500


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_witness_answers_whatever_comes(tmp_path: Path, plant: Plant, data: st.DataObject) -> None:
    asked = Witness(tmp_path, KEYS, witness_signer(), now)
    good = Submission(0, (), plant.notes[300]).encode()
    start = data.draw(st.integers(0, len(good) - 1))
    bad = good[:start] + data.draw(st.binary(max_size=9)) + good[start + 1 :]
    answer = asked.add_checkpoint(bad)
    if answer.status == 200:  # one good signature is enough, so another may have been changed
        assert witness.submission_of(bad).note.checkpoint == plant.notes[300].checkpoint
    else:
        assert answer.status in {400, 403, 404, 409, 422}


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_an_audit_ends_with_a_report(tmp_path: Path, plant: Plant, data: st.DataObject) -> None:
    folder = tmp_path / "copy"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(plant.ledger, folder)
    files = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    for name in data.draw(st.lists(st.sampled_from(files), min_size=1, max_size=3, unique=True)):
        path, content = folder / name, (folder / name).read_bytes()
        cut = data.draw(st.integers(0, len(content)))
        path.write_bytes(content[:cut] + data.draw(st.binary(max_size=50)))
        if path.read_bytes() == content:
            return
    assert not audited(folder, Trust(KEYS)).sound


def test_what_is_no_file_of_a_ledger_is_not_opened(tmp_path: Path, plant: Plant) -> None:
    folder = Path(shutil.copytree(plant.ledger, tmp_path / "copy"))
    (folder / "tile/0/000").unlink()
    os.mkfifo(folder / "tile/0/000")
    (folder / "tile/1/001").symlink_to("/dev/zero")
    (folder / "tile/2").symlink_to("/")
    report = audited(folder, Trust(KEYS))
    assert [str(finding) for finding in report.findings] == ["tile/0/000: is missing"]
    assert set(report.notices) == {f"tile/{name}: is no part of a ledger" for name in ("0/000", "1/001", "2")}


def test_a_file_without_end_is_not_read_to_its_end(tmp_path: Path, plant: Plant) -> None:
    folder = Path(shutil.copytree(plant.ledger, tmp_path / "copy"))
    os.truncate(folder / "tile/entries/000", 1 << 40)
    assert "bytes behind its 256 entries" in str(audited(folder, Trust(KEYS)).findings[0])
    os.truncate(folder / "checkpoint", 1 << 40)
    assert "at most" in str(audited(folder, Trust(KEYS)).findings[0])
