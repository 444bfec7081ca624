"""The folder: what an auditor copies is whole, at every size and after every crash."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from station.custody import merkle
from station.custody.audit import Trust, audited
from station.custody.checkpoint import Note, parsed
from station.custody.ledger import Leaf
from station.custody.merkle import Tree, leaf_hash
from station.custody.tile_writer import TileWriter
from station.custody.tiles import (
    ENTRIES,
    CutError,
    Tile,
    TileReader,
    bundle,
    numbered,
    tile_of,
    tiles_of,
    unbundled,
)
from station.errors import LedgerError
from tests.station.custody.ledgers import LOG, Plant, fact

TRUST = Trust([signer.key for signer in LOG.signers()])


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_names() -> None:
    assert numbered(1234067) == "x001/x234/067"
    assert [numbered(n) for n in (0, 5, 999, 1000)] == ["000", "005", "999", "x001/000"]
    for tile in (Tile(0, 0), Tile(3, 1234067, 255), Tile(ENTRIES, 1000, 1)):
        assert tile_of(tile.name.removeprefix("tile/")) == tile
    for name in (
        "0/00",
        "0/x000/001",
        "00/001",
        "0/001.p/0",
        "0/001.p/256",
        "0/001.p/01",
        "entries",
        "a/001",
    ):
        assert tile_of(name) is None, name


def test_tiles_of_a_size() -> None:
    # the example of C2SP tlog-tiles
    tiles = [tile for tile in tiles_of(70_000) if tile.level != ENTRIES]
    assert sum(tile.level == 0 and tile.full for tile in tiles) == 273
    assert [tile for tile in tiles if tile.level or not tile.full] == [
        Tile(0, 273, 112),
        Tile(1, 0),
        Tile(1, 1, 17),
        Tile(2, 0, 1),
    ]
    assert list(tiles_of(256)) == [Tile(ENTRIES, 0), Tile(0, 0), Tile(1, 0, 1)]
    assert list(tiles_of(0)) == []


def test_bundles() -> None:
    entries = [b"", b"a", b"b" * 16384]
    assert unbundled(bundle(entries), 3) == entries
    with pytest.raises(CutError, match="inside entry 2 of 3"):
        unbundled(bundle(entries)[:-1], 3)
    with pytest.raises(CutError, match="1 bytes behind"):
        unbundled(bundle(entries) + b"x", 3)


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    return Plant(tmp_path)


def test_a_folder_has_the_tiles_of_its_size_and_gives_all_back(plant: Plant) -> None:
    tree = Tree()
    for step in (1, 2, 252, 1, 1, 400, 0, 111):
        plant.grow(step)
        size = plant.writer.head.edge.size
        for index in range(tree.size, size):
            tree.append(leaf_hash(TileReader(plant.ledger, size).entry(index)))
        assert parsed((plant.ledger / "checkpoint").read_bytes()).checkpoint.root == tree.root()
        assert {tile.name for tile in tiles_of(size)} <= names(plant.ledger)
        reader = TileReader(plant.ledger, size)
        for index in range(0, size, 7):
            assert merkle.inclusion(reader.node, index, size) == merkle.inclusion(tree.node, index, size)
        for old in plant.notes:
            assert merkle.consistency(reader.node, old, size) == merkle.consistency(tree.node, old, size)
        assert TileWriter(plant.ledger).head == plant.writer.head
    assert len(list(TileReader(plant.ledger, size).entries_from(700))) == size - 700
    assert audited(plant.ledger, TRUST).sound


def test_large_trees_have_levels(tmp_path: Path) -> None:
    plant, tree = Plant(tmp_path), Tree()
    for step in (66_000, 3):
        for index in range(tree.size, tree.size + step):
            entry = str(index).encode()
            plant.writer.add(Leaf(index, entry, leaf_hash(entry)))
            tree.append(leaf_hash(entry))
        note = plant.writer.sign_and_publish(plant.signer)
        assert note.checkpoint.root == tree.root()
    assert {"tile/1/000", "tile/2/000.p/1", "tile/1/001.p/1", "tile/0/257.p/211"} <= names(plant.ledger)
    reader = TileReader(plant.ledger, tree.size)
    for old in (1, 65_536, 65_537, 66_000):
        assert merkle.consistency(reader.node, old, tree.size) == merkle.consistency(
            tree.node, old, tree.size
        )
    assert TileWriter(plant.ledger).head == plant.writer.head


def test_partial_tiles_go_when_the_tile_is_full(plant: Plant) -> None:
    plant.grow(200)
    plant.grow(55)
    assert {"tile/0/000.p/200", "tile/entries/000.p/255"} <= names(plant.ledger)
    plant.grow(1)
    left = {name for name in names(plant.ledger) if ".p/" in name}
    assert left == {"tile/1/000.p/1"}


def test_a_reader_of_an_older_checkpoint_finds_the_full_tile(plant: Plant) -> None:
    plant.grow(200)
    old = TileReader(plant.ledger, 200)
    plant.grow(100)
    assert merkle.root_of(old.node, 200) == plant.notes[200].checkpoint.root
    assert len(list(old.entries_from(0))) == 200


def test_leaves_that_are_not_published_can_be_proven_from(plant: Plant) -> None:
    plant.grow(300)
    plant.add(500)
    tree = Tree()
    head = Plant(plant.folder / "again").writer.head
    for number in range(800):
        leaf, head = head.written(*fact(number))
        tree.append(leaf.hash)
    assert merkle.consistency(plant.writer.node, 300, 800) == merkle.consistency(tree.node, 300, 800)


# -- refusals
def test_a_checkpoint_of_another_ledger_is_not_published(plant: Plant, tmp_path: Path) -> None:
    note = plant.grow(5)
    plant.add(1)
    with pytest.raises(LedgerError, match="of 5 leaves is of another ledger"):
        plant.writer.publish(note)
    other = Plant(tmp_path / "other")
    with pytest.raises(LedgerError, match="leaf 6 does not follow 0 leaves"):
        other.writer.add(plant.writer.head.written(*fact(6))[0])


def test_a_writer_refuses_a_folder_that_is_not_sound(plant: Plant) -> None:
    plant.grow(300)
    path = plant.ledger / "tile/0/001.p/44"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(LedgerError, match="do not have the root of its checkpoint"):
        TileWriter(plant.ledger)
    path.unlink()
    with pytest.raises(LedgerError, match=r"001.p/44: there is no such file"):
        TileWriter(plant.ledger)


# -- crashes
class Power:
    """Fails at the n-th file operation and at all that follow, as a machine does that is off."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left = -1
        self.count = 0
        for owner, name in (
            (os, "fsync"),
            (os, "write"),
            (Path, "replace"),
            (Path, "mkdir"),
            (shutil, "rmtree"),
        ):
            monkeypatch.setattr(owner, name, self._guarded(getattr(owner, name)))

    def _guarded(self, operation: Callable[..., object]) -> Callable[..., object]:
        def guarded(*args: object, **kwargs: object) -> object:
            self.count += 1
            if self.left == 0:
                raise OSError(5, "power is off")
            self.left -= 1
            return operation(*args, **kwargs)

        return guarded


def test_the_checkpoint_comes_after_all_that_it_covers_is_synced(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is not synced may be lost with the power, whatever order it was written in."""
    unsure: set[Path] = set()
    sync, replace = os.fsync, Path.replace

    def synced(handle: int) -> None:
        path = Path(f"/proc/self/fd/{handle}").readlink()
        unsure.difference_update({path, *(one for one in unsure if one.parent == path)})
        sync(handle)

    def renamed(path: Path, target: Path) -> Path:
        assert path not in unsure
        if target.name == "checkpoint":
            assert not unsure, unsure
        moved = replace(path, target)
        unsure.add(target)
        return moved

    def made(path: Path, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_CREAT:
            unsure.add(Path(path))
        return opened(path, flags, mode)

    def folder_made(path: Path, mode: int = 0o777) -> None:
        unsure.add(Path(path))
        make(path, mode)

    opened, make = os.open, os.mkdir
    monkeypatch.setattr(os, "mkdir", folder_made)
    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", renamed)
    monkeypatch.setattr(os, "open", made)
    for count in (3, 300, 700):
        plant.grow(count)
        assert not unsure


def test_a_crash_between_any_two_operations_leaves_a_folder_that_opens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = Plant(tmp_path / "before")
    before.grow(250)
    power = Power(monkeypatch)
    shutil.copytree(before.folder, tmp_path / "counted")
    counted = Plant(tmp_path / "counted")
    power.count = 0
    counted.grow(20)
    operations, seen = power.count, set[int]()
    for cut in range(operations):
        folder = tmp_path / f"cut{cut}"
        shutil.copytree(before.folder, folder)
        plant = Plant(folder)
        plant.add(20)
        power.left = cut
        with pytest.raises(LedgerError, match="power is off"):
            plant.writer.sign_and_publish(plant.signer)
        power.left = -1
        seen.add(_opened(folder, before.notes[250]))
    assert operations > 20
    assert seen == {250, 270}


def _opened(folder: Path, older: Note) -> int:
    """Check what is there after a crash, and go on from it; return the size that was there."""
    plant = Plant(folder)
    assert audited(plant.ledger, Trust(TRUST.log, older=[older])).sound
    found = plant.writer.head.edge.size
    plant.grow(300 - found)
    assert TileWriter(plant.ledger).head.edge.size == 300
    return found
