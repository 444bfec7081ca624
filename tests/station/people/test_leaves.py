"""What becomes of persons is in the station's ledger: each act an entry with its fields, no refusal one."""

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from station.authority import Action
from station.custody.ledger import Entry
from station.people.login import TRIES
from station.people.people import People
from station.people.person import PeopleError
from station.people.sessions import Session
from station.vault.desk.roles import Role
from tests.station.people.authenticator import Authenticator
from tests.station.people.conftest import ENGINEER, OFFICER
from tests.station.people.test_people import OPERATOR, entries, operator, refused
from tests.station.people.test_security_keys import ELSEWHERE, PAGE, session

NAME, SOURCE = "Asha Patel", "station:ws-07"


@pytest.fixture
def told(founded: People, tmp_path: Path) -> Callable[[str], list[Entry]]:
    """The entries of the ledger that tell of an event."""
    return lambda event: [one for one in entries(founded, tmp_path) if one.event == event]


def ids(station: People) -> tuple[str, str]:
    return station.proof(*ENGINEER).person.id, station.proof(*OFFICER).person.id


Told = Callable[[str], list[Entry]]


def test_who_gets_a_new_code_is_told_once_two_have_consented(founded: People, told: Told) -> None:
    person = operator(founded)
    both = founded.proof(*ENGINEER), founded.proof(*OFFICER)
    founded.renew(NAME, both)
    (entry,) = told("person.renewed")
    assert (entry.actor, entry.src, entry.data) == (person, SOURCE, {})
    used = told("approval.used")[-1]
    assert used.seq == entry.seq - 1, "who did it is told right before"
    refused("dual_denied", lambda: founded.renew(NAME, (both[0], both[0])))
    refused("not_found", lambda: founded.renew("Nobody", both))
    assert len(told("person.renewed")) == 1


def test_who_is_disabled_is_told_with_who_did_it(founded: People, told: Told) -> None:
    person = operator(founded)
    refused("denied", lambda: founded.disable(NAME, founded.proof(*OPERATOR)))
    assert told("person.disabled") == []
    founded.disable(NAME, founded.proof(*ENGINEER))
    (entry,) = told("person.disabled")
    assert (entry.actor, entry.src, entry.data) == (person, SOURCE, {"by": ids(founded)[0]})


def test_who_is_unlocked_is_told_with_who_did_it(founded: People, told: Told) -> None:
    person = operator(founded)
    for _ in range(TRIES):
        refused("denied", lambda: founded.enter(OPERATOR[0], "999991", "panel"))
    with pytest.raises(PeopleError):
        founded.enter(*OPERATOR, "panel")
    founded.unlock(NAME, founded.proof(*OFFICER))
    (entry,) = told("person.unlocked")
    assert (entry.actor, entry.src, entry.data) == (person, SOURCE, {"by": ids(founded)[1]})
    own: Session | None = founded.session(founded.enter(*OPERATOR, "panel"))
    assert own is not None, "what is told is done"
    refused("denied", lambda: founded.unlock(NAME, founded.proof(*OPERATOR)))
    assert len(told("person.unlocked")) == 1


def test_a_security_key_is_told_by_the_hash_of_its_name(founded: People, told: Told) -> None:
    one, mine = Authenticator(PAGE.origin), session(founded, *OFFICER)
    with pytest.raises(PeopleError):
        founded.keys.register(mine, ELSEWHERE, one.create(founded.keys.registration(mine, PAGE)))
    assert told("person.key") == [], "a key from another page is none"
    founded.keys.register(mine, PAGE, one.create(founded.keys.registration(mine, PAGE)))
    (entry,) = told("person.key")
    digest = sha256(one.credential).hexdigest()[:16]
    assert (entry.actor, entry.src, entry.data) == (ids_by_key(founded, one), SOURCE, {"credential": digest})


def ids_by_key(station: People, key: Authenticator) -> str:
    return station.keys.person(PAGE, key.get(station.keys.greeting(PAGE))).id


def test_what_is_asked_of_two_is_told_before_the_second_consents(founded: People, told: Told) -> None:
    act = founded.dual.ask(founded.proof(*ENGINEER), Action.KEEP_PEOPLE, "A", {"roles": ["operator"]})
    (entry,) = [one for one in told("dual.requested") if one.data["digest"] == act.digest]
    wanted = {"digest": act.digest, "action": "people.keep", "means": "pin"}
    assert (entry.actor, entry.src, entry.data) == (ids(founded)[0], SOURCE, wanted)
    assert not [one for one in told("approval.given") if one.data["digest"] == act.digest]
    before = len(told("dual.requested"))
    operator(founded, Role.OPERATOR)
    asked = len(told("dual.requested"))
    assert asked == before + 1
    with pytest.raises(PeopleError):
        founded.dual.ask(founded.proof(*OPERATOR), Action.KEEP_PEOPLE, "A", {})
    assert len(told("dual.requested")) == asked, "who may not ask has asked nothing"
