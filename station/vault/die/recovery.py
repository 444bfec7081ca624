"""What to do with a die after any doubt: a pure function of the journal and the die. Forward only."""

from dataclasses import dataclass
from enum import Enum, auto

from drivers.protocols.se1_table import LifeCycle

TRANSPORT, ISSUER = 0x30, 0x31


class Standing(Enum):
    """The vault's view of a unit, in the order in which it rises; then the sinks."""

    ADMITTED = auto()
    AUTHENTICATED = auto()
    SCREENED = auto()
    ID_WRITTEN = auto()
    KEYS_READY = auto()
    POP_OK = auto()
    ISSUED = auto()
    WRITTEN = auto()
    VERIFIED = auto()
    ATTESTED = auto()
    KEYS_ROTATED = auto()
    SECURED = auto()
    LOCK_PROVED = auto()
    REGISTERED = auto()
    REJECT_HELD = auto()
    QUARANTINE = auto()
    RMA = auto()
    """Opened for analysis; it has no keys any more."""


class Intent(Enum):
    """The last forward step that was announced; it stays until the next one or the end."""

    NONE = ""
    LOAD = "load"
    """At wafer sort; such a die is never personalised before its load has ended."""
    KEYS = "keys"
    ISSUE = "issue"
    WRITE = "write"
    ROTATE = "rotate"
    LOCK = "lock"
    OPEN = "open"
    """The RMA token of a sealed unit is presented; nothing follows but its end."""


class Phase(Enum):
    """Where a session goes on; every later phase follows."""

    SCREEN = 1
    IDENTITY = 2
    KEYS = 3
    PROVE = 4
    WRITE = 5
    ROTATE = 6
    LOCK = 7
    LOCK_PROOF = 8


class End(Enum):
    """Why a session must not go on."""

    NOT_ITS_TURN = auto()
    """Sort or test state: untouched."""
    KEY_SETS = auto()
    """The key sets are none of those the journal allows."""
    TERMINATED = auto()
    FOREIGN = auto()
    """Somebody else personalised it, or it is locked: quarantine and alarm."""


@dataclass(frozen=True)
class Reading:
    """What the die says of itself in the clear."""

    life_cycle: LifeCycle
    key_sets: frozenset[int]
    identity: bool
    """An identity container is committed."""


@dataclass(frozen=True)
class Go:
    """Open the die under `kvn` and go on from `phase`."""

    phase: Phase
    kvn: int = TRANSPORT
    instead: "Go | None" = None
    """What to do if the die does not know the keys of `kvn`."""


Action = Go | End


def recover(standing: Standing, intent: Intent, die: Reading) -> Action:
    """Return how a session with this die goes on, or why it must not."""
    match die.life_cycle:
        case LifeCycle.RAW | LifeCycle.TEST_UNLOCKED | LifeCycle.TEST_LOCKED:
            return End.NOT_ITS_TURN
        case LifeCycle.TERMINATED:
            return End.TERMINATED
        case LifeCycle.CARD_LOCKED | LifeCycle.RMA:
            return End.FOREIGN
        case LifeCycle.OP_READY:
            return _ready(standing, intent, die)
        case LifeCycle.INITIALIZED:
            return _initialized(standing, intent, die)
        case LifeCycle.SECURED:
            return _secured(standing, intent, die)


def _ready(standing: Standing, intent: Intent, die: Reading) -> Action:
    if intent is Intent.LOAD:
        return End.NOT_ITS_TURN
    if die.key_sets != {TRANSPORT}:
        return End.KEY_SETS
    if standing.value > Standing.SCREENED.value:
        return End.FOREIGN
    return Go(Phase.SCREEN if intent is Intent.NONE else Phase.IDENTITY)


def _initialized(standing: Standing, intent: Intent, die: Reading) -> Action:
    if intent in (Intent.NONE, Intent.LOAD) or not die.identity:
        return End.FOREIGN
    if intent in (Intent.ROTATE, Intent.LOCK) and ISSUER in die.key_sets:
        again = Go(Phase.ROTATE) if intent is Intent.ROTATE and TRANSPORT in die.key_sets else None
        return Go(Phase.LOCK, ISSUER, again)
    if die.key_sets != {TRANSPORT}:
        return End.KEY_SETS
    match intent:
        case Intent.KEYS:
            return Go(Phase.KEYS if standing.value < Standing.KEYS_READY.value else Phase.PROVE)
        case Intent.ISSUE | Intent.WRITE:
            return Go(Phase.WRITE)
        case Intent.ROTATE:
            return Go(Phase.ROTATE)
        case _:
            return End.KEY_SETS


def _secured(standing: Standing, intent: Intent, die: Reading) -> Action:
    if intent is not Intent.LOCK and standing is not Standing.REGISTERED:
        return End.FOREIGN
    return Go(Phase.LOCK_PROOF, ISSUER) if die.key_sets == {ISSUER} else End.KEY_SETS
