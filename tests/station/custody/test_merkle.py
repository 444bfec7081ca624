"""The tree against RFC 6962 as it is written there, at every size; and proofs that nobody can bend."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from station.custody.merkle import (
    EMPTY,
    Edge,
    Tree,
    consistency,
    consistent,
    edge_of,
    included,
    inclusion,
    leaf_hash,
)
from tests.station.custody.ledgers import golden

LARGEST = 1100


class Naive:
    """RFC 6962, 2.1, word for word, over ranges of one list; remembers what it has hashed."""

    def __init__(self, entries: list[bytes]) -> None:
        self.entries = entries
        self._known: dict[tuple[int, int], bytes] = {}

    def root(self, start: int, end: int) -> bytes:
        if start == end:
            return sha256(b"").digest()
        if (start, end) not in self._known:
            self._known[start, end] = self._root(start, end)
        return self._known[start, end]

    def _root(self, start: int, end: int) -> bytes:
        if end - start == 1:
            return sha256(b"\x00" + self.entries[start]).digest()
        middle = start + self.half(end - start)
        return sha256(b"\x01" + self.root(start, middle) + self.root(middle, end)).digest()

    @staticmethod
    def half(width: int) -> int:
        half = 1
        while half * 2 < width:
            half *= 2
        return half

    def path(self, leaf: int, start: int, end: int) -> list[bytes]:
        if end - start == 1:
            return []
        middle = start + self.half(end - start)
        if leaf < middle:
            return [*self.path(leaf, start, middle), self.root(middle, end)]
        return [*self.path(leaf, middle, end), self.root(start, middle)]

    def proof(self, old: int, start: int, end: int, *, whole: bool = True) -> list[bytes]:
        if old == end - start:
            return [] if whole else [self.root(start, end)]
        half = self.half(end - start)
        if old <= half:
            return [*self.proof(old, start, start + half, whole=whole), self.root(start + half, end)]
        rest = self.proof(old - half, start + half, end, whole=False)
        return [*rest, self.root(start, start + half)]


ENTRIES = [f"entry {number}".encode() for number in range(LARGEST)]
NAIVE = Naive(ENTRIES)


@pytest.fixture(scope="module")
def tree() -> Tree:
    grown = Tree()
    for entry in ENTRIES:
        grown.append(leaf_hash(entry))
    return grown


def test_vectors() -> None:
    wanted = golden()
    tree, edge = Tree(), Edge()
    for entry, known in zip(wanted["entries"], wanted["leaf_hashes"], strict=True):
        leaf = leaf_hash(entry.encode())
        assert leaf.hex() == known
        tree.append(leaf)
        edge = edge.grown(leaf)
    assert tree.root().hex() == edge.root.hex() == wanted["root"]
    assert [one.hex() for one in inclusion(tree.node, 1, 3)] == wanted["inclusion_of_1"]
    assert [one.hex() for one in consistency(tree.node, 2, 3)] == wanted["consistency_2_to_3"]


def test_the_edge_has_the_root_of_every_size(tree: Tree) -> None:
    edge = Edge()
    for size in range(LARGEST + 1):
        assert edge.root == tree.root(size) == NAIVE.root(0, size)
        assert edge == edge_of(tree.node, size)
        if size < LARGEST:
            edge = edge.grown(leaf_hash(ENTRIES[size]))


def test_inclusion_at_every_size(tree: Tree) -> None:
    for size in range(1, LARGEST + 1):
        root = tree.root(size)
        for index in {0, 1, size // 2, size - 2, size - 1, size * 7 // 11} & set(range(size)):
            proof = inclusion(tree.node, index, size)
            assert proof == NAIVE.path(index, 0, size)
            assert included(leaf_hash(ENTRIES[index]), index, size, proof, root)


def test_consistency_at_every_size(tree: Tree) -> None:
    for size in range(1, LARGEST + 1):
        root = tree.root(size)
        powers = {1 << bit for bit in range(11)}
        for old in (powers | {1, size // 3, size - 1, size}) & set(range(1, size + 1)):
            proof = consistency(tree.node, old, size)
            assert proof == NAIVE.proof(old, 0, size)
            assert consistent(old, tree.root(old), size, root, proof)


def test_every_pair_of_a_small_tree(tree: Tree) -> None:
    for size in range(1, 34):
        for index in range(size):
            proof = inclusion(tree.node, index, size)
            assert proof == NAIVE.path(index, 0, size)
            leaf = leaf_hash(ENTRIES[index])
            fits = [n for n in range(size) if included(leaf, n, size, proof, tree.root(size))]
            assert fits == [index]


def test_every_tree_begins_with_the_empty_one(tree: Tree) -> None:
    assert consistency(tree.node, 0, 9) == []
    assert consistent(0, EMPTY, 9, tree.root(9), [])
    assert not consistent(0, tree.root(1), 9, tree.root(9), [])
    assert not consistent(0, EMPTY, 9, tree.root(9), [tree.root(1)])
    assert consistent(0, EMPTY, 0, EMPTY, [])
    assert not consistent(0, EMPTY, 0, tree.root(9), [])
    assert not consistent(-1, EMPTY, 9, tree.root(9), [])


def test_what_cannot_be_proven_is_not_asked_for(tree: Tree) -> None:
    with pytest.raises(ValueError, match="no leaf 5"):
        inclusion(tree.node, 5, 5)
    with pytest.raises(ValueError, match="has never had 6"):
        consistency(tree.node, 6, 5)


def bent(proof: list[bytes], where: int, bit: int) -> list[bytes]:
    changed = bytearray(b"".join(proof))
    changed[where % len(changed)] ^= 1 << bit
    return [bytes(changed[at : at + 32]) for at in range(0, len(changed), 32)]


@given(st.integers(2, LARGEST), st.integers(0), st.integers(0), st.integers(0, 7))
def test_a_changed_bit_ends_an_inclusion_proof(
    tree: Tree, size: int, pick: int, where: int, bit: int
) -> None:
    index = pick % size
    leaf, root, proof = leaf_hash(ENTRIES[index]), tree.root(size), inclusion(tree.node, index, size)
    assert included(leaf, index, size, proof, root)
    assert not included(leaf, index, size, bent(proof, where, bit), root)
    assert not included(bent([leaf], where, bit)[0], index, size, proof, root)
    assert not included(leaf, index, size, proof, bent([root], where, bit)[0])
    assert not included(leaf, index, size, proof[:-1], root)
    assert not included(leaf, index, size, [*proof, root], root)
    assert not included(leaf, size, size, proof, root)


@given(st.integers(2, LARGEST), st.integers(0), st.integers(0), st.integers(0, 7))
def test_a_changed_bit_ends_a_consistency_proof(
    tree: Tree, size: int, pick: int, where: int, bit: int
) -> None:
    old = 1 + pick % (size - 1)
    before, root, proof = tree.root(old), tree.root(size), consistency(tree.node, old, size)
    assert consistent(old, before, size, root, proof)
    assert not consistent(old, before, size, root, bent(proof, where, bit))
    assert not consistent(old, bent([before], where, bit)[0], size, root, proof)
    assert not consistent(old, before, size, bent([root], where, bit)[0], proof)
    assert not consistent(old, before, size, root, proof[:-1])
    assert not consistent(old, before, size, root, [*proof, root])
    assert not consistent(size, root, old, before, proof)
