"""Recipes in a bundle: released by two, told by the ledger, and none changed or left out."""

import asyncio
from hashlib import sha256
from pathlib import Path

import pytest

from station.custody.ledger import Fact
from station.evidence.dual_control import ActionLine
from station.evidence.strict import decoded, encoded
from station.recipe.content import Recipe
from station.vault.desk.documents import digest_of
from station.vault.desk.statement import opened, signed
from tests.station.evidence import lots
from tests.station.evidence.desks import ENGINEER, OFFICER, DeskHere
from tests.station.evidence.lots import Lot
from tests.station.vault.dies import FINGERPRINT, NOW, DirectLink, sound_chip
from tests.station.vault.vaults import opened_vault

NEXT = "plant.example/2027"


def recipe(version: int, product: str = "se1") -> bytes:
    made = Recipe(
        name="se1-ft",
        version=version,
        product=product,
        sequence="se1-final-test",
        base="5" * 64,
        not_before=int(NOW),
        not_after=int(NOW) + 60,
    )
    return signed(made, (*ENGINEER.both(), *OFFICER.both()))


OURS, OTHERS = recipe(4), recipe(5)
DIGEST = sha256(opened(OURS).payload).hexdigest()
FILE = f"recipes/{DIGEST}.json"


@pytest.fixture(scope="module")
def lot(tmp_path_factory: pytest.TempPathFactory) -> Lot:
    """A device made by a recipe that was released in the log before, and another recipe of no concern."""
    return asyncio.run(_made(tmp_path_factory.mktemp("recipes")))


async def _made(folder: Path) -> Lot:
    async with opened_vault(folder) as vault:
        desk = DeskHere(vault)
        await desk.opened()
        for table in ("lot", "leaf", "edge"):
            delete = f"DELETE FROM {table}"  # noqa: S608 - of the names above
            await vault.journal.commit(lambda db, delete=delete: db.execute(delete))  # type: ignore[misc]
        await desk.recipe_released(OURS, FINGERPRINT.hex())
        await desk.recipe_released(OTHERS, "6" * 64)
        await desk.rotated(NEXT)
        await desk.ordered()
        await vault.means.registry.open_lot("L1", "se1", "WO-1", 24, NOW)
        await vault.personalise("L1/1", DirectLink(sound_chip(1)))
        return await lots._exported(folder, vault)


def test_the_recipe_of_the_order_is_there_with_its_leaf_and_its_approvals(lot: Lot) -> None:
    assert lot.verdict().findings == ()
    assert [name for name in lot.files if name.startswith("recipes/")] == [FILE]
    assert lot.files[FILE] == OURS
    (line,) = lot.files["actions.jsonl"].splitlines()
    assert len(decoded(line, ActionLine).approvals) == 2
    assert any(name.startswith("ledgers/1/") for name in lot.files), "the log in which it was released"


def test_a_recipe_that_was_left_out_is_found(lot: Lot, tmp_path: Path) -> None:
    (found,) = lot.judged(tmp_path / "less.tar", {FILE: None})
    assert found.startswith(f"{FILE}: is missing; leaf ")


def test_a_recipe_with_other_words_is_found(lot: Lot, tmp_path: Path) -> None:
    found = lot.judged(tmp_path / "other.tar", {FILE: OTHERS})
    assert f"{FILE}: is another recipe than its name says" in found
    other = sha256(opened(recipe(6)).payload).hexdigest()
    more = lot.judged(tmp_path / "more.tar", {f"recipes/{other}.json": recipe(6)})
    assert more == [f"recipes/{other}.json: no leaf of the ledger tells of it"]
    assert lot.judged(tmp_path / "none.tar", {FILE: b"{}"})[0].startswith(f"{FILE}: not a signed statement")


def test_a_recipe_with_other_signatures_is_found(lot: Lot, tmp_path: Path) -> None:
    alone = signed(opened(OURS).read(Recipe), ENGINEER.both())
    assert opened(alone).payload == opened(OURS).payload
    (found,) = lot.judged(tmp_path / "alone.tar", {FILE: alone})
    assert found.endswith("tells of other signatures under it")


def test_a_recipe_of_which_two_leaves_tell_is_found(tmp_path: Path) -> None:
    """A vault that tells again of a recipe, for a fingerprint of no concern, cannot take it out of sight."""

    async def made() -> Lot:
        async with opened_vault(tmp_path) as vault:
            desk = DeskHere(vault)
            await desk.opened()
            await desk.recipe_released(OURS, FINGERPRINT.hex())
            again = {"recipe": DIGEST, "fingerprint": "6" * 64, "statement": digest_of(OURS)}
            await vault.means.registry.told(Fact("recipe.released", "desk", again), NOW)
            await desk.ordered()
            return await lots._exported(tmp_path, vault)

    lot = asyncio.run(made())
    for number, changes in enumerate(({}, {FILE: None})):
        found = lot.judged(tmp_path / f"{number}.tar", changes)
        assert any(one.startswith(FILE) for one in found), changes


def test_a_recipe_of_another_product_is_found(tmp_path: Path) -> None:
    """Two persons have said that it has the fingerprint of the order; no station would have run it."""

    async def made() -> Lot:
        async with opened_vault(tmp_path) as vault:
            desk = DeskHere(vault)
            await desk.opened()
            await desk.recipe_released(recipe(4, "se2"), FINGERPRINT.hex())
            await desk.ordered()
            return await lots._exported(tmp_path, vault)

    (found,) = [one for one in asyncio.run(made()).verdict().findings if one.file.startswith("recipes/")]
    assert found.what == "is for product se2, the order is for se1"


def test_a_release_that_two_have_not_approved_is_found(lot: Lot, tmp_path: Path) -> None:
    (found,) = lot.judged(tmp_path / "none.tar", {"actions.jsonl": b""})
    assert found.startswith(f"{FILE}: has no approval of leaf ")
    line = decoded(lot.files["actions.jsonl"].strip(), ActionLine)
    alone = encoded(ActionLine(line.request, line.approvals[:1])) + b"\n"
    first, second = lot.judged(tmp_path / "alone.tar", {"actions.jsonl": alone})
    assert first.endswith("is not approved by enough persons")
    assert second == found
