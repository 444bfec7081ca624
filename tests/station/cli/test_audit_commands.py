"""`hardbin audit` and `hardbin witness`, as a person and a program meet them."""

import asyncio
import json
import signal
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from station import events
from station.cli import audit as audit_module
from station.cli import code_of
from station.custody.checkpoint_signer import CheckpointSigner, KeptNote
from station.custody.journal import Journal
from station.custody.ledger import Fact, Stamp, decoded
from station.custody.seed_file import SeedFile
from station.custody.tile_writer import TileWriter
from station.model import Bin, BinKind, Disposition, LotInfo, Outcome, Verdict
from tests.station.custody.ledgers import Plant, fact, now

GOOD, BAD = Bin(1, "good", hard=1, kind=BinKind.PASS), Bin(10, "spoiled", hard=6)
ORIGIN = "plant.example/cell-3/2027"
UID = "0a01000100070000000101fff000008f"


def outcome(site: int, bin_: Bin) -> Outcome:
    return Outcome(
        site=site,
        part=site,
        contact=1,
        soft=bin_.number,
        hard=bin_.hard,
        kind=bin_.kind,
        verdict=Verdict.PASSED,
        test_s=1.0,
    )


def ended(part: int, disposition: Disposition | None) -> events.PersonalisationEnded:
    uid = UID if disposition is Disposition.SEALED else ""
    return events.PersonalisationEnded(
        at=103.0, unit=f"L1/{part}", part=part, disposition=disposition, uid=uid, serial="S1", record="ab"
    )


def history() -> list[events.Any]:
    info = LotInfo(
        lot="L1",
        product="se1",
        sequence="final",
        sequence_version="1",
        fingerprint="ab" * 32,
        station="cell-3",
        sites=(1, 2, 3),
        quantity=3,
        tests=(),
        bins=(GOOD, BAD),
        pins=(),
        set_up=100.0,
    )
    parts = {1: 1, 2: 2, 3: 3}
    intents = [
        events.Intended(at=102.0, unit=f"L1/{part}", part=part, site=part, session="00") for part in parts
    ]
    return [
        events.LotLoaded(at=100.0, info=info),
        events.TouchdownOpened(at=101.0, seq=1, parts=parts, contacts=dict.fromkeys(parts, 1)),
        *intents,
        ended(1, Disposition.SEALED),
        ended(2, Disposition.QUARANTINE),
        ended(3, Disposition.RETRY),
        events.ContactsClosed(at=104.0, seq=1, outcomes=(outcome(1, GOOD), outcome(2, BAD), outcome(3, BAD))),
        events.Sorted(at=105.0, seq=1, bins={1: 1, 2: 6, 3: 6}),
        events.LotClosed(at=106.0, lot="L1", outcome="PASSED", tested=3, good=1, accounts={}),
    ]


class Desk:
    """The command line in a folder with a lot, keys and a ledger."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str], *before_the_end: events.Any) -> None:
        self.folder = folder
        *self._history, end = history()
        self._history += [*before_the_end, end]
        self._capsys = capsys
        (folder / "lot").mkdir()
        asyncio.run(self._write())
        self.keys("audit", "log", ORIGIN)
        assert self("audit", "lot", folder / "lot", folder / "ledger", "--key", folder / "log.seeds")[0] == 0

    async def _write(self) -> None:
        journal = Journal(self.folder / "lot" / "journal", reserve_bytes=0)
        journal.open()
        await journal.commit(*self._history)
        journal.close()

    def __call__(self, *arguments: str | Path) -> tuple[int, str, str]:
        self._capsys.readouterr()
        code = code_of([str(argument) for argument in arguments])
        told = self._capsys.readouterr()
        return code, told.out, told.err

    def keys(self, group: str, name: str, owner: str) -> None:
        code, out, _ = self(group, "key", self.folder / f"{name}.seeds", "--name", owner)
        assert code == 0
        (self.folder / f"{name}.pub").write_text(out)

    def verify(self, *more: str | Path, folder: Path | None = None) -> tuple[int, str, str]:
        return self("audit", "verify", folder or self.ledger, "--key", self.folder / "log.pub", *more)

    @property
    def ledger(self) -> Path:
        return self.folder / "ledger"


@pytest.fixture
def desk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Desk:
    return Desk(tmp_path, capsys)


def test_the_ledger_of_a_lot_holds_the_claims_of_its_station(desk: Desk) -> None:
    code, out, _ = desk("audit", "tail", desk.ledger, "-n", "100", "--json")
    entries = [decoded(line.encode()) for line in out.splitlines()]
    assert code == 0
    assert [entry.event for entry in entries] == [
        "log.opened",
        "lot.opened",
        *["die.admitted"] * 3,
        "die.sealed",
        "die.spoiled",
        *["unit.binned"] * 3,
        "lot.closed",
    ]
    assert {entry.src for entry in entries} == {"station:cell-3"}
    journal = sha256((desk.folder / "lot" / "journal").read_bytes()).hexdigest()
    assert entries[0].data["journal"] == journal
    assert entries[0].data["mode"] == "development"
    sealed, spoiled, binned = entries[5], entries[6], entries[7]
    assert (sealed.unit, sealed.uid_h) == ("L1/1", sha256(bytes.fromhex(UID)).hexdigest())
    assert (sealed.t, sealed.mono) == (103_000, 3_000)
    assert (spoiled.unit, spoiled.data["verdict"]) == ("L1/2", "quarantine")
    assert (binned.unit, binned.data) == ("L1/1", {"bin": 1, "kind": "pass", "site": 1})


def test_a_difference_that_was_signed_for_is_with_the_end_of_the_lot(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    signed = events.BalanceSigned(
        at=105.5, difference="2 sealed, 1 claimed", actor="p-1", reason="see report 7", second="p-2"
    )
    desk = Desk(tmp_path, capsys, signed)
    _, out, _ = desk("audit", "tail", desk.ledger, "-n", "1", "--json")
    closed = decoded(out.strip().encode())
    told = {"outcome": "PASSED", "tested": 3, "good": 1, "difference": "2 sealed, 1 claimed"}
    assert (closed.event, closed.data) == ("lot.closed", told)
    assert "p-1" not in out
    assert "report 7" not in out


def test_a_sound_ledger(desk: Desk) -> None:
    code, out, err = desk.verify()
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        f"signed by {ORIGIN} (ED25519)",
        f"signed by {ORIGIN} (MLDSA44)",
        f"{desk.ledger}: {ORIGIN}, 11 entries checked, tree of 11, sound",
    ]
    code, out, _ = desk.verify("--since", desk.ledger / "checkpoint", "--json")
    told = json.loads(out)
    assert (code, told["sound"], told["size"], told["findings"]) == (0, True, 11, [])


def test_a_changed_byte(desk: Desk) -> None:
    path = desk.ledger / "tile/entries/000.p/11"
    path.write_bytes(path.read_bytes().replace(b"L1/2", b"L1/3", 1))
    code, out, _ = desk.verify()
    assert code == 13
    assert out.startswith("tile/entries/000.p/11: entry 3 is not one that the root stands for\n")
    code, out, _ = desk.verify("--json")
    told = json.loads(out)
    assert (code, told["sound"], told["findings"][0]["leaf"]) == (13, False, 3)


def test_what_is_not_there_or_not_meant(desk: Desk) -> None:
    assert desk.verify(folder=desk.folder / "nothing")[0] == 4
    assert desk.verify(folder=desk.folder / "lot")[0] == 4
    assert desk("audit", "verify", desk.ledger)[0] == 2
    assert desk("audit", "verify", desk.ledger, "--key", desk.folder / "no.pub")[0] == 4
    assert desk("audit", "verify", desk.ledger, "--key", desk.ledger / "checkpoint")[0] == 2
    assert desk("audit", "tail", desk.folder / "lot")[0] == 4
    assert desk("audit", "lot", desk.ledger, desk.folder / "x", "--key", desk.folder / "log.seeds")[0] == 4
    assert desk("audit", "lot", desk.folder / "lot", desk.ledger, "--key", desk.folder / "log.seeds")[0] == 2
    assert (
        desk("audit", "lot", desk.folder / "lot", desk.folder / "x", "--key", desk.folder / "log.pub")[0] == 3
    )
    assert desk("audit", "key", desk.folder / "log.seeds", "--name", "x")[0] == 3
    (desk.ledger / "checkpoint").write_bytes(b"x")
    code, _, err = desk("audit", "tail", desk.ledger)
    assert (code, err) == (
        13,
        f"hardbin: {desk.ledger}/checkpoint: the checkpoint has no signature lines after an empty line\n",
    )


def test_the_ledger_of_a_lot_as_json(desk: Desk) -> None:
    new = desk.folder / "new"
    code, out, _ = desk(
        "audit", "lot", desk.folder / "lot", new, "--key", desk.folder / "log.seeds", "--json"
    )
    told = json.loads(out)
    assert (code, told["out"], told["origin"], told["size"]) == (0, str(new), ORIGIN, 11)
    assert json.loads(desk.verify("--json", folder=new)[1])["root"] == told["root"]


def test_a_journal_that_is_damaged_makes_no_ledger(desk: Desk) -> None:
    path = desk.folder / "lot" / "journal"
    path.write_bytes(path.read_bytes().replace(b"L1/2", b"L1/3", 1))
    new = desk.folder / "new"
    code, _, err = desk("audit", "lot", desk.folder / "lot", new, "--key", desk.folder / "log.seeds")
    assert (code, "does not follow from the line before" in err, new.exists()) == (13, True, False)
    path.write_bytes(b"")
    code, _, err = desk("audit", "lot", desk.folder / "lot", new, "--key", desk.folder / "log.seeds")
    assert (code, "does not begin with the lot" in err, new.exists()) == (13, True, False)


def test_what_a_terminal_would_obey_is_escaped(desk: Desk) -> None:
    plant = Plant(desk.folder / "hostile")
    leaf, _ = plant.writer.head.written(Fact("lot.opened", lot="\x1b[2J"), Stamp(0, 0, "00" * 32))
    plant.writer.add(leaf)
    plant.grow(0)
    assert desk("audit", "tail", plant.ledger)[1].endswith(" lot.opened \\u001b[2J\n")


def test_tail_as_text(desk: Desk) -> None:
    code, out, _ = desk("audit", "tail", desk.ledger, "-n", "2")
    assert code == 0
    assert out.splitlines() == [
        "      9 1970-01-01T00:01:45.000Z station:cell-3 unit.binned L1 L1/3 bin=6 kind=fail site=3",
        "     10 1970-01-01T00:01:46.000Z station:cell-3 lot.closed L1 good=1 outcome=PASSED tested=3",
    ]
    assert desk("audit", "tail", desk.ledger, "-n", "0")[1] == ""


async def test_tail_follows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    plant = Plant(tmp_path)
    plant.grow(3)
    monkeypatch.setattr(audit_module, "POLL_S", 0.0)
    following = asyncio.create_task(audit_module.print_new(plant.ledger, 3, lambda entry: entry.decode()))
    await asyncio.sleep(0)
    plant.grow(2)
    told = ""
    while told.count("\n") < 2:
        await asyncio.sleep(0)
        told += capsys.readouterr().out
    following.cancel()
    assert [json.loads(line)["seq"] for line in told.splitlines()] == [3, 4]


async def test_tail_follows_into_the_log_that_takes_the_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    plant, seed = Plant(tmp_path), SeedFile(1, "plant.example/2027", "00" * 32, "00" * 32)
    plant.grow(3)
    monkeypatch.setattr(audit_module, "POLL_S", 0.0)
    following = asyncio.create_task(audit_module.print_new(plant.ledger, 3, lambda entry: entry.decode()))
    await asyncio.sleep(0)
    plant.ledger.rename(tmp_path / "old")
    for _ in range(3):
        await asyncio.sleep(0)
    assert not following.done(), "between two logs there is no folder"
    writer = TileWriter(plant.ledger)
    for number in range(2):
        writer.add(writer.head.written(*fact(number))[0])
    kept = KeptNote(tmp_path / "kept", seed.name)
    writer.sign_and_publish(CheckpointSigner(seed.name, seed.signers(), kept, now))
    told = ""
    for _ in range(100):
        await asyncio.sleep(0)
        told += capsys.readouterr().out
    following.cancel()
    assert [json.loads(line)["seq"] for line in told.splitlines()] == [0, 1]


def test_export_and_its_check(desk: Desk) -> None:
    out = desk.folder / "out"
    code, told, _ = desk("audit", "export", desk.ledger, out, "--unit", "L1/1", "--json")
    assert (code, json.loads(told)) == (0, {"out": str(out), "entries": 3, "size": 11})
    code, told, _ = desk.verify(folder=out)
    assert (code, told.splitlines()[-1]) == (0, f"{out}: {ORIGIN}, 3 entries checked, tree of 11, sound")
    assert desk("audit", "export", desk.ledger, out)[0] == 2
    code, told, _ = desk(
        "audit", "export", desk.ledger, desk.folder / "b", "--event", "unit.binned", "--lot", "L1"
    )
    assert (code, told) == (0, f"3 of 11 entries, each with its proof, in {desk.folder / 'b'}\n")
    path = out / "000000005.json"
    path.write_bytes(path.read_bytes().replace(b"S1", b"S2"))
    code, told, _ = desk.verify(folder=out)
    assert code == 13
    assert told.startswith("000000005.tlog-proof: ")


def test_a_witness_signs_and_stops_when_asked(desk: Desk) -> None:
    desk.keys("witness", "w1", "w1.example")
    arguments = ["--key", "w1.seeds", "--log", "log.pub", "--state", "state", "--port", "0"]
    with subprocess.Popen(
        [sys.executable, "-m", "station.cli", "witness", "run", *arguments],
        cwd=desk.folder,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        ready = process.stdout.readline()
        assert ready.startswith("witness ready http://127.0.0.1:")
        url, witness = ready.split()[2], desk.folder / "w1.pub"
        submit = ("witness", "submit", url, desk.ledger, "--witness")
        assert desk(*submit, witness, "--out", desk.folder / "cosigned")[0] == 0
        assert desk(*submit, witness)[1].count("\u2014 w1.example ") == 1
        code, _, err = desk(*submit, desk.folder / "log.pub")
        assert (code, "no signature of a key that is trusted" in err) == (13, True)
        run = (
            "witness",
            "run",
            "--key",
            desk.folder / "w1.seeds",
            "--log",
            desk.folder / "log.pub",
            "--state",
        )
        code, _, err = desk(*run, desk.folder / "state", "--port", "0")
        assert (code, "another witness uses this folder" in err) == (3, True)
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 0
    assert desk.verify("--witness", witness)[0] == 13
    (desk.ledger / "checkpoint").write_bytes((desk.folder / "cosigned").read_bytes())
    assert desk.verify("--witness", witness)[0] == 0
    code, _, err = desk(*submit, witness)
    assert (code, err.startswith(f"hardbin: {url}: ")) == (13, True)


def test_a_witness_that_cannot_start_says_why(desk: Desk) -> None:
    desk.keys("witness", "w1", "w1.example")
    arguments = ("witness", "run", "--log", desk.folder / "log.pub", "--state", desk.folder / "state")
    code, _, err = desk(*arguments, "--key", desk.folder / "w1.seeds", "--host", "192.0.2.1")
    assert (code, "192.0.2.1" in err) == (3, True)
    (desk.folder / "w1.seeds").chmod(0o640)
    code, _, err = desk(*arguments, "--key", desk.folder / "w1.seeds")
    assert (code, "its mode must be 0600" in err) == (3, True)
