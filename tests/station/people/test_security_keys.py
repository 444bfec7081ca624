"""Security keys: registered by their person, answers to one challenge from one page, and never twice."""

import pytest

from station.authority import Action
from station.people.people import People
from station.people.person import PeopleError
from station.people.security_keys import Page
from station.people.sessions import Session
from station.vault.desk.roles import Role
from tests.station.people.authenticator import PRESENT, Authenticator
from tests.station.people.conftest import ENGINEER, OFFICER, Hand

PAGE = Page("ws-07.floor", "https://ws-07.floor:8700")
ELSEWHERE = Page("ws-07.floor", "https://evil.example")


def session(station: People, badge: str, pin: str) -> Session:
    found = station.session(station.enter(badge, pin, "panel"))
    assert found is not None
    return found


@pytest.fixture
def key(founded: People) -> Authenticator:
    one = Authenticator(PAGE.origin)
    mine = session(founded, *OFFICER)
    founded.keys.register(mine, PAGE, one.create(founded.keys.registration(mine, PAGE)))
    return one


def test_an_officer_with_a_key_logs_in_with_it_and_not_with_the_pin(
    founded: People, key: Authenticator
) -> None:
    with pytest.raises(PeopleError, match="security key"):
        founded.enter(*OFFICER, "panel")
    person = founded.keys.person(PAGE, key.get(founded.keys.greeting(PAGE)))
    assert person.roles == {Role.OFFICER}
    found = founded.session(founded.login.open(person, "panel", "key"))
    assert found is not None
    assert found.means == "key"


def test_an_answer_counts_once(founded: People, key: Authenticator) -> None:
    answer = key.get(founded.keys.greeting(PAGE))
    founded.keys.person(PAGE, answer)
    with pytest.raises(PeopleError, match="no such challenge"):
        founded.keys.person(PAGE, answer)


def test_a_challenge_is_open_for_a_while(founded: People, key: Authenticator, clock: Hand) -> None:
    answer = key.get(founded.keys.greeting(PAGE))
    clock.at += 121
    with pytest.raises(PeopleError, match="no such challenge"):
        founded.keys.person(PAGE, answer)


def test_another_page_cannot_pass_an_answer_on(founded: People, key: Authenticator) -> None:
    key.origin = ELSEWHERE.origin
    with pytest.raises(PeopleError, match="not good"):
        founded.keys.person(PAGE, key.get(founded.keys.greeting(PAGE)))


def test_a_key_that_did_not_verify_its_person_counts_for_nothing(founded: People, key: Authenticator) -> None:
    key.flags = PRESENT
    with pytest.raises(PeopleError, match="not good"):
        founded.keys.person(PAGE, key.get(founded.keys.greeting(PAGE)))


def test_a_copied_key_is_noticed_by_its_counter(founded: People, key: Authenticator) -> None:
    key.counter = 5
    founded.keys.person(PAGE, key.get(founded.keys.greeting(PAGE)))
    key.counter = 3
    with pytest.raises(PeopleError, match="not good"):
        founded.keys.person(PAGE, key.get(founded.keys.greeting(PAGE)))


def test_anothers_key_is_nobodys(founded: People, key: Authenticator) -> None:
    with pytest.raises(PeopleError, match="nobody here"):
        founded.keys.person(PAGE, Authenticator(PAGE.origin).get(founded.keys.greeting(PAGE)))
    false = Authenticator(PAGE.origin, credential=key.credential)
    with pytest.raises(PeopleError, match="not good"):
        founded.keys.person(PAGE, false.get(founded.keys.greeting(PAGE)))
    with pytest.raises(PeopleError, match="no answer"):
        founded.keys.person(PAGE, "{}")


def test_a_key_has_one_person(founded: People, key: Authenticator) -> None:
    mine = session(founded, *ENGINEER)
    with pytest.raises(PeopleError, match="its person already"):
        founded.keys.register(mine, PAGE, key.create(founded.keys.registration(mine, PAGE)))


def test_a_further_key_takes_the_first_one(founded: People, key: Authenticator) -> None:
    person = founded.keys.person(PAGE, key.get(founded.keys.greeting(PAGE)))
    by_pin = founded.session(founded.login.open(person, "panel", "pin"))
    assert by_pin is not None
    with pytest.raises(PeopleError, match="further key"):
        founded.keys.registration(by_pin, PAGE)


def test_consent_signs_exactly_one_act(founded: People, key: Authenticator) -> None:
    ask = founded.dual.ask
    act = ask(founded.proof(*ENGINEER), Action.KEEP_PEOPLE, "A", {"roles": ["operator"]})
    other = ask(founded.proof(*ENGINEER), Action.KEEP_PEOPLE, "A", {"roles": ["engineer"]})
    answer = key.get(founded.keys.question(act.digest, PAGE))
    with pytest.raises(PeopleError, match="not good"):
        founded.keys.consent(other.digest, PAGE, answer)
    proof = founded.keys.consent(act.digest, PAGE, answer)
    founded.dual.approve(act.digest, proof)
    with founded._in.database.changing() as db:
        assert len(founded.dual.use(db, act)) == 2
