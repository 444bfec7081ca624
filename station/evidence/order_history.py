"""What the ledger tells of orders and of the desk; of all lots, since an order may span them."""

from dataclasses import dataclass, field
from typing import TypeAlias

from station.custody.ledger import Entry

Signed: TypeAlias = tuple[int, str, tuple[str, ...]]
"""Leaf, order, and who signed."""
APPROVED = frozenset({"unit.released", "unit.destroyed", "unit.missing", "unit.returned"})
"""Moves of units that need two persons."""


@dataclass(frozen=True)
class UsedApproval:
    """The leaf `approval.used` of an action."""

    leaf: int
    t_s: float
    persons: tuple[str, ...]


@dataclass(frozen=True)
class RecipeLeaf:
    """The leaf `recipe.released` of a recipe; hexadecimal."""

    leaf: int
    statement: str
    fingerprint: str


@dataclass
class OrderHistory:
    """Collected leaf by leaf."""

    issued: dict[str, set[str]] = field(default_factory=dict)
    """Units with certificates, by order."""
    sealed: dict[str, set[str]] = field(default_factory=dict)
    """Sealed units, by order."""
    destroyed: set[str] = field(default_factory=set)
    added: dict[str, Signed] = field(default_factory=dict)
    """Orders, by the SHA-256 of their statements."""
    released: dict[str, Signed] = field(default_factory=dict)
    """Key releases, by the SHA-256 of their statements."""
    used: dict[str, list[UsedApproval]] = field(default_factory=dict)
    """By the hash of the action."""
    recipes: dict[str, list[RecipeLeaf]] = field(default_factory=dict)
    """Recipes that were released, by the SHA-256 of their words; each must have one leaf."""
    moves: list[Entry] = field(default_factory=list)
    """Moves that need two persons, of all lots."""

    def add(self, entry: Entry) -> None:
        """Take the next entry."""
        order, unit = entry.order or "", entry.unit or ""
        match entry.event:
            case "die.issued":
                self.issued.setdefault(order, set()).add(unit)
            case "die.sealed":
                self.sealed.setdefault(order, set()).add(unit)
            case "order.added":
                self.added[_text(entry, "statement")] = (entry.seq, order, _names(entry, "signed_by"))
            case "key.released":
                self.released[_text(entry, "statement")] = (entry.seq, order, _names(entry, "signed_by"))
            case "recipe.released":
                told = _text(entry, "statement"), _text(entry, "fingerprint")
                self.recipes.setdefault(_text(entry, "recipe"), []).append(RecipeLeaf(entry.seq, *told))
            case "approval.used":
                used = UsedApproval(entry.seq, entry.t / 1000, _names(entry, "persons"))
                self.used.setdefault(_text(entry, "action_hash"), []).append(used)
            case event if event in APPROVED:
                self.moves.append(entry)
                self.destroyed |= {unit} if event == "unit.destroyed" else set()
            case _:
                pass

    def credited(self, order: str) -> int:
        """How many units of an order were begun, not sealed, and destroyed."""
        return len(self.issued.get(order, set()) & self.destroyed - self.sealed.get(order, set()))


def _text(entry: Entry, name: str) -> str:
    found = entry.data.get(name)
    return found if isinstance(found, str) else ""


def _names(entry: Entry, name: str) -> tuple[str, ...]:
    found = entry.data.get(name)
    return tuple(map(str, found)) if isinstance(found, list | tuple) else ()
