"""A lot's evidence, by the commands that a plant and its customer would call."""

from pathlib import Path

from station.cli.codes import Exit
from station.evidence import archive
from station.evidence.manifest import MANIFEST
from tests.cell.lots import LOT, hardbin, lot


def test_a_lot_leaves_evidence_that_can_be_made_again(tmp_path: Path) -> None:
    code, result = lot(tmp_path, "--devices", "3", "--seed", "4")
    assert code == Exit.OK
    folder = tmp_path / LOT
    bundle, trust = folder / "evidence.tar", folder / "trust.json"
    assert result["evidence"] == str(bundle)
    first = verified(bundle, trust)
    assert f"lot {LOT}, {result['secured']} devices, sound" in first
    checkpoint = folder / "vault" / "ledger" / "checkpoint"
    (tmp_path / "before").write_bytes(checkpoint.read_bytes())

    bundle.unlink()
    again = hardbin("evidence", "export", str(folder))
    assert (again.returncode, again.stdout.split()) == (Exit.OK, [str(bundle), str(trust)])
    assert verified(bundle, trust, "--since", str(tmp_path / "before")) == first

    device = hardbin("evidence", "device", str(bundle), f"{LOT}/1", "--out", str(tmp_path / "d.json"))
    assert device.returncode == Exit.OK, device.stderr
    assert "1 devices, sound" in verified(tmp_path / "d.json", trust)

    changed = bytearray(bundle.read_bytes())
    with archive.opened(bundle) as sound:
        manifest = sound.member(MANIFEST)
    changed[manifest.start + manifest.size // 2] ^= 1
    (tmp_path / "changed.tar").write_bytes(changed)
    found = hardbin("evidence", "verify", str(tmp_path / "changed.tar"), "--trust", str(trust))
    assert found.returncode == Exit.INTEGRITY
    assert found.stdout.partition(":")[0] == MANIFEST


def verified(path: Path, trust: Path, *arguments: str) -> str:
    done = hardbin("evidence", "verify", str(path), "--trust", str(trust), *arguments)
    assert done.returncode == Exit.OK, done.stdout + done.stderr
    return done.stdout
