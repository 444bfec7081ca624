"""A sound bundle is accepted, and every kind of forgery has its own finding."""

from base64 import b64encode
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from station.errors import EvidenceError, TrustError
from station.evidence import trust as trusts
from station.evidence.bundle import TRUST, BalanceSheet
from station.evidence.manifest import DeviceLine
from station.evidence.strict import decoded, encoded
from tests.station.evidence.lots import SEALED, Lot


def test_a_sound_bundle_is_accepted(lot: Lot) -> None:
    verdict = lot.verdict()
    assert verdict.findings == ()
    assert (verdict.lot, verdict.mode, verdict.devices) == ("L1", "development", SEALED)
    assert verdict.accounts == {"SECURED": SEALED, "REJECT_HELD": 1, "QUARANTINE": 1, "DESTROYED": 1}
    assert [name.partition(" ")[2] for name in verdict.signed_by] == ["(ED25519)", "(MLDSA44)"]


def test_the_trust_file_beside_it_fits(lot: Lot) -> None:
    assert trusts.read(lot.folder / TRUST) == lot.trust


def test_made_anew_it_is_the_same_form(lot: Lot, tmp_path: Path) -> None:
    assert lot.forged(tmp_path / "b.tar", {}, signed=False).read_bytes() == lot.bundle.read_bytes()
    assert lot.verdict(lot.forged(tmp_path / "c.tar", {})).sound


# -- any one byte
def rejected(lot: Lot, path: Path, data: bytes) -> bool:
    path.write_bytes(data)
    try:
        return not lot.verdict(path).sound
    except (EvidenceError, TrustError):
        return True


def places(lot: Lot) -> list[int]:
    """The first, a middle and the last byte of each header, content and padding, and of the end."""
    data, found, at = lot.bundle.read_bytes(), [], 0
    for content in lot.files.values():
        end = at + 512 + len(content)
        edges = (at, at + 512, end, end + -end % 512)
        for start, stop in zip(edges, edges[1:], strict=False):
            if stop > start:
                found += [start, (start + stop) // 2, stop - 1]
        at = edges[-1]
    return [*found, at, at + 512, len(data) - 1]


def test_a_byte_changed_anywhere_is_found(lot: Lot, tmp_path: Path) -> None:
    data = lot.bundle.read_bytes()
    for at in places(lot):
        changed = bytearray(data)
        changed[at] ^= 1
        assert rejected(lot, tmp_path / "b.tar", bytes(changed)), at


@given(at=st.integers(0, 1 << 20), flip=st.integers(1, 255))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_byte_changed_by_chance_is_found(lot: Lot, tmp_path: Path, at: int, flip: int) -> None:
    changed = bytearray(lot.bundle.read_bytes())
    changed[at % len(changed)] ^= flip
    assert rejected(lot, tmp_path / "b.tar", bytes(changed))


# -- forgeries by somebody who has the record keys
def device(lot: Lot, number: int) -> DeviceLine:
    return decoded(lot.lines()[number - 1].strip(), DeviceLine)


def manifest(*lines: bytes) -> dict[str, bytes | None]:
    return {"manifest.jsonl": b"".join(lines)}


def test_a_dropped_device(lot: Lot, tmp_path: Path) -> None:
    first, _, third = lot.lines()
    found = lot.judged(tmp_path / "b.tar", manifest(first, third))
    assert found[0].startswith("manifest.jsonl: L1/2: is sealed by leaf ")
    assert found[0].endswith("but not in the manifest")


def test_a_device_twice(lot: Lot, tmp_path: Path) -> None:
    first, *others = lot.lines()
    found = lot.judged(tmp_path / "b.tar", manifest(first, first, *others))
    assert found[0] == "manifest.jsonl: L1/1: has the unit of L1/1"


def test_an_extra_device(lot: Lot, tmp_path: Path) -> None:
    """Its record is signed, and no leaf tells of it."""
    lines = [device(lot, 1), device(lot, 2)]
    ledger = {name: content for name, content in lot.files.items() if name.startswith("ledger/")}
    assert ledger
    stolen = msgspec.structs.replace(lines[0], log=lines[1].log)
    found = lot.judged(tmp_path / "b.tar", manifest(encoded(stolen) + b"\n", *lot.lines()[1:]))
    assert found[0].startswith("manifest.jsonl: L1/1: its leaf ")
    assert "tells of another unit than its record" in found[0]


def test_a_swapped_certificate(lot: Lot, tmp_path: Path) -> None:
    one, two = device(lot, 1), device(lot, 2)
    swapped = msgspec.structs.replace(one, certs=(one.certs[0], two.certs[1], one.certs[2]))
    found = lot.judged(tmp_path / "b.tar", manifest(encoded(swapped) + b"\n", *lot.lines()[1:]))
    assert found == ["manifest.jsonl: L1/1: slot 2: the certificate is not the one of its record"]


def test_an_altered_record(lot: Lot, tmp_path: Path) -> None:
    one, two = device(lot, 1), device(lot, 2)
    mixed = msgspec.structs.replace(one, jws=msgspec.structs.replace(one.jws, payload=two.jws.payload))
    found = lot.judged(tmp_path / "b.tar", manifest(encoded(mixed) + b"\n", *lot.lines()[1:]))
    assert found[0] == "manifest.jsonl: L1/1: its record the ES384 signature of REC-EC-1 does not verify"


def test_one_signature_of_two(lot: Lot, tmp_path: Path) -> None:
    one = device(lot, 1)
    alone = msgspec.structs.replace(
        one, jws=msgspec.structs.replace(one.jws, signatures=one.jws.signatures[:1])
    )
    found = lot.judged(tmp_path / "b.tar", manifest(encoded(alone) + b"\n", *lot.lines()[1:]))
    assert found[0] == "manifest.jsonl: L1/1: its record is signed by ES384, not by ES384, ML-DSA-65"


def test_hashed_again_but_not_signed(lot: Lot, tmp_path: Path) -> None:
    path = lot.forged(tmp_path / "b.tar", {"lot.json": b"{}"}, signed=False)
    found = lot.verdict(path).findings
    assert str(found[0]) == "lot.json: is not the file that was signed: its SHA-256 is another"


def test_a_balance_off_by_one(lot: Lot, tmp_path: Path) -> None:
    sheet = decoded(lot.files["balance.json"], BalanceSheet)
    more = encoded(msgspec.structs.replace(sheet, waiting=sheet.waiting + 1))
    found = lot.judged(tmp_path / "b.tar", {"balance.json": more})
    assert found == ["balance.json: is not zero: 24 received, 19 waiting, 6 in accounts"]


def test_a_unit_in_another_account(lot: Lot, tmp_path: Path) -> None:
    sheet = decoded(lot.files["balance.json"], BalanceSheet)
    accounts = {**sheet.accounts, "SECURED": ("L1/1", "L1/2", "L1/3", "L1/4"), "REJECT_HELD": ()}
    found = lot.judged(
        tmp_path / "b.tar", {"balance.json": encoded(msgspec.structs.replace(sheet, accounts=accounts))}
    )
    assert found == ["balance.json: L1/4: is in SECURED, the ledger says REJECT_HELD"]


def test_a_certificate_without_a_leaf(lot: Lot, tmp_path: Path) -> None:
    """Of a unit in quarantine: its certificates are told, so leaving them out is found."""
    found = [one for one in lot.judged(tmp_path / "b.tar", {"unsealed.jsonl": b""}) if "certificate" in one]
    assert [line.partition(" certificate ")[0] for line in found] == [
        *["manifest.jsonl: L1/5: lacks"] * 3,
        *["manifest.jsonl: L1/6: lacks"] * 3,
    ]


@pytest.mark.parametrize("name", ["lot.json", "profile.json", "manifest.jsonl", "checkpoint.txt"])
def test_a_file_that_is_missing(lot: Lot, tmp_path: Path, name: str) -> None:
    assert lot.judged(tmp_path / "b.tar", {name: None}) == [f"{name}: is missing"]


def test_an_entry_of_the_ledger_that_is_another(lot: Lot, tmp_path: Path) -> None:
    name = next(name for name in lot.files if name.startswith("ledger/tile/entries/"))
    changed = lot.files[name].replace(b'"REJECT_HELD"', b'"REJECT_HOLD"')
    assert changed != lot.files[name]
    found = lot.judged(tmp_path / "b.tar", {name: changed})
    assert "is not one that the root stands for" in found[0]
    assert found[0].startswith(name)


def test_a_root_that_is_not_trusted(lot: Lot) -> None:
    issuing = b64encode(lot.files["certificates/issuing.der"]).decode()
    other = msgspec.structs.replace(lot.trust, roots=(issuing,))
    found = list(map(str, lot.verdict(trust=other).findings))
    assert found[0] == "certificates/issuing-ec.der: does not lead to a trusted root"
    assert any("no authority that leads to a trusted root has issued it" in one for one in found)


def test_record_keys_that_are_not_trusted(lot: Lot) -> None:
    renamed = tuple(msgspec.structs.replace(key, kid=f"{key.kid}0") for key in lot.trust.records)
    with pytest.raises(TrustError, match="'REC-EC-1', which is not trusted"):
        lot.verdict(trust=msgspec.structs.replace(lot.trust, records=renamed))
