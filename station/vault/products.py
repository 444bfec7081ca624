"""The products that a vault makes: by profiles that persons have released, in development also built in."""

import sqlite3
from collections.abc import Iterator, Mapping

from station.vault.desk.documents import ProfileRelease
from station.vault.desk.statement import StatementError, opened
from station.vault.profiles import PRODUCTS, Profile


class Products(Mapping[str, Profile]):
    """Profiles by product, the last release of each."""

    def __init__(self, *, production: bool) -> None:
        self._production = production
        self._found = {} if production else dict(PRODUCTS)

    def __getitem__(self, product: str) -> Profile:
        return self._found[product]

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)

    def load(self, db: sqlite3.Connection) -> None:
        """Take up what was released before this start."""
        for (statement,) in db.execute("SELECT statement FROM profile ORDER BY at, hash"):
            profile = opened(statement).read(ProfileRelease).profile
            self._found[profile.product] = profile

    def release(self, db: sqlite3.Connection, envelope: bytes, now: float) -> Profile:
        """Keep a release that was verified; StatementError if nothing can be made by it here."""
        profile = opened(envelope).read(ProfileRelease).profile
        wrong = [*profile.faults(), *(profile.refused() if self._production else ())]
        others = [one.product for one in self._found.values() if one.number == profile.number]
        if any(other != profile.product for other in others):
            wrong.append(f"number {profile.number:#06x} is that of {others[0]}")
        if wrong:
            raise StatementError("malformed", f"profile of {profile.product}: {'; '.join(wrong)}")
        row = (profile.hash().hex(), profile.product, envelope, now)
        db.execute("INSERT OR REPLACE INTO profile VALUES (?, ?, ?, ?)", row)
        return profile

    def take(self, profile: Profile) -> None:
        """Make by a profile from now on; it is kept."""
        self._found[profile.product] = profile
