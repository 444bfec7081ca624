"""A ledger that is rotated while dies are made, and a crash at any step of what becomes durable."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import pytest

from station.custody import durable_file, leaf_table
from station.custody.ledger import Fact
from station.vault.configuration import LedgerTable
from station.vault.publisher import Publisher, Witnessed
from tests.station.vault.dies import NOW
from tests.station.vault.vaults import TELLER, Vault

T = TypeVar("T")
OLD, NEW = LedgerTable().origin, "hardbin.example/development/2027"
DURABLE = ("put", "sync", "make_folder")


class CutError(Exception):
    """The process is no more."""


def publisher(folder: Path, vault: Vault, *witnesses: Witnessed) -> Publisher:
    return Publisher(folder / "vault.sqlite", folder / "ledger", LedgerTable(), vault.means.store, witnesses)


async def rotated(vault: Vault, new: str = NEW) -> None:
    """Rotate as two persons' action does."""
    facts = Fact("log.rotated", "desk"), Fact("log.opened", data={"mode": "development"})

    def act(db: object) -> None:
        old = leaf_table.logs(db, OLD)[-1].origin  # type: ignore[arg-type]
        TELLER.rotate(db, NOW, facts, old, new)  # type: ignore[arg-type]

    await vault.journal.commit(act)


@contextmanager
def cut(patch: pytest.MonkeyPatch, number: int) -> Iterator[list[int]]:
    """End before the number-th thing, from 0, that becomes durable; yields how many were tried."""
    passed = [0]

    def point() -> None:
        passed[0] += 1
        if passed[0] > number:  # who is dead does nothing more
            raise CutError

    def cutting(function: Callable[..., T]) -> Callable[..., T]:
        def called(*args: object, **options: object) -> T:
            point()
            return function(*args, **options)

        return called

    with patch.context() as within:
        for name in DURABLE:
            within.setattr(durable_file, name, cutting(getattr(durable_file, name)))
        within.setattr(Path, "rename", cutting(Path.rename))
        yield passed
