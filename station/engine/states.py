"""The life cycle of a lot as tables: what each state means, what leads where, what may be asked when."""

from enum import Enum


class State(Enum):
    """Where the lot is; one cell runs one lot at a time."""

    EMPTY = "EMPTY"
    LOADING = "LOADING"
    LOADED = "LOADED"
    CHECKING = "CHECKING"
    READY = "READY"
    RUNNING = "RUNNING"
    PAUSING = "PAUSING"
    PAUSED = "PAUSED"
    HELD = "HELD"
    ENDING = "ENDING"
    CLOSING = "CLOSING"
    CLOSED = "CLOSED"
    ABORTING = "ABORTING"
    ABORTED = "ABORTED"
    RECOVERING = "RECOVERING"


S = State
WITH_LOT = frozenset(State) - {S.EMPTY, S.CLOSED}

TRANSITIONS: dict[State, frozenset[State]] = {
    S.EMPTY: frozenset({S.LOADING}),
    S.LOADING: frozenset({S.LOADED, S.EMPTY}),
    S.LOADED: frozenset({S.CHECKING, S.EMPTY}),
    S.CHECKING: frozenset({S.READY, S.RUNNING, S.PAUSED, S.HELD}),
    S.READY: frozenset({S.CHECKING, S.EMPTY}),
    S.RUNNING: frozenset({S.PAUSING, S.HELD, S.ENDING}),
    S.PAUSING: frozenset({S.PAUSED, S.HELD, S.ENDING}),
    S.PAUSED: frozenset({S.RUNNING, S.CHECKING, S.ENDING, S.HELD}),
    S.HELD: frozenset({S.PAUSED, S.LOADED, S.CLOSING, S.ENDING}),
    S.ENDING: frozenset({S.CLOSING, S.HELD}),
    S.CLOSING: frozenset({S.CLOSED, S.HELD}),
    S.CLOSED: frozenset({S.EMPTY, S.LOADING}),
    S.ABORTING: frozenset({S.ABORTED}),
    S.ABORTED: frozenset({S.PAUSED}),
    S.RECOVERING: frozenset({S.PAUSED, S.ABORTED}),
}
"""What may follow what, besides ABORTING, which may follow every state with a lot, and RECOVERING, which
follows whatever the journal of an open lot ends with when the station takes it up."""

FORWARD = frozenset({S.LOADED, S.CHECKING, S.READY, S.RUNNING, S.ENDING, S.CLOSING})
"""States that a cell may not go into unless the journal has taken that down."""

LEGAL: dict[str, frozenset[State]] = {
    "lot.load": frozenset({S.EMPTY, S.CLOSED}),
    "study.load": frozenset({S.EMPTY, S.CLOSED}),
    "lot.unload": frozenset({S.LOADED, S.READY, S.CLOSED}),
    "lot.check": frozenset({S.LOADED, S.READY, S.PAUSED}),
    "lot.start": frozenset({S.LOADED, S.READY}),
    "lot.pause": frozenset({S.RUNNING}),
    "lot.resume": frozenset({S.PAUSED}),
    "lot.end": frozenset({S.RUNNING, S.PAUSED, S.HELD}),
    "lot.abort": WITH_LOT,
    "lot.close": frozenset({S.HELD}),
    "e10.set": frozenset(State),
    "hold.release": frozenset({S.HELD}),
    "cell.recover": frozenset({S.ABORTED}),
    "site.set": frozenset({S.LOADED, S.READY, S.RUNNING, S.PAUSING, S.PAUSED, S.HELD}),
    "retest.start": frozenset({S.RUNNING, S.PAUSED}),
    "probe.clean": frozenset({S.RUNNING, S.PAUSED}),
    "lot.step": frozenset({S.LOADED, S.CHECKING, S.READY, S.RUNNING, S.PAUSING, S.PAUSED}),
    "lot.shmoo": frozenset({S.RUNNING, S.PAUSING}),
    "recipe.stage": frozenset(State),
    "config.apply": frozenset({S.EMPTY, S.CLOSED}),
    "selftest.run": frozenset({S.EMPTY, S.CLOSED}),
    "key.release": frozenset({S.EMPTY, S.CLOSED}),
    "check.waive": frozenset({S.LOADED, S.READY, S.PAUSED, S.HELD}),
    "alarm.ack": frozenset(State),
    "alarm.shelve": frozenset(State),
}
"""In which states a command has an effect; elsewhere it is refused with `wrong_state`."""


def may_follow(old: State, new: State) -> bool:
    """Tell whether the cell may go from one state to the other."""
    if new is S.ABORTING:
        return old in WITH_LOT and old is not S.ABORTED
    return new in TRANSITIONS[old]
