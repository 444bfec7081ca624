"""The seam between a vault's own registry and that of its plant: `embedded`, there is none, or `site`."""

import sqlite3
from collections.abc import Iterable
from typing import Protocol

from station.vault.plant.site_claims import LOCAL
from station.vault.plant.uniqueness import Claim


class Checks(Protocol):
    """Where a unit's UID, keys and numbers are checked beyond this vault's own file."""

    def admit(self, db: sqlite3.Connection, unit: str) -> None:
        """Before a unit is admitted; FaultError if too many are not checked."""

    def write(self, db: sqlite3.Connection, unit: str, now: float, claims: Iterable[Claim]) -> None:
        """In the transaction of a step: what it claims; FaultError if the unit has lost a claim before."""

    async def answered(self, unit: str) -> None:
        """After the commit: wait for an answer, but not for long; FaultError if another unit has it."""

    async def checked(self, unit: str) -> str:
        """Who has checked the unit, for its record: `local` or `site`."""


class Embedded:
    """The vault's own file is the plant's registry."""

    def admit(self, db: sqlite3.Connection, unit: str) -> None:
        """Every unit is checked at once."""

    def write(self, db: sqlite3.Connection, unit: str, now: float, claims: Iterable[Claim]) -> None:
        """The tables of the journal are the claims."""

    async def answered(self, unit: str) -> None:
        """There is nobody to ask."""

    async def checked(self, unit: str) -> str:
        return LOCAL
