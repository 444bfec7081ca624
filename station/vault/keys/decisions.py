"""States of keys by statement: the key store believes two officers whom it knows, and nobody's word of it."""

from station.vault.desk.documents import KeyDecision
from station.vault.desk.roles import Action, seated
from station.vault.keys.errors import PolicyError
from station.vault.keys.header import Header
from station.vault.keys.orders import signed
from station.vault.keys.register import Register
from station.vault.keys.words import Approval, KeyState


def believed(
    statement: bytes, header: Header, register: Register, now: float
) -> tuple[str, KeyState, Approval]:
    """Which key comes into which state, and who wants it; PolicyError unless it is good for just this."""
    found, roles = signed(statement, header, "decision on a key")
    decision = found(KeyDecision)
    if not seated(Action.RELEASE_KEYS, roles):
        raise PolicyError(f"key {decision.key}: two security officers sign a change of its state")
    if decision.store != header.store.hex():
        raise PolicyError(f"this decision is on a key of store {decision.store}, not of this one")
    if now > decision.not_after:
        raise PolicyError(f"key {decision.key}: the decision on it is no longer valid")
    if len(register[decision.key].history) != decision.changes:
        raise PolicyError(f"key {decision.key} was changed since the decision on it was drafted")
    return decision.key, decision.state, Approval(", ".join(sorted(roles)), decision.reason)
