"""Who may do what at the desk, and what two persons must have approved."""

import sqlite3
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest

from sim.dut.transport import development_uid
from station.recipe.content import Recipe
from station.vault.ceremonies.bundle import Content
from station.vault.claims import Claim, Claims
from station.vault.desk import people
from station.vault.desk.client import Asked, approved
from station.vault.desk.documents import KeyRelease, ProfileRelease, UidList
from station.vault.desk.orders import Orders, Place
from station.vault.desk.reception import reception
from station.vault.desk.roles import APART, RIGHTS, Action, Role, conflict
from station.vault.desk.signers import DEVELOPMENT, PersonSigner
from station.vault.desk.statement import Statement, StatementError, opened, signed
from station.vault.faults import Code, FaultError
from station.vault.journal import Journal
from station.vault.profiles import SE1
from station.vault.secret import Secret
from station.vault.stops import Stops
from station.vault.times import Times
from station.vault.vigilance import Stop
from station.vault.wire import desk_pb2 as wire
from tests.station.vault.desks import SECOND_OFFICER, SIGNERS, DeskHere, add_person, opened_desk
from tests.station.vault.dies import NOW
from tests.station.vault.vaults import TELLER, work_order

CUSTODIAN = PersonSigner("p-0000000c", Secret(b"c" * 32))
NOBODY = PersonSigner("p-0000000f", Secret(b"f" * 32))
ENGINEER, OFFICER = SIGNERS[Role.ENGINEER], SIGNERS[Role.OFFICER]
OFFICERS = ((OFFICER, Role.OFFICER), (SECOND_OFFICER, Role.OFFICER))
MIXED = ((ENGINEER, Role.ENGINEER), (OFFICER, Role.OFFICER))
SOUND = {"units": ["L1/1"], "reason": "looked at"}


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[DeskHere]:
    async with opened_desk(tmp_path) as desk:
        yield desk


def document(statement: Statement, *signers: PersonSigner) -> bytes:
    return signed(statement, signers)


NEW_ORDER = document(work_order(id="WO-2"), ENGINEER, OFFICER)
RELEASE = document(
    KeyRelease(key_set="KS-1", order="WO-1", stations=("cell",), not_after=int(NOW) + 60),
    OFFICER,
    SECOND_OFFICER,
)
DIES = document(
    UidList(id="UL-1", product="se1", uids=(development_uid(5).hex(), development_uid(6).hex())),
    ENGINEER,
    OFFICER,
)
PROFILE = document(
    ProfileRelease(profile=msgspec.structs.replace(SE1, crl_base="http://crl.example/")), ENGINEER, OFFICER
)
RECIPE = document(
    Recipe(
        name="se1-ft",
        version=4,
        product="se1",
        sequence="se1-final-test",
        base="5" * 64,
        not_before=int(NOW),
        not_after=int(NOW) + 60,
    ),
    ENGINEER,
)
RECIPE_HASH = sha256(opened(RECIPE).payload).hexdigest()
CEREMONY = document(
    Content(ceremony="destroy", plan="1" * 64, transcript="2" * 64, store="3" * 32, keys=()), OFFICER
)
ASKED: Mapping[Action, Asked] = {
    Action.ADD_ORDER: Asked(Action.ADD_ORDER, "WO-2", document=NEW_ORDER),
    Action.CLOSE_ORDER: Asked(Action.CLOSE_ORDER, "WO-1", {"reason": "done"}),
    Action.SHOW_ORDERS: Asked(Action.SHOW_ORDERS),
    Action.RELEASE_KEYS: Asked(Action.RELEASE_KEYS, "WO-1", document=RELEASE),
    Action.ADD_DIES: Asked(Action.ADD_DIES, "UL-1", document=DIES),
    Action.RELEASE_PROFILE: Asked(Action.RELEASE_PROFILE, "se1", document=PROFILE),
    Action.RELEASE_RECIPE: Asked(
        Action.RELEASE_RECIPE, RECIPE_HASH, {"fingerprint": "4" * 64}, document=RECIPE
    ),
    Action.IMPORT_CEREMONY: Asked(Action.IMPORT_CEREMONY, "destroy", document=CEREMONY),
    Action.APPROVE: Asked(Action.APPROVE, "0" * 64),
    Action.SHOW_PROPOSALS: Asked(Action.SHOW_PROPOSALS),
    Action.RELEASE_UNIT: Asked(Action.RELEASE_UNIT, "L1", SOUND | {"to": "WIP"}),
    Action.RELEASE_LINE: Asked(Action.RELEASE_LINE, "", {"reason": "found"}),
    Action.DESTROY: Asked(Action.DESTROY, "L1", SOUND | {"method": "shredder", "place": "room 4"}),
    Action.MARK_MISSING: Asked(Action.MARK_MISSING, "L1", SOUND | {"incident": "INC-7"}),
    Action.SAMPLE: Asked(Action.SAMPLE, "L1", {"units": ["L1/9"], "reason": "lab"}),
    Action.RETURN: Asked(Action.RETURN, "L1", {"units": ["L1/4"], "reason": "customer"}),
    Action.SHIP: Asked(Action.SHIP, "L1", {"units": ["L1/4"], "reason": "sold", "delivery": "D-1"}),
    Action.TAKE_BACK: Asked(Action.TAKE_BACK, "L1", {"units": ["L1/4"], "reason": "broken", "order": "R-1"}),
    Action.SHOW_BOX: Asked(Action.SHOW_BOX, "L1/1"),
    Action.OPEN_UNIT: Asked(Action.OPEN_UNIT, "L1/1", document=b"{}"),
    Action.ADD_PERSON: Asked(Action.ADD_PERSON, NOBODY.kid, {"roles": ["operator"]}, document=NOBODY.card()),
    Action.CHANGE_ROLES: Asked(Action.CHANGE_ROLES, SIGNERS[Role.AUDITOR].kid, {"roles": []}),
    Action.SHOW_PEOPLE: Asked(Action.SHOW_PEOPLE),
    Action.CLOSE_LOT: Asked(Action.CLOSE_LOT, "L1"),
    Action.SEAL: Asked(Action.SEAL, "L1", {"container": "L1/bin-4", "seal": "S-1"}),
    Action.BALANCE: Asked(Action.BALANCE, "L1"),
    Action.UNITS: Asked(Action.UNITS, "L1"),
    Action.ROTATE_LOG: Asked(Action.ROTATE_LOG, "ahm1.example/2027", {"reason": "a new year"}),
}
# operator, technician, engineer, officer, custodian, auditor: o alone, p one of two, s a document that others
# signed, n nothing there to do, w not yet, - denied
MATRIX = """
order.add     --ss--
order.close   --oo--
order.show    oooo-o
key.release   ---s--
dies.add      --ss--
profile.release --ss--
recipe.release --pp--
ceremony.import ---p--
approve       nnnn--
approve.show  oooo-o
unit.release  ---p--
line.release  ---p--
unit.destroy  pppp--
unit.missing  --pp--
unit.sample   --o---
unit.return   --pp--
unit.ship     --ww--
unit.rma      --ww--
rma.box       ---n--
rma.open      ---p--
person.add    --pp--
person.roles  --pp--
person.show   --oo-o
lot.close     www---
container.seal nnn---
balance       oooo-o
units         oooo-o
log.rotate    --pp--
"""
LETTERS = (Role.OPERATOR, Role.TECHNICIAN, Role.ENGINEER, Role.OFFICER, Role.CUSTODIAN, Role.AUDITOR)
CODES = {"w": "wrong_state", "o": "ok", "s": "ok", "p": "dual_pending", "n": "not_found", "-": "denied"}
CELLS = [
    pytest.param(Action(name), role, CODES[letter], id=f"{name}-{role}")
    for name, letters in (line.split() for line in MATRIX.split("\n") if line)
    for role, letter in zip(LETTERS, letters, strict=True)
]


@pytest.mark.parametrize(("action", "role", "code"), CELLS)
async def test_every_call_of_every_role(desk: DeskHere, action: Action, role: Role, code: str) -> None:
    await desk.journal.commit(lambda db: add_person(db, CUSTODIAN, [Role.CUSTODIAN]))
    answer = await desk.ask(ASKED[action], {**SIGNERS, Role.CUSTODIAN: CUSTODIAN}[role])
    assert (answer.code, bool(answer.body)) == (code, code == "ok"), answer.detail


def test_the_matrix_has_every_action_of_the_desk() -> None:
    assert {cell.values[0] for cell in CELLS} == set(Action) == set(RIGHTS)


def test_nobody_is_operator_and_officer_at_once() -> None:
    assert conflict([Role.OPERATOR, Role.OFFICER])
    assert conflict([Role.AUDITOR, Role.ENGINEER])
    assert not conflict([Role.ENGINEER, Role.OPERATOR])
    assert not any(one & other for one, other in APART)


async def test_a_profile_that_no_device_can_be_made_by_is_refused(desk: DeskHere) -> None:
    for changes in (
        {"slots": (1, 2)},
        {"attesting": 3},
        {"payload_max": 10},
        {"policy_oid": "1.2.x"},
        {"rejection_check": 0},
        {"product": "se2"},
    ):
        release = document(ProfileRelease(profile=msgspec.structs.replace(SE1, **changes)), ENGINEER, OFFICER)
        target = str(changes.get("product", "se1"))
        answer = await desk.ask(Asked(Action.RELEASE_PROFILE, target, document=release), ENGINEER)
        assert answer.code == "malformed", changes


async def test_an_order_holds_for_the_profile_that_it_names(desk: DeskHere) -> None:
    assert (await desk.ask(ASKED[Action.RELEASE_PROFILE], ENGINEER)).code == "ok"
    with pytest.raises(FaultError, match="another profile of se1") as caught:
        await desk.registry.open_lot("L2", "se1", "WO-1", 5, NOW)
    assert caught.value.code is Code.PROFILE_MISMATCH


async def test_roles_that_exclude_each_other_cannot_be_given(desk: DeskHere) -> None:
    asked = replace(
        ASKED[Action.CHANGE_ROLES],
        target="p-00000004",
        parameters={"roles": ["operator", "security-officer"]},
    )
    answer = await desk.ask(asked, ENGINEER, MIXED)
    assert (answer.code, answer.detail) == ("denied", "nobody is security-officer and operator at once")


async def test_the_last_officers_cannot_be_taken_away(desk: DeskHere) -> None:
    asked = Asked(Action.CHANGE_ROLES, SECOND_OFFICER.kid, {"roles": []})
    assert (await desk.ask(asked, ENGINEER, MIXED)).code == "wrong_state"


async def test_only_a_development_vault_has_persons_whom_anybody_can_sign_for(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "vault.sqlite")
    await journal.open()
    for mode, count in (("production", 0), ("development", len(DEVELOPMENT))):
        await reception(journal, Orders(Place()), Stops(), TELLER, Times(development=True, epoch=NOW), mode)
        assert len(await journal.commit(people.everybody)) == count
    journal.close()


@pytest.mark.parametrize(
    ("asked", "event", "told"),
    [
        (ASKED[Action.CLOSE_ORDER], "order.closed", {"reason": "done"}),
        (
            ASKED[Action.CHANGE_ROLES],
            "role.changed",
            {
                "person": SIGNERS[Role.AUDITOR].kid,
                "roles": [],
                "persons": [ENGINEER.kid, OFFICER.kid],
            },
        ),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
async def test_what_is_done_at_the_desk_is_a_leaf(
    desk: DeskHere, asked: Asked, event: str, told: dict[str, object]
) -> None:
    assert (await desk.ask(asked, ENGINEER, MIXED)).code == "ok"
    assert [one["data"] for one in await desk.facts(event)] == [told]
    assert (await desk.ask(asked, NOBODY)).code != "ok"
    assert len(await desk.facts(event)) == 1, "what is refused is none"


async def test_a_recipe_that_two_release_is_a_leaf_once(desk: DeskHere) -> None:
    asked = ASKED[Action.RELEASE_RECIPE]
    assert (await desk.ask(asked, ENGINEER, MIXED[:1])).code == "dual_pending"
    assert await desk.facts("recipe.released") == [], "one person releases nothing"
    assert (await desk.ask(asked, ENGINEER, MIXED)).code == "ok"
    (leaf,) = await desk.facts("recipe.released")
    assert (leaf["src"], leaf["actor"]) == ("desk", ENGINEER.kid)
    assert leaf["data"] == {
        "recipe": RECIPE_HASH,
        "fingerprint": "4" * 64,
        "name": "se1-ft",
        "version": 4,
        "product": "se1",
        "base": "5" * 64,
        "statement": sha256(RECIPE).hexdigest(),
        "signed_by": [ENGINEER.kid, OFFICER.kid],
    }
    again = await desk.ask(asked, ENGINEER, MIXED)
    assert (again.code, again.detail) == ("wrong_state", "recipe se1-ft 4 was released before")
    other = msgspec.structs.replace(opened(RECIPE).read(Recipe), base="6" * 64)
    words = document(other, ENGINEER)
    target = sha256(opened(words).payload).hexdigest()
    for changed, code in (
        (replace(asked, target=target, document=words), "wrong_state"),
        (replace(asked, target=target), "malformed"),
        (replace(asked, target=sha256(opened(PROFILE).payload).hexdigest(), document=PROFILE), "malformed"),
    ):
        assert (await desk.ask(changed, ENGINEER, MIXED)).code == code
    assert len(await desk.facts("recipe.released")) == 1


async def test_a_log_that_two_rotate_ends_and_the_next_names_it(desk: DeskHere) -> None:
    asked = ASKED[Action.ROTATE_LOG]
    assert (await desk.ask(asked, ENGINEER, MIXED[:1])).code == "dual_pending"
    assert await desk.facts("log.rotated") == [], "one person ends nothing"
    answer = await desk.ask(asked, ENGINEER, MIXED)
    assert answer.code == "ok", answer.detail
    (ended,), (begun,) = await desk.facts("log.rotated"), await desk.facts("log.opened")
    assert ended["data"] == {
        "next": asked.target,
        "reason": "a new year",
        "persons": [ENGINEER.kid, OFFICER.kid],
    }
    body = msgspec.json.decode(answer.body)
    assert begun["data"] == {"origin": asked.target, "mode": "development", "before": body["ended"]}
    assert (begun["seq"], body["ended"]["size"]) == (0, ended["seq"] + 1)  # type: ignore[operator]
    for name in (asked.target, "with a space", ""):
        assert (await desk.ask(replace(asked, target=name), ENGINEER, MIXED)).code == "wrong_state"
    assert len(await desk.facts("log.rotated")) == 1


async def test_an_end_that_was_asked_for_one_log_does_not_end_the_next(desk: DeskHere) -> None:
    """Two rotations are asked for at once; who approves the second means the log that the first has ended."""
    asked = ASKED[Action.ROTATE_LOG]
    proposal = desk.request(replace(asked, target="ahm1.example/2028"), ENGINEER)
    call = wire.Call(
        request=signed(proposal, [ENGINEER]),
        approvals=[approved(proposal, ENGINEER, Role.ENGINEER, int(desk.now))],
    )
    assert (await desk.call(asked.action, call)).code == "dual_pending"
    desk.now += 10
    assert (await desk.ask(asked, ENGINEER, MIXED)).code == "ok"
    answer = await desk.approve(proposal, OFFICER, Role.OFFICER)
    assert (answer.code, answer.detail) == (
        "wrong_state",
        f"{asked.target} was begun after this was asked for",
    )
    desk.now += 10
    again = await desk.ask(replace(asked, target="ahm1.example/2028"), ENGINEER, MIXED)
    assert again.code == "ok", again.detail
    assert len(await desk.facts("log.rotated")) == 2


# -- two persons
RELEASED = ASKED[Action.RELEASE_UNIT]


async def test_the_second_officer_s_approval_does_it(desk: DeskHere) -> None:
    request = desk.request(RELEASED, OFFICER)
    first = wire.Call(
        request=signed(request, [OFFICER]), approvals=[approved(request, OFFICER, Role.OFFICER, int(NOW))]
    )
    answer = await desk.call(Action.RELEASE_UNIT, first)
    assert (answer.code, answer.action_hash) == ("dual_pending", request.action_hash())
    assert await desk.account("L1/1") == "QUARANTINE"
    assert (await desk.approve(request, SECOND_OFFICER, Role.OFFICER)).code == "ok"
    assert await desk.account("L1/1") == "WIP"
    used = await desk.facts("approval.used")
    assert [one["data"] for one in used] == [
        {
            "action": "unit.release",
            "action_hash": request.action_hash(),
            "persons": [OFFICER.kid, SECOND_OFFICER.kid],
        }
    ]
    (released,) = await desk.facts("unit.released")
    assert (released["unit"], released["src"]) == ("L1/1", "desk")


async def test_nobody_approves_twice(desk: DeskHere) -> None:
    request = desk.request(RELEASED, OFFICER)
    twice = [approved(request, OFFICER, Role.OFFICER, int(NOW)) for _ in range(2)]
    answer = await desk.call(
        Action.RELEASE_UNIT, wire.Call(request=signed(request, [OFFICER]), approvals=twice)
    )
    assert (answer.code, answer.detail) == (
        "dual_denied",
        "p-00000002 has approved this already; another person must",
    )
    assert len(await desk.facts("approval.refused")) == 1
    assert not await desk.facts("approval.given"), "what was undone is not told"


async def test_approvals_of_another_action_are_refused(desk: DeskHere) -> None:
    wanted = desk.request(RELEASED, OFFICER)
    for changed in (
        {"target": "L2"},
        {"parameters": {**RELEASED.parameters, "units": ["L1/1", "L1/2"]}},
        {"nonce": "0" * 32},
        {"expires_at": wanted.expires_at - 1},
        {"station": "vault-2"},
    ):
        other = msgspec.structs.replace(wanted, **changed)
        call = wire.Call(
            request=signed(wanted, [OFFICER]),
            approvals=[approved(other, who, role, int(NOW)) for who, role in OFFICERS],
        )
        assert (await desk.call(Action.RELEASE_UNIT, call)).code == "dual_denied"
    assert await desk.account("L1/1") == "QUARANTINE"


async def test_an_action_is_done_once(desk: DeskHere) -> None:
    request = desk.request(RELEASED, OFFICER)
    call = wire.Call(
        request=signed(request, [OFFICER]),
        approvals=[approved(request, who, role, int(NOW)) for who, role in OFFICERS],
    )
    assert (await desk.call(Action.RELEASE_UNIT, call)).code == "ok"
    assert (await desk.call(Action.RELEASE_UNIT, call)).code == "replayed"
    assert (await desk.approve(request, ENGINEER, Role.ENGINEER)).code == "replayed"


async def test_who_lost_the_role_meanwhile_has_not_approved(desk: DeskHere) -> None:
    await desk.journal.commit(lambda db: add_person(db, NOBODY, [Role.OFFICER]))
    request = desk.request(RELEASED, OFFICER)
    approval = approved(request, NOBODY, Role.OFFICER, int(NOW))
    await desk.call(Action.RELEASE_UNIT, wire.Call(request=signed(request, [OFFICER]), approvals=[approval]))
    asked = Asked(Action.CHANGE_ROLES, NOBODY.kid, {"roles": []})
    assert (await desk.ask(asked, ENGINEER, MIXED)).code == "ok"
    assert (await desk.approve(request, OFFICER, Role.OFFICER)).code == "dual_pending"
    assert (await desk.approve(request, SECOND_OFFICER, Role.OFFICER)).code == "ok"


async def test_what_two_approved_too_late_is_not_done(desk: DeskHere) -> None:
    request = desk.request(RELEASED, OFFICER)
    first = wire.Call(
        request=signed(request, [OFFICER]), approvals=[approved(request, OFFICER, Role.OFFICER, int(NOW))]
    )
    await desk.call(Action.RELEASE_UNIT, first)
    desk.now += 601
    answer = await desk.approve(request, SECOND_OFFICER, Role.OFFICER)
    assert answer.code == "dual_expired"
    assert await desk.account("L1/1") == "QUARANTINE"


async def test_a_refused_action_leaves_its_approvals_for_when_it_may_be_done(desk: DeskHere) -> None:
    asked = replace(RELEASED, parameters={**RELEASED.parameters, "units": ["L1/4"]})
    assert (await desk.ask(asked, OFFICER, OFFICERS)).code == "wrong_state"
    rows = await desk.journal.commit(
        lambda db: db.execute(
            "SELECT (SELECT count(*) FROM request), (SELECT count(*) FROM approval),"
            " (SELECT count(*) FROM move)"
        ).fetchone()
    )
    assert rows == (0, 0, 0), "a refused call uses nothing up"


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"station": "vault-2"}, "wrong_audience"),
        ({"expires_at": int(NOW) - 1}, "expired"),
        ({"issued_at": int(NOW) + 60}, "expired"),
        ({"expires_at": int(NOW) + 3600}, "expired"),
        ({"person": OFFICER.kid}, "bad_signature"),
        ({"action": Action.BALANCE}, "wrong_audience"),
        ({"parameters": {"units": ["L1/9"]}}, "malformed"),
        ({"parameters": {"units": ["L1/9"], "reason": "x", "more": 1}}, "malformed"),
        ({"parameters": {"units": ["L1/9"], "reason": 1.5}}, "malformed"),
        ({"parameters": {"units": ["L2/9"], "reason": "x"}}, "malformed"),
        ({"parameters": {"units": ["L1/9", "L1/9"], "reason": "x"}}, "malformed"),
        ({"target": "L7", "parameters": {"units": ["L7/9"], "reason": "x"}}, "not_found"),
    ],
)
async def test_a_request_that_is_not_right_is_refused(
    desk: DeskHere, changed: dict[str, object], code: str
) -> None:
    request = msgspec.structs.replace(desk.request(ASKED[Action.SAMPLE], ENGINEER), **changed)
    answer = await desk.call(Action.SAMPLE, wire.Call(request=signed(request, [ENGINEER])))
    assert answer.code == code, answer.detail
    assert await desk.account("L1/9") == ""
    assert len(await desk.facts("session.refused")) == 1


async def test_a_person_whom_nobody_knows_is_refused(desk: DeskHere) -> None:
    assert (await desk.ask(ASKED[Action.BALANCE], NOBODY)).code == "unknown_key"
    assert (await desk.call(Action.BALANCE, wire.Call(request=b"junk"))).code == "malformed"


# -- what the actions do
async def test_destroyed_units_give_their_place_in_the_order_back(desk: DeskHere) -> None:
    await desk.journal.commit(lambda db: desk.orders.begin(db, "WO-1", "L1/1"))
    witnesses = ((SIGNERS[Role.OPERATOR], Role.OPERATOR), (SIGNERS[Role.TECHNICIAN], Role.TECHNICIAN))
    answer = await desk.ask(ASKED[Action.DESTROY], SIGNERS[Role.OPERATOR], witnesses)
    assert answer.code == "ok", answer.detail
    use = await desk.journal.commit(lambda db: desk.orders.use(db, "WO-1"))
    assert (use.begun, use.credited) == (1, 1)
    assert await desk.account("L1/1") == "DESTROYED"


async def test_the_balance_closes_when_every_unit_is_settled(desk: DeskHere) -> None:
    first = [f"L1/{n}" for n in (1, 2, 3)]
    destroy = Asked(
        Action.DESTROY, "L1", {"units": first, "reason": "scrap", "method": "shredder", "place": "room 4"}
    )
    assert (await desk.ask(destroy, OFFICER, OFFICERS)).code == "ok"
    answer = await desk.ask(ASKED[Action.BALANCE], ENGINEER)
    (lot,) = msgspec.json.decode(answer.body)
    assert (lot["received"], lot["unseen"], lot["difference"]) == (10, 6, 0)
    assert lot["hindrance"] == "6 in WIP (6 never seen)"
    missing = Asked(
        Action.MARK_MISSING,
        "L1",
        {"units": [f"L1/{n}" for n in range(5, 11)], "reason": "gone", "incident": "INC-1"},
    )
    assert (await desk.ask(missing, OFFICER, MIXED)).code == "ok"
    answer = await desk.ask(ASKED[Action.CLOSE_LOT], SIGNERS[Role.OPERATOR])
    accounts = {"DESTROYED": 3, "MISSING": 6, "REJECT_HELD": 1}
    assert msgspec.json.decode(answer.body) == {"lot": "L1", "accounts": accounts}
    assert await desk.registry.close_lot("L1", NOW) == accounts
    (closed,) = await desk.facts("lot.closed")
    assert (closed["src"], closed["actor"]) == ("desk", "p-00000004")
    assert isinstance(closed["data"], dict)
    assert closed["data"]["outcome"] == "closed with discrepancy"


@pytest.mark.parametrize(
    ("kind", "to", "code", "hindrance"),
    [
        ("pass", "SECURED", "ok", ""),
        ("fail", "SECURED", "ok", "1 SECURED that no passing bin has claimed"),
        ("fail", "REJECT_HELD", "ok", ""),
        ("", "REJECT_HELD", "wrong_state", "1 in QUARANTINE (L1/1)"),
    ],
)
async def test_a_released_unit_counts_by_the_bin_that_it_lies_in(
    desk: DeskHere, kind: str, to: str, code: str, hindrance: str
) -> None:
    def sealed(db: sqlite3.Connection) -> None:
        db.execute("INSERT INTO record VALUES ('L1/1', 's', x'00', x'01', x'02', 99)")
        db.execute("UPDATE unit SET account = 'REJECT_HELD' WHERE unit IN ('L1/2', 'L1/3')")
        db.execute("UPDATE lot SET quantity = 4")

    await desk.journal.commit(sealed)
    if kind:
        data: dict[str, object] = {"bin": 4, "kind": kind}
        binned = [Claim("unit.binned", "L1/1", "L1", NOW, data)]
        await desk.registry.claimed(Claims("cell", "L1", 0, binned))
    release = replace(RELEASED, parameters={**SOUND, "to": to})
    assert (await desk.ask(release, OFFICER, OFFICERS)).code == code
    (lot,) = msgspec.json.decode((await desk.ask(ASKED[Action.BALANCE], ENGINEER)).body)
    assert lot["hindrance"] == hindrance


async def test_two_officers_let_the_line_run_again_and_no_restart_does(desk: DeskHere) -> None:
    stop = Stop(Code.ISSUER_CHECK, "an own certificate")
    desk.stops.now(stop)
    await desk.registry.stop_line(desk.stops, stop, NOW)
    again = type(desk.stops)()
    await desk.journal.commit(again.load)
    assert again.at("cell-1", "1") == "an own certificate"
    assert (await desk.ask(ASKED[Action.RELEASE_LINE], OFFICER, OFFICERS[:1])).code == "dual_pending"
    assert desk.stops.reasons
    assert (await desk.ask(ASKED[Action.RELEASE_LINE], OFFICER, OFFICERS)).code == "ok"
    assert not desk.stops.reasons
    assert (await desk.ask(ASKED[Action.RELEASE_LINE], OFFICER, OFFICERS)).code == "wrong_state"


async def test_a_new_person_acts_after_two_have_let_him_in(desk: DeskHere) -> None:
    assert (await desk.ask(ASKED[Action.ADD_PERSON], ENGINEER, MIXED)).code == "ok"
    assert (await desk.ask(ASKED[Action.BALANCE], NOBODY)).code == "ok"
    assert (await desk.ask(ASKED[Action.ADD_PERSON], ENGINEER, MIXED)).code == "wrong_state"


@pytest.mark.parametrize(
    ("order", "signers", "code"),
    [
        (work_order(id="WO-2"), (ENGINEER,), "dual_denied"),
        (work_order(id="WO-2"), (OFFICER, SECOND_OFFICER), "dual_denied"),
        (work_order(id="WO-2"), (ENGINEER, NOBODY), "unknown_key"),
        (work_order(id="WO-3"), (ENGINEER, OFFICER), "malformed"),
        (work_order(id="WO-2", product="se9"), (ENGINEER, OFFICER), "invalid_order"),
        (work_order(id="WO-2", profile_hash="0" * 64), (ENGINEER, OFFICER), "invalid_order"),
        (work_order(id="WO-2", sites=("vault-9",)), (ENGINEER, OFFICER), "invalid_order"),
        (work_order(id="WO-2", slices={"vault-9": 5}), (ENGINEER, OFFICER), "invalid_order"),
        (
            work_order(id="WO-2", quantity=9, slices={"vault-1": 5, "b": 5}),
            (ENGINEER, OFFICER),
            "invalid_order",
        ),
        (work_order(id="WO-2", slices={"vault-1": 0}), (ENGINEER, OFFICER), "malformed"),
        (work_order(id="WO-2", not_after=1), (ENGINEER, OFFICER), "invalid_order"),
        (work_order(id="WO-2", quantity=0), (ENGINEER, OFFICER), "malformed"),
    ],
)
async def test_a_wrong_order_is_refused_and_kept_nowhere(
    desk: DeskHere, order: Statement, signers: tuple[PersonSigner, ...], code: str
) -> None:
    answer = await desk.ask(Asked(Action.ADD_ORDER, "WO-2", document=signed(order, signers)), ENGINEER)
    assert answer.code == code, answer.detail
    count = await desk.journal.commit(lambda db: db.execute("SELECT count(*) FROM work_order").fetchone())
    assert count == (1,)


async def test_the_order_is_kept_byte_for_byte(desk: DeskHere) -> None:
    assert (await desk.ask(ASKED[Action.ADD_ORDER], ENGINEER)).code == "ok"
    kept = await desk.journal.commit(
        lambda db: db.execute("SELECT statement FROM work_order WHERE id = 'WO-2'").fetchone()
    )
    assert kept == (NEW_ORDER,)
    assert (await desk.ask(ASKED[Action.ADD_ORDER], ENGINEER)).code == "wrong_state"


async def test_production_closes_a_lot_only_with_its_rejects_sealed(tmp_path: Path) -> None:
    operator = SIGNERS[Role.OPERATOR]
    async with opened_desk(tmp_path, seals=True) as desk:
        settled = Asked(Action.MARK_MISSING, "L1", MISSED | {"units": [f"L1/{n}" for n in range(4, 11)]})
        assert (await desk.ask(settled, ENGINEER, MIXED)).code == "ok"
        claims = [Claim("unit.binned", f"L1/{n}", "L1", NOW, {"bin": 4, "kind": "fail"}) for n in (1, 2, 3)]
        to_rejects = Asked(
            Action.RELEASE_UNIT, "L1", {"units": ["L1/1", "L1/2", "L1/3"], "to": "WIP", "reason": "no"}
        )
        assert (await desk.ask(to_rejects, OFFICER, OFFICERS)).code == "ok"
        await desk.journal.commit(
            lambda db: db.execute("UPDATE unit SET standing = 'ADMITTED', intent = ''").rowcount
        )
        await desk.registry.claimed(Claims("cell", "L1", 0, claims))
        assert await desk.account("L1/1") == "REJECT_HELD"
        close = Asked(Action.CLOSE_LOT, "L1")
        answer = await desk.ask(close, operator)
        assert (answer.code, answer.detail.rpartition(": ")[2]) == ("wrong_state", "L1/bin-4")
        sealing = Asked(Action.SEAL, "L1", {"container": "L1/bin-4", "seal": "S-77"})
        assert (await desk.ask(sealing, operator)).code == "ok"
        (told,) = await desk.facts("container.sealed")
        assert told["data"] == {"container": "L1/bin-4", "seal": "S-77"}
        destroyed = Asked(
            Action.DESTROY, "L1", {"units": ["L1/3"], "reason": "x", "method": "shredder", "place": "r4"}
        )
        assert (await desk.ask(destroyed, ENGINEER, MIXED)).code == "ok"
        assert (await desk.ask(close, operator)).code == "wrong_state", "the seal was broken"
        assert (await desk.ask(sealing, operator)).code == "ok"
        assert (await desk.ask(close, operator)).code == "ok"


MISSED: dict[str, object] = {"reason": "not found", "incident": "INC-1"}


async def test_a_station_carries_a_key_release_which_two_officers_have_signed(desk: DeskHere) -> None:
    release = KeyRelease(key_set="KS-1", order="WO-1", stations=("cell-1",), not_after=int(NOW) + 60)
    for signers, code in (
        ((OFFICER,), "dual_denied"),
        ((OFFICER, ENGINEER), "dual_denied"),
        ((OFFICER, PersonSigner("p-00000099", Secret(bytes(32)))), "unknown_key"),
    ):
        with pytest.raises(StatementError) as refused:
            await desk.registry.release_keys(document(release, *signers), "cell-1", NOW)
        assert refused.value.code == code
    both = document(release, OFFICER, SECOND_OFFICER)
    for _ in range(2):
        assert await desk.registry.release_keys(both, "cell-1", NOW) == "WO-1"
    other = msgspec.structs.replace(release, order="WO-7")
    with pytest.raises(StatementError, match="there is no order WO-7"):
        await desk.registry.release_keys(document(other, OFFICER, SECOND_OFFICER), "cell-1", NOW)
    shown = await desk.ask(Asked(Action.SHOW_ORDERS, "WO-1"), ENGINEER)
    (order,) = msgspec.json.decode(shown.body)
    assert [one["not_after"] for one in order["releases"]].count(release.not_after) == 1
