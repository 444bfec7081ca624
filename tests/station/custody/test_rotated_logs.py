"""Logs of one ledger in their folders: where one ends, and what was left out."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from station.cli import code_of
from station.cli.codes import Exit
from station.custody import rotation
from station.custody.audit import Report, Trust, audited
from station.custody.checkpoint import Checkpoint, Note
from station.custody.checkpoint_signer import CheckpointSigner, KeptNote
from station.custody.ledger import Fact, Head, Stamp
from station.custody.merkle import Edge
from station.custody.seed_file import SeedFile
from station.custody.tile_writer import TileWriter
from station.errors import LedgerError
from tests.station.custody.ledgers import NOW_S, now

OLD, NEW, THIRD = (f"plant.example/{year}" for year in (2026, 2027, 2028))
STAMP = Stamp(NOW_S * 1000, 0, "0a" * 32)
MORE = Fact("vault.started")


def seeds(origin: str) -> SeedFile:
    return SeedFile(1, origin, "00" * 32, "00" * 32)


def ending(new: str) -> Fact:
    return Fact(rotation.ROTATED, "desk", {"next": new})


def opening(origin: str, before: Checkpoint) -> Fact:
    return Fact(rotation.OPENED, data={"origin": origin, "before": rotation.told(before)})


def written(folder: Path, origin: str, *facts: Fact) -> Note:
    """Make a log of these facts, signed."""
    writer = TileWriter(folder)
    for fact in facts:
        writer.add(writer.head.written(fact, STAMP)[0])
    kept = KeptNote(folder.with_name(folder.name + ".signed"), origin)
    return writer.sign_and_publish(CheckpointSigner(origin, seeds(origin).signers(), kept, now))


def report(folder: Path, origin: str) -> Report:
    return audited(folder, Trust([signer.key for signer in seeds(origin).signers()]))


def public(folder: Path, *origins: str) -> list[str]:
    path = folder / "keys"
    path.write_text("".join(f"{one.key}\n" for origin in origins for one in seeds(origin).signers()))
    return ["--key", str(path)]


def test_a_log_that_goes_on_after_its_end_is_a_finding(tmp_path: Path) -> None:
    written(tmp_path / "twice", OLD, MORE, ending(NEW), MORE, ending(THIRD))
    (found,) = report(tmp_path / "twice", OLD).findings
    assert (found.leaf, found.what) == (1, f"entry 1: ends the log in {NEW}, but 2 entries follow")


def test_what_a_station_says_ends_no_log(tmp_path: Path) -> None:
    claim = Fact(rotation.ROTATED, "station:cell", {"next": NEW})
    written(tmp_path / "log", OLD, MORE, claim, MORE)
    assert report(tmp_path / "log", OLD).findings == ()


def test_where_a_log_goes_on_and_began_is_told(tmp_path: Path) -> None:
    final = written(tmp_path / "old", OLD, MORE, ending(NEW)).checkpoint
    written(tmp_path / "new", NEW, opening(NEW, final), MORE)
    ended, begun = report(tmp_path / "old", OLD), report(tmp_path / "new", NEW)
    assert (ended.findings, begun.findings) == ((), ())
    assert ended.notices == (f"it has ended, and goes on in {NEW}",)
    assert begun.notices == (f"it begins where {OLD} ended, with 2 leaves",)


def test_a_checkpoint_of_a_log_that_is_not_shown_is_a_finding(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = written(tmp_path / "1", OLD, ending(NEW)).checkpoint
    second = written(tmp_path / "2", NEW, opening(NEW, first), ending(THIRD)).checkpoint
    seen = written(tmp_path / "3", THIRD, opening(THIRD, second), MORE)
    (tmp_path / "seen").write_bytes(seen.encode())
    folders = [str(tmp_path / name) for name in "123"]
    rest = ["--since", str(tmp_path / "seen"), *public(tmp_path, OLD, NEW, THIRD)]
    assert code_of(["audit", "verify", *folders, *rest]) == Exit.OK
    capsys.readouterr()
    assert code_of(["audit", "verify", *folders[:2], *rest]) == Exit.INTEGRITY
    wanted = f"checkpoint of 2 leaves: is of log {THIRD}, which is not among these"
    assert wanted in capsys.readouterr().out.splitlines()


@given(data=st.data())
def test_any_bytes_for_a_first_or_last_entry_are_refused_in_one_way(data: st.DataObject) -> None:
    """What a key store is shown comes from a vault that it does not believe."""
    last = Head().written(ending(NEW), STAMP)[0]
    final = Checkpoint(OLD, 1, Edge().grown(last.hash).root)
    first = Head().written(opening(NEW, final), STAMP)[0].entry
    assert [*rotation.ended(final, NEW, last.entry, [], first)] == []
    given_ = [last.entry, first]
    which = data.draw(st.integers(0, 1))
    good = given_[which]
    start = data.draw(st.integers(0, len(good)))
    end = data.draw(st.integers(start, min(len(good), start + 20)))
    given_[which] = good[:start] + data.draw(st.binary(max_size=20)) + good[end:]
    proof = data.draw(st.lists(st.binary(max_size=40), max_size=3))
    wrong = [*rotation.ended(final, NEW, given_[0], proof, given_[1])]
    changed = bool(proof) or which == 0
    assert all(len(one) < 700 for one in wrong)
    assert wrong or given_[which] == good or not changed
    for read in (rotation.next_of, rotation.before_of):
        try:
            read(given_[which])
        except LedgerError as error:
            assert len(str(error)) < 500
