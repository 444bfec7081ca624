"""Which event may move a unit from where to where, and what it needs; the table of the plant's balance."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Account(StrEnum):
    """Where a unit can be."""

    WIP = "WIP"
    PASSED = "PASSED"
    SECURED = "SECURED"
    SHIPPED = "SHIPPED"
    REJECT_HELD = "REJECT_HELD"
    QUARANTINE = "QUARANTINE"
    SAMPLE = "SAMPLE"
    RETURNED = "RETURNED"
    DESTROYED = "DESTROYED"
    MISSING = "MISSING"


class Role(StrEnum):
    """In what quality a person signs a move."""

    ENGINEER = "engineer"
    OFFICER = "officer"
    WITNESS = "witness"


@dataclass(frozen=True)
class Person:
    """Who stands for a move, by pseudonym."""

    name: str
    role: Role


@dataclass(frozen=True)
class Move:
    """One event about one unit."""

    unit: str
    event: str
    to: Account | None = None
    """Where to, for events that leave a choice."""
    persons: tuple[Person, ...] = ()
    evidence: Mapping[str, str] = field(default_factory=dict)
    """What the event needs, by name: `record`, `bin`, `container`, `reason`, `order`, `incident`."""


@dataclass(frozen=True)
class Rule:
    """From where to where, with which evidence, by how many different persons of which role."""

    sources: frozenset[Account]
    targets: frozenset[Account]
    evidence: tuple[str, ...] = ()
    persons: int = 0
    role: Role | None = None

    def lacks(self, move: Move) -> str:
        """Say what a move does not bring; empty if it brings all."""
        missing = [name for name in self.evidence if not move.evidence.get(name)]
        if missing:
            return f"needs {', '.join(missing)}"
        fit = {person.name for person in move.persons if self.role in (None, person.role)}
        if len(fit) < self.persons:
            return f"needs {self.persons} different, in the role of {self.role or 'any'}; has {len(fit)}"
        return ""


def _rule(sources: str, targets: str, *evidence: str, persons: int = 0, role: Role | None = None) -> Rule:
    return Rule(_accounts(sources), _accounts(targets), evidence, persons, role)


def _accounts(names: str) -> frozenset[Account]:
    return frozenset(map(Account, names.split()))


EVERYWHERE = " ".join(account for account in Account if account is not Account.MISSING)
RULES: Mapping[str, Rule] = {
    "die.sealed": _rule("WIP", "SECURED", "record"),
    "unit.binned": _rule("WIP", "PASSED"),
    "unit.rejected": _rule("WIP", "REJECT_HELD", "bin", "container"),
    "unit.quarantined": _rule("WIP SECURED REJECT_HELD", "QUARANTINE", "reason"),
    "unit.released": _rule("QUARANTINE", "WIP SECURED REJECT_HELD", persons=2),
    "unit.sampled": _rule("WIP PASSED SECURED", "SAMPLE", persons=1, role=Role.ENGINEER),
    "unit.returned": _rule("WIP PASSED REJECT_HELD SAMPLE", "RETURNED", persons=2),
    "unit.shipped": _rule("PASSED SECURED", "SHIPPED"),
    "unit.rma": _rule("SHIPPED", "QUARANTINE", "order"),
    "unit.destroyed": _rule("REJECT_HELD QUARANTINE SAMPLE", "DESTROYED", persons=2, role=Role.WITNESS),
    "unit.missing": _rule(EVERYWHERE, "MISSING", "incident", persons=2),
}
"""`unit.received`, from outside, is `Accounts.receive`; `unit.binned` is a move only of a passing unit."""
