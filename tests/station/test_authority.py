"""Every way in names an action, and each action lets in whom the table says, in the states it says."""

from typing import get_args

import msgspec
import pytest

from station import authority, commands
from station.authority import ANYBODY, HOST, RIGHTS, Action, Remote
from station.cli import hardbin
from station.cli.actions import COMMANDS, GROUPS, actions_of
from station.engine.states import LEGAL, State
from station.vault.desk.roles import Role
from tests.docs.test_references import commands as verbs
from tests.docs.test_references import page, rows, section
from tests.station.console.test_ways import Floor

QUALITIES = [*(frozenset({role.value}) for role in Role), frozenset({HOST}), frozenset()]
STOPPING = {Action.PAUSE, Action.ABORT}


def test_every_command_of_the_cell_names_an_action() -> None:
    assert {str(kind.__struct_config__.tag) for kind in get_args(commands.Any)} <= set(Action)


def test_every_command_of_the_command_line_names_its_actions() -> None:
    paths = {path.removeprefix("hardbin ") for path, _ in verbs(hardbin)}
    nameless = {path for path in paths if path not in COMMANDS and path.partition(" ")[0] not in GROUPS}
    assert not nameless, "name their actions in station/cli/actions.py"
    assert set(COMMANDS) <= paths
    assert all(actions_of(path) for path in paths)


def test_every_action_has_a_right_and_somebody_who_names_it() -> None:
    assert set(RIGHTS) == set(Action)
    named = {action for actions in (*COMMANDS.values(), *GROUPS.values()) for action in actions}
    of_the_cell = {str(kind.__struct_config__.tag) for kind in get_args(commands.Any)}
    at_the_console = {way.action for way in Floor().console.ways()}
    assert set(Action) <= named | of_the_cell | authority.REMOTE | at_the_console


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("action", [action for action in Action if action.value in LEGAL])
def test_role_goes_before_state(action: Action, state: State) -> None:
    for roles in QUALITIES:
        found = authority.objection(action, roles, state)
        may = action in STOPPING or bool(RIGHTS[action].who & roles)
        legal = state in LEGAL[action.value]
        assert (None if found is None else found[0]) == (
            "denied" if not may else None if legal else "wrong_state"
        )


def test_what_the_reference_says_of_roles() -> None:
    for role in (Role.OFFICER, Role.AUDITOR, Role.CUSTODIAN):
        allowed = {a for a in Action if a.value in LEGAL and not authority.denied(a, frozenset({role}))}
        officers = {Action.RELEASE, Action.RECOVER, Action.RELEASE_KEYS}  # of a hold for custody, and keys
        assert allowed == STOPPING | (officers if role is Role.OFFICER else set())
    assert authority.denied(Action.RELEASE, frozenset({Role.OPERATOR}))
    assert RIGHTS[Action.RELEASE].remote is Remote.NEVER
    assert all(RIGHTS[action].who == ANYBODY for action in STOPPING)


def test_the_page_has_the_table() -> None:
    told = [tuple(row) for row in rows(section(page("authority"), "Actions"))]
    assert told == [
        (action.value, ", ".join(sorted(right.who)) or "anyone", right.remote.value)
        for action, right in RIGHTS.items()
    ]


def test_a_command_says_in_which_quality_it_is_asked() -> None:
    sent = commands.Load(id="1", actor="p-1", roles=frozenset({"operator"}), lot="L", quantity=1)
    assert msgspec.json.decode(msgspec.json.encode(sent), type=commands.Any) == sent
