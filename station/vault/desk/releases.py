"""What persons let into a vault beside orders: profiles, dies sorted elsewhere, results of ceremonies."""

import sqlite3
from hashlib import sha256

import msgspec

from drivers.errors import DutError
from drivers.protocols.se1_objects import decode_uid
from station.custody.ledger import Fact
from station.vault import returns, sorted_dies
from station.vault.ceremonies import bundle
from station.vault.desk.documents import (
    Name,
    Named,
    Nothing,
    ReleasedRecipe,
    ReleaseOf,
    RmaBox,
    UidList,
    digest_of,
)
from station.vault.desk.roles import Action
from station.vault.desk.service import Acting, Handler
from station.vault.desk.statement import StatementError, opened
from station.vault.keys.words import SealedKey
from station.vault.products import Products
from station.vault.teller import Teller


class Releases:
    """The handlers of actions whose document goes into a table of its own."""

    def __init__(self, products: Products, teller: Teller) -> None:
        self._products, self._teller = products, teller

    def handlers(self) -> dict[Action, Handler]:
        """Return the handler of each action."""
        return {
            Action.ADD_DIES: self._add_dies,
            Action.RELEASE_PROFILE: self._release_profile,
            Action.RELEASE_RECIPE: self._release_recipe,
            Action.IMPORT_CEREMONY: self._import_ceremony,
            Action.SHOW_BOX: _show_box,
            Action.OPEN_UNIT: self._open_unit,
        }

    def _add_dies(self, db: sqlite3.Connection, acting: Acting) -> object:
        acting.parameters(Named)
        sent = opened(acting.document).read(UidList)
        profile = self._products.get(sent.product)
        uids = tuple(map(bytes.fromhex, sent.uids))
        if profile is None or any(not _is_uid(uid, profile.number) for uid in uids):
            raise StatementError("malformed", f"list {sent.id}: not all of it are UIDs of {sent.product}")
        _about(acting, sent.id)
        done: dict[str, object] = {"list": sent.id, "dies": len(uids)}
        done |= {"new": sorted_dies.listed(db, uids, sent.id, acting.now)}
        self._told(db, acting, "unit.received", done)
        return done

    def _release_profile(self, db: sqlite3.Connection, acting: Acting) -> object:
        acting.parameters(Named)
        profile = self._products.release(db, acting.document, acting.now)
        _about(acting, profile.product)
        self._products.take(profile)
        done: dict[str, object] = {"product": profile.product, "profile": profile.hash().hex()}
        self._told(db, acting, "profile.released", done)
        return done

    def _release_recipe(self, db: sqlite3.Connection, acting: Acting) -> object:
        """Keep a recipe that two persons release; what a station wants of it is the station's matter."""
        fingerprint = acting.parameters(ReleaseOf).fingerprint
        payload = opened(acting.document).payload
        try:
            recipe = msgspec.json.decode(payload, type=ReleasedRecipe)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise StatementError("malformed", f"not a recipe: {error}") from None
        digest = sha256(payload).hexdigest()
        _about(acting, digest)
        row = (digest, recipe.name, recipe.version, fingerprint, acting.document, acting.now)
        if not db.execute("INSERT OR IGNORE INTO recipe VALUES (?, ?, ?, ?, ?, ?)", row).rowcount:
            raise StatementError("wrong_state", f"recipe {recipe.name} {recipe.version} was released before")
        done: dict[str, object] = {"recipe": digest, "fingerprint": fingerprint}
        done |= {name: getattr(recipe, name) for name in ("name", "version", "product", "base")}
        self._told(db, acting, "recipe.released", done)
        return done

    def _import_ceremony(self, db: sqlite3.Connection, acting: Acting) -> object:
        """Keep a ceremony's bundle; the two officers who approve have checked its printed transcript."""
        acting.parameters(Named)
        found = bundle.read(acting.document)
        _about(acting, found.ceremony)
        digest = digest_of(acting.document)
        row = (digest, found.ceremony, found.transcript, acting.document, acting.now)
        if not db.execute("INSERT OR IGNORE INTO ceremony VALUES (?, ?, ?, ?, ?)", row).rowcount:
            raise StatementError("wrong_state", f"this bundle of {found.ceremony} was imported before")
        done: dict[str, object] = {
            "ceremony": found.ceremony,
            "plan": found.plan,
            "transcript": found.transcript,
            "store": found.store,
            "keys": {one.profile.id: one.state.value for one in found.keys},
        }
        done |= {"revoked": found.revoked} if found.revoked else {}
        self._told(db, acting, "ceremony.imported", done)
        return done

    def _open_unit(self, db: sqlite3.Connection, acting: Acting) -> object:
        """Take the token that a ceremony yielded for a unit; the next RMA_OPEN of it presents it."""
        acting.parameters(Named)
        unit = acting.request.target
        try:
            msgspec.json.decode(acting.document, type=SealedKey)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise StatementError("malformed", f"not a token sealed to a store: {error}") from None
        returns.allow(db, unit, acting.document, [one.person for one in acting.persons], acting.now)
        return {"unit": unit}

    def _told(self, db: sqlite3.Connection, acting: Acting, event: str, data: dict[str, object]) -> None:
        persons = [one.person for one in acting.persons]
        told = {**data, "statement": digest_of(acting.document), "signed_by": persons}
        self._teller.tell(db, acting.now, Fact(event, "desk", told, actor=acting.request.person))


def _show_box(db: sqlite3.Connection, acting: Acting) -> object:
    acting.parameters(Nothing)
    uid, box = returns.box_of(db, acting.request.target)
    return msgspec.to_builtins(RmaBox(acting.request.target, uid.hex(), box))


def _about(acting: Acting, name: Name) -> None:
    if acting.request.target != name:
        raise StatementError("malformed", f"the request is about {acting.request.target!r}, not {name}")


def _is_uid(uid: bytes, product: int) -> bool:
    try:
        return decode_uid(uid).product == product
    except DutError:
        return False
