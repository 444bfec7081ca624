"""The plant's double-entry accounts: every named unit is in exactly one, and an event moves it to another.

A count is the size of a set, so that it can always be said *which* units it counts. A move that the rules do
not allow changes nothing.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from station.custody.moves import RULES, Account, Move, Rule
from station.errors import CustodyError


class MoveRefusedError(CustodyError):
    """A move is against the rules: names unit, event, from, to and reason. The accounts are as they were."""


class Closing(StrEnum):
    """How a lot may be closed."""

    CLEAN = "closed"
    DISCREPANCY = "closed with discrepancy"


@dataclass(frozen=True)
class LotState:
    """What a lot's closing rests on beside the accounts."""

    sealed_containers: frozenset[str] = frozenset()
    cosigned: bool = False
    """Whether a witness has signed a checkpoint that covers the lot's last entry."""


@dataclass
class Held:
    """A unit in its account."""

    account: Account
    sealed: bool = False
    """Whether it has ever been sealed; a sealed unit is never personalised again."""
    claimed: bool = False
    """Whether a passing bin has claimed it."""
    container: str = ""


@dataclass
class Accounts:
    """The units of one lot."""

    lot: str
    personalised: bool = True
    """Whether the lot's good units are sealed; if not, a passing bin is enough."""
    closed: Closing | None = None
    _units: dict[str, Held] = field(default_factory=dict)
    _sets: dict[Account, set[str]] = field(default_factory=lambda: {account: set() for account in Account})

    # -- moves
    def receive(self, units: Collection[str], first_count: int, second_count: int) -> None:
        """Take over the units of an incoming lot, by its map; both counts must agree with it."""
        named = set(units)
        if len(named) != len(units):
            raise self._refused("", "unit.received", None, Account.WIP, "a unit is named twice")
        if not len(named) == first_count == second_count:
            counts = f"{len(named)} are named, {first_count} and {second_count} were counted"
            raise self._refused("", "unit.received", None, Account.WIP, counts)
        known = sorted(named & self._units.keys())
        if known:
            account = self._units[known[0]].account
            raise self._refused(known[0], "unit.received", account, Account.WIP, "is received already")
        if self.closed:
            raise self._refused(min(named), "unit.received", None, Account.WIP, "the lot is closed")
        for unit in named:
            self._units[unit] = Held(Account.WIP)
        self._sets[Account.WIP] |= named

    def restore(self, unit: str, held: Held) -> None:
        """Take a unit as it was kept elsewhere, to go on with it here."""
        self._units[unit] = held
        self._sets[held.account].add(unit)

    def move(self, move: Move) -> Account:
        """Move a unit and return where it is now; MoveRefusedError if that may not be."""
        unit = self._units.get(move.unit)
        if unit is None:
            raise self._refused(move.unit, move.event, None, move.to, "was never received")
        rule = RULES.get(move.event)
        if rule is None:
            raise self._refused(move.unit, move.event, unit.account, move.to, "is no event that moves units")
        target = self._target(move, unit, rule)
        reason = rule.lacks(move) or self._against(move, unit, target)
        if reason:
            raise self._refused(move.unit, move.event, unit.account, target, reason)
        self._moved(move, unit, target)
        return target

    def _target(self, move: Move, unit: Held, rule: Rule) -> Account:
        """Choose the account that the event leads to; the move names it where there is a choice."""
        if unit.account not in rule.sources:
            allowed = ", ".join(sorted(rule.sources))
            raise self._refused(move.unit, move.event, unit.account, move.to, f"comes only from {allowed}")
        if len(rule.targets) == 1:
            (only,) = rule.targets
            return only
        if move.to is None or move.to not in rule.targets:
            allowed = ", ".join(sorted(rule.targets))
            raise self._refused(move.unit, move.event, unit.account, move.to, f"leads only to {allowed}")
        return move.to

    def _against(self, move: Move, unit: Held, target: Account) -> str:
        """Say what is against a move, beside its own evidence; empty if nothing is."""
        match target:
            case Account.SECURED if move.event == "unit.released" and not unit.sealed:
                return "it was never sealed"
            case Account.WIP if unit.sealed:
                return "a sealed unit is never personalised again"
            case Account.PASSED if self.personalised:
                return "it is in a passing bin, but not sealed"
            case Account.SHIPPED if self.closed is None:
                return "its lot is not closed"
            case Account.SHIPPED if unit.sealed and move.evidence.get("checked") != "site":
                return "its record is not checked by the site registry"
            case Account.SECURED if self.closed and move.event == "die.sealed":
                return "the lot is closed"
            case Account.REJECT_HELD if not (move.evidence.get("container") or unit.container):
                return "it has no container of rejects to go back to"
            case _:
                return ""

    def _moved(self, move: Move, unit: Held, target: Account) -> None:
        self._sets[unit.account].remove(move.unit)
        self._sets[target].add(move.unit)
        unit.account = target
        unit.claimed = False
        unit.sealed = unit.sealed or move.event == "die.sealed"
        unit.container = move.evidence.get("container", unit.container)

    def claim(self, unit: str, hard_bin: int) -> None:
        """A passing bin has a secured unit; only such units may be there."""
        found = self._units.get(unit)
        if found is None or found.account is not Account.SECURED:
            account = None if found is None else found.account
            reason = f"is in passing bin {hard_bin}, which only secured units may be in"
            raise self._refused(unit, "unit.binned", account, account, reason)
        found.claimed = True

    def _refused(
        self, unit: str, event: str, source: Account | None, target: Account | None, reason: str
    ) -> MoveRefusedError:
        left, right = source or "outside", target or "nowhere"
        return MoveRefusedError(
            f"lot {self.lot}: unit {unit or '-'}: {event} from {left} to {right}: {reason}"
        )

    # -- balance
    def account(self, unit: str) -> Account | None:
        """Return where a unit is; None if it was never received."""
        found = self._units.get(unit)
        return None if found is None else found.account

    def units(self, account: Account) -> frozenset[str]:
        """Return which units an account has."""
        return frozenset(self._sets[account])

    def counts(self) -> Mapping[Account, int]:
        """Return how many units each account has."""
        return {account: len(units) for account, units in self._sets.items()}

    def verify(self) -> None:
        """Return if the equation holds: received is the sum of all accounts, and no unit is in two."""
        total = sum(len(units) for units in self._sets.values())
        together = frozenset().union(*self._sets.values())
        if not len(self._units) == total == len(together) or together != self._units.keys():
            counts = f"{len(self._units)} received, {total} in accounts, {len(together)} different"
            raise CustodyError(f"lot {self.lot}: the balance is not zero: {counts}")

    # -- closing
    def hindrances(self, state: LotState) -> tuple[str, ...]:
        """Say what keeps the lot from being closed."""
        found = [
            f"{len(self._sets[account])} units in {account}"
            for account in (Account.WIP, Account.QUARANTINE)
            if self._sets[account]
        ]
        unclaimed = sum(not self._units[unit].claimed for unit in self._sets[Account.SECURED])
        if unclaimed:
            found.append(f"{unclaimed} secured units that no passing bin has claimed")
        held = {self._units[unit].container for unit in self._sets[Account.REJECT_HELD]}
        unsealed = sorted(held - state.sealed_containers)
        if unsealed:
            found.append(f"containers of rejects that are not sealed: {', '.join(unsealed)}")
        if not state.cosigned:
            found.append("no checkpoint with a witness's signature")
        return tuple(found)

    def close(self, state: LotState) -> Closing:
        """Close the lot; CustodyError with every hindrance. Missing units make a discrepancy."""
        self.verify()
        hindrances = self.hindrances(state)
        if hindrances:
            raise CustodyError(f"lot {self.lot} cannot be closed: {'; '.join(hindrances)}")
        self.closed = Closing.DISCREPANCY if self._sets[Account.MISSING] else Closing.CLEAN
        return self.closed
