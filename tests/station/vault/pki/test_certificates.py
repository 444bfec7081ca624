"""Every certificate profile, judged by a linter and by a second implementation of ML-DSA."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import cast

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, mldsa, mlkem
from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtensionOID
from dilithium_py.ml_dsa import ML_DSA_65, ML_DSA_87

from drivers.protocols.se1_table import Algorithm
from station.errors import ConfigError
from station.vault.configuration import Configuration
from station.vault.die.kinds import KINDS
from station.vault.die.stream import Context
from station.vault.faults import Code
from station.vault.pki.authorities import RANKS, House, Trust, certify, request, root_certificate, take
from station.vault.pki.certificates import Subject
from station.vault.pki.der import HARDWARE_MODULE_NAME
from station.vault.pki.issuer import Issuer, trusted
from station.vault.products import Products
from station.vault.profiles import SE1, Profile
from station.vault.publisher import Publisher
from station.vault.service import Floor
from station.vault.stops import Stops
from station.vault.times import Times
from station.vault.wire import floor_pb2 as wire
from tests.station.vault.dies import NOW, Here
from tests.station.vault.lint import lint_certificate
from tests.station.vault.store_here import keys_in
from tests.station.vault.vaults import opened_vault

UID = bytes(range(16))
ORDER = "WO-1"
PUBLIC: Mapping[int, bytes] = {
    1: ec.derive_private_key(7, ec.SECP384R1())
    .public_key()
    .public_bytes(Encoding.X962, PublicFormat.UncompressedPoint),
    2: mldsa.MLDSA65PrivateKey.from_seed_bytes(bytes(32)).public_key().public_bytes_raw(),
    3: mlkem.MLKEM768PrivateKey.from_seed_bytes(bytes(64)).public_key().public_bytes_raw(),
}
FLAGS: Mapping[str, Profile] = {
    "plain": msgspec.structs.replace(SE1, slots=(1, 2, 3)),
    "named": msgspec.structs.replace(
        SE1,
        slots=(1, 2, 3),
        hardware_type="1.3.6.1.4.1.32473.1.2",
        crl_base="http://pki.example/crl/",
    ),
    "post-quantum": msgspec.structs.replace(SE1, slots=(1, 2, 3), pq_only=True),
    "all": msgspec.structs.replace(
        SE1,
        slots=(1, 2, 3),
        hardware_type="1.3.6.1.4.1.32473.1.2",
        crl_base="http://pki.example/crl/",
        ocsp=True,
        pq_only=True,
    ),
}
SIZES = {1: range(610, 900), 2: range(5700, 5900), 3: range(4900, 5150)}
"""Bytes of the certificate for the key in each slot."""
BY_ML_DSA = range(3800, 4000)
PRODUCTION = House("NL", "Example Semiconductors", "http://pki.example/crl")
SINCE = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Chain:
    """The certificates from root to one device, DER."""

    root: bytes
    issuing: x509.Certificate
    leaf: bytes


async def chain(folder: Path, slot: int, profile: Profile) -> Chain:
    issuer = await Issuer.open(folder, await keys_in(folder, 1, (ORDER,)), Here())
    kind = profile.kinds()[slot]
    subject = Subject(UID, PUBLIC[slot], kind.spki(PUBLIC[slot]), kind, int(NOW))
    (leaf,) = await issuer.issue([subject], profile, ORDER)
    return Chain(issuer.root, issuer.authority(kind.authority).certificate, leaf)


EACH = pytest.mark.parametrize(("slot", "flags"), [(slot, flags) for slot in KINDS for flags in FLAGS])


@EACH
async def test_the_linter_finds_nothing(tmp_path: Path, slot: int, flags: str) -> None:
    made = await chain(tmp_path, slot, FLAGS[flags])
    assert lint_certificate(made.leaf) == []
    assert lint_certificate(made.issuing.public_bytes(Encoding.DER)) == []
    assert lint_certificate(made.root) == []


@EACH
async def test_the_size_is_what_the_page_says(tmp_path: Path, slot: int, flags: str) -> None:
    made = await chain(tmp_path, slot, FLAGS[flags])
    wanted = BY_ML_DSA if FLAGS[flags].pq_only and slot == 1 else SIZES[slot]
    assert len(made.leaf) in wanted


@EACH
async def test_a_second_implementation_verifies_each_ml_dsa_signature(
    tmp_path: Path, slot: int, flags: str
) -> None:
    made = await chain(tmp_path, slot, FLAGS[flags])
    root, leaf = x509.load_der_x509_certificate(made.root), x509.load_der_x509_certificate(made.leaf)
    root_key = root.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    for cert in (root, made.issuing):
        assert ML_DSA_87.verify(root_key, cert.tbs_certificate_bytes, cert.signature)
    if isinstance(made.issuing.public_key(), ec.EllipticCurvePublicKey):
        leaf.verify_directly_issued_by(made.issuing)
        return
    key = made.issuing.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    assert ML_DSA_65.verify(key, leaf.tbs_certificate_bytes, leaf.signature)


@EACH
async def test_the_rules_of_a_device_identity_hold(tmp_path: Path, slot: int, flags: str) -> None:
    """IEEE 802.1AR: no end, serial number in the name, no EKU; RFC 9935: a KEM signs nothing."""
    made = await chain(tmp_path, slot, FLAGS[flags])
    cert = x509.load_der_x509_certificate(made.leaf)
    assert b"\x18\x0f99991231235959Z" in made.leaf
    assert cert.subject.rfc4514_string() == (
        f"2.5.4.5={UID.hex()},CN=se1 {UID.hex()},OU=se1,O=hardbin development"
    )
    critical = {extension.oid for extension in cert.extensions if extension.critical}
    assert critical == {ExtensionOID.BASIC_CONSTRAINTS, ExtensionOID.KEY_USAGE}
    assert ExtensionOID.EXTENDED_KEY_USAGE not in {extension.oid for extension in cert.extensions}
    usage = cert.extensions.get_extension_for_class(x509.KeyUsage).value
    wanted = "key_encipherment" if slot == 3 else "digital_signature"
    names = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment")
    more = ("key_agreement", "key_cert_sign", "crl_sign")
    assert [name for name in (*names, *more) if getattr(usage, name)] == [wanted]


async def test_flags_add_the_hardware_name_and_the_list_of_revoked(tmp_path: Path) -> None:
    for slot, file in ((1, "ICA-EC-1.crl"), (2, "ICA-PQ-1.crl")):
        made = await chain(tmp_path, slot, FLAGS["named"])
        extensions = x509.load_der_x509_certificate(made.leaf).extensions
        (name,) = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert isinstance(name, x509.OtherName)
        assert name.type_id == HARDWARE_MODULE_NAME
        # SEQUENCE of OID 1.3.6.1.4.1.32473.1.2 and OCTET STRING of the UID
        assert name.value.hex() == "301e060a2b0601040181fd590102" + "0410" + UID.hex()
        (point,) = extensions.get_extension_for_class(x509.CRLDistributionPoints).value
        assert point.full_name == [x509.UniformResourceIdentifier(f"http://pki.example/crl/{file}")]


async def test_the_linter_catches_a_bad_certificate(tmp_path: Path) -> None:
    """A KEM key that may sign, no key identifiers, a serial number of zero: what the issuer never makes."""
    issuer = await Issuer.open(tmp_path, await keys_in(tmp_path, 1, (ORDER,)), Here())
    key, name = ec.generate_private_key(ec.SECP384R1()), issuer.authority(Algorithm.P384).certificate.subject
    bad = (
        x509.CertificateBuilder()
        .issuer_name(name)
        .subject_name(x509.Name([]))
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(SINCE)
        .not_valid_after(SINCE)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=False)
        .sign(key, SHA384())
    )
    found = lint_certificate(bad.public_bytes(Encoding.DER))
    assert any("authority_key_identifier" in finding for finding in found)


async def test_a_production_chain_has_the_house_in_it(tmp_path: Path) -> None:
    store = await keys_in(tmp_path, 1, (ORDER,))
    trust = Trust(PRODUCTION, await root_certificate(store, PRODUCTION, SINCE, ORDER))
    assert lint_certificate(trust.root) == []
    for rank in RANKS.values():
        asked = await request(store, rank, PRODUCTION, ORDER)
        answer = await certify(asked, trust, store, SINCE, ORDER)
        assert lint_certificate(answer) == []
        assert b"http://pki.example/crl/root.crl" in answer
        take(answer, rank, store, trust)
        (tmp_path / rank.file).write_bytes(answer)
    issuer = await Issuer.open(tmp_path, store, Here(), trust)
    assert issuer.root == trust.root


async def test_production_makes_no_authority_of_its_own(tmp_path: Path) -> None:
    store = await keys_in(tmp_path, 1, (ORDER,))
    trust = Trust(PRODUCTION, await root_certificate(store, PRODUCTION, SINCE, ORDER))
    with pytest.raises(ConfigError, match=r"issuing-ec\.der cannot be read: No such file"):
        await Issuer.open(tmp_path, store, Here(), trust)
    assert not (tmp_path / "root.der").exists()


async def test_production_refuses_a_development_root(tmp_path: Path) -> None:
    store = await keys_in(tmp_path, 1, (ORDER,))
    await Issuer.open(tmp_path, store, Here())
    for house in (House(), PRODUCTION):
        with pytest.raises(ConfigError, match="it is a development root"):
            await Issuer.open(tmp_path, store, Here(), Trust(house, (tmp_path / "root.der").read_bytes()))


async def test_production_trusts_the_root_that_was_named_only(tmp_path: Path) -> None:
    root = await root_certificate(await keys_in(tmp_path, 1, (ORDER,)), PRODUCTION, SINCE, ORDER)
    named = sha256(root).hexdigest()
    with pytest.raises(ConfigError, match=r"root\.der: No such file"):
        trusted(tmp_path, named, PRODUCTION)
    (tmp_path / "root.der").write_bytes(root)
    assert trusted(tmp_path, named, PRODUCTION) == Trust(PRODUCTION, root)
    with pytest.raises(ConfigError, match=rf"its SHA-256 is {named}, authorities\.root names 00"):
        trusted(tmp_path, "00" * 32, PRODUCTION)
    with pytest.raises(ConfigError, match=r"authorities\.root is missing"):
        trusted(tmp_path, "", PRODUCTION)


def test_production_refuses_the_documentation_arc() -> None:
    own = msgspec.structs.replace(SE1, organisation="Example", policy_oid="1.3.6.1.4.1.324730.1")
    assert own.refused() == []
    assert SE1.refused() == [
        "policy_oid 1.3.6.1.4.1.32473.1.1.1 lies in the documentation arc 1.3.6.1.4.1.32473",
        "organisation is 'hardbin development'",
    ]
    hardware = msgspec.structs.replace(own, hardware_type="1.3.6.1.4.1.32473")
    assert hardware.refused() == [
        "hardware_type 1.3.6.1.4.1.32473 lies in the documentation arc 1.3.6.1.4.1.32473"
    ]


class Call:
    """A call without metadata."""

    def invocation_metadata(self) -> tuple[()]:
        return ()


async def test_production_opens_no_lot_of_a_development_product(tmp_path: Path) -> None:
    async with opened_vault(tmp_path) as vault:
        configuration = Configuration(mode="production")
        publisher = Publisher(tmp_path / "x", tmp_path / "y", configuration.ledger, vault.means.store)
        means = replace(vault.means, products=Products(production=True))
        floor = Floor(means, Times(development=False), configuration, publisher, Stops())
        asked = wire.OpenLotRequest(lot="L2", product="se1", order="WO-1", count=1)
        reply = await floor.open_lot(asked, cast(Context, Call()))
    assert (reply.done, reply.error) == (False, Code.PROFILE_MISMATCH)
    assert reply.detail == "product 'se1' is none of those released: there are none"
