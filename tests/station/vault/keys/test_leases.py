"""Counters that a crash can only move forward."""

import os
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from station.vault.keys.errors import DamagedError, LimitError
from station.vault.keys.leases import BLOCK, Leases, block_of
from station.vault.secret import Secret

KEY = b"k" * 32


def opened(path: Path, key: bytes = KEY, floor: int = 0) -> Leases:
    leases = Leases(path, Secret(key), {"K": floor})
    leases.open()
    return leases


def take_all(leases: Leases, limit: int) -> int:
    taken = 0
    try:
        while True:
            leases.take(("K", limit))
            taken += 1
    except LimitError:
        return taken


def test_a_block_is_leased_before_its_first_use(tmp_path: Path) -> None:
    path = tmp_path / "leases"
    leases = opened(path)
    for uses in range(1, 2 * BLOCK + 2):
        leases.take(("K", None))
        assert path.read_bytes().count(b"\n") == -(-uses // BLOCK)
    assert leases.use("K", None).used == 2 * BLOCK + 1
    assert leases.use("K", None).leased == 3 * BLOCK
    leases.close()


def test_a_crash_wastes_the_rest_of_a_block(tmp_path: Path) -> None:
    leases = opened(tmp_path / "leases")
    for _ in range(3):
        leases.take(("K", 100_000))
    leases.close()
    assert opened(tmp_path / "leases").use("K", 100_000).used == BLOCK


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 900), st.lists(st.integers(0, 250), max_size=6))
def test_no_more_uses_than_the_limit_however_often_it_restarts(
    tmp_path_factory: pytest.TempPathFactory, limit: int, lives: list[int]
) -> None:
    path = tmp_path_factory.mktemp("leases") / "leases"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, "fsync", lambda file: None)  # the process dies here, not the machine
        taken = sum(lived(path, limit, uses) for uses in lives)
        leases = opened(path)
        taken += take_all(leases, limit)
        leases.close()
    wasted = len(lives) * (block_of(limit) - 1)
    assert limit - wasted <= taken <= limit


def lived(path: Path, limit: int, uses: int) -> int:
    """Take so many uses, if there are, and die."""
    leases, taken = opened(path), 0
    with suppress(LimitError):
        for _ in range(uses):
            leases.take(("K", limit))
            taken += 1
    leases.close()
    return taken


def test_small_limits_waste_little() -> None:
    assert [block_of(limit) for limit in (1, 20, 100, 1000, 9999, 10_000, 10**7, None)] == [
        1, 1, 1, 10, 99, 100, 100, 100,
    ]  # fmt: skip


def test_of_two_counters_none_is_counted_if_one_is_spent(tmp_path: Path) -> None:
    leases = opened(tmp_path / "leases")
    leases.take(("K", 5), ("order", 1))
    with pytest.raises(LimitError, match="order: all 1 uses are spent"):
        leases.take(("K", 5), ("order", 1))
    assert leases.use("K", 5).used == 1
    leases.close()


def test_the_header_is_a_floor(tmp_path: Path) -> None:
    leases = opened(tmp_path / "leases", floor=300)
    assert leases.use("K", None).used == 300
    leases.close()


@pytest.mark.parametrize("torn", range(1, 40, 7))
def test_a_last_line_cut_short_was_never_used(tmp_path: Path, torn: int) -> None:
    path = tmp_path / "leases"
    leases = opened(path)
    for _ in range(BLOCK + 1):
        leases.take(("K", None))
    leases.close()
    whole = path.read_bytes()
    path.write_bytes(whole[:-torn])
    again = opened(path)
    assert again.use("K", None).used == BLOCK
    again.take(("K", None))
    again.close()
    final = opened(path)
    assert final.use("K", None).used == 2 * BLOCK
    final.close()


def test_a_changed_line_and_a_file_of_another_store_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "leases"
    leases = opened(path)
    for _ in range(3 * BLOCK):
        leases.take(("K", None))
    leases.close()
    whole = path.read_bytes()
    first, second, third, _ = whole.split(b"\n")
    for lines in ((second, third), (first, third), (second, first, third), (first, second.upper(), third)):
        path.write_bytes(b"\n".join(lines) + b"\n")
        with pytest.raises(DamagedError, match="damaged, or not of this store"):
            opened(path)
    for at in range(0, len(whole), 5):
        changed = bytearray(whole)
        changed[at] ^= 1
        path.write_bytes(changed)
        with pytest.raises(DamagedError):
            opened(path)
    path.write_bytes(whole)
    with pytest.raises(DamagedError):
        opened(path, key=b"x" * 32)


def test_what_cannot_be_written_is_not_granted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    leases = opened(tmp_path / "leases")

    def full(file: int) -> None:
        del file
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(LimitError, match="No space left"):
            leases.take(("K", None))
    with pytest.raises(LimitError, match="could not be written"):
        leases.take(("K", None))
    assert leases.use("K", None).used == 0
    leases.close()
