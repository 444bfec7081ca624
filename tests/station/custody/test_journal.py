"""The journal: durable, chained, whole; and the account of every device that follows from it."""

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from station import events
from station.custody.balance import balance_of
from station.custody.journal import Journal, read
from station.errors import StorageError
from station.model import Bin, BinKind, Disposition, LotInfo, Outcome, Verdict


def state(number: int) -> events.Any:
    return events.StateChanged(at=float(number), old="A", new=f"B{number}")


async def written(path: Path, *entries: events.Any) -> None:
    journal = Journal(path, reserve_bytes=0)
    journal.open()
    await journal.commit(*entries)
    journal.close()


async def test_what_was_committed_is_read_back_in_order(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    await written(path, state(1), state(2))
    await written(path, state(3))
    assert list(read(path)) == [state(1), state(2), state(3)]


async def test_commits_of_one_turn_share_one_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "journal"
    journal = Journal(path, reserve_bytes=0)
    journal.open()
    syncs: list[int] = []
    monkeypatch.setattr(os, "fdatasync", lambda file: syncs.append(file))
    async with asyncio.TaskGroup() as group:
        for number in range(20):
            group.create_task(journal.commit(state(number)))
    assert len(syncs) == 1
    journal.close()
    assert len(list(read(path))) == 20


async def test_a_torn_tail_is_cut_and_the_chain_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    await written(path, state(1), state(2))
    whole = path.read_bytes()
    for cut in range(whole.find(b"\n") + 1, len(whole)):
        path.write_bytes(whole[:cut])
        await written(path, state(9))
        assert list(read(path)) == [state(1), state(9)]


async def test_a_closed_journal_takes_nothing(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal", reserve_bytes=0)
    journal.open()
    journal.close()
    with pytest.raises(StorageError, match="it is closed"):
        await journal.commit(state(1))


@pytest.mark.parametrize("change", [lambda b: b.replace(b"B2", b"B7"), lambda b: b.split(b"\n", 1)[1]])
async def test_a_changed_or_missing_line_is_found(tmp_path: Path, change: Any) -> None:
    path = tmp_path / "journal"
    await written(path, state(1), state(2), state(3))
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(StorageError, match="does not follow"):
        list(read(path))


async def test_a_full_disk_is_written_into_the_reserve_and_then_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "journal"
    journal = Journal(path, reserve_bytes=4096)
    journal.open()
    await journal.commit(state(1))
    real = os.write

    def full(file: int, data: Any) -> int:
        if (tmp_path / "journal.reserve").exists():
            real(file, bytes(data)[:7])
            raise OSError(28, "No space left on device")
        return real(file, data)

    monkeypatch.setattr(os, "write", full)
    await journal.commit(state(2))
    assert journal.failed is not None
    assert "reserve" in journal.failed

    def really_full(file: int, data: Any) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", really_full)
    with pytest.raises(StorageError, match="No space left"):
        await journal.commit(state(3))
    journal.close()
    assert list(read(path)) == [state(1), state(2)]


async def test_a_reserve_that_does_not_suffice_leaves_no_half_of_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "journal"
    journal = Journal(path, reserve_bytes=4096)
    journal.open()
    await journal.commit(state(1))
    real, room = os.write, 0

    def full(file: int, data: Any) -> int:
        if room:
            return real(file, data)
        raise OSError(28, f"No space left on device, after {real(file, bytes(data)[:7])}")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(StorageError, match="No space left"):
        await journal.commit(state(2))
    room = 4096
    await journal.commit(state(3))
    journal.close()
    assert list(read(path)) == [state(1), state(3)]


GOOD = Bin(1, "good", hard=1, kind=BinKind.PASS)
BAD = Bin(3, "bad", hard=3)
ERROR = Bin(20, "error", hard=7, kind=BinKind.OTHER)


def outcome(part: int, bin_: Bin) -> Outcome:
    return Outcome(
        site=part,
        part=part,
        contact=1,
        soft=bin_.number,
        hard=bin_.hard,
        kind=bin_.kind,
        verdict=Verdict.PASSED,
        test_s=0.0,
    )


def history(*more: events.Any) -> list[events.Any]:
    info = LotInfo(
        lot="L",
        product="p",
        sequence="s",
        sequence_version="1",
        fingerprint="",
        station="s",
        sites=(1, 2, 3),
        quantity=4,
        tests=(),
        bins=(GOOD, BAD, ERROR),
        pins=(),
        set_up=0.0,
    )
    opened = events.TouchdownOpened(at=0, seq=1, parts={1: 1, 2: 2, 3: 3}, contacts={1: 1, 2: 1, 3: 1})
    return [events.LotLoaded(at=0, info=info), opened, *more]


def test_every_device_is_in_exactly_one_account() -> None:
    closed = events.ContactsClosed(
        at=0, seq=1, outcomes=(outcome(1, GOOD), outcome(2, BAD), outcome(3, ERROR))
    )
    assert balance_of(history(closed)).accounts() == {"in contact": 3, "waiting": 1}
    sent = events.Sorted(at=0, seq=1, bins={1: 1, 2: 3, 3: 7})
    after = {"good": 1, "not judged in bin 7": 1, "rejected in bin 3": 1, "waiting": 1}
    assert balance_of(history(closed, sent)).accounts() == after


@pytest.mark.parametrize(
    ("disposition", "spoiled", "sealed"),
    [
        (Disposition.SEALED, False, True),
        (Disposition.UNTOUCHED, False, False),
        (Disposition.RETRY, False, False),
        (Disposition.QUARANTINE, True, False),
        (Disposition.REJECT_HELD, True, False),
        (None, True, False),
    ],
)
def test_an_intent_spoils_until_the_vault_says_otherwise(
    disposition: Disposition | None, *, spoiled: bool, sealed: bool
) -> None:
    intent = events.Intended(at=0, unit="L/1", part=1, site=1, session="00")
    ended = events.PersonalisationEnded(at=0, unit="L/1", part=1, disposition=disposition, uid="ab")
    assert balance_of(history(intent)).spoiled(1)
    balance = balance_of(history(intent, ended), identities=True)
    assert (balance.spoiled(1), balance.sealed(1)) == (spoiled, sealed)
    assert balance.uids == ({1: "ab"} if sealed else {})
