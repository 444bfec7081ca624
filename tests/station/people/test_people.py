"""Accounts, logging in, sessions, acts of two persons: what must be refused is refused, and told."""

import asyncio
import os
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import msgspec
import pytest
from starlette.requests import Request

from station.authority import Action
from station.console.identity import COOKIE, Badges
from station.custody import durable_file
from station.custody.audit import Trust, audited
from station.custody.ledger import Entry
from station.custody.log_keys import key_of
from station.errors import ConfigError, StorageError
from station.people.database import Database
from station.people.dual_control import short
from station.people.login import LOCKED_S, TRIES
from station.people.people import People, people
from station.people.person import PeopleError
from station.people.pins import Cost, weak
from station.people.sessions import IDLE_S, WHOLE_S
from station.vault.desk.roles import Role
from tests.station.people.conftest import ENGINEER, OFFICER, Hand

OPERATOR = ("B-4711", "582093")


def refused(code: str, call: Callable[[], object]) -> str:
    with pytest.raises(PeopleError) as caught:
        call()
    assert caught.value.code == code
    return str(caught.value)


def operator(station: People, *roles: Role) -> str:
    both = station.proof(*ENGINEER), station.proof(*OFFICER)
    code = station.add("Asha Patel", frozenset(roles or (Role.OPERATOR,)), both)
    return station.enrol(code, *OPERATOR).id


def entries(station: People, tmp_path: Path) -> list[Entry]:
    station.publish()
    with sqlite3.connect(tmp_path / "people" / "people.db") as db:
        rows = db.execute("SELECT entry FROM leaf ORDER BY idx").fetchall()
    db.close()
    return [msgspec.json.decode(row[0], type=Entry) for row in rows]


# -- sessions and a disk
def test_a_session_counts_though_nothing_can_be_written(
    founded: People, clock: Hand, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = founded.enter(*ENGINEER, "panel")

    def full(self: Database) -> None:
        raise StorageError("people.db: database or disk is full")

    monkeypatch.setattr(Database, "changing", full)
    clock.at += 60
    assert founded.session(token, active=True) is not None
    clock.at += IDLE_S[Role.ENGINEER]
    assert founded.session(token, active=True) is None  # nobody has written that somebody was there


async def test_who_somebody_is_does_not_wait_for_whoever_changes_something(
    founded: People, tmp_path: Path
) -> None:
    badges = Badges(founded, "panel")
    request = Request(
        {"type": "http", "headers": [(b"cookie", f"{COOKIE}={founded.enter(*ENGINEER, 'panel')}".encode())]}
    )
    begun, done = Event(), Event()

    def changes(_: People) -> None:
        begun.set()
        done.wait()

    assert badges.on_people is not None
    busy = asyncio.get_running_loop().create_task(badges.on_people(changes))
    try:
        await asyncio.get_running_loop().run_in_executor(None, begun.wait)
        person = await badges.person(request, active=False)
        assert person is not None
    finally:
        done.set()
        await busy
        badges.close()


# -- accounts
def test_nobody_gets_in_before_the_first_codes_are_used(station: People) -> None:
    assert station.empty()
    assert station.listed() == []
    refused("denied", lambda: station.enter("operator", "000000", "panel"))
    codes = station.found()
    again = station.found()
    refused("denied", lambda: station.enrol(codes["first engineer"], *ENGINEER))  # replaced by the second
    station.enrol(again["first engineer"], *ENGINEER)
    refused("denied", lambda: station.enrol(again["first engineer"], "B-2", "280165"))  # used
    refused("wrong_state", station.found)
    assert not station.empty()


def test_a_code_is_good_for_a_day_and_survives_a_weak_pin(station: People, clock: Hand) -> None:
    code = station.found()["first engineer"]
    refused("bad_arguments", lambda: station.enrol(code, "B-1", "123456"))
    assert station.enrol(code.lower().replace("-", " "), *ENGINEER).roles == {Role.ENGINEER}
    assert not station.empty()


def test_an_old_code_is_refused(station: People, clock: Hand) -> None:
    code = station.found()["first engineer"]
    clock.at += 86_401
    refused("denied", lambda: station.enrol(code, *ENGINEER))


@pytest.mark.parametrize(
    "pin", ["", "12345", "123456", "876543", "000000", "121212", "12345a", "1" * 13, "١٢٣٤٥٦"]
)
def test_weak_pins(pin: str) -> None:
    assert weak(pin)


def test_an_account_takes_an_engineer_and_an_officer(founded: People) -> None:
    engineer = founded.proof(*ENGINEER)
    mine = engineer, founded.proof(*ENGINEER)
    refused("dual_denied", lambda: founded.add("A", frozenset({Role.OPERATOR}), mine))
    operator(founded)
    theirs = engineer, founded.proof(*OPERATOR)
    refused("dual_denied", lambda: founded.add("B", frozenset({Role.OPERATOR}), theirs))
    assert [one.name for one in founded.listed()] == [
        "Asha Patel",
        "first engineer",
        "first security officer",
    ]


def test_roles_that_nobody_has_at_once(founded: People) -> None:
    both = founded.proof(*ENGINEER), founded.proof(*OFFICER)
    reason = refused("denied", lambda: founded.add("A", frozenset({Role.OPERATOR, Role.OFFICER}), both))
    assert "at once" in reason
    refused("bad_arguments", lambda: founded.add("A", frozenset(), both))
    refused("wrong_state", lambda: founded.disable("first engineer", both[0]))


def test_a_badge_has_one_person_and_an_old_pin_does_not_come_back(founded: People) -> None:
    operator(founded)
    both = founded.proof(*ENGINEER), founded.proof(*OFFICER)
    code = founded.renew("Asha Patel", both)
    refused("wrong_state", lambda: founded.enrol(code, ENGINEER[0], "582094"))
    refused("bad_arguments", lambda: founded.enrol(code, *OPERATOR))
    founded.enrol(code, "B-NEW", "582094")
    refused("denied", lambda: founded.enter(*OPERATOR, "panel"))
    assert founded.enter("B-NEW", "582094", "panel")


# -- logging in
def test_five_wrong_pins_lock_the_account_also_after_a_restart(
    founded: People, clock: Hand, tmp_path: Path
) -> None:
    operator(founded)
    for _ in range(TRIES):
        assert refused("denied", lambda: founded.enter(OPERATOR[0], "999991", "panel")).startswith("badge or")
    assert "locked" in refused("denied", lambda: founded.enter(*OPERATOR, "panel"))
    with people(tmp_path / "people", "ws-07", clock, Cost.LOW) as again:
        assert "locked" in refused("denied", lambda: again.enter(*OPERATOR, "panel"))
    clock.at += LOCKED_S + 1
    refused("denied", lambda: founded.enter(OPERATOR[0], "999991", "panel"))
    clock.at += LOCKED_S + 1
    assert "locked" in refused("denied", lambda: founded.enter(*OPERATOR, "panel"))  # twice as long
    founded.unlock("Asha Patel", founded.proof(*ENGINEER))
    assert founded.enter(*OPERATOR, "panel")


def test_many_tries_at_once_are_no_more_than_many_in_a_row(founded: People) -> None:
    operator(founded)

    def wrong(_: int) -> str:
        return refused("denied", lambda: founded.enter(OPERATOR[0], "999991", "panel"))

    with ThreadPoolExecutor(8) as pool:
        told = list(pool.map(wrong, range(20)))
    assert sum("badge or" in one for one in told) == TRIES


def test_a_stranger_is_told_no_more_than_a_wrong_pin(founded: People) -> None:
    operator(founded)
    wrong = refused("denied", lambda: founded.enter(OPERATOR[0], "999991", "panel"))
    assert refused("denied", lambda: founded.enter("nobody's", "999991", "panel")) == wrong
    founded.disable("Asha Patel", founded.proof(*OFFICER))
    assert refused("denied", lambda: founded.enter(*OPERATOR, "panel")) == wrong


# -- sessions
def test_a_session_ends_with_logout_rest_shift_and_account(founded: People, clock: Hand) -> None:
    operator(founded)
    token = founded.enter(*OPERATOR, "panel")
    found = founded.session(token)
    assert found is not None
    assert (found.person.name, found.means) == ("Asha Patel", "pin")
    assert found.person.roles == {Role.OPERATOR}
    founded.leave(token)
    assert founded.session(token) is None
    token = founded.enter(*OPERATOR, "panel")
    clock.at += IDLE_S[Role.OPERATOR] + 1
    assert founded.session(token) is None
    token, ends = founded.enter(*OPERATOR, "panel"), clock.at + WHOLE_S[Role.OPERATOR]
    while clock.at < ends:
        assert founded.session(token) is not None
        clock.at += IDLE_S[Role.OPERATOR] - 1
    assert founded.session(token) is None
    token = founded.enter(*OPERATOR, "panel")
    founded.disable("Asha Patel", founded.proof(*OFFICER))
    assert founded.session(token) is None


def test_a_page_that_only_looks_does_not_keep_a_session(founded: People, clock: Hand) -> None:
    token = founded.enter(*ENGINEER, "panel")
    clock.at += IDLE_S[Role.ENGINEER] - 1
    assert founded.session(token, active=False) is not None
    clock.at += 2
    assert founded.session(token, active=False) is None


def test_a_clock_that_is_set_back_ends_sessions(founded: People, clock: Hand) -> None:
    token = founded.enter(*ENGINEER, "panel")
    clock.at -= 60
    assert founded.session(token) is None


def test_new_roles_count_at_once(founded: People) -> None:
    operator(founded)
    token = founded.enter(*OPERATOR, "panel")
    both = founded.proof(*ENGINEER), founded.proof(*OFFICER)
    founded.give_roles("Asha Patel", frozenset({Role.TECHNICIAN}), both)
    found = founded.session(token)
    assert found is not None
    assert found.person.roles == {Role.TECHNICIAN}


def test_a_forged_token_is_nobodys(founded: People) -> None:
    token = founded.enter(*ENGINEER, "panel")
    assert founded.session(token[:-1] + ("A" if token[-1] != "A" else "B")) is None
    assert founded.session("") is None


# -- acts of two persons
def test_an_act_is_exactly_this_once_and_in_time(founded: People, clock: Hand) -> None:
    ask, approve = founded.dual.ask, founded.dual.approve
    engineer, officer = founded.proof(*ENGINEER), founded.proof(*OFFICER)
    act = ask(engineer, Action.KEEP_PEOPLE, "A", {"roles": ["operator"]})
    other = ask(engineer, Action.KEEP_PEOPLE, "A", {"roles": ["engineer"]})
    assert act.digest != other.digest
    assert len(short(act.digest)) == 19
    refused("dual_denied", lambda: approve(act.digest, engineer))
    approve(act.digest, officer)
    with founded._in.database.changing() as db:
        refused("dual_pending", lambda: founded.dual.use(db, other))
        assert len(founded.dual.use(db, act)) == 2
        refused("dual_denied", lambda: founded.dual.use(db, act))
    clock.at += 121
    refused("dual_expired", lambda: approve(other.digest, officer))
    refused("not_found", lambda: approve("0" * 64, officer))


def test_roles_count_again_when_an_act_is_done(founded: People) -> None:
    operator(founded, Role.ENGINEER)
    act = founded.dual.ask(founded.proof(*OPERATOR), Action.KEEP_PEOPLE, "A", {})
    founded.dual.approve(act.digest, founded.proof(*OFFICER))
    founded.disable("Asha Patel", founded.proof(*OFFICER))
    with founded._in.database.changing() as db:
        refused("dual_pending", lambda: founded.dual.use(db, act))


def test_a_denied_act_is_over(founded: People) -> None:
    act = founded.dual.ask(founded.proof(*ENGINEER), Action.KEEP_PEOPLE, "A", {})
    founded.dual.deny(act.digest, founded.proof(*OFFICER))
    refused("dual_denied", lambda: founded.dual.approve(act.digest, founded.proof(*OFFICER)))


# -- the ledger, and what is at rest
def test_everything_is_in_a_ledger_that_an_auditor_can_check(founded: People, tmp_path: Path) -> None:
    person = operator(founded)
    founded.leave(founded.enter(*OPERATOR, "panel"))
    refused("denied", lambda: founded.enter(OPERATOR[0], "999991", "panel"))
    told = [(one.event, one.actor) for one in entries(founded, tmp_path)]
    assert told[0] == ("log.opened", None)
    kinds = ["person.added", "person.enrolled", "session.opened", "session.closed", "session.refused"]
    assert [event for event, actor in told if actor == person] == kinds
    assert [event for event, _ in told].count("approval.used") == 1
    trust = Trust([key_of(line) for line in founded.log_keys])
    report = audited(tmp_path / "people" / "ledger", trust)
    assert report.sound
    assert report.size == len(told)
    operator_again = founded.enter(*OPERATOR, "panel")
    founded.publish()
    assert audited(tmp_path / "people" / "ledger", trust).size == len(told) + 1
    founded.leave(operator_again)


def test_no_file_says_a_pin_a_badge_or_a_token(founded: People, tmp_path: Path) -> None:
    operator(founded)
    token = founded.enter(*OPERATOR, "panel")
    founded.publish()
    content = b"".join(path.read_bytes() for path in (tmp_path / "people").rglob("*") if path.is_file())
    for secret in (*OPERATOR, *ENGINEER, token):
        assert secret.encode() not in content
    for path in (tmp_path / "people").iterdir():
        if path.name in ("people.db", "pepper", "ledger.key"):
            assert path.stat().st_mode & 0o077 == 0


def test_a_database_without_its_pepper_is_worth_nothing(founded: People, clock: Hand, tmp_path: Path) -> None:
    (tmp_path / "people" / "pepper").write_bytes(os.urandom(32))
    with people(tmp_path / "people", "ws-07", clock, Cost.LOW) as stolen:
        refused("denied", lambda: stolen.enter(*ENGINEER, "panel"))


def test_a_credential_of_the_service_goes_before_the_file(
    tmp_path: Path, clock: Hand, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pepper").write_bytes(os.urandom(32))
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    with people(tmp_path / "people", "ws-07", clock, Cost.LOW) as station:
        station.enrol(station.found()["first engineer"], *ENGINEER)
    assert not (tmp_path / "people" / "pepper").exists()
    (tmp_path / "pepper").write_bytes(b"short")
    with (
        pytest.raises(ConfigError, match="a pepper has 32"),
        people(tmp_path / "people", "ws-07", clock, Cost.LOW),
    ):
        pass


def test_the_ledger_is_published_as_people_come_and_go(founded: People, tmp_path: Path) -> None:
    keys = Trust([key_of(line) for line in founded.log_keys])
    founded.leave(founded.enter(*ENGINEER, "panel"))
    report = audited(tmp_path / "people" / "ledger", keys)
    assert report.sound
    assert report.events["session.closed"] == 1


def test_two_processes_publish_one_after_the_other(founded: People, clock: Hand, tmp_path: Path) -> None:
    with people(tmp_path / "people", "ws-07", clock, Cost.LOW) as other:
        for one in (founded, other, founded, other):
            one.leave(one.enter(*ENGINEER, "panel"))
    with durable_file.held(tmp_path / "people"):
        assert founded.publish() is None
    founded.publish()
    assert audited(tmp_path / "people" / "ledger", Trust([key_of(line) for line in founded.log_keys])).sound
