"""The people of a station, as console and command line know them: accounts, sessions, acts of two persons.

Every call blocks, some for a quarter of a second: an event loop makes them on a thread of their own.
"""

import logging
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from msgspec import Struct

from station.authority import Action
from station.custody import durable_file, leaf_table
from station.custody.checkpoint import Note
from station.errors import LedgerError
from station.people import accounts, sessions
from station.people.database import Database
from station.people.dual_control import Act, DualControl, Proof
from station.people.inside import Inside
from station.people.login import Login
from station.people.person import PeopleError, Person
from station.people.pins import Cost, Pins, pepper
from station.people.security_keys import Page, SecurityKeys
from station.people.trail import Trail
from station.vault.desk.roles import Role

log = logging.getLogger(__name__)
DATABASE = "people.db"
FOUNDERS = (("first engineer", Role.ENGINEER), ("first security officer", Role.OFFICER))


class Head(Struct, frozen=True):
    """Where the ledger stands: entries, and the root of their tree."""

    size: int
    root: str


class People:
    """What is behind the door; `close` it."""

    def __init__(self, inside: Inside) -> None:
        self._in = inside
        self.login = Login(inside)
        self.dual = DualControl(inside)
        self.keys = SecurityKeys(inside)

    def close(self) -> None:
        """Publish the ledger and leave."""
        self.publish()
        self._in.database.close()

    def publish(self) -> Note | None:
        """Sign and write what the ledger was told; None if it was told nothing. LedgerError."""
        return self._in.trail.publish(self._in.database)

    @property
    def log_keys(self) -> tuple[str, ...]:
        """The ledger's public keys."""
        return self._in.trail.keys

    # -- for pages
    def enter(self, badge: str, pin: str, place: str) -> str:
        """Log in with badge and PIN and return the session's token; PeopleError."""
        person = self.login.by_pin(badge, pin)
        if Role.OFFICER in person.roles and self.keys.has(person.id):
            raise PeopleError("denied", "a security officer logs in with the security key")
        token = self.login.open(person, place, "pin")
        self._published()
        return token

    def enter_by_key(self, page: Page, answer: str, place: str) -> str:
        """Log in with a security key's answer to a greeting and return the session's token; PeopleError."""
        token = self.login.open(self.keys.person(page, answer), place, "key")
        self._published()
        return token

    def session(self, token: str, *, active: bool = True) -> sessions.Session | None:
        """Return whose token this is; None after logout, too long a rest, or the end of the shift."""
        return self.login.session(token, active=active)

    def leave(self, token: str) -> None:
        """Log out."""
        self.login.close(token)
        self._published()

    def _published(self) -> None:
        """A console runs for weeks: publish as people come and go. What was told is on disk already."""
        try:
            self.publish()
        except LedgerError as error:
            log.error("ledger of people: %s", error)

    def proof(self, badge: str, pin: str) -> Proof:
        """A person's fresh word for one act; PeopleError."""
        return Proof(self.login.by_pin(badge, pin), "pin")

    # -- accounts
    def found(self) -> dict[str, str]:
        """Make the first two accounts and return their one-time codes, by name; again until one has enrolled.

        There is no default account: without these codes nobody gets in.
        """
        now = self._in.now()
        with self._in.database.changing() as db:
            if db.execute("SELECT 1 FROM person WHERE pin IS NOT NULL").fetchone() is not None:
                raise PeopleError("wrong_state", "this station has its people already")
            codes = {}
            for name, role in FOUNDERS:
                there = db.execute("SELECT id FROM person WHERE name = ?", (name,)).fetchone()
                person = there[0] if there else accounts.add(db, name, (role,), now)
                if there is None:
                    self._in.trail.tell(db, "person.added", person, roles=[role.value])
                codes[name] = accounts.code_for(db, person, now)
        return codes

    def empty(self) -> bool:
        """Whether nobody has enrolled yet."""
        with self._in.database.reading() as db:
            return db.execute("SELECT 1 FROM person WHERE pin IS NOT NULL").fetchone() is None

    def enrol(self, code: str, badge: str, pin: str) -> Person:
        """Let a person with a one-time code set badge and PIN; PeopleError, and the code is still good."""
        with self._in.database.changing() as db:
            person = accounts.enrolling(db, code, self._in.now())
            accounts.set_badge(db, self._in.pins, person, badge)
            accounts.set_pin(db, self._in.pins, person, pin)
            sessions.revoke(db, person)
            self._in.trail.tell(db, "person.enrolled", person)
            return accounts.by_id(db, person)

    def add(self, name: str, roles: frozenset[Role], proofs: tuple[Proof, Proof]) -> str:
        """Make an account by an engineer and a security officer, and return its one-time code."""
        with self._both(proofs, name, {"do": "add", "roles": sorted(roles)}) as db:
            return self._added(db, name, roles)

    def give_roles(self, name: str, roles: frozenset[Role], proofs: tuple[Proof, Proof]) -> None:
        """Give a person other roles, by the two; open sessions have them at once."""
        with self._both(proofs, name, {"do": "roles", "roles": sorted(roles)}) as db:
            self._given(db, name, roles)

    def renew(self, name: str, proofs: tuple[Proof, Proof]) -> str:
        """Draw a new one-time code for a person who has lost PIN or badge, by the two."""
        with self._both(proofs, name, {"do": "renew"}) as db:
            return self._renewed(db, name)

    def carry_out(self, digest: str) -> str:
        """Do what two persons have consented to, once; return the one-time code if there is one."""
        act = self.dual.act(digest)
        do, name = act.parameters["do"], act.target
        roles = frozenset(msgspec.convert(act.parameters.get("roles", ()), tuple[Role, ...]))
        with self._in.database.changing() as db:
            self.dual.use(db, act)
            if do == "add":
                return self._added(db, name, roles)
            if do == "renew":
                return self._renewed(db, name)
            self._given(db, name, roles)
        return ""

    def consented(self, digest: str) -> tuple[Act, tuple[Person, ...]]:
        """Use up the consents to what is not done here; return it and whose it is, whoever asked first."""
        act = self.dual.act(digest)
        with self._in.database.changing() as db:
            persons = self.dual.use(db, act)
            return act, tuple(accounts.by_id(db, person) for person in persons)

    def _added(self, db: sqlite3.Connection, name: str, roles: frozenset[Role]) -> str:
        person = accounts.add(db, name, roles, self._in.now())
        self._in.trail.tell(db, "person.added", person, roles=sorted(roles))
        return accounts.code_for(db, person, self._in.now())

    def _given(self, db: sqlite3.Connection, name: str, roles: frozenset[Role]) -> None:
        person = accounts.named(db, name)
        accounts.give_roles(db, person, roles, self._in.now())
        self._in.trail.tell(db, "role.changed", person, roles=sorted(roles))

    def _renewed(self, db: sqlite3.Connection, name: str) -> str:
        person = accounts.named(db, name)
        accounts.by_id(db, person)
        self._in.trail.tell(db, "person.renewed", person)
        return accounts.code_for(db, person, self._in.now())

    def head(self) -> Head:
        """Return where the ledger stands."""
        with self._in.database.reading() as db:
            edge = leaf_table.head(db).edge
            return Head(edge.size, edge.root.hex())

    def disable(self, name: str, proof: Proof) -> None:
        """Let a person do nothing any more; one of the two may, since it only stops something."""
        with self._one(proof) as db:
            person = accounts.named(db, name)
            accounts.disable(db, person, self._in.now())
            self._in.trail.tell(db, "person.disabled", person, by=proof.person.id)

    def unlock(self, name: str, proof: Proof) -> None:
        """Open a lock before its time; another person than the one who is locked out."""
        with self._one(proof) as db:
            person = accounts.named(db, name)
            accounts.unlock(db, person)
            self._in.trail.tell(db, "person.unlocked", person, by=proof.person.id)

    def listed(self) -> list[accounts.Account]:
        """Return all accounts."""
        with self._in.database.reading() as db:
            return accounts.listed(db, self._in.now())

    @contextmanager
    def _both(
        self, proofs: tuple[Proof, Proof], target: str, parameters: dict[str, object]
    ) -> Iterator[sqlite3.Connection]:
        first, second = proofs
        act = self.dual.ask(first, Action.KEEP_PEOPLE, target, parameters)
        self.dual.approve(act.digest, second)
        with self._in.database.changing() as db:
            self.dual.use(db, act)
            yield db

    @contextmanager
    def _one(self, proof: Proof) -> Iterator[sqlite3.Connection]:
        if not proof.person.roles & {Role.ENGINEER, Role.OFFICER}:
            raise PeopleError("denied", "this is for an engineer or a security officer")
        with self._in.database.changing() as db:
            yield db


@contextmanager
def people(
    folder: Path, station: str, now: Callable[[], float], cost: tuple[int, int, int] = Cost.FULL
) -> Iterator[People]:
    """Open a station's people while the block lasts; the folder is made if there is none.

    ConfigError, StorageError.
    """
    for parent in durable_file.make_folder(folder):
        durable_file.sync(parent)
    folder.chmod(0o700)
    pins = Pins(pepper(folder), cost)
    trail = Trail(folder, station, now)
    inside = People(Inside(station, Database(folder / DATABASE), trail, pins, now))
    try:
        yield inside
    finally:
        inside.close()
