"""Who may do what at a station, as one table: every command, verb and topic names an action of it.

What a vault's desk is asked for has its own table, `station.vault.desk.roles`: persons sign it.
"""

from collections.abc import Collection, Mapping
from enum import Enum, StrEnum
from types import MappingProxyType

from msgspec import Struct

from station.engine.states import LEGAL, State
from station.engine.stops import Cause
from station.model import ENGINEERING
from station.vault.desk.roles import Role, Seat, filled

HOST = "host"
"""The quality of a plant's system, as a role is that of a person."""


class Action(StrEnum):
    """What can be asked of a station."""

    LOAD = "lot.load"
    STUDY = "study.load"
    UNLOAD = "lot.unload"
    CHECK = "lot.check"
    START = "lot.start"
    PAUSE = "lot.pause"
    RESUME = "lot.resume"
    END = "lot.end"
    ABORT = "lot.abort"
    CLOSE = "lot.close"
    RELEASE = "hold.release"
    SET_SITE = "site.set"
    CLEAN = "probe.clean"
    RETEST = "retest.start"
    STEP = "lot.step"
    SHMOO = "lot.shmoo"
    STAGE = "recipe.stage"
    APPLY = "config.apply"
    TEST = "selftest.run"
    RELEASE_KEYS = "key.release"
    WAIVE = "check.waive"
    ACKNOWLEDGE = "alarm.ack"
    SHELVE = "alarm.shelve"
    REASON = "e10.set"
    RECOVER = "cell.recover"
    ACQUIRE = "control.acquire"
    GIVE_UP = "control.release"
    PING = "control.ping"
    SERVE = "station.serve"
    MEASURE = "station.measure"
    ASK_REMOTELY = "remote.ask"
    HANDLE = "equipment.handle"
    VOUCH = "machine.vouch"
    READ = "records.read"
    DRAFT = "document.draft"
    SIGN = "document.sign"
    KEEP_LOG = "log.keep"
    KEEP_KEYS = "keys.keep"
    FOUND = "person.found"
    KEEP_PEOPLE = "people.keep"
    LOG_IN = "people.login"


class Remote(Enum):
    """What it takes to ask for an action from afar."""

    NEVER = "never"
    FREE = "any key"
    """A key whose role may; the local operator may have the station."""
    LEASED = "the lease"
    """That, and the station is ONLINE-REMOTE and this key is in command."""


class Right(Struct, frozen=True):
    """Who may ask for an action; an empty `who` is whoever stands at the machine or has its shell."""

    who: frozenset[str]
    remote: Remote = Remote.NEVER


TECHNICIANS_CHECKS = frozenset({"previous lot", "empty contacts"})
"""For these a technician may answer, for all others an engineer."""
OPERATOR = frozenset({Role.OPERATOR})
ANYBODY: frozenset[str] = frozenset()
_FLOOR = frozenset({Role.OPERATOR, Role.TECHNICIAN, Role.ENGINEER})
_SKILLED = frozenset({Role.TECHNICIAN, Role.ENGINEER})
_COMMANDERS = _FLOOR | {HOST}

RIGHTS: Mapping[Action, Right] = MappingProxyType(
    {
        Action.LOAD: Right(_COMMANDERS, Remote.LEASED),
        Action.STUDY: Right(_SKILLED),  # somebody stands there who puts devices in
        Action.UNLOAD: Right(_COMMANDERS, Remote.LEASED),
        Action.CHECK: Right(_FLOOR, Remote.LEASED),
        Action.START: Right(_COMMANDERS, Remote.LEASED),
        Action.PAUSE: Right(ANYBODY, Remote.FREE),
        Action.RESUME: Right(_COMMANDERS, Remote.LEASED),
        Action.END: Right(_COMMANDERS, Remote.LEASED),
        Action.ABORT: Right(ANYBODY, Remote.FREE),
        Action.CLOSE: Right(frozenset({Role.ENGINEER}), Remote.LEASED),  # two of a lot with keys: never afar
        Action.RELEASE: Right(_SKILLED | {Role.OFFICER}),  # `releasing` says of which hold
        Action.RECOVER: Right(_SKILLED | {Role.OFFICER}),
        Action.SET_SITE: Right(_SKILLED | {HOST}, Remote.LEASED),
        Action.CLEAN: Right(_COMMANDERS, Remote.LEASED),
        Action.RETEST: Right(_SKILLED | {HOST}, Remote.LEASED),
        Action.STEP: Right(frozenset({Role.ENGINEER}), Remote.LEASED),
        Action.SHMOO: Right(frozenset({Role.ENGINEER}), Remote.LEASED),
        Action.STAGE: Right(frozenset({Role.ENGINEER, HOST}), Remote.LEASED),
        Action.APPLY: Right(frozenset({Role.ENGINEER, HOST}), Remote.LEASED),  # what is guarded: by SEATS
        Action.TEST: Right(_COMMANDERS, Remote.LEASED),
        Action.RELEASE_KEYS: Right(frozenset({Role.OFFICER, HOST}), Remote.LEASED),  # who signed it decides
        Action.WAIVE: Right(_SKILLED),  # `no_waiver` says for which check
        Action.ACKNOWLEDGE: Right(_COMMANDERS, Remote.LEASED),
        Action.SHELVE: Right(_SKILLED),
        Action.REASON: Right(_COMMANDERS, Remote.LEASED),
        Action.ACQUIRE: Right(_COMMANDERS, Remote.FREE),
        Action.GIVE_UP: Right(_COMMANDERS, Remote.FREE),
        Action.PING: Right(ANYBODY, Remote.FREE),
        Action.SERVE: Right(ANYBODY),
        Action.MEASURE: Right(ANYBODY),
        Action.ASK_REMOTELY: Right(ANYBODY),  # a station judges the signed command, not the shell
        Action.HANDLE: Right(ANYBODY),  # with no lot in the cell: a port has one owner
        Action.VOUCH: Right(_SKILLED),  # that a machine is sound again, or a card as good as new
        Action.READ: Right(ANYBODY),
        Action.DRAFT: Right(ANYBODY),  # a draft is worth what signs it
        Action.SIGN: Right(ANYBODY),  # with one's own key; what the signature may, the desk decides
        Action.KEEP_LOG: Right(ANYBODY),
        Action.KEEP_KEYS: Right(ANYBODY),  # custodians' passphrases open the store, and nothing else does
        Action.FOUND: Right(ANYBODY),
        Action.KEEP_PEOPLE: Right(frozenset({Role.ENGINEER, Role.OFFICER})),
        Action.LOG_IN: Right(ANYBODY),  # badge, PIN or key say who it is
    }
)
"""The right to each action; in which states of the cell it has an effect is `station.engine.states.LEGAL`."""

SEATS: Mapping[Action, tuple[Seat, ...]] = MappingProxyType(
    {
        Action.KEEP_PEOPLE: (frozenset({Role.ENGINEER}), frozenset({Role.OFFICER})),
        Action.APPLY: (frozenset({Role.ENGINEER}), frozenset({Role.OFFICER})),
    }
)
"""What takes that many different persons at the station, each of a role that the seat allows."""

_ENGINEER, _OFFICER = frozenset({Role.ENGINEER}), frozenset({Role.OFFICER})
_RELEASING: Mapping[Cause, tuple[Seat, ...]] = MappingProxyType(
    {Cause.EQUIPMENT: (_SKILLED,), Cause.YIELD: (_ENGINEER,), Cause.CUSTODY: (_OFFICER, _OFFICER)}
)


def releasing(cause: Cause, *, secure: bool) -> tuple[Seat, ...]:
    """Return whom the release of a hold takes; `secure`: the vault has a part in the lot."""
    return (_ENGINEER, _ENGINEER) if secure and cause is Cause.YIELD else _RELEASING[cause]


def closing(*, secure: bool) -> tuple[Seat, ...]:
    """Return whom it takes to sign for a difference; `secure`: the vault has a part in the lot."""
    return (_ENGINEER, _ENGINEER) if secure else (_ENGINEER,)


REMOTE = frozenset(action for action, right in RIGHTS.items() if right.remote is not Remote.NEVER)
"""What has a topic of its own."""


def denied(action: Action, roles: frozenset[str]) -> str:
    """Say why somebody of these roles may not ask for an action; empty if he may."""
    who = RIGHTS[action].who
    if not who or who & roles:
        return ""
    held = ", ".join(sorted(roles)) or "nobody who has said who he is"
    return f"{action} is for {', '.join(sorted(who))}; this is {held}"


def not_an_engineer(mode: str, roles: frozenset[str]) -> tuple[str, str] | None:
    """Say why somebody may not load a lot in this mode, as code and reason; None if he may."""
    if mode != ENGINEERING or roles & _ENGINEER:
        return None
    held = ", ".join(sorted(roles)) or "nobody who has said who he is"
    return "denied", f"lot.load with mode {mode} is for {Role.ENGINEER}; this is {held}"


def answering(check: str) -> frozenset[str]:
    """Return who may answer for a check."""
    return _SKILLED if check in TECHNICIANS_CHECKS else _ENGINEER


def no_waiver(check: str, roles: frozenset[str]) -> tuple[str, str] | None:
    """Say why somebody may not answer for a check, as code and reason; None if he may."""
    if answering(check) & roles:
        return None
    return "denied", f"check.waive of {check} is for {Role.ENGINEER}; this is {', '.join(sorted(roles))}"


def unseated(
    action: Action, seats: Collection[Collection[str]], persons: Mapping[str, frozenset[str]]
) -> tuple[str, str] | None:
    """Say why these persons are not those whom an action takes, as code and reason; None if they are."""
    wanted = [frozenset(map(Role, seat)) for seat in seats]
    if filled(wanted, persons):
        return None
    takes = " and ".join("/".join(sorted(seat)) for seat in wanted)
    if any(seat & roles for seat in wanted for roles in persons.values()):
        return "dual_pending", f"{action} takes {takes}: another person must want it too"
    return "denied", f"{action} takes {takes} here"


def misplaced(action: Action, state: State) -> str:
    """Say why an action has no effect in a state of the cell; empty if it has one."""
    legal = LEGAL.get(action.value)
    if legal is None or state in legal:
        return ""
    allowed = ", ".join(sorted(one.value for one in legal))
    return f"{action} in state {state.value}: it is legal in {allowed}"


def objection(action: Action, roles: frozenset[str], state: State) -> tuple[str, str] | None:
    """The gate of every action: return why it may not be, as code and reason, or None."""
    if reason := denied(action, roles):
        return "denied", reason
    if reason := misplaced(action, state):
        return "wrong_state", reason
    return None
