"""Recipes of a bundle: each with the leaf that tells of its release, which two persons have approved."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

import msgspec

from station.evidence.archive import Archive
from station.evidence.bundle import RECIPES
from station.evidence.finding import Finding
from station.evidence.order_history import OrderHistory, RecipeLeaf, UsedApproval
from station.vault.desk.documents import ReleasedRecipe, Request, WorkOrder, digest_of
from station.vault.desk.roles import Action
from station.vault.desk.statement import StatementError, opened

ENDING = ".json"


@dataclass(frozen=True)
class Recipes:
    """The checks of the recipes by whose fingerprints an order lets devices be made."""

    bundle: Archive
    orders: OrderHistory
    known: Mapping[tuple[Action, str], Sequence[tuple[Request, UsedApproval]]]
    """What persons have approved, by action and target."""

    def differences(self, orders: Sequence[WorkOrder]) -> Iterator[Finding]:
        """Say what was released otherwise than the ledger tells, or is not here."""
        there = self.bundle.contents(RECIPES)
        for name, envelope in there.items():
            wrong = [*self._faults(name, envelope), *_of_another_product(envelope, orders)]
            yield from (Finding(f"{RECIPES}/{name}", what) for what in wrong)
        allowed = {one for order in orders for one in order.fingerprints}
        for digest, leaves in self.orders.recipes.items():
            told = next((one for one in leaves if one.fingerprint in allowed), None)
            if told is not None and digest + ENDING not in there:
                yield Finding(f"{RECIPES}/{digest}{ENDING}", f"is missing; leaf {told.leaf} tells of it")

    def _faults(self, name: str, envelope: bytes) -> Iterator[str]:
        try:
            digest = sha256(opened(envelope).payload).hexdigest()
        except StatementError as error:
            yield str(error)
            return
        leaves = self.orders.recipes.get(digest, ())
        if digest + ENDING != name:
            yield "is another recipe than its name says"
        elif not leaves:
            yield "no leaf of the ledger tells of it"
        elif len(leaves) > 1:
            yield f"is told by {len(leaves)} leaves, not by one"
        else:
            yield from self._unapproved(digest, leaves[0], envelope)

    def _unapproved(self, digest: str, told: RecipeLeaf, envelope: bytes) -> Iterator[str]:
        if told.statement != digest_of(envelope):
            yield f"leaf {told.leaf} tells of other signatures under it"
        elif not any(
            request.parameters.get("document") == told.statement
            and request.parameters.get("fingerprint") == told.fingerprint
            and used.leaf < told.leaf
            for request, used in self.known.get((Action.RELEASE_RECIPE, digest), ())
        ):
            yield f"has no approval of leaf {told.leaf}, recipe.released"


def _of_another_product(envelope: bytes, orders: Sequence[WorkOrder]) -> Iterator[str]:
    """Say which order is for another product; that it is no statement at all is told elsewhere."""
    try:
        product = msgspec.json.decode(opened(envelope).payload, type=ReleasedRecipe).product
    except StatementError:
        return
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        yield f"is no recipe: {error}"
        return
    yield from (
        f"is for product {product}, the order is for {order.product}"
        for order in orders
        if order.product != product
    )
