"""The balance: it is zero after whatever is tried, and every move that may not be says why."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from station.custody.accounts import Accounts, Closing, LotState, MoveRefusedError
from station.custody.certificate_sets import CertificateSets, Hold
from station.custody.moves import RULES, Account, Move, Person, Role
from station.errors import CustodyError

TWO = (Person("p-00000001", Role.OFFICER), Person("p-00000002", Role.OFFICER))
WITNESSES = (Person("p-00000003", Role.WITNESS), Person("p-00000004", Role.WITNESS))
ENGINEER = (Person("p-00000005", Role.ENGINEER),)
BIN = {"bin": "5", "container": "C7"}
READY = LotState(frozenset({"C7"}), cosigned=True)


def lot(count: int = 3, *, personalised: bool = True) -> Accounts:
    accounts = Accounts("L1", personalised=personalised)
    accounts.receive([f"L1/{number}" for number in range(count)], count, count)
    return accounts


def sealed(accounts: Accounts, unit: str) -> None:
    accounts.move(Move(unit, "die.sealed", evidence={"record": "ab"}))
    accounts.claim(unit, 1)


def rejected(accounts: Accounts, unit: str) -> None:
    accounts.move(Move(unit, "unit.rejected", evidence=BIN))


def test_the_way_of_a_good_lot() -> None:
    accounts = lot()
    sealed(accounts, "L1/0")
    sealed(accounts, "L1/1")
    rejected(accounts, "L1/2")
    assert accounts.close(READY) is Closing.CLEAN
    accounts.move(Move("L1/0", "unit.shipped", evidence={"checked": "site"}))
    accounts.move(Move("L1/2", "unit.destroyed", persons=WITNESSES))
    accounts.move(Move("L1/0", "unit.rma", evidence={"order": "RMA-1"}))
    assert accounts.move(Move("L1/0", "unit.released", Account.SECURED, TWO)) is Account.SECURED
    counts = Counter(accounts.counts())
    assert {account: number for account, number in counts.items() if number} == {
        Account.SECURED: 2,
        Account.DESTROYED: 1,
    }
    assert accounts.units(Account.SECURED) == {"L1/0", "L1/1"}
    assert accounts.account("L1/2") is Account.DESTROYED
    assert accounts.account("L1/9") is None


def test_a_lot_without_personalisation() -> None:
    accounts = lot(1, personalised=False)
    assert accounts.move(Move("L1/0", "unit.binned")) is Account.PASSED
    assert accounts.close(READY) is Closing.CLEAN
    assert accounts.move(Move("L1/0", "unit.shipped")) is Account.SHIPPED


def test_a_refusal_names_unit_event_from_to_and_reason() -> None:
    accounts = lot()
    with pytest.raises(MoveRefusedError) as caught:
        accounts.move(Move("L1/0", "unit.rejected", evidence={"bin": "5"}))
    wanted = "lot L1: unit L1/0: unit.rejected from WIP to REJECT_HELD: needs container"
    assert str(caught.value) == wanted
    assert accounts.account("L1/0") is Account.WIP


@pytest.mark.parametrize(
    ("move", "reason"),
    [
        (Move("L9/0", "die.sealed"), "was never received"),
        (Move("L1/0", "unit.melted"), "no event that moves units"),
        (Move("L1/0", "unit.received"), "no event that moves units"),
        (Move("L1/0", "die.sealed"), "needs record"),
        (Move("L1/0", "unit.binned"), "not sealed"),
        (Move("L1/0", "unit.quarantined"), "needs reason"),
        (Move("L1/0", "unit.sampled", persons=TWO), "role of engineer"),
        (Move("L1/0", "unit.returned", persons=(TWO[0], TWO[0])), "needs 2 different"),
        (Move("L1/0", "unit.missing", persons=TWO), "needs incident"),
        (Move("L1/0", "unit.missing", evidence={"incident": "I1"}), "needs 2 different"),
        (Move("L1/0", "unit.destroyed", persons=WITNESSES), "comes only from"),
        (Move("L1/0", "unit.shipped"), "comes only from PASSED, SECURED"),
        (Move("L1/1", "unit.shipped", evidence={"checked": "site"}), "its lot is not closed"),
        (Move("L1/1", "die.sealed", evidence={"record": "x"}), "comes only from WIP"),
        (Move("L1/1", "unit.rejected", evidence=BIN), "comes only from WIP"),
        (Move("L1/2", "unit.destroyed", persons=TWO), "role of witness"),
        (Move("L1/3", "unit.released", Account.WIP, TWO[:1]), "needs 2 different"),
        (Move("L1/3", "unit.released", Account.SECURED, TWO), "was never sealed"),
        (Move("L1/3", "unit.released", Account.PASSED, TWO), "leads only to"),
        (Move("L1/3", "unit.released", None, TWO), "leads only to"),
        (Move("L1/3", "unit.released", Account.REJECT_HELD, TWO), "no container"),
        (Move("L1/4", "unit.released", Account.WIP, TWO), "never personalised again"),
    ],
)
def test_refused_moves(move: Move, reason: str) -> None:
    accounts = lot(5)
    sealed(accounts, "L1/1")
    rejected(accounts, "L1/2")
    sealed(accounts, "L1/4")
    for unit in ("L1/3", "L1/4"):
        accounts.move(Move(unit, "unit.quarantined", evidence={"reason": "r"}))
    before = {account: accounts.units(account) for account in Account}
    with pytest.raises(MoveRefusedError, match=reason):
        accounts.move(move)
    assert {account: accounts.units(account) for account in Account} == before


def test_receiving() -> None:
    accounts = lot(2)
    for units, first, second, reason in (
        (["L1/5", "L1/5"], 2, 2, "named twice"),
        (["L1/5"], 2, 2, "1 are named, 2 and 2 were counted"),
        (["L1/5"], 1, 2, "1 and 2 were counted"),
        (["L1/5", "L1/1"], 2, 2, "L1/1.*received already"),
    ):
        with pytest.raises(MoveRefusedError, match=reason):
            accounts.receive(units, first, second)
    assert sum(accounts.counts().values()) == 2


def test_only_secured_units_are_in_a_passing_bin() -> None:
    accounts = lot()
    for unit in ("L1/0", "L9/9"):
        with pytest.raises(MoveRefusedError, match="only secured units"):
            accounts.claim(unit, 1)


def test_what_keeps_a_lot_open() -> None:
    accounts = lot(4)
    accounts.move(Move("L1/0", "die.sealed", evidence={"record": "ab"}))
    accounts.move(Move("L1/1", "unit.quarantined", evidence={"reason": "r"}))
    rejected(accounts, "L1/2")
    assert accounts.hindrances(LotState()) == (
        "1 units in WIP",
        "1 units in QUARANTINE",
        "1 secured units that no passing bin has claimed",
        "containers of rejects that are not sealed: C7",
        "no checkpoint with a witness's signature",
    )
    with pytest.raises(CustodyError, match="cannot be closed: 1 units in WIP; 1 units"):
        accounts.close(READY)
    assert accounts.closed is None


def test_missing_units_are_a_discrepancy() -> None:
    accounts = lot(1)
    accounts.move(Move("L1/0", "unit.missing", persons=TWO, evidence={"incident": "I1"}))
    assert accounts.close(READY) is Closing.DISCREPANCY
    with pytest.raises(MoveRefusedError, match="the lot is closed"):
        accounts.receive(["L1/1"], 1, 1)


def test_a_unit_without_a_record_at_the_site_is_not_shipped() -> None:
    accounts = lot(1)
    sealed(accounts, "L1/0")
    accounts.close(READY)
    with pytest.raises(MoveRefusedError, match="not checked by the site"):
        accounts.move(Move("L1/0", "unit.shipped", evidence={"checked": "local"}))


class AnyHistory(RuleBasedStateMachine):
    """Whatever is tried, the equation holds, and a unit is in one account."""

    def __init__(self) -> None:
        super().__init__()
        self.accounts = Accounts("L1")
        self.number = 0

    @rule(count=st.integers(1, 4), wrong=st.booleans())
    def receive(self, count: int, wrong: bool) -> None:
        units = [f"u{self.number + place}" for place in range(count)]
        try:
            self.accounts.receive(units, count, count + wrong)
        except MoveRefusedError:
            assert wrong or self.accounts.closed
        else:
            assert not wrong
            self.number += count

    @rule(
        pick=st.integers(0, 9),
        event=st.sampled_from(sorted(RULES)),
        to=st.none() | st.sampled_from(Account),
        persons=st.sampled_from([(), TWO, WITNESSES, ENGINEER]),
        told=st.booleans(),
    )
    def move(
        self, pick: int, event: str, to: Account | None, persons: tuple[Person, ...], told: bool
    ) -> None:
        names = ("record", "bin", "container", "reason", "order", "incident")
        evidence = dict.fromkeys(names, "x") | {"checked": "site"} if told else {}
        before = self.accounts.account(f"u{pick}")
        try:
            after = self.accounts.move(Move(f"u{pick}", event, to, persons, evidence))
        except MoveRefusedError:
            after = before or Account.WIP
            assert self.accounts.account(f"u{pick}") is before
        else:
            assert before in RULES[event].sources
            assert self.accounts.account(f"u{pick}") is after
            assert after in RULES[event].targets

    @rule()
    def close(self) -> None:
        try:
            self.accounts.close(LotState(frozenset({"x"}), cosigned=True))
        except CustodyError:
            assert self.accounts.hindrances(LotState(frozenset({"x"}), cosigned=True))

    @invariant()
    def zero(self) -> None:
        self.accounts.verify()
        assert sum(self.accounts.counts().values()) == self.number


TestAnyHistory = AnyHistory.TestCase
TestAnyHistory.settings = settings(max_examples=30, stateful_step_count=30)


# -- certificates
@given(st.lists(st.tuples(st.sampled_from(["issue", "seal", "revoke"]), st.integers(0, 3)), max_size=30))
def test_issued_is_sealed_and_revoked_and_on_hold(history: list[tuple[str, int]]) -> None:
    sets, issued = CertificateSets("L1"), set[int]()
    for act, unit in history:
        try:
            match act:
                case "issue":
                    sets.issue(str(unit), [f"{unit}-{slot}" for slot in range(3)])
                    issued.add(unit)
                case "seal":
                    sets.seal(str(unit))
                case _:
                    sets.revoke(str(unit))
        except CustodyError:
            assert act != "issue"
        assert sum(sets.counts().values()) == len(issued)


def test_certificate_sets() -> None:
    sets = CertificateSets("L1")
    sets.issue("u1", ["a", "b", "c"])
    sets.issue("u1", ["c", "b", "a"])
    for unit, serials, reason in (
        ("u1", ["a", "b", "d"], "another set"),
        ("u2", ["d", "e"], "a set has 3"),
        ("u2", ["d", "d", "e"], "a set has 3"),
        ("u2", ["c", "d", "e"], "c is issued already"),
    ):
        with pytest.raises(CustodyError, match=reason):
            sets.issue(unit, serials)
    sets.seal("u1")
    assert sets.counts() == {Hold.ON_HOLD: 0, Hold.SEALED: 1, Hold.REVOKED: 0}
    sets.revoke("u1")
    for act in (sets.seal, sets.revoke):
        with pytest.raises(CustodyError, match="are revoked"):
            act("u1")
    with pytest.raises(CustodyError, match="are never issued"):
        sets.seal("u2")
