"""Error codes of the vault, and what each makes of the die."""

from enum import IntEnum
from types import MappingProxyType


class Code(IntEnum):
    """What went wrong; hundreds: admission, die, keys and lock, link, the vault itself."""

    NONE = 0
    LOT_CLOSED = 101
    ORDER_INVALID = 102
    ORDER_EXHAUSTED = 103
    ORDER_DATES = 104
    FINGERPRINT_UNKNOWN = 105
    PROFILE_MISMATCH = 106
    KEY_NOT_ACTIVE = 107
    CLOCK_UNSAFE = 108
    LOG_UNSAFE = 109
    SPOOL_FULL = 110
    LINE_STOPPED = 111
    STATION_UNKNOWN = 113
    UNIT_SPOILED = 114
    UNIT_SEALED = 115
    BALANCE_OPEN = 116
    UID_MISMATCH = 201
    UID_DUPLICATE = 202
    LIFE_CYCLE = 203
    KEY_SETS = 204
    CARD_CRYPTOGRAM = 205
    SELF_TEST = 206
    TRNG_HEALTH = 207
    TRNG_STATISTICS = 208
    KEY_FORMAT = 301
    SPKI_DUPLICATE = 302
    PROOF_SIGNATURE = 303
    PROOF_KEM = 304
    PROOF_REJECTION = 305
    ISSUER_CHECK = 307
    STORE_HASH = 308
    ATTESTATION = 309
    ROTATION = 310
    LOCK = 311
    LOCK_PROOF = 312
    LINK = 401
    STATUS_WORD = 402
    R_MAC = 403
    BUDGET = 404
    RELAY_GONE = 405
    KEY_STORE_DOWN = 501
    JOURNAL = 502
    REGISTRY_CONFLICT = 503
    INTERNAL = 504


class Fate(IntEnum):
    """What becomes of the die; the numbers are those of the wire."""

    SEALED = 1
    UNTOUCHED = 2
    RETRY = 3
    REJECT_HELD = 4
    QUARANTINE = 5
    DONE = 6
    """A purpose other than personalising was served."""


HELD = frozenset(
    {Code.KEY_SETS, Code.CARD_CRYPTOGRAM, Code.SELF_TEST, Code.TRNG_HEALTH, Code.TRNG_STATISTICS}
)
"""Faults that end REJECT_HELD; other faults of a die end QUARANTINE."""

STOPPING = MappingProxyType(
    {
        Code.SPKI_DUPLICATE: "two dies with one key: a random generator is broken",
        Code.ISSUER_CHECK: "an own certificate failed its second check",
        Code.INTERNAL: "the vault failed itself",
        Code.JOURNAL: "the journal cannot be written",
    }
)
"""Faults after which nothing more is admitted."""


class FaultError(Exception):
    """A fault that decides about the die."""

    def __init__(self, code: Code, detail: str, fate: Fate | None = None) -> None:
        super().__init__(f"{code.name}: {detail}")
        self.code, self.detail = code, detail
        self.fate = fate or _fate(code)


class DoubtError(Exception):
    """The session is over and the die's state uncertain: reset, read, and go forward only."""

    def __init__(self, code: Code, detail: str) -> None:
        super().__init__(f"{code.name}: {detail}")
        self.code, self.detail = code, detail


class GoneError(Exception):
    """The station left; there is nobody to give a verdict to."""


def _fate(code: Code) -> Fate:
    if code // 100 == 1:
        return Fate.UNTOUCHED
    return Fate.REJECT_HELD if code in HELD else Fate.QUARANTINE
