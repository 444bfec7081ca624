"""One device alone: its file proves it, by others' code too, and not after any byte of it is changed."""

import json
import subprocess
import sys
from base64 import b64decode, urlsafe_b64decode
from hashlib import sha256, sha384
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.serialization import load_der_public_key
from dilithium_py.ml_dsa import ML_DSA_65
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from station.custody import checkpoint
from station.custody.tiles import unbundled
from station.errors import CustodyError, EvidenceError
from station.evidence import device_file
from station.evidence.manifest import DeviceFile
from station.evidence.strict import decoded, encoded
from station.vault.profiles import Profile
from tests.station.evidence.lots import Lot

JUDGE = """
import json, sys
from pymerkle import InmemoryTree

tree = InmemoryTree(algorithm="sha256")
for line in open(sys.argv[1]):
    tree.append_entry(bytes.fromhex(line))
proof = tree.prove_inclusion(int(sys.argv[2]) + 1)
print(json.dumps({"root": tree.get_root().hex(), "path": [one.hex() for one in proof.path]}))
"""


@pytest.fixture(scope="module")
def single(lot: Lot) -> bytes:
    return device_file.extracted(lot.bundle, "L1/2")


def faults(lot: Lot, path: Path, data: bytes) -> list[str]:
    path.write_bytes(data)
    return list(map(str, device_file.verified(path, lot.trust).findings))


def test_it_is_sound(lot: Lot, tmp_path: Path, single: bytes) -> None:
    (tmp_path / "d.json").write_bytes(single)
    verdict = device_file.verified(tmp_path / "d.json", lot.trust)
    assert (verdict.findings, verdict.devices, verdict.lot) == ((), 1, "L1")
    assert len(verdict.signed_by) == 2


def test_unit_serial_number_and_uid_find_the_same(lot: Lot, single: bytes) -> None:
    record = payload(single)
    for name in (record["serial"], record["uid"]):
        assert device_file.extracted(lot.bundle, name) == single
    with pytest.raises(EvidenceError, match="no sealed device has 'L1/4'"):
        device_file.extracted(lot.bundle, "L1/4")


def payload(single: bytes) -> dict[str, str]:
    text = json.loads(single)["device"]["jws"]["payload"]
    found: dict[str, str] = json.loads(urlsafe_b64decode(text + "=="))
    return found


@given(at=st.integers(0, 1 << 20), flip=st.integers(1, 255))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_byte_changed_by_chance_is_found(
    lot: Lot, tmp_path: Path, single: bytes, at: int, flip: int
) -> None:
    changed = bytearray(single)
    changed[at % len(changed)] ^= flip
    try:
        assert faults(lot, tmp_path / "d.json", bytes(changed))
    except EvidenceError:
        return


@pytest.mark.parametrize("data", [b"", b"{}\n", b"{", b"null\n", b"[" * 100_000, b'{"v":1}\n', b"\xff\n"])
def test_what_is_none_is_refused(lot: Lot, tmp_path: Path, data: bytes) -> None:
    with pytest.raises(EvidenceError, match="not the file of a device"):
        faults(lot, tmp_path / "d.json", data)


@given(
    part=st.sampled_from(["checkpoint", "profile", "authorities", "entry", "proof", "certs"]), text=st.text()
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_in_its_parts_is_a_finding(
    lot: Lot, tmp_path: Path, single: bytes, part: str, text: str
) -> None:
    found = decoded(single[:-1], DeviceFile)
    log = found.device.log
    line = {
        "entry": msgspec.structs.replace(found.device, log=msgspec.structs.replace(log, entry=text)),
        "proof": msgspec.structs.replace(found.device, log=msgspec.structs.replace(log, proof=(text,))),
        "certs": msgspec.structs.replace(found.device, certs=(text,) * 3),
    }.get(part, found.device)
    other = {"checkpoint": text, "profile": text, "authorities": (text,)}.get(part)
    changed = msgspec.structs.replace(found, device=line, **({part: other} if other is not None else {}))
    assert faults(lot, tmp_path / "d.json", encoded(changed) + b"\n")


def test_its_parts_agree_by_the_words_of_the_page(single: bytes) -> None:
    """Record to leaf, certificates to record, without the code that checks."""
    device = json.loads(single)["device"]
    body = urlsafe_b64decode(device["jws"]["payload"] + "==")
    entry = json.loads(device["log"]["entry"])
    assert entry["event"] == "die.sealed"
    assert entry["data"]["record"] == sha384(body).hexdigest()
    told = [cert["sha256"] for cert in json.loads(body)["certs"]]
    assert told == [sha256(b64decode(cert)).hexdigest() for cert in device["certs"]]


def test_another_ml_dsa_verifies_the_record(lot: Lot, single: bytes) -> None:
    signatures = json.loads(single)["device"]["jws"]
    key = next(one for one in lot.trust.records if one.alg == "ML-DSA-65")
    public = load_der_public_key(b64decode(key.public)).public_bytes_raw()  # type: ignore[union-attr]
    one = signatures["signatures"][1]
    message = f"{one['protected']}.{signatures['payload']}".encode()
    signature = urlsafe_b64decode(one["signature"] + "==")
    assert ML_DSA_65.verify(public, message, signature)
    assert not ML_DSA_65.verify(public, message + b"x", signature)


def test_another_merkle_tree_makes_the_same_proof(lot: Lot, tmp_path: Path, single: bytes) -> None:
    """Of the ledger's entries as they lie in the bundle, in a process of its own."""
    file = json.loads(single)
    log, head = file["device"]["log"], checkpoint.parsed(file["checkpoint"].encode()).checkpoint
    bundles = [data for name, data in lot.files.items() if name.startswith("ledger/tile/entries/")]
    entries = unbundled(bundles[0], head.size)
    (tmp_path / "entries").write_text("\n".join(entry.hex() for entry in entries))
    command = [sys.executable, "-W", "ignore", "-c", JUDGE, str(tmp_path / "entries"), str(log["index"])]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert found["root"] == head.root.hex()
    leaf = sha256(b"\0" + log["entry"].encode()).hexdigest()
    assert {*found["path"]} - {leaf} == {b64decode(one).hex() for one in log["proof"]}


def test_a_device_of_production_is_not_of_this_trust(lot: Lot, tmp_path: Path, single: bytes) -> None:
    (tmp_path / "d.json").write_bytes(single)
    production = msgspec.structs.replace(lot.trust, mode="production")
    findings = device_file.verified(tmp_path / "d.json", production).findings
    assert [str(one).partition("is of ")[2] for one in findings] == [
        "mode development, the trust file of production"
    ]


def test_errors_are_all_of_one_kind() -> None:
    assert issubclass(EvidenceError, CustodyError)


def test_a_profile_of_an_earlier_version_is_read_as_it_was_hashed(
    monkeypatch: pytest.MonkeyPatch, lot: Lot, tmp_path: Path, single: bytes
) -> None:
    """A field that came later must not make yesterday's bundles wrong."""
    monkeypatch.setattr(Profile, "encode", lambda self: b"another spelling")
    assert faults(lot, tmp_path / "d.json", single) == []
    assert lot.verdict().findings == ()
