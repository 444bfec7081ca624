"""What certificates say, as anybody sees it; bad ones get one message, whatever is in them."""

import asyncio
import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ReasonFlags
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import given
from hypothesis import strategies as st

from drivers.protocols.se1_table import Algorithm
from station.errors import ConfigError
from station.vault.die.kinds import P384
from station.vault.keyring import Keyring
from station.vault.names import ISSUING_EC
from station.vault.pki import der, inspection
from station.vault.pki.certificates import Subject
from station.vault.pki.chains import Anchor
from station.vault.pki.crl import CrlDraft, Revoked
from station.vault.pki.inspection import Trusted
from station.vault.pki.issuer import Issuer
from station.vault.pki.signing import signature_algorithm, spki
from tests.station.vault.dies import NOW, Here
from tests.station.vault.pki.test_certificates import FLAGS, ORDER, PUBLIC, UID
from tests.station.vault.store_here import keys_in

AT = datetime.fromtimestamp(NOW, UTC)


class Made:
    """A leaf of the P-384 authority, its list, and the way up."""

    def __init__(self, keys: Keyring, issuer: Issuer, leaf: bytes, crl: bytes) -> None:
        self.keys = keys
        self.leaf, self.crl = inspection.certificate(leaf), inspection.crl(crl)
        issuing = (
            issuer.authority(Algorithm.P384).certificate,
            issuer.authority(Algorithm.MLDSA65).certificate,
        )
        self.trusted = Trusted(Anchor(x509.load_der_x509_certificate(issuer.root)), issuing, (self.crl,))


async def made(folder: Path, *entries: Revoked) -> Made:
    """Everything by one key store; the keys are the same in every folder."""
    keys = await keys_in(folder, 1, (ORDER,))
    issuer = await Issuer.open(folder, keys, Here())
    subject = Subject(UID, PUBLIC[1], P384.spki(PUBLIC[1]), P384, int(NOW))
    (leaf,) = await issuer.issue([subject], FLAGS["named"], ORDER)
    authority = issuer.authority(Algorithm.P384)
    draft = CrlDraft(authority, 7, int(NOW), int(NOW) + 100, entries)
    body = draft.tbs()
    return Made(keys, issuer, leaf, draft.signed(body, await keys.sign(authority.rank.key, body)))


async def test_what_a_device_certificate_says(tmp_path: Path) -> None:
    facts = inspection.described((await made(tmp_path)).leaf)
    assert facts.subject == f"serialNumber={UID.hex()},CN=se1 {UID.hex()},OU=se1,O=hardbin development"
    assert (facts.key, facts.signature, facts.not_after) == ("P-384", "ECDSA with SHA-384", "never")
    assert facts.usage == ("digitalSignature",)
    assert facts.crl == ("http://pki.example/crl/ICA-EC-1.crl",)
    assert "keyUsage (critical)" in facts.extensions
    assert not facts.authority


async def test_a_sound_one_has_no_findings(tmp_path: Path) -> None:
    found = await made(tmp_path)
    assert inspection.wrong(found.leaf, found.trusted, AT) == []
    for issuing in found.trusted.issuing:
        assert inspection.wrong(issuing, found.trusted, AT) == []
    assert inspection.wrong_crl(found.crl, found.trusted, AT) == []


async def test_a_revoked_one_is_found(tmp_path: Path) -> None:
    serial = inspection.described((await made(tmp_path / "a")).leaf).serial
    entry = Revoked(bytes.fromhex(serial), ReasonFlags.certificate_hold, int(NOW))
    found = await made(tmp_path / "b", entry)
    (finding,) = inspection.wrong(found.leaf, found.trusted, AT)
    assert finding == f"revoked since {AT:%Y-%m-%dT%H:%M:%SZ}: certificateHold"
    (listed,) = inspection.listed(found.crl).entries
    assert (listed.serial, listed.reason) == (serial, "certificateHold")


async def test_an_old_list_is_found(tmp_path: Path) -> None:
    found = await made(tmp_path)
    (finding,) = inspection.wrong(found.leaf, found.trusted, AT + timedelta(seconds=101))
    assert finding.startswith("its list of revoked certificates: valid from ")


async def test_a_list_that_somebody_changed_is_found(tmp_path: Path) -> None:
    found = await made(tmp_path)
    content = found.crl.public_bytes(Encoding.DER)
    other = inspection.crl(content.replace(b"\x02\x01\x07", b"\x02\x01\x08"))
    assert inspection.number_of(other) == 8
    assert inspection.wrong_crl(other, found.trusted, AT) == ["signature"]


async def test_an_issuer_that_was_not_given_is_told(tmp_path: Path) -> None:
    found = await made(tmp_path)
    with pytest.raises(
        ConfigError, match="no certificate of its issuer, CN=hardbin development issuing EC 1"
    ):
        inspection.wrong(found.leaf, Trusted(found.trusted.root, ()), AT)


async def test_a_certificate_that_breaks_the_rules_is_found(tmp_path: Path) -> None:
    """What some other software might sign with the same key."""
    found = await made(tmp_path)
    keys = found.keys
    own = ec.generate_private_key(ec.SECP384R1()).public_key()
    draft = der.Draft(
        serial=b"\x05",
        signature=signature_algorithm(keys.public(ISSUING_EC)),
        issuer=found.leaf.issuer,
        subject=x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")]),
        not_before=AT - timedelta(days=1),
        not_after=AT + timedelta(days=365),
        spki=spki(own),
        extensions=[
            (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), False),
            (x509.SubjectKeyIdentifier.from_public_key(own), False),
        ],
    )
    signature = await keys.sign(ISSUING_EC, draft.tbs(), ORDER)
    bad = inspection.certificate(der.signed(draft.tbs(), draft.signature, signature))
    findings = inspection.wrong(bad, found.trusted, AT)
    assert [finding.partition(":")[0] for finding in findings] == [
        "serial number",
        "SubjectKeyIdentifier",
        "AuthorityKeyIdentifier",
        "notAfter",
        "subject",
        "extendedKeyUsage",
        "keyUsage",
    ]


async def test_pem_is_read_too(tmp_path: Path) -> None:
    found = await made(tmp_path)
    assert inspection.certificate(b"text before\n" + found.leaf.public_bytes(Encoding.PEM)) == found.leaf
    assert inspection.crl(found.crl.public_bytes(Encoding.PEM)) == found.crl


@pytest.fixture(scope="module")
def sound() -> dict[str, bytes]:
    with TemporaryDirectory() as folder:
        found = asyncio.run(made(Path(folder), Revoked(b"\x40" * 20, ReasonFlags.superseded, int(NOW))))
    return {
        "certificate": found.leaf.public_bytes(Encoding.DER),
        "crl": found.crl.public_bytes(Encoding.DER),
    }


@pytest.mark.parametrize("kind", ["certificate", "crl"])
@given(data=st.data())
def test_damaged_ones_are_read_or_refused_with_one_message(
    sound: dict[str, bytes], kind: str, data: st.DataObject
) -> None:
    content = bytearray(sound[kind])
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(content)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library warns of old mistakes that it still reads
        for damaged in (bytes(content), bytes(content[:cut])):
            try:
                if kind == "crl":
                    inspection.listed(inspection.crl(damaged))
                else:
                    inspection.described(inspection.certificate(damaged))
            except ConfigError as error:
                assert str(error).startswith("not a ")


@given(st.binary(max_size=300))
def test_anything_else_is_refused(content: bytes) -> None:
    with pytest.raises(ConfigError, match="not a certificate"):
        inspection.certificate(content)
    with pytest.raises(ConfigError, match="not a list of revoked certificates"):
        inspection.crl(content)
