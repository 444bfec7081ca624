"""The ledger that the vault writes: each leaf with what it tells, published, signed, and never set back."""

import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from station.custody import witness
from station.custody.audit import Trust, audited
from station.custody.ledger import Fact, decoded
from station.custody.witness import Witness
from station.custody.witness_server import WitnessServer
from station.errors import LedgerError
from station.vault.asked import Purpose, Step
from station.vault.claims import CLAIMED, Claims
from station.vault.configuration import LedgerTable
from station.vault.desk.orders import Orders, Place
from station.vault.die.recovery import Intent, Standing
from station.vault.die.script import Answer
from station.vault.faults import Code, Fate, FaultError
from station.vault.journal import Journal
from station.vault.keyring import Keyring
from station.vault.publisher import Publisher, Witnessed
from station.vault.registry import Registry
from station.vault.teller import Teller
from tests.station.custody.ledgers import now, witness_signer
from tests.station.vault.dies import NOW, DirectLink, sound_chip
from tests.station.vault.vaults import Vault, opened_vault

TABLE = LedgerTable()


def told(folder: Path) -> list[tuple[str, str | None]]:
    """Event and unit of each leaf."""
    with closing(sqlite3.connect(folder / "vault.sqlite")) as db:
        entries = [decoded(row[0]) for row in db.execute("SELECT entry FROM leaf ORDER BY idx")]
    return [(entry.event, entry.unit) for entry in entries]


def publisher(folder: Path, vault: Vault, *witnesses: Witnessed) -> Publisher:
    return Publisher(folder / "vault.sqlite", folder / "ledger", TABLE, vault.means.store, witnesses)


def trust(keys: Keyring) -> Trust:
    return Trust(keys.log_keys(TABLE.origin))


async def test_a_sealed_die_is_admitted_issued_and_sealed(tmp_path: Path) -> None:
    async with opened_vault(tmp_path) as vault:
        sealed = await vault.personalise("L1/1", DirectLink(sound_chip()))
    events = told(tmp_path)
    assert events == [
        ("lot.opened", None),
        ("die.admitted", "L1/1"),
        ("die.issued", "L1/1"),
        ("die.sealed", "L1/1"),
    ]
    assert sealed.leaf == events.index(("die.sealed", "L1/1"))
    with closing(sqlite3.connect(tmp_path / "vault.sqlite")) as db:
        (entry,) = db.execute("SELECT entry FROM leaf WHERE idx = ?", (sealed.leaf,)).fetchone()
    assert decoded(entry).data["record"] == sealed.record.hex()


async def test_a_die_that_is_spoiled_resumed_and_verified_is_told_so(tmp_path: Path) -> None:
    async with opened_vault(tmp_path) as vault:
        link = DirectLink(sound_chip())
        link.touch = lambda label, _step, answer: None if label.startswith("S4") else answer
        with pytest.raises(FaultError):
            await vault.personalise("L1/1", link)
        link.touch = lambda _label, _step, answer: answer
        await vault.personalise("L1/1", link, Purpose.RESUME)
        await vault.personalise("L1/1", link, Purpose.VERIFY)
    assert [event for event, unit in told(tmp_path) if unit == "L1/1"] == [
        "die.admitted",
        "die.issued",
        "die.resumed",
        "die.sealed",
        "die.verified",
    ]


async def test_two_dies_with_one_uid_raise_an_alarm_and_are_both_quarantined(tmp_path: Path) -> None:
    async with opened_vault(tmp_path) as vault:
        uid = (await vault.personalise("L1/1", DirectLink(sound_chip(1)))).uid
        with pytest.raises(FaultError) as caught:
            await vault.personalise("L1/2", DirectLink(sound_chip(2, uid=uid)))
    assert caught.value.code is Code.UID_DUPLICATE
    assert ("unit.quarantined", "L1/1") in told(tmp_path)


async def test_what_the_journal_told_is_published_and_audits(tmp_path: Path) -> None:
    async with opened_vault(tmp_path) as vault:
        ledger = publisher(tmp_path, vault)
        await ledger.open()
        for number in range(1, 4):
            await vault.personalise(f"L1/{number}", DirectLink(sound_chip(number)))
        note = await ledger.publish()
        assert await ledger.publish() is note
        await ledger.close()
        report = audited(tmp_path / "ledger", trust(vault.means.store))
    assert report.sound, report.findings
    assert note.checkpoint.size == report.size == 10
    assert len(report.signed_by) == 2


async def test_a_publisher_goes_on_where_the_last_one_ended(tmp_path: Path) -> None:
    async with opened_vault(tmp_path) as vault:
        for _ in range(3):
            ledger = publisher(tmp_path, vault)
            await ledger.open()
            await vault.means.registry.told(Fact("vault.started"), NOW)
            await ledger.close()
        assert audited(tmp_path / "ledger", trust(vault.means.store)).size == 4


async def test_a_ledger_that_was_set_back_is_refused(tmp_path: Path) -> None:
    async with opened_vault(tmp_path) as vault:
        ledger = publisher(tmp_path, vault)
        await ledger.open()
        await vault.means.registry.told(Fact("vault.started"), NOW)
        await ledger.close()

        def set_back(db: sqlite3.Connection) -> None:
            db.execute("DELETE FROM leaf")
            db.execute("DELETE FROM edge")

        await vault.journal.commit(set_back)
        await vault.means.registry.told(Fact("vault.started"), NOW)
        with pytest.raises(LedgerError, match="leaves"):
            await publisher(tmp_path, vault).open()
        for path in sorted((tmp_path / "ledger").rglob("*"), reverse=True):
            path.unlink() if path.is_file() else path.rmdir()
        with pytest.raises(LedgerError, match="it went back, or is another"):
            await publisher(tmp_path, vault).open()


async def test_a_witness_signs_each_checkpoint_and_admission_stops_without_one(tmp_path: Path) -> None:
    async with opened_vault(tmp_path) as vault:
        keys = vault.means.store.log_keys(TABLE.origin)
        signer = witness_signer()
        (tmp_path / "w").mkdir()
        server = WitnessServer(Witness(tmp_path / "w", keys, signer, now))
        server.start()
        ledger = publisher(tmp_path, vault, Witnessed(server.url, (signer.key,)))
        assert ledger.unsafe()
        await ledger.open()
        note = await ledger.publish()
        server.stop()
        assert len(note.signatures) == 3
        assert not ledger.unsafe()
        await vault.means.registry.told(Fact("vault.started"), NOW)
        with pytest.raises(LedgerError):
            await ledger.publish()
        await ledger.close()


async def test_a_witness_is_asked_once_for_each_checkpoint(tmp_path: Path) -> None:
    """The proof begins where it signed last; only the first time after a start is that not known."""
    answers = list[int]()

    class Heard(Witness):
        def add_checkpoint(self, body: bytes) -> witness.Answer:
            answer = super().add_checkpoint(body)
            answers.append(answer.status)
            return answer

    async with opened_vault(tmp_path) as vault:
        signer = witness_signer()
        (tmp_path / "w").mkdir()
        server = WitnessServer(Heard(tmp_path / "w", vault.means.store.log_keys(TABLE.origin), signer, now))
        server.start()
        witnessed = Witnessed(server.url, (signer.key,))
        ledger = publisher(tmp_path, vault, witnessed)
        await ledger.open()
        for _ in range(3):
            await vault.means.registry.told(Fact("vault.started"), NOW)
            await ledger.publish()
        assert answers == [200, 200, 200]
        again = publisher(tmp_path, vault, witnessed)
        await again.open()
        await again.publish()
        assert answers[3:] == [409, 200]
        await again.close()
        await ledger.close()
        server.stop()


def claim(event: str = "unit.binned", **more: object) -> bytes:
    data = {"bin": 1, "kind": "pass"} if event == "unit.binned" else {}
    fields = {"event": event, "unit": "L1/1", "lot": "L1", "at": NOW, "data": data}
    return msgspec.json.encode(fields | more)


async def test_claims_are_taken_once_and_in_order(tmp_path: Path) -> None:
    events = [claim("unit.received", data={"place": n}) for n in range(3)]
    async with opened_vault(tmp_path) as vault:
        registry = vault.means.registry
        assert await registry.claimed(Claims.read("cell-1", 0, events)) == (3, 3)
        assert await registry.claimed(Claims.read("cell-1", 0, events)) == (3, 3)
        assert await registry.claimed(Claims.read("cell-1", 2, events)) == (5, 5)
        with pytest.raises(LedgerError, match="claims begin with 6, 5 is next"):
            await registry.claimed(Claims.read("cell-1", 6, events))
        (gap,) = await registry.notices(0, 100, lambda _: True)
        assert await registry.claimed(Claims.read("cell-2", 0, events[:1])) == (1, 7)
    assert Counter(event for event, _ in told(tmp_path)) == {
        "lot.opened": 1,
        "unit.received": 6,
        "log.gap": 1,
    }
    assert (gap.event, gap.scope) == ("log.gap", "L1")
    assert gap.detail == "cell-1 claims of lot L1 from 6 on, and 5 is next"


async def test_a_vault_that_works_by_another_file_says_so_once(tmp_path: Path) -> None:
    opening, start = Fact("log.opened"), Fact("vault.started")
    for config in ("00" * 32, "00" * 32, "11" * 32, "11" * 32):
        journal = Journal(tmp_path / "vault.sqlite")
        await journal.open()
        registry = Registry(journal, Teller(config, lambda: 1.0, 0.0), Orders(Place()))
        await registry.began(opening, start, NOW)
        told_of = await registry.notices(0, 100, lambda _: True)
        journal.close()
    assert [event for event, _ in told(tmp_path)] == [
        "log.opened",
        *["vault.started"] * 2,
        "config.changed",
        *["vault.started"] * 2,
    ]
    (changed,) = told_of
    assert (changed.kind, changed.event) == ("alarm", "config.changed")
    assert changed.detail == f"the vault's configuration is {'11' * 8} now, and was {'00' * 8}"


@pytest.mark.parametrize("code", [Code.R_MAC, Code.CARD_CRYPTOGRAM])
async def test_dies_that_fail_their_channel_are_alarms(tmp_path: Path, code: Code) -> None:
    async with opened_vault(tmp_path) as vault:
        await vault.admit("L1/1")
        step = Step("L1/1", bytes(16), NOW, Standing.ADMITTED, Intent.NONE)
        await vault.means.registry.failed(step, code, Fate.RETRY)
        (alarm,) = await vault.means.registry.notices(0, 100, lambda _: True)
    wanted = {Code.R_MAC: "rmac.wrong", Code.CARD_CRYPTOGRAM: "cryptogram.wrong"}[code]
    assert (alarm.kind, alarm.event, alarm.scope) == ("alarm", wanted, "L1/1")


@pytest.mark.parametrize(
    ("event", "why"),
    [
        (b"{", "no claim"),
        (claim("die.sealed"), f"a station claims {', '.join(sorted(CLAIMED))}, not 'die.sealed'"),
        (claim(more=1), "unknown field"),
        (claim(at="now"), "no claim"),
        (claim(data={"bin": -1, "kind": "pass"}), "no claim"),
        (claim(data={"bin": 1, "kind": "good"}), "no claim"),
    ],
)
def test_what_is_no_claim_is_refused_by_its_number(event: bytes, why: str) -> None:
    with pytest.raises(LedgerError, match=f"event 8.*{why}"):
        Claims.read("cell-1", 7, [claim(), event])


async def test_wrong_macs_are_told_as_alarms(tmp_path: Path) -> None:
    async with opened_vault(tmp_path) as vault:
        link = DirectLink(sound_chip())
        wrong = iter([True])

        def once_wrong(label: str, _step: str, answer: Answer) -> Answer:
            if label.startswith("S3") and answer.data and next(wrong, False):
                return Answer(answer.data[:-1] + bytes([answer.data[-1] ^ 1]), answer.sw)
            return answer

        link.touch = once_wrong
        await vault.personalise("L1/1", link)
    assert ("rmac.wrong", "L1/1") in told(tmp_path)


def test_a_call_has_claims_of_one_lot() -> None:
    with pytest.raises(LedgerError, match="claims of one lot in a call, not of 'L1' and 'L2'"):
        Claims.read("cell-1", 0, [claim(), claim(lot="L2")])
    for events in ([], [claim()] * 1025):
        with pytest.raises(LedgerError, match="1 to 1024 are allowed"):
            Claims.read("cell-1", 0, events)
