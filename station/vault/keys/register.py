"""The key register: which states may follow which, and what each state allows."""

from collections.abc import Iterable, Iterator
from enum import Enum

import msgspec

from station.vault.keys.errors import PolicyError, RequestError
from station.vault.keys.words import Approval, Change, Entry, KeyProfile, KeyState, Purpose

S = KeyState
LEGAL: frozenset[tuple[KeyState, KeyState]] = frozenset(
    {
        (S.PRE_ACTIVE, S.ACTIVE),
        (S.ACTIVE, S.SUSPENDED),
        (S.SUSPENDED, S.ACTIVE),
        (S.ACTIVE, S.DEACTIVATED),
        (S.DEACTIVATED, S.DESTROYED),
        (S.COMPROMISED, S.DESTROYED),
        *((state, S.COMPROMISED) for state in (S.PRE_ACTIVE, S.ACTIVE, S.SUSPENDED, S.DEACTIVATED)),
    }
)


class Act(Enum):
    """What somebody wants to do with a key."""

    DERIVE = "derive"
    WRAP = "wrap"
    UNWRAP = "unwrap"
    SIGN = "sign"
    DECAPSULATE = "decapsulate"
    RECEIVE = "receive"
    OPEN = "open"
    PROVE = "prove"


PURPOSES = {
    Act.DERIVE: {Purpose.DERIVE},
    Act.WRAP: {Purpose.WRAP},
    Act.UNWRAP: {Purpose.WRAP},
    Act.SIGN: {Purpose.SIGN, Purpose.ISSUE},
    Act.DECAPSULATE: {Purpose.DECAPSULATE},
    Act.RECEIVE: {Purpose.RECEIVE},
    Act.OPEN: {Purpose.OPEN},
    Act.PROVE: {Purpose.DERIVE, Purpose.SIGN, Purpose.ISSUE, Purpose.CHECKPOINT},
}
PERMITTED = {
    S.PRE_ACTIVE: {Act.PROVE},
    S.ACTIVE: set(Act),
    S.SUSPENDED: set[Act](),
    S.DEACTIVATED: {Act.UNWRAP, Act.DECAPSULATE, Act.RECEIVE, Act.OPEN},
    S.DESTROYED: set[Act](),
    S.COMPROMISED: set[Act](),
}
"""Protecting anew ends with the period of the key, reading what is protected goes on."""
IN_PERIOD = {Act.DERIVE, Act.WRAP, Act.SIGN}


class Register:
    """The entries of a store by name."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self._entries = {entry.id: entry for entry in entries}

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: str) -> bool:
        return key in self._entries

    def __getitem__(self, key: str) -> Entry:
        if key not in self._entries:
            raise RequestError(f"there is no key {key[:64]!r}")
        return self._entries[key]

    def put(self, entry: Entry) -> None:
        """Add an entry, or replace it."""
        self._entries[entry.id] = entry

    def drop(self, key: str) -> None:
        """Forget a key that was never finished."""
        del self._entries[key]

    def begun(self, profile: KeyProfile, where: str, origin: str, mark: str) -> Entry:
        """Enter a key that is about to be made; a name is never used again."""
        profile.check()
        if profile.id in self:
            raise PolicyError(f"there is a key {profile.id}, {self[profile.id].state}; a name is used once")
        entry = Entry(profile, S.PRE_ACTIVE, where, origin, public=b"", made=False, mark=mark)
        self.put(entry)
        return entry

    def moved(self, key: str, state: KeyState, approval: Approval, now: float) -> Entry:
        """Bring a key into another state; PolicyError if that is no legal transition."""
        entry = self[key]
        if (entry.state, state) not in LEGAL:
            after = ", ".join(sorted(to for came, to in LEGAL if came is entry.state)) or "nothing"
            raise PolicyError(f"key {key} is {entry.state}; after that comes {after}, not {state}")
        if not approval.actor or not approval.reason:
            raise RequestError(f"key {key}: a change of state names its actor and its reason")
        change = Change(state, int(now), approval.actor, approval.reason)
        return msgspec.structs.replace(entry, state=state, history=(*entry.history, change))

    def permitted(self, key: str, act: Act, now: float) -> Entry:
        """Return the entry of a key that may do this now; PolicyError if it may not."""
        entry = self[key]
        profile = entry.profile
        if profile.purpose not in PURPOSES[act]:
            raise PolicyError(f"key {key} is there to {profile.purpose}, not to {act.value}")
        if act not in PERMITTED[entry.state]:
            raise PolicyError(f"key {key} is {entry.state}: it cannot {act.value}")
        if act in IN_PERIOD and now < profile.not_before:
            raise PolicyError(f"key {key}: its period has not begun")
        if act in IN_PERIOD and profile.not_after is not None and now >= profile.not_after:
            raise PolicyError(f"key {key}: its period is over")
        return entry
