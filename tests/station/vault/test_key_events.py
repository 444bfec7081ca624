"""Each change of a key is a leaf of the ledger, told once; a compromised key stops the line."""

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from station.vault.key_events import KeyEvents
from station.vault.keys.errors import KeyStoreError
from station.vault.keys.words import Algorithm, Approval, KeyProfile, KeyRef, KeyState, Purpose
from station.vault.stops import Stops
from tests.station.vault.dies import NOW
from tests.station.vault.vaults import TELLER, Vault, opened_vault

WHO = Approval("anna,ben", "a test")


@pytest.fixture
async def vault(tmp_path: Path) -> AsyncIterator[Vault]:
    async with opened_vault(tmp_path) as opened:
        yield opened


async def told(vault: Vault, key: str) -> list[tuple[str, str]]:
    """Event and state of each leaf about a key."""
    rows = await vault.journal.commit(lambda db: db.execute("SELECT entry FROM leaf ORDER BY idx").fetchall())
    entries = [msgspec.json.decode(entry) for (entry,) in rows]
    return [(one["event"], one["data"].get("state", "")) for one in entries if one.get("key") == key]


def events_of(vault: Vault, stops: Stops | None = None, *, uses: bool = False) -> KeyEvents:
    return KeyEvents(vault.journal, TELLER, stops or vault.stops, vault.means.store, uses=uses)


async def test_a_key_s_life_is_told_once(vault: Vault) -> None:
    store, events = vault.means.store._store, events_of(vault)
    await events.tell(NOW)
    assert await told(vault, "REC-1") == [("key.generated", ""), ("key.state", "active")]
    await store.generate(KeyProfile("K-9", Algorithm.ED25519, Purpose.SIGN))
    await events.tell(NOW)
    for state in (KeyState.ACTIVE, KeyState.SUSPENDED, KeyState.ACTIVE, KeyState.DEACTIVATED):
        await store.change(KeyRef("K-9"), state, WHO)
    await store.destroy(KeyRef("K-9"), WHO)
    await events.tell(NOW)
    await events_of(vault).tell(NOW)
    assert await told(vault, "K-9") == [
        ("key.generated", ""),
        ("key.state", "active"),
        ("key.state", "suspended"),
        ("key.state", "active"),
        ("key.state", "deactivated"),
        ("key.destroyed", "destroyed"),
    ]


async def test_a_compromised_key_stops_the_line_for_good(vault: Vault) -> None:
    await events_of(vault).tell(NOW)
    await vault.means.store._store.change(
        KeyRef("TM-se1-1"), KeyState.COMPROMISED, Approval("emil", "leaked")
    )
    await events_of(vault).tell(NOW)
    (reason,) = vault.stops.reasons.values()
    assert reason == "key TM-se1-1 is compromised: leaked"
    again = Stops()
    await vault.journal.commit(again.load)
    assert list(again.reasons.values()) == [reason]
    assert len(await vault.journal.commit(vault.stops.release)) == 1
    await events_of(vault).tell(NOW)
    assert not vault.stops.reasons, "it is told once; two officers know of it"


async def test_uses_are_told_by_the_hundred(vault: Vault) -> None:
    events = events_of(vault, uses=True)
    await events.tell(NOW)
    for _ in range(100):
        await vault.means.store.drawn(bytes(16), 2)
    await events.tell(NOW)
    await events.tell(NOW)
    assert [event for event, _ in await told(vault, "IM-se1-1")].count("key.used") == 1


async def test_a_store_that_is_down_is_no_end(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    async def down() -> None:
        raise KeyStoreError("down")

    monkeypatch.setattr(vault.means.store, "entries", down)
    await events_of(vault).attempt(lambda: NOW)
    monkeypatch.undo()
    await events_of(vault).attempt(lambda: NOW)
    assert await told(vault, "REC-1")
