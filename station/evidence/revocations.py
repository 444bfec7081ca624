"""Certificates that must not count: what was issued for units that were not sealed, and the signed lists."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.x509 import ReasonFlags

from station.evidence.bundle import CRLS, UNSEALED, UnsealedUnit
from station.evidence.certificates import UNREADABLE, Authorities
from station.evidence.device import DeviceFacts, Means
from station.evidence.finding import Finding
from station.evidence.history import SECURED, WIP, LotHistory
from station.evidence.strict import base64
from station.vault.pki import crl
from station.vault.pki.signing import holds

COUNTING = frozenset({WIP, SECURED, "PASSED", "SHIPPED", "SAMPLE"})
"""Accounts whose units' certificates are not revoked."""
COMPROMISED = ReasonFlags.key_compromise.value
"""The reason that any certificate may have; a compromised issuing key signs no list of it."""
NAMED = 5
"""Units that a notice names."""


@dataclass(frozen=True)
class Issued:
    """A certificate of the lot, by issuer and serial number, and whose it is."""

    unit: str
    issuer: str
    serial: str


def unsealed(units: Sequence[UnsealedUnit], means: Means) -> tuple[list[Issued], list[Finding]]:
    """Check the certificates of units that were not sealed like those of others."""
    issued: list[Issued] = []
    findings: list[Finding] = []
    for unit in units:
        for one in unit.certs:
            try:
                uid, der = bytes.fromhex(unit.uid), base64(one.der)
                found = means.authorities.judged(one.slot, uid, der, means.profile)
                wrong = found.faults
            except UNREADABLE as error:
                wrong = (f"slot {one.slot}: the certificate cannot be read: {error}",)
            else:
                issued.append(Issued(unit.unit, found.issuer, found.serial))
            findings += [Finding(UNSEALED, what, unit.unit) for what in wrong]
    return issued, findings


def of_devices(devices: Sequence[DeviceFacts]) -> Iterator[Issued]:
    """The certificates of sealed devices."""
    for device in devices:
        for issuer, serial, _ in device.certificates:
            yield Issued(device.unit, issuer, serial)


def differences(issued: Sequence[Issued], history: LotHistory) -> Iterator[Finding]:
    """Say which certificates count that must not, and the reverse, by what the ledger tells."""
    for one in issued:
        account = history.accounts.get(one.unit, WIP)
        reason = history.revoked.get((one.issuer, one.serial))
        if reason is None and account not in COUNTING:
            what = f"certificate {one.serial[:16]}… is not revoked, though the unit is in {account}"
            yield Finding(UNSEALED, what, one.unit)
        elif reason not in (None, COMPROMISED) and account in COUNTING:
            what = f"certificate {one.serial[:16]}… is revoked ({reason}), though the unit is in {account}"
            yield Finding(UNSEALED, what, one.unit)


def notices(issued: Sequence[Issued], history: LotHistory) -> Iterator[str]:
    """Say what is no fault of the bundle, but should be known before devices are trusted."""
    units = {one.unit for one in issued if history.revoked.get((one.issuer, one.serial)) == COMPROMISED}
    if units:
        names = ", ".join(sorted(units)[:NAMED])
        yield f"a key that others may know: certificates of {len(units)} units are revoked, of {names}"


def listed(
    files: Mapping[str, bytes], authorities: Authorities, issued: Sequence[Issued], history: LotHistory
) -> Iterator[Finding]:
    """Check the signed lists: by whom, and whether they have what the ledger says is revoked of the lot."""
    for name, content in files.items():
        try:
            for what in _list(content, authorities, issued, history):
                yield Finding(f"{CRLS}/{name}", what)
        except (*UNREADABLE, x509.ExtensionNotFound) as error:
            yield Finding(f"{CRLS}/{name}", f"is no list of revoked certificates: {error}")


def _list(
    content: bytes, authorities: Authorities, issued: Sequence[Issued], history: LotHistory
) -> Iterator[str]:
    found = x509.load_der_x509_crl(content)
    named = found.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    identifier = named.key_identifier or b""
    authority = authorities.by_identifier.get(identifier)
    if authority is None or found.issuer != authority.certificate.subject:
        yield "is of no authority that leads to a trusted root"
        return
    if not holds(authority.key, found.signature, found.tbs_certlist_bytes):
        yield "its signature is not that of its authority"
        return
    told = {one.serial.hex(): one.reason.value for one in crl.entries(found)}
    for one in issued:
        wanted = history.revoked.get((one.issuer, one.serial), "none")
        says = told.get(one.serial, "none")
        if one.issuer == identifier.hex() and says != wanted and wanted != COMPROMISED:
            yield f"gives {says} as reason for certificate {one.serial} of {one.unit}, the ledger {wanted}"
