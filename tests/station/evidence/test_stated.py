"""The key store's own statement of its keys: believed with both signatures, and held against the vault's."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest

from station.cli import main
from station.cli.codes import Exit
from station.errors import EvidenceError, TrustError
from station.evidence import stated
from station.evidence.bundle import REGISTER, STATED
from tests.station.evidence.lots import Lot


def envelope(lot: Lot) -> dict[str, object]:
    found: dict[str, object] = msgspec.json.decode(lot.files[STATED])
    return found


def payload(lot: Lot) -> dict[str, object]:
    text = str(envelope(lot)["payload"])
    found: dict[str, object] = msgspec.json.decode(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    return found


def test_the_store_states_what_the_vault_tells(lot: Lot) -> None:
    found = stated.read(lot.files[STATED], lot.trust.record_keys())
    assert [*stated.faults(found, lot.trust)] == []
    told = msgspec.json.decode(lot.files[REGISTER])
    assert [key.id for key in found.keys] == [key["id"] for key in told["keys"]]


def test_one_signature_is_not_enough(lot: Lot) -> None:
    signatures = envelope(lot)["signatures"]
    assert isinstance(signatures, list)
    for kept in ([], signatures[:1], signatures[1:], [signatures[0], signatures[0]]):
        content = msgspec.json.encode(envelope(lot) | {"signatures": kept})
        with pytest.raises(EvidenceError, match="is signed by"):
            stated.read(content, lot.trust.record_keys())


def test_a_changed_statement_is_not_believed(lot: Lot) -> None:
    changed = payload(lot) | {"generation": 9999}
    text = urlsafe_b64encode(msgspec.json.encode(changed)).rstrip(b"=").decode()
    content = msgspec.json.encode(envelope(lot) | {"payload": text})
    with pytest.raises(EvidenceError, match="does not verify"):
        stated.read(content, lot.trust.record_keys())


def test_keys_that_nobody_trusts_prove_nothing(lot: Lot) -> None:
    other = msgspec.structs.replace(
        lot.trust, records=tuple(msgspec.structs.replace(one, kid=one.kid + "x") for one in lot.trust.records)
    )
    with pytest.raises(TrustError, match="not trusted"):
        stated.read(lot.files[STATED], other.record_keys())


@pytest.mark.parametrize(
    ("changes", "finding"),
    [
        ({"used": 10**9}, "was used 1000000000 times"),
        ({"state": "suspended"}, "is suspended, its history ends with active"),
    ],
)
def test_what_cannot_be_is_found(lot: Lot, changes: Mapping[str, object], finding: str) -> None:
    said = payload(lot)
    keys = said["keys"]
    assert isinstance(keys, list)
    said["keys"] = [key | changes if key["profile"]["id"] == "ICA-PQ-1" else key for key in keys]
    found = [*stated.faults(msgspec.convert(said, stated.Stated), lot.trust)]
    assert any(finding in one for one in found), found


def test_a_vault_that_tells_otherwise_is_found_out(lot: Lot, tmp_path: Path) -> None:
    told = msgspec.json.decode(lot.files[REGISTER])
    told["keys"][0]["used"] += 1
    content = msgspec.json.encode(told, order="sorted")
    assert any("states other keys" in one for one in lot.judged(tmp_path / "b.tar", {REGISTER: content}))


def test_the_command_checks_a_statement(lot: Lot, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, trust = tmp_path / "register.json", lot.folder / "trust.json"
    command = ["evidence", "register", str(path), "--trust", str(trust)]
    path.write_bytes(lot.files[STATED])
    with pytest.raises(SystemExit) as ended:
        main(command)
    assert ended.value.code == Exit.OK
    assert "keys, sound" in capsys.readouterr().out
    path.write_bytes(lot.files[STATED].replace(b"A", b"B", 1))
    with pytest.raises(SystemExit) as ended:
        main(command)
    assert ended.value.code == Exit.INTEGRITY
