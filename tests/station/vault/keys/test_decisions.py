"""States of keys that two officers decide by statement: just this key, of this store, now, and once."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import pytest

from station.vault.desk.documents import KeyDecision
from station.vault.desk.roles import Role
from station.vault.desk.signers import PersonSigner
from station.vault.desk.statement import signed
from station.vault.keys import calls
from station.vault.keys.errors import LockedError, PolicyError, RequestError
from station.vault.keys.service import Service
from station.vault.keys.words import Algorithm, Health, KeyState, Purpose
from station.vault.secret import Secret
from tests.station.vault.keys.stores import OPEN, At, active, entry, give, production, profile
from tests.station.vault.keys.test_orders_of_persons import GRACE, HUGO, custodians, signatory

JOAN = PersonSigner("p-000000a4", Secret(bytes([4]) * 32))
STRANGER = PersonSigner("p-000000a5", Secret(bytes([5]) * 32))
PERSONS = (signatory(GRACE, Role.ENGINEER), signatory(HUGO, Role.OFFICER), signatory(JOAN, Role.OFFICER))


@pytest.fixture
def store(tmp_path: Path, clock: At, cheap: None) -> Iterator[Service]:
    """A store for production with an active key, which knows two officers and an engineer."""
    del cheap
    made = Service(tmp_path, clock, OPEN, production=True)
    made.answer(production())
    give(made, "anna", "ben")
    active(made, profile("REC", Algorithm.P384, Purpose.SIGN))
    made.answer(calls.Trust(custodians("ben", "cleo"), PERSONS))
    yield made
    made.close()


def decision(asked: Service, by: Sequence[PersonSigner] = (HUGO, JOAN), **changes: object) -> bytes:
    health = asked.answer(calls.Health())
    assert isinstance(health, Health)
    sound = KeyDecision(
        store=health.store,
        key="REC",
        state=KeyState.DEACTIVATED,
        reason="its year is over",
        changes=len(entry(asked, "REC").history),
        not_after=1_900_000_100,
    )
    return signed(msgspec.structs.replace(sound, **changes), by)


def test_two_officers_bring_a_key_into_another_state_once(store: Service) -> None:
    wanted = decision(store)
    store.answer(calls.DecideSigned(wanted))
    held = entry(store, "REC")
    last = held.history[-1]
    assert (held.state, last.actor, last.reason) == (
        KeyState.DEACTIVATED,
        "p-000000a2, p-000000a4",
        "its year is over",
    )
    with pytest.raises(PolicyError, match="was changed since the decision on it was drafted"):
        store.answer(calls.DecideSigned(wanted))
    store.answer(calls.DecideSigned(decision(store, state=KeyState.DESTROYED)))
    assert entry(store, "REC").state is KeyState.DESTROYED


@pytest.mark.parametrize(
    ("by", "changes", "why"),
    [
        ((HUGO,), {}, "two security officers sign"),
        ((HUGO, HUGO), {}, "two security officers sign|signed twice"),
        ((HUGO, GRACE), {}, "two security officers sign"),
        ((HUGO, STRANGER), {}, "decision on a key: "),
        ((HUGO, JOAN), {"store": "00" * 8}, "not of this one"),
        ((HUGO, JOAN), {"not_after": 1_899_999_999}, "no longer valid"),
        ((HUGO, JOAN), {"changes": 7}, "was changed since"),
        ((HUGO, JOAN), {"state": KeyState.PRE_ACTIVE}, "after that comes"),
    ],
)
def test_what_is_not_just_this_decision_changes_nothing(
    store: Service, by: Sequence[PersonSigner], changes: dict[str, object], why: str
) -> None:
    before = entry(store, "REC")
    with pytest.raises(PolicyError, match=why):
        store.answer(calls.DecideSigned(decision(store, by, **changes)))
    assert entry(store, "REC") == before


def test_an_altered_decision_and_one_on_no_key_are_refused(store: Service) -> None:
    wanted = decision(store)
    with pytest.raises(PolicyError, match="decision on a key: "):
        store.answer(calls.DecideSigned(wanted[:-20] + b"AAAA" + wanted[-16:]))
    with pytest.raises(RequestError, match="there is no key 'REC-9'"):
        store.answer(calls.DecideSigned(decision(store, key="REC-9")))


def test_a_sealed_store_takes_none(store: Service, tmp_path: Path, clock: At) -> None:
    wanted = decision(store)
    store.close()
    sealed = Service(tmp_path, clock, OPEN, production=True)
    with pytest.raises(LockedError, match="its custodians must activate it"):
        sealed.answer(calls.DecideSigned(wanted))
