"""Leaves in a database: one transaction with what they tell, and the folder that is made of them."""

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from station.custody import leaf_table
from station.custody.audit import Trust, audited
from station.custody.checkpoint_signer import CheckpointSigner, KeptNote
from station.custody.ledger import Fact, Leaf
from station.custody.merkle import Tree
from station.custody.tile_writer import TileWriter
from station.errors import LedgerError
from station.vault.journal import Journal
from tests.station.custody.ledgers import LOG, ORIGIN, fact, now


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    with sqlite3.connect(":memory:", isolation_level=None) as opened:
        opened.executescript(leaf_table.SCHEMA)
        yield opened
    opened.close()


def add(db: sqlite3.Connection, count: int) -> None:
    for _ in range(count):
        leaf_table.append(db, *fact(leaf_table.head(db).edge.size))


def signer(folder: Path) -> CheckpointSigner:
    return CheckpointSigner(ORIGIN, LOG.signers(), KeptNote(folder / "signed", ORIGIN), now)


def test_the_edge_beside_the_leaves_is_that_of_their_tree(db: sqlite3.Connection) -> None:
    tree = Tree()
    assert leaf_table.head(db).edge.root == tree.root()
    for number in range(130):
        leaf = leaf_table.append(db, *fact(number))
        tree.append(leaf.hash)
        assert leaf.index == number
        assert leaf_table.head(db).edge.root == tree.root()
        assert leaf_table.head(db).last == leaf.hash
    assert [leaf.index for leaf in leaf_table.leaves(db, 100)] == list(range(100, 130))


def test_what_is_undone_leaves_no_leaf(db: sqlite3.Connection) -> None:
    add(db, 5)
    before = leaf_table.head(db)
    db.execute("BEGIN")
    add(db, 3)
    assert leaf_table.head(db).edge.size == 8
    db.execute("ROLLBACK")
    assert leaf_table.head(db) == before
    with pytest.raises(LedgerError):
        leaf_table.append(db, Fact("unit.melted"), fact(0)[1])
    assert leaf_table.head(db) == before


async def test_in_the_vaults_journal_a_change_that_fails_takes_its_leaf_with_it(tmp_path: Path) -> None:
    path = tmp_path / "vault.sqlite"
    with sqlite3.connect(path) as db:
        db.executescript(leaf_table.SCHEMA)
    db.close()
    journal = Journal(path)
    await journal.open()

    def told(number: int, *, fails: bool) -> Callable[[sqlite3.Connection], Leaf]:
        def act(db: sqlite3.Connection) -> Leaf:
            leaf = leaf_table.append(db, *fact(number))
            if fails:
                raise ValueError(number)
            return leaf

        return act

    for number in range(12):
        if number % 3 == 2:
            with pytest.raises(ValueError, match=str(number)):
                await journal.commit(told(number, fails=True))
        else:
            await journal.commit(told(number, fails=False))
    found = await journal.commit(lambda db: [leaf.index for leaf in leaf_table.leaves(db, 0)])
    assert found == list(range(8))
    journal.close()


def test_the_folder_follows_the_database(db: sqlite3.Connection, tmp_path: Path) -> None:
    ledger, trust = tmp_path / "ledger", Trust([one.key for one in LOG.signers()])
    for count in (10, 300, 0, 700):
        add(db, count)
        writer = TileWriter(ledger)
        assert leaf_table.catch_up(db, writer) == count
        note = writer.sign_and_publish(signer(tmp_path))
        assert note.checkpoint.root == leaf_table.head(db).edge.root
    report = audited(ledger, trust)
    assert (report.sound, report.size) == (True, 1010)


def test_a_database_that_went_back_or_forked_is_found(db: sqlite3.Connection, tmp_path: Path) -> None:
    add(db, 20)
    writer = TileWriter(tmp_path / "ledger")
    leaf_table.catch_up(db, writer)
    writer.sign_and_publish(signer(tmp_path))
    with sqlite3.connect(":memory:", isolation_level=None) as other:
        other.executescript(leaf_table.SCHEMA)
        add(other, 15)
        with pytest.raises(LedgerError, match="not the beginning of this ledger"):
            leaf_table.catch_up(other, TileWriter(tmp_path / "ledger"))
        empty = TileWriter(tmp_path / "new")
        leaf_table.catch_up(other, empty)
        with pytest.raises(LedgerError, match="20 leaves are signed, it has only 15"):
            empty.sign_and_publish(signer(tmp_path))
        leaf_table.append(other, *fact(99))
        add(other, 5)
        with pytest.raises(LedgerError, match="not the beginning of this ledger"):
            leaf_table.catch_up(other, TileWriter(tmp_path / "ledger"))
        leaf_table.catch_up(other, empty)
        with pytest.raises(LedgerError, match="do not follow from the 20 that are signed"):
            empty.sign_and_publish(signer(tmp_path))
    other.close()


def test_a_damaged_database_is_found(db: sqlite3.Connection, tmp_path: Path) -> None:
    add(db, 9)
    db.execute("UPDATE leaf SET hash = zeroblob(32) WHERE idx = 4")
    with pytest.raises(LedgerError, match="do not lead to its edge"):
        leaf_table.catch_up(db, TileWriter(tmp_path / "ledger"))
    db.execute("UPDATE edge SET peaks = x'00'")
    with pytest.raises(LedgerError, match="edge of 9 leaves has 1 bytes"):
        leaf_table.head(db)
