"""The ledger's yearly rotation: one log ends in the next, whatever breaks, and both can be shown together."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing, suppress
from functools import lru_cache
from pathlib import Path
from typing import cast

import pytest
from argon2.low_level import hash_secret_raw

from station.custody import chain, leaf_table
from station.custody.audit import Trust, audited
from station.custody.checkpoint import parsed
from station.custody.leaf_table import Log
from station.custody.ledger import Entry, Fact, decoded
from station.custody.log_keys import Key, signatures_by
from station.custody.witness import Witness
from station.custody.witness_server import WitnessServer
from station.errors import LedgerError
from station.vault.configuration import Configuration, LedgerTable
from station.vault.keyring import Keyring
from station.vault.keys import sealing
from station.vault.keys.errors import DownError, PolicyError
from station.vault.publisher import HeadSigner, Publisher, Witnessed
from station.vault.service import Floor, Watcher
from station.vault.stops import Stops
from station.vault.times import Times
from station.vault.wire import floor_pb2 as wire
from tests.station.custody.ledgers import now, witness_signer
from tests.station.vault.dies import NOW, DirectLink, sound_chip
from tests.station.vault.rotations import NEW, OLD, CutError, cut, publisher, rotated
from tests.station.vault.vaults import opened_vault

THIRD = "hardbin.example/development/2028"
MOST = 80
"""More points than there are."""


def entries(folder: Path) -> list[Entry]:
    with closing(sqlite3.connect(folder / "vault.sqlite")) as db:
        return [decoded(row[0]) for row in db.execute("SELECT entry FROM leaf ORDER BY idx")]


def keys(store: Keyring, *origins: str) -> list[Key]:
    return [key for origin in origins for key in store.log_keys(origin)]


def sound(folder: Path, store: Keyring, *origins: str) -> None:
    """The logs in their folders are what the journal told, each of its own name, one after the other."""
    *ended, _ = origins
    folders = [*(folder / "ledgers" / str(n) for n in range(1, len(ended) + 1)), folder / "ledger"]
    trust = Trust(keys(store, *origins))
    reports = [audited(one, chain.trust_of(one, trust)) for one in folders]
    assert [report.findings for report in reports] == [()] * len(origins)
    assert [report.origin for report in reports] == list(origins)
    assert sum(report.size for report in reports) == len(entries(folder))
    assert all(len(report.signed_by) == 2 for report in reports)
    assert [*chain.findings(folders)] == []
    for one, origin in zip(folders[:-1], ended, strict=True):
        assert (one / "keys").read_text().splitlines() == list(map(str, store.log_keys(origin)))
    now_keys = (folder / "ledger.keys").read_text().splitlines()
    assert now_keys == list(map(str, store.log_keys(origins[-1])))


async def test_a_log_ends_in_the_next_and_both_name_each_other(tmp_path: Path) -> None:
    async with opened_vault(tmp_path) as vault:
        ledger = publisher(tmp_path, vault)
        await ledger.open()
        old = (await vault.personalise("L1/1", DirectLink(sound_chip(1)))).leaf
        await rotated(vault)
        new = (await vault.personalise("L1/2", DirectLink(sound_chip(2)))).leaf
        note = await ledger.publish()
        assert note.checkpoint.origin == ledger.origin == NEW
        sound(tmp_path, vault.means.store, OLD, NEW)
        await ledger.close()
    told = entries(tmp_path)
    last, first = told[4], told[5]
    assert (last.event, last.data["next"], last.seq) == ("log.rotated", NEW, 4)
    assert (first.event, first.data["origin"], first.seq, first.prev) == ("log.opened", NEW, 0, "00" * 32)
    final = parsed((tmp_path / "ledgers/1/checkpoint").read_bytes()).checkpoint
    assert first.data["before"] == {"origin": OLD, "size": 5, "root": final.root.hex()}
    assert (old, new) == (3, 8), "a leaf's row is counted over all logs"


async def test_after_a_crash_at_any_step_the_same_two_logs_come_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sealing, "hash_secret_raw", lru_cache(hash_secret_raw))
    for number in range(MOST):
        folder = tmp_path / str(number)
        async with opened_vault(folder) as vault:
            store = vault.means.store
            first = publisher(folder, vault)
            await first.open()
            await first.publish()
            await rotated(vault)
            with cut(monkeypatch, number) as passed, suppress(CutError, LedgerError):
                await first.publish()
            first._thread.shutdown()
            if passed[0] <= number:
                break
            store._store.reopen()  # type: ignore[attr-defined]
            await vault.means.registry.told(Fact("vault.started"), NOW)
            again = publisher(folder, vault)
            await again.open()
            await again.publish()
            again._thread.shutdown()
            sound(folder, store, OLD, NEW)
            with pytest.raises(PolicyError):
                await store.open_ledger(OLD)
            events = [entry.event for entry in entries(folder)]
            assert (events.count("log.rotated"), events.count("log.opened")) == (1, 1)
    assert 20 < number < MOST, "the points were walked to the end"


async def test_a_ledger_may_be_rotated_again_even_before_the_first_is_published(tmp_path: Path) -> None:
    async with opened_vault(tmp_path) as vault:
        await rotated(vault)
        await rotated(vault, THIRD)
        ledger = publisher(tmp_path, vault)
        await ledger.open()
        await ledger.publish()
        await ledger.close()
        sound(tmp_path, vault.means.store, OLD, NEW, THIRD)
        again = publisher(tmp_path, vault)
        await again.open()
        assert again.origin == THIRD
        assert [str(key) for key in again.all_keys()] == [
            str(key) for key in keys(vault.means.store, OLD, NEW, THIRD)
        ]
        await again.close()


async def test_a_name_that_was_used_is_refused_and_nothing_is_told(tmp_path: Path) -> None:
    async with opened_vault(tmp_path) as vault:
        await rotated(vault)
        before = len(entries(tmp_path))
        for used in (OLD, NEW):
            with pytest.raises(LedgerError, match="there was a log"):
                await rotated(vault, used)
        assert len(entries(tmp_path)) == before


async def test_the_next_log_waits_for_the_witness_s_word_on_the_last_of_the_old(tmp_path: Path) -> None:
    async with opened_vault(tmp_path) as vault:
        signer, state = witness_signer(), tmp_path / "w"
        state.mkdir()
        known = keys(vault.means.store, OLD, NEW)
        server = WitnessServer(Witness(state, known, signer, now))
        ledger = publisher(tmp_path, vault, Witnessed(server.url, (signer.key,)))
        await ledger.open()
        await rotated(vault)
        server.start()
        server.stop()
        with pytest.raises(LedgerError):
            await ledger.publish()
        assert (ledger.origin, (tmp_path / "ledgers").exists()) == (OLD, False)
        server = WitnessServer(Witness(state, known, signer, now))
        server.start()
        ledger._witnesses = (Witnessed(server.url, (signer.key,)),)
        await ledger.publish()
        server.stop()
        ledger._thread.shutdown()
        for place in ("ledgers/1", "ledger"):
            note = parsed((tmp_path / place / "checkpoint").read_bytes())
            assert signer.key in signatures_by(note, [signer.key]), place


async def test_a_file_that_names_a_log_that_never_was_is_refused(tmp_path: Path) -> None:
    async with opened_vault(tmp_path) as vault:
        await rotated(vault)
        files = tmp_path / "vault.sqlite", tmp_path / "ledger"
        for origin, fits in (("elsewhere.example/1", False), (NEW, True), (OLD, True)):
            ledger = Publisher(*files, LedgerTable(origin=origin), vault.means.store)
            if fits:
                await ledger.open()
                await ledger.publish()
                assert ledger.origin == NEW
            else:
                with pytest.raises(LedgerError, match=f"the ledger is {NEW}, and was never {origin}"):
                    await ledger.open()
            ledger._thread.shutdown()


async def test_a_folder_that_lacks_leaves_of_a_log_that_has_ended_is_not_put_away(tmp_path: Path) -> None:
    async with opened_vault(tmp_path) as vault:
        ledger = publisher(tmp_path, vault)
        await ledger.open()
        early = (await ledger.publish()).encode()
        await vault.means.registry.told(Fact("vault.started"), NOW)
        await rotated(vault)
        await ledger.publish()
        await ledger.close()
        (tmp_path / "ledger").rename(tmp_path / "lost")
        (tmp_path / "ledgers/1").rename(tmp_path / "ledger")
        (tmp_path / "ledger/checkpoint").write_bytes(early)
        ledger = publisher(tmp_path, vault)
        with pytest.raises(LedgerError, match="has 1 of the 3 leaves"):
            await ledger.open()
        ledger._thread.shutdown()


async def test_the_key_store_takes_another_log_only_from_the_last_leaf_that_it_signed(tmp_path: Path) -> None:
    async with opened_vault(tmp_path) as vault:
        ledger, store = publisher(tmp_path, vault), vault.means.store
        await ledger.open()
        await vault.means.registry.told(Fact("vault.started"), NOW)
        await ledger.publish()
        last = f"this is not the last entry of the 2 of {OLD}"
        with closing(sqlite3.connect(tmp_path / "vault.sqlite")) as db:
            ((early,), (entry,)) = db.execute("SELECT entry FROM leaf ORDER BY idx").fetchall()
        proof = [ledger._open_writer.node(0, 0)]
        for leaf, shown, why in (
            (early, proof, last),
            (entry, [], last),
            (entry, proof, f"the last entry of {OLD} names no log as the next, not {NEW}"),
        ):
            with pytest.raises(PolicyError, match=why):
                await store.rotate_ledger(NEW, leaf, shown, early)
        head = await store.open_ledger(OLD)
        assert (head.origin, head.size) == (OLD, 2), "nothing is consumed by what is refused"
        await ledger.close()


class Losing:
    """A key store that does what it is asked once, and whose answer is lost."""

    def __init__(self, store: Keyring, call: str) -> None:
        self._store, self._call, self.lost = store, call, False

    def __getattr__(self, name: str) -> object:
        asked = getattr(self._store, name)
        if name != self._call or self.lost:
            return asked

        async def unheard(*given: object) -> None:
            await asked(*given)
            self.lost = True
            raise DownError("the key store's process ended before it answered")

        return unheard


@pytest.mark.parametrize("call", ["sign_checkpoint", "rotate_ledger"])
async def test_what_the_key_store_did_and_could_not_answer_is_found_out(tmp_path: Path, call: str) -> None:
    async with opened_vault(tmp_path) as vault:
        store = Losing(vault.means.store, call)
        files = tmp_path / "vault.sqlite", tmp_path / "ledger"
        ledger = Publisher(*files, LedgerTable(), cast(HeadSigner, store))
        await ledger.open()
        await rotated(vault)
        with pytest.raises(DownError):
            await ledger.publish()
        await vault.means.registry.told(Fact("vault.started"), NOW)
        note = await ledger.publish()
        assert (store.lost, note.checkpoint.origin, note.checkpoint.size) == (True, NEW, 2)
        await ledger.close()
        sound(tmp_path, vault.means.store, OLD, NEW)


async def test_a_log_whose_end_could_not_be_read_at_once_is_told_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = leaf_table.finals
    failed: list[bool] = []

    def finals(db: sqlite3.Connection, ended: Sequence[Log]) -> object:
        if ended and not failed and ledger.origin == NEW:
            failed.append(True)
            raise LedgerError("the disk is busy")
        return read(db, ended)

    async with opened_vault(tmp_path) as vault:
        ledger = publisher(tmp_path, vault)
        await ledger.open()
        await rotated(vault)
        monkeypatch.setattr(leaf_table, "finals", finals)
        with pytest.raises(LedgerError, match="the disk is busy"):
            await ledger.publish()
        await ledger.publish()
        reached = [one.checkpoint.origin for one in await ledger.beyond(0)]
        assert reached == [OLD, NEW], "a station that was away hears of both"
        await ledger.close()


async def test_keys_of_an_old_log_that_are_no_text_are_an_error_of_the_ledger(tmp_path: Path) -> None:
    async with opened_vault(tmp_path) as vault:
        ledger = publisher(tmp_path, vault)
        await ledger.open()
        await rotated(vault)
        await ledger.publish()
        (tmp_path / "ledgers/1/keys").write_bytes(b"\xff\n")
        with pytest.raises(LedgerError):
            ledger.all_keys()
        await ledger.close()


class Watching:
    """A station that follows the vault until a log's checkpoint has come."""

    def __init__(self, until: str) -> None:
        self._until = until
        self.heard: list[wire.Notice] = []

    def invocation_metadata(self) -> object:
        return (("hardbin-station", "cell"),)

    async def send_initial_metadata(self, metadata: object) -> None:
        del metadata

    async def write(self, notice: wire.Notice) -> None:
        self.heard.append(notice)
        if (notice.kind, notice.scope) == ("checkpoint", self._until):
            raise CutError


async def test_a_station_that_was_away_hears_what_both_logs_told(tmp_path: Path) -> None:
    async with opened_vault(tmp_path) as vault:
        stopped = Fact("line.stopped", data={"why": "one"}), Fact("line.stopped", data={"why": "two"})
        registry, configuration = vault.means.registry, Configuration()
        ledger = publisher(tmp_path, vault)
        await ledger.open()
        await registry.told(stopped[0], NOW)
        await rotated(vault)
        await registry.told(stopped[1], NOW)
        await ledger.publish()
        floor = Floor(vault.means, Times(development=True, epoch=NOW), configuration, ledger, Stops())
        station = Watching(NEW)
        with pytest.raises(CutError):
            await floor.watch(wire.WatchRequest(origin=OLD, after=0), cast(Watcher, station))
        assert [(one.kind, one.scope, one.leaf) for one in station.heard] == [
            ("stop", "line", 1),
            ("checkpoint", OLD, 2),
            ("stop", "line", 1),
            ("checkpoint", NEW, 1),
        ]
        late = Watching(NEW)
        with pytest.raises(CutError):
            await floor.watch(wire.WatchRequest(origin=NEW, after=1), cast(Watcher, late))
        assert [one.kind for one in late.heard] == ["checkpoint"], "nothing is told twice"
        await ledger.close()
