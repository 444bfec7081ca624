"""The papers beside the devices: what was issued for others, lists of revoked ones, the key register."""

from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

import msgspec
import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from station.evidence.bundle import UnsealedUnit
from station.evidence.register import Register
from station.evidence.strict import decoded, encoded
from station.evidence.versions import Versions, versions
from tests.station.evidence.lots import Lot

T = TypeVar("T")


def units(lot: Lot) -> list[UnsealedUnit]:
    return [decoded(line, UnsealedUnit) for line in lot.files["unsealed.jsonl"].splitlines()]


def unsealed(*found: UnsealedUnit) -> dict[str, bytes | None]:
    return {"unsealed.jsonl": b"".join(encoded(unit) + b"\n" for unit in found)}


def test_units_that_were_not_sealed_are_there_with_their_certificates(lot: Lot) -> None:
    assert [(unit.unit, unit.account, len(unit.certs)) for unit in units(lot)] == [
        ("L1/4", "REJECT_HELD", 0),
        ("L1/5", "QUARANTINE", 3),
        ("L1/6", "DESTROYED", 3),
    ]


def test_their_certificates_are_checked_like_others(lot: Lot, tmp_path: Path) -> None:
    rejected, held, destroyed = units(lot)
    other = msgspec.structs.replace(held, uid="00" * 16)
    found = lot.judged(tmp_path / "b.tar", unsealed(rejected, other, destroyed))
    assert found == [
        "unsealed.jsonl: L1/5: has another UID than the ledger tells of",
        *(
            f"unsealed.jsonl: L1/5: slot {slot}: subject of the certificate is not what the profile demands"
            for slot in (1, 2, 3)
        ),
    ]


def test_a_unit_that_is_left_out_or_elsewhere(lot: Lot, tmp_path: Path) -> None:
    rejected, held, destroyed = units(lot)
    assert lot.judged(tmp_path / "b.tar", unsealed(held, destroyed)) == [
        "unsealed.jsonl: L1/4: lacks a unit that is in REJECT_HELD"
    ]
    moved = msgspec.structs.replace(rejected, account="WIP")
    assert lot.judged(tmp_path / "b.tar", unsealed(moved, held, destroyed)) == [
        "unsealed.jsonl: L1/4: is in WIP, the ledger says REJECT_HELD"
    ]


def test_certificates_of_rejects_must_be_revoked(lot: Lot, tmp_path: Path) -> None:
    """The ledger revoked them for unit 5; a certificate of unit 1 moved there would count."""
    rejected, held, destroyed = units(lot)
    moved = msgspec.structs.replace(rejected, certs=held.certs)
    empty = msgspec.structs.replace(held, certs=())
    found = lot.judged(tmp_path / "b.tar", unsealed(moved, empty, destroyed))
    assert sum("tells of its certificate for L1/5" in one for one in found) == 3


def lists(lot: Lot) -> dict[str, bytes]:
    return {name: content for name, content in lot.files.items() if name.startswith("crls/")}


def test_lists_of_revoked_certificates_are_there(lot: Lot) -> None:
    assert set(lists(lot)) == {"crls/ICA-PQ-1.crl", "crls/ICA-EC-1.crl"}


def test_a_list_of_the_other_authority(lot: Lot, tmp_path: Path) -> None:
    content = lot.files["crls/ICA-EC-1.crl"]
    changed = bytearray(content)
    changed[-1] ^= 1
    found = lot.judged(tmp_path / "b.tar", {"crls/ICA-EC-1.crl": bytes(changed)})
    assert found[0].startswith("crls/ICA-EC-1.crl: ")


@pytest.mark.parametrize("content", [b"", b"0", b"\x30\x80", bytes(100)])
def test_what_is_no_list(lot: Lot, tmp_path: Path, content: bytes) -> None:
    (found,) = lot.judged(tmp_path / "b.tar", {"crls/ICA-PQ-1.crl": content})
    assert found.startswith("crls/ICA-PQ-1.crl: is no list of revoked certificates: ")


# -- the key register
OTHERWISE = "key-register.signed.json: states other keys than key-register.json has"


def register(lot: Lot) -> Register:
    return decoded(lot.files["key-register.json"], Register)


def changed(lot: Lot, id_: str, **fields: object) -> dict[str, bytes | None]:
    keys = (msgspec.structs.replace(key, **fields) if key.id == id_ else key for key in register(lot).keys)
    return {"key-register.json": encoded(Register(v=1, keys=tuple(keys)))}


def test_the_register_has_every_key_and_no_secret(lot: Lot) -> None:
    by_id = {key.id: key for key in register(lot).keys}
    assert {"ROOT-PQ-1", "ICA-PQ-1", "ICA-EC-1", "REC-1", "REC-EC-1", "TM-se1-1", "IM-se1-1"} <= set(by_id)
    assert by_id["ICA-EC-1"].used >= 4
    assert by_id["TM-se1-1"].public == ""


def test_fewer_uses_than_certificates(lot: Lot, tmp_path: Path) -> None:
    assert lot.judged(tmp_path / "b.tar", changed(lot, "ICA-EC-1", used=3)) == [
        "key-register.json: ICA-EC-1 was used 3 times, but issued 5 certificates",
        OTHERWISE,
    ]


def test_more_uses_than_allowed(lot: Lot, tmp_path: Path) -> None:
    found = lot.judged(tmp_path / "b.tar", changed(lot, "ICA-PQ-1", limit=5))
    assert found[1:] == [OTHERWISE]
    assert found[0].endswith("times, 5 are allowed")


def test_a_record_key_that_the_store_does_not_have(lot: Lot, tmp_path: Path) -> None:
    assert lot.judged(tmp_path / "b.tar", changed(lot, "REC-1", public="AAAA")) == [
        "key-register.json: has no key REC-1 like the trusted one",
        OTHERWISE,
    ]


def test_an_authority_that_the_store_does_not_have(lot: Lot, tmp_path: Path) -> None:
    found, otherwise = lot.judged(tmp_path / "b.tar", changed(lot, "ICA-PQ-1", public=""))
    assert otherwise == OTHERWISE
    assert found.startswith("key-register.json: has no key of the authority CN=")


def test_the_versions_are_those_that_run(lot: Lot) -> None:
    assert decoded(lot.files["versions.json"], Versions) == versions()
    assert len(versions().lock_sha256) == 64


def test_the_bill_of_materials_is_valid_and_names_what_runs(lot: Lot) -> None:
    text = lot.files["sbom.cdx.json"].decode()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    found = msgspec.json.decode(text)
    named = {one["name"]: one["version"] for one in found["components"]}
    assert named["cryptography"] == version("cryptography")
    assert found["metadata"]["component"]["version"] == version("hardbin")
    (root,) = [one for one in found["dependencies"] if one["ref"].startswith("hardbin==")]
    assert {f"click=={version('click')}", f"grpcio=={version('grpcio')}"} <= set(root["dependsOn"])
