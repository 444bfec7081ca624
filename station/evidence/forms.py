"""What the certificates of one slot look like, byte for byte: only a few places differ from device to device.

Comparing bytes is as strict as comparing every field, and much quicker: a bundle has 150,000 certificates.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

from station.vault.pki.authorities import Authority
from station.vault.pki.certificates import Subject, drafted
from station.vault.pki.chains import key_identifier, serial_of
from station.vault.pki.der import UTC_TIME_ENDS
from station.vault.profiles import Profile


@dataclass(frozen=True)
class Form:
    """The signed part of a certificate, and where what stands in it."""

    body: bytes
    places: tuple[tuple[int, str], ...]
    key: slice
    """The SubjectPublicKeyInfo."""

    @classmethod
    def of(cls, sample: Subject, profile: Profile, authority: Authority) -> "Form | None":
        """Make the form from a device's certificate; None for a time that is not written like others."""
        body = drafted(sample, profile, authority).tbs()
        if datetime.fromtimestamp(sample.not_before, UTC).year >= UTC_TIME_ENDS:
            return None
        values = _values(sample, authority)
        places = tuple((at, name) for name, value in values.items() for at in _found(value, body))
        start = body.index(sample.spki)
        return cls(body, places, slice(start, start + len(sample.spki)))

    def filled(self, subject: Subject, authority: Authority) -> bytes:
        """Return the signed part that the certificate of another key must have."""
        made, values = bytearray(self.body), _values(subject, authority)
        for at, name in self.places:
            value = values[name]
            made[at : at + len(value)] = value
        return bytes(made)


def _values(subject: Subject, authority: Authority) -> Mapping[str, bytes]:
    return {
        "serial": serial_of(authority.identifier, subject.spki),
        "not_before": _utc_time(subject.not_before),
        "uid": subject.uid,
        "uid_text": subject.uid.hex().encode(),
        "spki": subject.spki,
        "key_identifier": key_identifier(subject.public),
    }


@lru_cache(maxsize=64)
def _utc_time(at: int) -> bytes:
    return datetime.fromtimestamp(at, UTC).strftime("%y%m%d%H%M%SZ").encode()


def _found(value: bytes, body: bytes) -> Iterator[int]:
    at = body.find(value)
    while at >= 0:
        yield at
        at = body.find(value, at + 1)
