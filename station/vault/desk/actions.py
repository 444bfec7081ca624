"""What each action at the desk does, within one transaction and with its facts in the ledger."""

import sqlite3
from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

from station.custody import moves
from station.custody.ledger import Fact
from station.custody.moves import Account, Move
from station.vault import lot_closing, unit_moves
from station.vault.desk import approvals, people
from station.vault.desk.approvals import Consent
from station.vault.desk.documents import Name, Named, Nothing, as_json, digest_of
from station.vault.desk.orders import Orders
from station.vault.desk.roles import Action, Role
from station.vault.desk.service import Acting, Handler
from station.vault.desk.statement import StatementError
from station.vault.faults import FaultError
from station.vault.stops import Stops
from station.vault.teller import Teller

Text = Annotated[str, Meta(min_length=1, max_length=500)]
UNITS_MAX = 1000
SHOWN_MAX = 10_000


class NewPerson(Named, frozen=True):
    """A person's card, and what he is to be."""

    roles: tuple[Role, ...]


class Roles(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a person is from now on; nothing, if there are none."""

    roles: tuple[Role, ...]


class Reason(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why."""

    reason: Text


class Listed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which units."""

    account: Account | None = None
    most: Annotated[int, Meta(ge=1, le=SHOWN_MAX)] = 100


class Units(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Units of the lot that is the action's target, and why."""

    units: Annotated[tuple[Name, ...], Meta(min_length=1, max_length=UNITS_MAX)]
    reason: Text


class Release(Units, frozen=True):
    """Where to."""

    to: Account


class Missing(Units, frozen=True):
    """Under which incident it is looked into."""

    incident: Name


class Shipment(Units, frozen=True):
    """With which delivery."""

    delivery: Name


class TakenBack(Units, frozen=True):
    """By which order of the customer."""

    order: Name


class Sealed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which container of rejects was closed, and the number on its seal."""

    container: Name
    seal: Name


class Destruction(Units, frozen=True):
    """How and where."""

    method: Text
    place: Text


EVENTS: Mapping[Action, tuple[str, type[Units]]] = {
    Action.RELEASE_UNIT: ("unit.released", Release),
    Action.DESTROY: ("unit.destroyed", Destruction),
    Action.MARK_MISSING: ("unit.missing", Missing),
    Action.SAMPLE: ("unit.sampled", Units),
    Action.RETURN: ("unit.returned", Units),
    Action.SHIP: ("unit.shipped", Shipment),
    Action.TAKE_BACK: ("unit.rma", TakenBack),
}
QUALITY: Mapping[Role, moves.Role] = {Role.ENGINEER: moves.Role.ENGINEER, Role.OFFICER: moves.Role.OFFICER}


class Actions:
    """The handlers of all actions but approving."""

    def __init__(self, orders: Orders, stops: Stops, teller: Teller) -> None:
        self._orders, self._stops, self._teller = orders, stops, teller

    def handlers(self) -> dict[Action, Handler]:
        """Return the handler of each action."""
        moving: dict[Action, Handler] = dict.fromkeys(EVENTS, self._move)
        return moving | {
            Action.ADD_ORDER: self._add_order,
            Action.CLOSE_ORDER: self._close_order,
            Action.SHOW_ORDERS: self._show_orders,
            Action.RELEASE_KEYS: self._release_keys,
            Action.SHOW_PROPOSALS: _show_proposals,
            Action.RELEASE_LINE: self._release_line,
            Action.ADD_PERSON: self._add_person,
            Action.CHANGE_ROLES: self._change_roles,
            Action.SHOW_PEOPLE: _show_people,
            Action.CLOSE_LOT: self._close_lot,
            Action.SEAL: self._seal,
            Action.BALANCE: self._balance,
            Action.UNITS: _units,
        }

    # -- orders
    def _add_order(self, db: sqlite3.Connection, acting: Acting) -> object:
        acting.parameters(Named)
        order = self._orders.add(db, acting.document)
        if acting.request.target != order.id:
            raise StatementError(
                "malformed", f"the request is about {acting.request.target!r}, not {order.id}"
            )
        data: dict[str, object] = {
            "statement": digest_of(acting.document),
            "quantity": order.quantity,
            "signed_by": _names(acting),
        }
        self._told(db, acting, "order.added", data, order=order.id)
        return as_json(order)

    def _close_order(self, db: sqlite3.Connection, acting: Acting) -> object:
        reason = acting.parameters(Reason).reason
        self._orders.close(db, acting.request.target)
        self._told(db, acting, "order.closed", {"reason": reason}, order=acting.request.target)
        return self._orders.shown(db, acting.request.target)

    def _show_orders(self, db: sqlite3.Connection, acting: Acting) -> object:
        acting.parameters(Nothing)
        return self._orders.shown(db, acting.request.target)

    def _release_keys(self, db: sqlite3.Connection, acting: Acting) -> object:
        acting.parameters(Named)
        digest = digest_of(acting.document)
        release = self._orders.release(db, acting.document, digest)
        data: dict[str, object] = {
            "statement": digest,
            "stations": list(release.stations),
            "not_after": release.not_after,
            "signed_by": _names(acting),
        }
        self._told(db, acting, "key.released", data, order=release.order, key=release.key_set)
        return as_json(release)

    # -- the line and the people
    def _release_line(self, db: sqlite3.Connection, acting: Acting) -> object:
        reason = acting.parameters(Reason).reason
        released = self._stops.release(db)
        if not released:
            raise StatementError("wrong_state", "nothing stops the line")
        self._told(
            db, acting, "line.released", {"stops": released, "reason": reason, "persons": _names(acting)}
        )
        return {"released": released}

    def _add_person(self, db: sqlite3.Connection, acting: Acting) -> object:
        roles = acting.parameters(NewPerson).roles
        person = people.enter(db, acting.document, roles, acting.now)
        if acting.request.target != person:
            raise StatementError("malformed", f"the card is of {person}, not of {acting.request.target!r}")
        self._tell_roles(db, acting, person, roles)
        return {"person": person, "roles": sorted(roles)}

    def _change_roles(self, db: sqlite3.Connection, acting: Acting) -> object:
        roles = acting.parameters(Roles).roles
        people.give_roles(db, acting.request.target, roles, acting.now)
        self._tell_roles(db, acting, acting.request.target, roles)
        return {"person": acting.request.target, "roles": sorted(roles)}

    def _tell_roles(
        self, db: sqlite3.Connection, acting: Acting, person: str, roles: tuple[Role, ...]
    ) -> None:
        data: dict[str, object] = {"person": person, "roles": sorted(roles), "persons": _names(acting)}
        self._told(db, acting, "role.changed", data)

    # -- lots and units
    def _close_lot(self, db: sqlite3.Connection, acting: Acting) -> object:
        acting.parameters(Nothing)
        lot = acting.request.target
        unit_moves.balance(db, lot)
        try:
            accounts = lot_closing.close(
                db,
                self._teller,
                lot,
                acting.now,
                seals=self._orders.place.seals,
                src="desk",
                actor=acting.request.person,
            )
        except FaultError as fault:
            raise StatementError("wrong_state", fault.detail) from None
        return {"lot": lot, "accounts": accounts}

    def _seal(self, db: sqlite3.Connection, acting: Acting) -> object:
        asked, lot = acting.parameters(Sealed), acting.request.target
        unit_moves.sealed(db, lot, asked.container, asked.seal, acting.request.person, acting.now)
        self._told(db, acting, "container.sealed", as_json(asked), lot=lot)
        return as_json(asked)

    def _balance(self, db: sqlite3.Connection, acting: Acting) -> object:
        acting.parameters(Nothing)
        lots = [acting.request.target] if acting.request.target else unit_moves.lots(db)
        found = [unit_moves.balance(db, lot) for lot in lots]
        seals = self._orders.place.seals
        return [
            as_json(one)
            | {"hindrance": unit_moves.hindrance(db, one, seals=seals) if one.state == "open" else ""}
            for one in found
        ]

    def _move(self, db: sqlite3.Connection, acting: Acting) -> object:
        event, kind = EVENTS[acting.request.action]
        asked = acting.parameters(kind)
        if len(set(asked.units)) != len(asked.units):
            raise StatementError("malformed", "a unit is named twice")
        return {"moved": [self._moved(db, acting, event, asked, unit) for unit in asked.units]}

    def _moved(
        self, db: sqlite3.Connection, acting: Acting, event: str, asked: Units, unit: str
    ) -> dict[str, str]:
        lot = acting.request.target
        if not unit.startswith(f"{lot}/"):
            raise StatementError("malformed", f"unit {unit} is not of lot {lot}")
        unit_moves.see(db, lot, unit, acting.now)
        evidence = {k: v for k, v in as_json(asked).items() if isinstance(v, str) and k != "to"}
        to = asked.to if isinstance(asked, Release) else None
        if to is Account.WIP:
            self._orders.may_go_on(db, unit)
        persons = tuple(_standing_for(one, event) for one in acting.persons)
        move = Move(unit, event, to, persons, evidence)
        moved = unit_moves.moved(db, move, unit_moves.Why(acting.now, acting.request.action_hash()))
        source, target = moved.source, moved.target
        if target is Account.DESTROYED:
            self._orders.credit(db, unit)
        data: dict[str, object] = {"from": source, "to": target, "persons": _names(acting), **evidence}
        self._told(db, acting, event, data, unit=unit, lot=lot)
        for fact in moved.certificates:
            self._teller.tell(db, acting.now, fact)
        return {"unit": unit, "from": source, "to": target}

    def _told(
        self, db: sqlite3.Connection, acting: Acting, event: str, data: dict[str, object], **about: str
    ) -> None:
        self._teller.tell(db, acting.now, Fact(event, "desk", data, actor=acting.request.person, **about))


def _names(acting: Acting) -> list[str]:
    return [one.person for one in acting.persons]


def _standing_for(consent: Consent, event: str) -> moves.Person:
    quality = moves.Role.WITNESS if event == "unit.destroyed" else QUALITY.get(consent.role)
    return moves.Person(consent.person, quality or moves.Role.WITNESS)


def _show_proposals(db: sqlite3.Connection, acting: Acting) -> object:
    found = approvals.waiting(db, acting.now)
    return [
        as_json(request)
        | {"action_hash": request.action_hash(), "approved_by": [one.person for one in consents]}
        for request, consents in found
        if acting.request.target in {"", request.action_hash()}
    ]


def _show_people(db: sqlite3.Connection, acting: Acting) -> object:
    del acting
    return [
        {"person": one.person, "roles": sorted(one.roles), "ed25519": one.public_key.hex()}
        for one in people.everybody(db)
    ]


def _units(db: sqlite3.Connection, acting: Acting) -> object:
    asked = acting.parameters(Listed)
    unit_moves.balance(db, acting.request.target)
    return unit_moves.units(db, acting.request.target, asked.account or "", asked.most)
