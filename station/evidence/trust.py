"""What whoever checks a bundle brings: roots, and keys of logs, witnesses, records and persons."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec
from cryptography import x509
from msgspec import Struct

from station.custody.log_keys import Key, key_of
from station.errors import EvidenceError, LedgerError, TrustError
from station.evidence.jws import ALGORITHMS, RecordKey, RecordKeys
from station.evidence.strict import base64


class Trust(Struct, frozen=True, forbid_unknown_fields=True):
    """A trust file. Keep it apart from the bundles: what comes with them proves nothing."""

    v: Literal[1]
    mode: Literal["development", "production"]
    roots: tuple[str, ...]
    """Root certificates, DER in base64."""
    logs: tuple[str, ...]
    """Public keys of the ledger's logs, `<name>+<key id>+<base64>`; each must have signed its own."""
    records: tuple[RecordKey, ...]
    """Keys that sign records and bundles; one of each algorithm must have signed."""
    witnesses: tuple[str, ...] = ()
    """Public keys of witnesses, written like those of logs."""
    witnesses_needed: int = 0
    """How many witnesses must have signed the checkpoint."""
    persons: dict[str, str] = {}
    """Ed25519 keys, hexadecimal, by pseudonym; of others the vault is believed."""

    def log_keys(self) -> Sequence[Key]:
        """The keys of the ledger."""
        return [key_of(text) for text in self.logs]

    def witness_keys(self) -> Sequence[Key]:
        """The keys of witnesses."""
        return [key_of(text) for text in self.witnesses]

    def record_keys(self) -> RecordKeys:
        """The keys that sign records and bundles."""
        return RecordKeys(self.records)

    def root_certificates(self) -> Sequence[x509.Certificate]:
        """The roots."""
        return [x509.load_der_x509_certificate(base64(text)) for text in self.roots]


def read(path: Path) -> Trust:
    """Read a trust file; TrustError if it is none, or nothing can be believed by it."""
    try:
        trust = msgspec.json.decode(path.read_bytes(), type=Trust)
        trust.log_keys(), trust.witness_keys(), trust.record_keys(), trust.root_certificates()
    except OSError as error:
        raise TrustError(f"{path}: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError, LedgerError, EvidenceError) as error:
        raise TrustError(f"{path}: not a trust file: {error}") from error
    except TrustError as error:
        raise TrustError(f"{path}: {error}") from error
    lacking = [name for name, found in _needed(trust).items() if not found]
    if lacking:
        raise TrustError(f"{path}: has no {', no '.join(lacking)}; nothing can be checked by it")
    if not 0 <= trust.witnesses_needed <= len(trust.witnesses):
        raise TrustError(f"{path}: {trust.witnesses_needed} of {len(trust.witnesses)} witnesses cannot sign")
    return trust


def _needed(trust: Trust) -> dict[str, object]:
    kinds = {key.alg for key in trust.records}
    records = {f"record key for {alg}": alg in kinds for alg in ALGORITHMS}
    return {"root": trust.roots, "key of a log": trust.logs, **records}
