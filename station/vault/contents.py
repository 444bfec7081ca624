"""What a die is given: its identity, its certificates, and the hash of both as it must read them back."""

from base64 import b32encode
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256

from drivers.protocols import se1_objects
from drivers.protocols.se1_table import Algorithm, ContainerKind, ObjectType
from station.vault.issuer import Subject
from station.vault.job import Job, Means
from station.vault.profiles import KeyKind
from station.vault.registry import Certificate, PublicKey

SERIAL_LABEL = b"hardbin-device-serial-v1"
SERIAL_SIZE = 16
ISSUING_ALGORITHM = Algorithm.MLDSA65


class Contents:
    """Builds what goes into one die. What was born once stays the same on every later contact."""

    def __init__(self, job: Job, means: Means) -> None:
        self._job, self._means = job, means
        self._identity = b""
        self._certificates: tuple[Certificate, ...] = ()

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
        issuer = self._means.issuer
        now = int(self._job.now)
        return Certificate(issuer.identifier, issuer.serial(spki), key.slot, key.spki_hash, now)

    async def sign(
        self, uid: bytes, places: Sequence[Certificate], spkis: dict[int, bytes], kinds: dict[int, KeyKind]
    ) -> list[Certificate]:
        """Issue what is reserved; a certificate that exists is never signed again."""
        means, signed = self._means, list[Certificate]()
        for place in places:
            der = place.der
            if not der:
                subject = Subject(uid, spkis[place.slot], kinds[place.slot], place.not_before)
                der = await means.work(means.issuer.issue, subject, means.profile)
            signed.append(replace(place, der=der))
        return signed

    async def certificates(self) -> tuple[Certificate, ...]:
        """What is issued or reserved for the unit, by slot; what is issued never changes."""
        if not self._certificates:
            found = await self._means.registry.certificates(self._job.unit)
            if not all(cert.der for cert in found):
                return found
            self._certificates = found
        return self._certificates

    async def identity(self) -> bytes:
        """The IDENTITY object that was born for the unit."""
        if not self._identity:
            self._identity = await self._means.registry.identity_of(self._job.unit)
        return self._identity

    async def store_hash(self) -> bytes:
        """The hash over both containers, as the vault computes it."""
        credentials = self.credentials(await self.certificates())
        return se1_objects.store_hash((identity_container(await self.identity()), credentials))

    def credentials(self, certificates: Sequence[Certificate]) -> bytes:
        """The credentials container: certificates by slot, then who issued them."""
        kinds = self._means.profile.kinds()
        objects = [
            se1_objects.Object(ObjectType.CERTIFICATE, cert.slot, kinds[cert.slot].algorithm, cert.der)
            for cert in certificates
        ]
        issuers = se1_objects.issuer_ids([(ISSUING_ALGORITHM, self._means.issuer.identifier)])
        objects.append(se1_objects.Object(ObjectType.ISSUER_IDS, 0, 0, issuers))
        return se1_objects.Container(ContainerKind.CREDENTIALS, tuple(objects)).encode()


def identity_container(identity: bytes) -> bytes:
    """The container of an IDENTITY object."""
    return se1_objects.decode_identity(identity).container()


def device_serial(product: str, uid: bytes) -> str:
    """The serial number of a device: 16 characters, drawn from its UID; the registry keeps it unique."""
    digest = b32encode(sha256(SERIAL_LABEL + uid).digest()).decode()
    return (product.upper() + digest)[:SERIAL_SIZE]
