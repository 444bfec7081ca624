"""Whatever is proposed and approved: an action runs only if two approved exactly it, in time."""

import asyncio
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import booleans, builds, integers, lists, sampled_from

from station.vault.desk.documents import Request
from station.vault.desk.roles import Action, Role
from station.vault.desk.statement import signed
from station.vault.wire import desk_pb2 as wire
from tests.station.vault.desk.test_desk import ENGINEER, NOBODY, OFFICER, RELEASED
from tests.station.vault.desks import SECOND_OFFICER, SIGNERS, opened_desk


@dataclass(frozen=True)
class Given:
    """An approval that somebody gives, for one of two actions, perhaps late, perhaps once more."""

    person: int
    action: int
    wait_s: int
    claims_officer: bool


PEOPLE = (OFFICER, SECOND_OFFICER, ENGINEER, SIGNERS[Role.OPERATOR], NOBODY)
GIVEN = builds(Given, integers(0, 4), integers(0, 1), sampled_from([0, 0, 0, 250, 601]), booleans())


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=lists(GIVEN, max_size=8))
def test_an_action_runs_only_if_two_officers_approved_exactly_it_in_time(
    tmp_path_factory: pytest.TempPathFactory, history: list[Given]
) -> None:
    asyncio.run(_history(tmp_path_factory.mktemp("desk"), history))


async def _history(folder: Path, history: list[Given]) -> None:
    async with opened_desk(folder) as desk:
        actions: list[Request] = []
        for unit in ("L1/1", "L1/2"):
            asked = replace(RELEASED, parameters={**RELEASED.parameters, "units": [unit]})
            actions.append(desk.request(asked, OFFICER))
            await desk.call(Action.RELEASE_UNIT, wire.Call(request=signed(actions[-1], [OFFICER])))
        approved_at: tuple[dict[str, float], ...] = ({}, {})
        done: set[int] = set()
        for one in history:
            desk.now += one.wait_s
            who = PEOPLE[one.person]
            role = Role.OFFICER if one.claims_officer else Role.ENGINEER
            answer = await desk.approve(actions[one.action], who, role)
            in_time = desk.now <= actions[one.action].expires_at and one.action not in done
            if who in (OFFICER, SECOND_OFFICER) and role is Role.OFFICER and in_time:
                approved_at[one.action].setdefault(who.kid, desk.now)
            fresh = [at for at in approved_at[one.action].values() if desk.now - at <= 600]
            if answer.code == "ok":
                assert len(fresh) == 2, "it ran without two officers"
                done.add(one.action)
        for number, unit in enumerate(("L1/1", "L1/2")):
            assert await desk.account(unit) == ("WIP" if number in done else "QUARANTINE")
            assert (len(approved_at[number]) == 2) == (number in done)
