"""What a die is given: its identity, its certificates, and the hash of both as it must read them back."""

from base64 import b32encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256

from drivers.protocols import se1_objects
from drivers.protocols.se1_table import ContainerKind, ObjectType
from station.vault.die.dossier import Certificate, Dossier, PublicKey
from station.vault.die.job import Job, Means
from station.vault.die.script import Script
from station.vault.die.slots import DieKeys
from station.vault.faults import Code, FaultError
from station.vault.pki.certificates import Subject
from station.vault.pki.chains import serial_of

SERIAL_LABEL = b"hardbin-device-serial-v1"
SERIAL_SIZE = 16


class Contents:
    """Builds what goes into one die. What was born once stays the same on every later contact."""

    def __init__(self, job: Job, means: Means, known: Dossier) -> None:
        self._job, self._means = job, means
        self.identity = known.identity
        """The IDENTITY object that was born for the unit."""
        self.certificates: tuple[Certificate, ...] = known.certificates
        """What is issued or reserved for the unit, by slot; what is issued never changes."""
        self._kinds = means.profile.kinds()
        self._credentials = self._store_hash = b""

    def new_identity(self, uid: bytes, token_hash: bytes) -> bytes:
        """A new IDENTITY object."""
        profile = self._means.profile
        return se1_objects.Identity(
            uid=uid,
            serial=device_serial(profile.product, uid),
            product=profile.number,
            profile_hash=profile.hash(),
            fingerprint=self._job.fingerprint,
            rma_token_hash=token_hash,
            issued_at=int(self._job.now),
            order=se1_objects.order_tag(self._job.order),
            policy_oid=se1_objects.oid_der(profile.policy_oid),
        ).encode()

    def reserved(self, key: PublicKey, spki: bytes) -> Certificate:
        """The place of a key's certificate: issuer and serial are known before it is signed."""
        issuer = self._means.issuer.authority(self._kinds[key.slot].authority).identifier
        return Certificate(issuer, serial_of(issuer, spki), key.slot, key.spki_hash, int(self._job.now))

    async def sign(self, uid: bytes, keys: DieKeys) -> None:
        """Issue what is reserved; a certificate that exists is never signed again, and must be this die's."""
        if kept := [(self._subject(uid, cert, keys), cert.der) for cert in self.certificates if cert.der]:
            await self._means.issuer.check(kept, self._means.profile)
        missing = [place for place in self.certificates if not place.der]
        if not missing:
            return
        subjects = [self._subject(uid, place, keys) for place in missing]
        issued = await self._means.issuer.issue(subjects, self._means.profile, self._job.order)
        signed = {place.slot: der for place, der in zip(missing, issued, strict=True)}
        self.certificates = tuple(
            replace(cert, der=cert.der or signed[cert.slot]) for cert in self.certificates
        )

    def _subject(self, uid: bytes, place: Certificate, keys: DieKeys) -> Subject:
        slot = place.slot
        return Subject(uid, keys.public[slot], keys.spkis[slot], self._kinds[slot], place.not_before)

    def store_hash(self) -> bytes:
        """The hash over both containers, as the vault computes it."""
        if not self._store_hash:
            containers = (identity_container(self.identity), self.credentials(), self.customer())
            self._store_hash = se1_objects.store_hash(filter(None, containers))
        return self._store_hash

    def read_back(self, script: Script, payload: int) -> None:
        """Ask for every certificate, if the profile wants that."""
        if self._means.profile.readback == "full":
            for cert in self.certificates:
                script.read(
                    f"certificate {cert.slot}", ObjectType.CERTIFICATE, cert.slot, len(cert.der), payload
                )

    def check_read_back(self, seen: Mapping[str, bytes]) -> None:
        """Compare what was asked for; FaultError for a certificate that is another."""
        for cert in self.certificates:
            if seen.get(f"certificate {cert.slot}", cert.der) != cert.der:
                raise FaultError(Code.STORE_HASH, f"slot {cert.slot} holds another certificate")

    def credentials(self) -> bytes:
        """The credentials container: certificates by slot, then who issued them."""
        if not self._credentials:
            objects = (*self._certificate_objects(), self._issuer_ids())
            self._credentials = se1_objects.Container(ContainerKind.CREDENTIALS, objects).encode()
        return self._credentials

    def customer(self) -> bytes:
        """The customer's container; empty if his order names no data."""
        return customer_container(self._job.customer_data)

    def _certificate_objects(self) -> Iterator[se1_objects.Object]:
        for cert in self.certificates:
            algorithm = self._kinds[cert.slot].algorithm
            yield se1_objects.Object(ObjectType.CERTIFICATE, cert.slot, algorithm, cert.der)

    def _issuer_ids(self) -> se1_objects.Object:
        means = self._means
        issuers = ((a, means.issuer.authority(a).identifier) for a in means.profile.authorities())
        return se1_objects.Object(ObjectType.ISSUER_IDS, 0, 0, se1_objects.issuer_ids(issuers))


def identity_container(identity: bytes) -> bytes:
    """The container of an IDENTITY object."""
    return se1_objects.decode_identity(identity).container()


def customer_container(data: Sequence[bytes]) -> bytes:
    """The container of a customer's objects, by slot from 0; empty if there are none."""
    if not data:
        return b""
    objects = (se1_objects.Object(ObjectType.CUSTOMER, slot, 0, one) for slot, one in enumerate(data))
    return se1_objects.Container(ContainerKind.CUSTOMER, tuple(objects)).encode()


def device_serial(product: str, uid: bytes) -> str:
    """The serial number of a device: 16 characters, drawn from its UID; the registry keeps it unique."""
    digest = b32encode(sha256(SERIAL_LABEL + uid).digest()).decode()
    return (product.upper() + digest)[:SERIAL_SIZE]
