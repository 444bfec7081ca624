"""The authorities: an offline root over two issuing ones, their certificates, and how one asks for such."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

import msgspec
from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives.asymmetric import ec, mldsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID, ObjectIdentifier

from drivers.protocols.se1_table import Algorithm
from station.errors import ConfigError
from station.vault.die.kinds import usage
from station.vault.names import ISSUING, ISSUING_EC, ROOT
from station.vault.pki import der
from station.vault.pki.chains import UNREADABLE, Anchor, key_identifier, loaded, serial_of, verifying_key
from station.vault.pki.crl import CrlDraft
from station.vault.pki.signing import (
    Signing,
    VerifyingKey,
    holds,
    key_bits,
    signature_algorithm,
    spki,
)
from station.vault.profiles import DEVELOPMENT_ORGANISATION

AUTHORITIES_FROM = datetime(2020, 1, 1, tzinfo=UTC)
"""Development authorities are valid from before any simulated lot."""
ROOT_YEARS, ISSUING_YEARS = 30, 20
CA_USAGE = usage("key_cert_sign", "crl_sign")
ANY_POLICY = ObjectIdentifier("2.5.29.32.0")
ROOT_FILE = "root.der"
CEREMONY = "ceremony"
"""Stands for an order where authorities are certified: an issuing key then signs its own request only."""


@asn1.sequence
class RequestInfo:
    """What the signature of a PKCS #10 request covers; no attributes (RFC 2986)."""

    version: int
    subject: asn1.TLV
    spki: asn1.TLV
    attributes: Annotated[asn1.SetOf[asn1.TLV], asn1.Implicit(0)]


@dataclass(frozen=True)
class Rank:
    """An issuing authority as it is made."""

    key: str
    role: str
    file: str

    @property
    def crl(self) -> str:
        """The name of its list of revoked certificates, by its key: the next generation has another."""
        return "root.crl" if self.file == ROOT_FILE else f"{self.key}.crl"


TOP = Rank(ROOT, "root", ROOT_FILE)
RANKS: Mapping[Algorithm, Rank] = {
    Algorithm.P384: Rank(ISSUING_EC, "issuing EC", "issuing-ec.der"),
    Algorithm.MLDSA65: Rank(ISSUING, "issuing", "issuing.der"),
}
"""The authorities below the root, by the algorithm of their key."""


class House(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who the authorities belong to."""

    country: str = "ZZ"
    """Two letters of ISO 3166, which leaves these to its users."""
    organisation: str = DEVELOPMENT_ORGANISATION
    crl_base: str = ""
    """Where the root's list of revoked certificates can be fetched; empty: certificates do not say it."""

    def name(self, rank: Rank) -> x509.Name:
        """The name of an authority; its number is that of its key."""
        number = rank.key.rpartition("-")[2]
        return x509.Name(
            [
                x509.NameAttribute(NameOID.COUNTRY_NAME, self.country),
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, self.organisation),
                x509.NameAttribute(NameOID.COMMON_NAME, f"{self.organisation} {rank.role} {number}"),
            ]
        )


DEVELOPMENT = House()


@dataclass(frozen=True)
class Trust:
    """What a production vault was told: whose authorities it has, and which root stands over them."""

    house: House
    root: bytes
    """The root's certificate, DER."""

    def refused(self) -> list[str]:
        """Say why production cannot rest on it."""
        root = loaded(self.root, ROOT_FILE)
        names = root.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
        wrong = broken_root(root)
        if self.house.organisation == DEVELOPMENT_ORGANISATION or DEVELOPMENT_ORGANISATION in [
            str(name.value) for name in names
        ]:
            wrong.append("it is a development root")
        return wrong


class Authority(Anchor):
    """The certificate of one issuing key, which is verified up to the root before anything is issued."""

    def __init__(self, rank: Rank, certificate: x509.Certificate) -> None:
        super().__init__(certificate)
        self.rank = rank


# -- certificates of authorities
async def root_certificate(
    signing: Signing, house: House, since: datetime, order: str, rank: Rank = TOP
) -> bytes:
    """A root's certificate for its key, signed by itself, DER."""
    own = signing.public(rank.key)
    draft = _root_draft(own, house.name(rank), since)
    return await _signed(draft.tbs(), draft.signature, signing, rank.key, order)


async def request(signing: Signing, rank: Rank, house: House, order: str) -> bytes:
    """Ask for an issuing key's certificate: a PKCS #10 request, DER, which the key signs (RFC 2986)."""
    own = signing.public(rank.key)
    body = asn1.encode_der(
        RequestInfo(
            version=0,
            subject=der.tlv(house.name(rank).public_bytes()),
            spki=der.tlv(spki(own)),
            attributes=asn1.SetOf[asn1.TLV]([]),
        )
    )
    return await _signed(body, signature_algorithm(own), signing, rank.key, order)


async def certify(
    asked: bytes, trust: Trust, signing: Signing, since: datetime, order: str, root: str = ROOT
) -> bytes:
    """What the root of this key answers to a request; ConfigError if that proves nothing, or is none."""
    subject, key = _requested(asked)
    draft = _issuing_draft(key, subject, trust, since)
    return await _signed(draft.tbs(), draft.signature, signing, root, order)


async def root_list(list_: CrlDraft, signing: Signing, order: str, root: str = ROOT) -> bytes:
    """The root's list of revoked authorities, DER; ConfigError if it is not as it was drafted."""
    body = list_.tbs()
    made = list_.signed(body, await signing.sign(root, body, order))
    if wrong := list_.differences(made):
        raise ConfigError(f"{TOP.crl} failed its second check: {'; '.join(wrong)}")
    return made


def take(certificate: bytes, rank: Rank, signing: Signing, trust: Trust) -> Authority:
    """Check a certificate that came for an issuing key against that key and the root that is trusted.

    Every field must be as the profile of authorities has it. ConfigError says what is wrong.
    """
    cert, root = loaded(certificate, rank.file), loaded(trust.root, ROOT_FILE)
    wrong, own = broken_root(root), signing.public(rank.key)
    if spki(own) != der.read(cert).spki:
        wrong.append(f"it is not the certificate of this key store's {rank.key}")
    else:
        expected = _issuing_draft(own, trust.house.name(rank), trust, cert.not_valid_before_utc)
        wrong += expected.differences(certificate)
    for at in (cert.not_valid_before_utc, cert.not_valid_after_utc):
        wrong += Anchor(root).broken_chain(cert, at)
    if wrong:
        raise ConfigError(f"{rank.file} cannot be used: {'; '.join(wrong)}")
    return Authority(rank, cert)


def broken_root(root: x509.Certificate) -> list[str]:
    """Say what is wrong with a root's certificate: each field, and its signature by itself."""
    own = verifying_key(root)
    expected = _root_draft(own, root.subject, root.not_valid_before_utc)
    wrong = expected.differences(root.public_bytes(Encoding.DER))
    if not holds(own, root.signature, root.tbs_certificate_bytes):
        wrong.append("signature")
    return [f"root: {name}" for name in wrong]


def _root_draft(own: VerifyingKey, name: x509.Name, since: datetime) -> der.Draft:
    extensions = _authority_extensions(own, path_length=None)
    return _draft(own, own, (name, name), (since, ROOT_YEARS), extensions)


def _issuing_draft(own: VerifyingKey, name: x509.Name, trust: Trust, since: datetime) -> der.Draft:
    above = loaded(trust.root, ROOT_FILE)
    root = verifying_key(above)
    issuer = x509.AuthorityKeyIdentifier(key_identifier(key_bits(root)), None, None)
    policy = x509.CertificatePolicies([x509.PolicyInformation(ANY_POLICY, None)])
    extensions = [*_authority_extensions(own, path_length=0), (issuer, False), (policy, False)]
    if trust.house.crl_base:
        extensions.append((der.crl_point(trust.house.crl_base, TOP.crl), False))
    return _draft(own, root, (name, above.subject), (since, ISSUING_YEARS), extensions)


def _authority_extensions(own: VerifyingKey, *, path_length: int | None) -> der.Extensions:
    return [
        (x509.BasicConstraints(ca=True, path_length=path_length), True),
        (CA_USAGE, True),
        (x509.SubjectKeyIdentifier(key_identifier(key_bits(own))), False),
    ]


def _draft(
    own: VerifyingKey,
    above: VerifyingKey,
    names: tuple[x509.Name, x509.Name],
    validity: tuple[datetime, int],
    extensions: der.Extensions,
) -> der.Draft:
    since, years = validity
    return der.Draft(
        serial=serial_of(key_identifier(key_bits(above)), spki(own)),
        signature=signature_algorithm(above),
        issuer=names[1],
        subject=names[0],
        not_before=since,
        not_after=_later(since, years),
        spki=spki(own),
        extensions=extensions,
    )


def _later(since: datetime, years: int) -> datetime:
    """The same day so many years later; the day before for a leap day."""
    day = 28 if (since.month, since.day) == (2, 29) else since.day
    return since.replace(year=since.year + years, day=day)


async def _signed(body: bytes, algorithm: ObjectIdentifier, signing: Signing, key: str, order: str) -> bytes:
    return der.signed(body, algorithm, await signing.sign(key, body, order))


def _requested(asked: bytes) -> tuple[x509.Name, VerifyingKey]:
    try:
        found = x509.load_der_x509_csr(asked)
        key = found.public_key()
        if not found.is_signature_valid:
            raise ValueError("its signature is not that of its key")
    except UNREADABLE as error:
        raise ConfigError(f"certificate request: {error}") from error
    if isinstance(key, mldsa.MLDSA65PublicKey):
        return found.subject, key
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP384R1):
        return found.subject, key
    name = key.curve.name if isinstance(key, ec.EllipticCurvePublicKey) else type(key).__name__
    raise ConfigError(f"certificate request: its key, {name}, is none of ML-DSA-65 and P-384")
