"""`hardbin evidence`: what it prints, and how it exits."""

from base64 import b64encode
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from station.cli import code_of
from station.cli.codes import Exit
from station.evidence import delivered, device_file
from station.evidence.bundle import TRUST
from station.vault.pki.signing import spki
from tests.station.evidence import lots
from tests.station.evidence.lots import Lot


@pytest.fixture(scope="module")
def lot(tmp_path_factory: pytest.TempPathFactory) -> Lot:
    return lots.of(tmp_path_factory.mktemp("lot"))


def verify(lot: Lot, *arguments: str, path: Path | None = None) -> int:
    return code_of(
        ["evidence", "verify", str(path or lot.bundle), "--trust", str(lot.folder / TRUST), *arguments]
    )


def test_a_sound_bundle(lot: Lot, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify(lot) == Exit.OK
    assert capsys.readouterr().out.splitlines() == [
        "signed by hardbin.example/development (ED25519)",
        "signed by hardbin.example/development (MLDSA44)",
        "development keys: this proves nothing to a customer",
        f"{lot.bundle}: lot L1, 3 devices, sound",
    ]


def test_a_sound_bundle_as_json(lot: Lot, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify(lot, "--json") == Exit.OK
    found = msgspec.json.decode(capsys.readouterr().out)
    assert (found["sound"], found["devices"], found["findings"]) == (True, 3, [])


def test_the_first_line_is_the_first_thing_that_is_wrong(
    lot: Lot, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    forged = lot.forged(tmp_path / "b.tar", {"manifest.jsonl": b"".join(lot.lines()[1:])})
    assert verify(lot, path=forged) == Exit.INTEGRITY
    first, *_, last = capsys.readouterr().out.splitlines()
    assert first.startswith("manifest.jsonl: L1/1: is sealed by leaf ")
    assert last.startswith(f"{forged}: lot L1, 2 devices, findings: ")


def test_a_checkpoint_from_before(lot: Lot, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "checkpoint").write_bytes(lot.files["checkpoint.txt"])
    assert verify(lot, "--since", str(tmp_path / "checkpoint")) == Exit.OK
    assert "sound" in capsys.readouterr().out


def test_a_checkpoint_from_before_says_nothing_of_what_has_no_ledger(
    lot: Lot, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A lot's checkpoint that was rewritten would be taken as if it had been compared."""
    delivered.taken(lot.bundle, tmp_path / "manifest")
    (tmp_path / "device.json").write_bytes(device_file.extracted(lot.bundle, "L1/1"))
    (tmp_path / "checkpoint").write_bytes(lot.files["checkpoint.txt"])
    for name in ("manifest", "device.json"):
        assert verify(lot, path=tmp_path / name) == Exit.OK
        assert verify(lot, "--since", str(tmp_path / "checkpoint"), path=tmp_path / name) == Exit.USAGE
    assert capsys.readouterr().err.count("has no ledger, so --since cannot be checked") == 2


@pytest.mark.parametrize("content", [b"", b"x" * 1024, b"{}"])
def test_what_cannot_be_read(
    lot: Lot, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    (tmp_path / "b.tar").write_bytes(content)
    assert verify(lot, path=tmp_path / "b.tar") == Exit.USAGE
    assert verify(lot, path=tmp_path / "none.tar") == Exit.USAGE
    out, err = capsys.readouterr()
    assert out == ""
    assert [line.startswith("hardbin: ") for line in err.splitlines()] == [True, True]


@pytest.mark.parametrize("content", [b"", b"{}", b'{"v":1}', b"\xff"])
def test_no_trust(lot: Lot, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes) -> None:
    (tmp_path / "trust.json").write_bytes(content)
    for name in ("trust.json", "none.json"):
        trust = str(tmp_path / name)
        assert code_of(["evidence", "verify", str(lot.bundle), "--trust", trust]) == Exit.TRUST
    assert capsys.readouterr().err.count("hardbin: ") == 2


def test_keys_that_are_not_trusted(lot: Lot, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    records = tuple(msgspec.structs.replace(key, kid="REC-7") for key in lot.trust.records)
    other = msgspec.structs.replace(lot.trust, records=records)
    (tmp_path / "trust.json").write_bytes(msgspec.json.encode(other))
    arguments = ["evidence", "verify", str(lot.bundle), "--trust", str(tmp_path / "trust.json")]
    assert code_of(arguments) == Exit.TRUST
    assert "'REC-EC-1', which is not trusted" in capsys.readouterr().err


def test_other_keys_of_the_same_names_are_not_trusted(
    lot: Lot, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Key stores of two lots give their keys the same names."""
    public = b64encode(spki(ec.generate_private_key(ec.SECP384R1()).public_key())).decode()
    records = tuple(
        msgspec.structs.replace(key, public=public) if key.alg == "ES384" else key
        for key in lot.trust.records
    )
    (tmp_path / "trust.json").write_bytes(
        msgspec.json.encode(msgspec.structs.replace(lot.trust, records=records))
    )
    arguments = ["evidence", "verify", str(lot.bundle), "--trust", str(tmp_path / "trust.json")]
    assert code_of(arguments) == Exit.TRUST
    assert "REC-EC-1 is another key than the trusted one" in capsys.readouterr().err


def test_one_device(lot: Lot, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "d.json"
    arguments = ["evidence", "device", str(lot.bundle), "L1/2", "--out", str(out)]
    assert code_of(arguments) == Exit.OK
    assert capsys.readouterr().out == f"{out}\n"
    assert verify(lot, path=out) == Exit.OK
    assert code_of(arguments) == Exit.USAGE, "a file is not overwritten"
    assert code_of(["evidence", "device", str(lot.bundle), "L1/99"]) == Exit.NOT_FOUND
    assert code_of(["evidence", "device", str(tmp_path / "none"), "L1/2"]) == Exit.USAGE


def test_a_folder_without_a_vault(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert code_of(["evidence", "export", str(tmp_path)]) == Exit.NOT_FOUND
    assert "its vault is not here" in capsys.readouterr().err
