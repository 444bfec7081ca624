"""A ledger of commands from afar: it grows with the trail, and tells when that was changed."""

from pathlib import Path
from typing import Any

import pytest

from station import events
from station.cli import code_of
from station.cli.codes import Exit
from station.custody import seed_file
from station.custody.audit import Trust, audited
from station.custody.command_ledger import build
from station.custody.journal import Journal
from station.errors import LedgerError


def taken(number: int, reason: str = "") -> events.CommandAccepted:
    return events.CommandAccepted(
        at=1000.0 + number,
        id=str(number),
        command="lot.start",
        actor="mes-gw#1",
        source="mqtt",
        reason=reason,
    )


REFUSED = events.CommandRefused(
    at=1009.0,
    id="9",
    command="lot.end",
    actor="mes-gw#1",
    code="replayed",
    reason="taken before",
    source="mqtt",
)


async def trail(path: Path, *happened: Any) -> Path:
    path.parent.mkdir(exist_ok=True)
    journal = Journal(path, reserve_bytes=0)
    journal.open()
    await journal.commit(*happened)
    journal.close()
    return path


@pytest.fixture
def seeds(tmp_path: Path) -> seed_file.SeedFile:
    return seed_file.create(tmp_path / "seeds", "ws-07/commands")


async def test_it_grows_with_the_trail(tmp_path: Path, seeds: seed_file.SeedFile) -> None:
    path = await trail(tmp_path / "data" / "audit", taken(1), taken(2))
    assert build(path, tmp_path / "log", seeds, "ws-07").checkpoint.size == 3
    assert build(path, tmp_path / "log", seeds, "ws-07").checkpoint.size == 3
    await trail(path, REFUSED)
    assert build(path, tmp_path / "log", seeds, "ws-07").checkpoint.size == 4
    report = audited(tmp_path / "log", Trust([signer.key for signer in seeds.signers()]))
    assert report.sound
    assert report.events == {"log.opened": 1, "command.taken": 2, "command.refused": 1}


async def test_a_trail_that_was_written_anew_is_noticed(tmp_path: Path, seeds: seed_file.SeedFile) -> None:
    path = await trail(tmp_path / "data" / "audit", taken(1), taken(2))
    build(path, tmp_path / "log", seeds, "ws-07")
    for number, other in enumerate(((taken(1, "another"), taken(2), taken(3)), (taken(1),), ())):
        changed = await trail(tmp_path / f"changed-{number}" / "audit", *other)
        with pytest.raises(LedgerError):
            build(changed, tmp_path / "log", seeds, "ws-07")
    assert build(path, tmp_path / "log", seeds, "ws-07").checkpoint.size == 3


async def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    await trail(tmp_path / "data" / "audit", taken(1), REFUSED)
    assert code_of(["audit", "key", str(tmp_path / "seeds"), "--name", "ws-07/commands"]) == Exit.OK
    keys = tmp_path / "keys"
    keys.write_text(capsys.readouterr().out)
    where = [str(tmp_path / "data"), str(tmp_path / "log")]
    made = ["audit", "commands", *where, "--key", str(tmp_path / "seeds"), "--name", "ws-07"]
    assert code_of(made) == Exit.OK
    assert code_of(["audit", "verify", str(tmp_path / "log"), "--key", str(keys)]) == Exit.OK
    assert code_of([*made[:2], str(tmp_path / "none"), *made[3:]]) == Exit.NOT_FOUND
