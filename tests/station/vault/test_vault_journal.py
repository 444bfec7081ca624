"""The journal: durable before anyone goes on, many changes a commit, each alone in its failure."""

import sqlite3
from functools import partial
from pathlib import Path

import pytest

from station.vault.journal import Journal, JournalError

LOT = "INSERT INTO lot VALUES (?, 'se1', '', 1, 'open', 0.0)"


async def test_changes_that_come_together_share_a_commit_and_are_on_disk(tmp_path: Path) -> None:
    path = tmp_path / "vault.sqlite"
    journal = Journal(path)
    await journal.open()
    before = journal.commits
    for change in [journal.commit(partial(_insert, f"L{number}")) for number in range(50)]:
        await change
    assert journal.commits - before < 50
    with sqlite3.connect(path) as other:
        assert other.execute("SELECT count(*) FROM lot").fetchone() == (50,)
    other.close()
    journal.close()


async def test_a_change_that_fails_does_not_take_others_with_it(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "vault.sqlite")
    await journal.open()

    def halfway(db: sqlite3.Connection) -> None:
        db.execute(LOT, ("half",))
        db.execute(LOT, ("half",))

    good = journal.commit(lambda db: db.execute(LOT, ("good",)).rowcount)
    bad = journal.commit(halfway)
    assert await good == 1
    with pytest.raises(sqlite3.IntegrityError):
        await bad
    rows = await journal.commit(lambda db: db.execute("SELECT lot FROM lot").fetchall())
    assert rows == [("good",)]
    journal.close()


def _insert(lot: str, db: sqlite3.Connection) -> None:
    db.execute(LOT, (lot,))


async def test_a_file_that_cannot_be_a_journal_is_refused(tmp_path: Path) -> None:
    (tmp_path / "vault.sqlite").write_bytes(b"something else" * 100)
    journal = Journal(tmp_path / "vault.sqlite")
    with pytest.raises(JournalError):
        await journal.open()
    journal.close()


async def test_a_full_disk_reaches_every_waiter(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "vault.sqlite")
    await journal.open()
    pages = await journal.commit(lambda db: db.execute("PRAGMA page_count").fetchone()[0])
    await journal.commit(lambda db: db.execute(f"PRAGMA max_page_count = {pages}").fetchone())
    body = "x" * 100_000
    for changes in (1, 2):  # alone, and as one of several
        waiting = [journal.commit(lambda db: db.execute(LOT, (body,))) for _ in range(changes)]
        for one in waiting:
            with pytest.raises(JournalError, match="full"):
                await one
    journal.close()


@pytest.mark.parametrize(
    "error", [sqlite3.OperationalError("disk I/O error"), sqlite3.DatabaseError("malformed")]
)
async def test_what_fails_in_the_file_is_not_the_change_s_own_failure(
    tmp_path: Path, error: sqlite3.Error
) -> None:
    def failing(db: sqlite3.Connection) -> None:
        raise error

    journal = Journal(tmp_path / "vault.sqlite")
    await journal.open()
    with pytest.raises(JournalError, match=str(error)):
        await journal.commit(failing)
    journal.close()
