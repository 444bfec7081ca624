"""Key stores for tests: planted secrets, and ways to make a store without custodians at a desk."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from station.clock import RealClock
from station.vault.desk import signers
from station.vault.desk.documents import WorkOrder
from station.vault.desk.statement import Signer, signed
from station.vault.keys import calls
from station.vault.keys.hardening import Hardening
from station.vault.keys.service import Service
from station.vault.keys.words import (
    DEVELOPMENT_CUSTODIAN,
    DEVELOPMENT_PASSPHRASE,
    Algorithm,
    Approval,
    Entry,
    KeyProfile,
    KeyState,
    Mode,
    Purpose,
)

PASSPHRASES = {
    "anna": b"planted passphrase 1",
    "ben": b"planted passphrase 2",
    "cleo": b"planted passphrase 3",
}
OFFICER = Approval("p-0001", "a test")
LABEL = b"PQP1-DIE-ENC"
OPEN = Hardening(memory_locked=True, dumpable=False)
UNLOCKED = Hardening(memory_locked=False, dumpable=True)


class At(RealClock):
    """A clock that stands."""

    def __init__(self, now: float = 1_900_000_000.0) -> None:
        self.now = now

    def unix(self) -> float:
        return self.now


def production(token: calls.TokenPlan | None = None) -> calls.Init:
    holders = tuple(calls.Custodian(name, bytearray(said)) for name, said in PASSPHRASES.items())
    return calls.Init(Mode.PRODUCTION, holders, token)


def development(token: calls.TokenPlan | None = None) -> calls.Init:
    everybody = calls.Custodian(DEVELOPMENT_CUSTODIAN, bytearray(DEVELOPMENT_PASSPHRASE))
    return calls.Init(Mode.DEVELOPMENT, (everybody,), token)


def give(service: Service, *custodians: str) -> None:
    for name in custodians:
        service.answer(calls.Activate(name, bytearray(PASSPHRASES[name])))


def profile(
    key: str = "K-1",
    algorithm: Algorithm = Algorithm.P384,
    purpose: Purpose = Purpose.SIGN,
    **more: int,
) -> KeyProfile:
    return KeyProfile(key, algorithm, purpose, **more)


def active(service: Service, wanted: KeyProfile) -> str:
    """Make a key and activate it."""
    service.answer(calls.Generate(wanted))
    service.answer(calls.Move(wanted.id, KeyState.ACTIVE, OFFICER))
    return wanted.id


def entry(service: Service, key: str) -> Entry:
    entries = service.answer(calls.Entries())
    assert isinstance(entries, list)
    (found,) = [one for one in entries if one.profile.id == key]
    assert isinstance(found, Entry)
    return found


def files(folder: Path) -> bytes:
    """All that is on disk."""
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


ENGINEER, OFFICER_1 = signers.development("p-00000001"), signers.development("p-00000002")


def work_order_of(
    order: str,
    quantity: int = 1000,
    by: Sequence[Signer] = (ENGINEER, OFFICER_1),
    **more: object,
) -> bytes:
    """A work order, signed by an engineer and an officer."""
    sound = WorkOrder(
        id=order,
        customer="a customer",
        product="se1",
        quantity=quantity,
        not_before=1_899_999_000,
        not_after=1_900_001_000,
        profile_hash="00" * 32,
        fingerprints=("00" * 32,),
        policy_oid="1.2.3",
    )
    return signed(msgspec.structs.replace(sound, **more), by)
