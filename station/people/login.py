"""Who somebody is: badge and PIN, with a lock after a few wrong ones that a restart does not open."""

import logging
import sqlite3

from station.errors import StorageError
from station.people import accounts, sessions
from station.people.inside import Inside
from station.people.person import PeopleError, Person

log = logging.getLogger(__name__)
TRIES = 5
LOCKED_S, LOCKED_MAX_S = 900.0, 86_400.0
"""The first lock, and the longest: each further wrong PIN doubles it."""
WRONG = "badge or PIN is wrong"
PLACE_MAX = 64


class Login:
    """Lets persons in; every refusal is in the ledger."""

    def __init__(self, inside: Inside) -> None:
        self._in = inside

    def by_pin(self, badge: str, pin: str) -> Person:
        """Return whose badge and PIN these are; PeopleError. It takes a fraction of a second."""
        kept, person = self._tried(badge)
        right = self._in.pins.right(kept, pin)
        if person is None or not right:
            raise self._refused(person, WRONG)
        with self._in.database.changing() as db:
            accounts.unlock(db, person)
            return accounts.by_id(db, person)

    def _tried(self, badge: str) -> tuple[str | None, str | None]:
        """Count a try before it is judged, so that many at once are no more than many in a row."""
        now = self._in.now()
        with self._in.database.changing() as db:
            query = "SELECT id, pin, wrong, locked_until FROM person WHERE badge = ? AND NOT disabled"
            row = db.execute(query, (self._in.pins.badge(badge),)).fetchone()
            if row is None:
                return None, None
            person, kept, wrong, until = row
            locked = now < until
            if not locked:
                self._count(db, person, wrong + 1, now)
        if locked:
            minutes = max(1, round((until - now) / 60))
            raise self._refused(person, f"locked after {wrong} wrong PINs, for {minutes} min")
        return kept, person

    def _count(self, db: sqlite3.Connection, person: str, wrong: int, now: float) -> None:
        until = 0.0
        if wrong >= TRIES:
            until = now + min(LOCKED_S * 2.0 ** min(wrong - TRIES, 16), LOCKED_MAX_S)
        db.execute("UPDATE person SET wrong = ?, locked_until = ? WHERE id = ?", (wrong, until, person))

    def _refused(self, person: str | None, why: str) -> PeopleError:
        with self._in.database.changing() as db:
            self._in.trail.tell(db, "session.refused", person, reason=why)
        return PeopleError("denied", why)

    # -- sessions
    def open(self, person: Person, place: str, means: str) -> str:
        """Open a session for a person who has shown who he is, and return its token."""
        with self._in.database.changing() as db:
            still = accounts.by_id(db, person.id)
            db.execute("DELETE FROM session WHERE expires < ?", (self._in.now(),))
            token, number = sessions.open_for(db, still, place[:PLACE_MAX], means, self._in.now())
            told = {"session": number, "place": place[:PLACE_MAX], "means": means}
            self._in.trail.tell(db, "session.opened", person.id, **told)
        return token

    def session(self, token: str, *, active: bool) -> sessions.Session | None:
        """Return the session of a token; `active`: somebody did something, and not just the page.

        Without `active` it waits for nobody who changes something.
        """
        now = self._in.now()
        if not active:
            with self._in.database.apart() as db:
                return sessions.current(db, token, now)
        with self._in.database.reading() as db:
            found = sessions.current(db, token, now)
            stale = found is not None and sessions.stale(db, found, now)
        if stale and found is not None:
            self._seen(found, now)
        return found

    def _seen(self, found: sessions.Session, now: float) -> None:
        """Write down that somebody is there; where that fails, the session ends the sooner."""
        try:
            with self._in.database.changing() as db:
                sessions.seen(db, found, now)
        except StorageError as error:
            log.error("session %s: %s", found.number, error)

    def close(self, token: str, why: str = "logged out") -> None:
        """End a session, also one that is over."""
        with self._in.database.changing() as db:
            if (ended := sessions.close(db, token)) is not None:
                number, person = ended
                self._in.trail.tell(db, "session.closed", person, session=number, reason=why)
