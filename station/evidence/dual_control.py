"""Orders, key releases and approvals of a bundle: by two persons, in time, and enough for what was done."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from msgspec import Struct

from station.errors import EvidenceError
from station.evidence.archive import Archive
from station.evidence.bundle import ACTIONS, ORDER, PERSONS, RELEASES
from station.evidence.device import DeviceFacts
from station.evidence.finding import Finding
from station.evidence.history import LotHistory
from station.evidence.manifest import MANIFEST
from station.evidence.order_history import OrderHistory, Signed, UsedApproval
from station.evidence.released import Recipes
from station.evidence.strict import lines_of
from station.evidence.trust import Trust
from station.vault.desk.approvals import EARLY_S, FRESH_S
from station.vault.desk.documents import Approval, KeyRelease, Request, WorkOrder, digest_of
from station.vault.desk.people import card_of
from station.vault.desk.roles import Action, Role, seated
from station.vault.desk.statement import ED25519, Opened, StatementError, opened

EVENTS: Mapping[str, Action] = {
    "unit.released": Action.RELEASE_UNIT,
    "unit.destroyed": Action.DESTROY,
    "unit.missing": Action.MARK_MISSING,
    "unit.returned": Action.RETURN,
}


Known: TypeAlias = dict[tuple[Action, str], list[tuple[Request, UsedApproval]]]
"""Approved actions, and when each was done, by action and target."""


class PersonLine(Struct, frozen=True, forbid_unknown_fields=True):
    """A line of `persons.jsonl`: a pseudonym's roles, and the card that has the public key."""

    person: str
    roles: tuple[Role, ...]
    card: str


class ActionLine(Struct, frozen=True, forbid_unknown_fields=True):
    """A line of `actions.jsonl`: what was asked at the desk, and who approved it; signed statements."""

    request: str
    approvals: tuple[str, ...]


@dataclass(frozen=True)
class Persons:
    """Keys and roles by pseudonym."""

    keys: Mapping[str, Mapping[str, bytes]]
    roles: Mapping[str, frozenset[Role]]

    def signers(self, statement: Opened, action: Action) -> tuple[str, ...]:
        """Return who signed; StatementError unless that is enough for the action."""
        names = statement.signed_by(self.keys.get)
        if not seated(action, {name: self.roles[name] for name in names}):
            raise StatementError("dual_denied", f"is signed by {', '.join(names)}, which is not enough")
        return names


@dataclass
class DualControl:
    """The checks of one lot."""

    bundle: Archive
    trust: Trust
    vault: str
    """Whose bundle it is."""
    history: LotHistory
    orders: OrderHistory

    def differences(self, devices: Sequence[DeviceFacts]) -> Iterator[Finding]:
        """Say what was done without, or against, what persons signed."""
        persons, wrong = self._persons()
        yield from wrong
        order: list[WorkOrder] = []
        yield from self._order(persons, order)
        releases: list[tuple[int, KeyRelease]] = []
        yield from self._releases(persons, releases)
        for one in order:
            yield from self._quota(one.at(self.vault))
            for device in devices:
                yield from (Finding(MANIFEST, what, device.unit) for what in _outside(device, one, releases))
        known: Known = {}
        yield from self._actions(persons, known)
        yield from self._moves(known)
        yield from Recipes(self.bundle, self.orders, known).differences(order)

    def _persons(self) -> tuple[Persons, list[Finding]]:
        keys: dict[str, Mapping[str, bytes]] = {}
        roles: dict[str, frozenset[Role]] = {}
        wrong: list[Finding] = []
        held: dict[str, str] = {}
        for line in lines_of(PERSONS, self.bundle.read(PERSONS), PersonLine):
            try:
                card = card_of(line.card.encode())
            except (StatementError, ValueError) as error:
                wrong.append(Finding(PERSONS, f"the card of {line.person}: {error}"))
                continue
            known = self.trust.persons.get(line.person)
            if card.person != line.person or known not in (None, card.ed25519):
                wrong.append(
                    Finding(PERSONS, f"the card of {line.person} has another key than the trusted one")
                )
                continue
            if held.setdefault(card.ed25519, line.person) != line.person:  # or one would be two
                wrong.append(Finding(PERSONS, f"{line.person} has the key of {held[card.ed25519]}"))
                continue
            keys[line.person] = {ED25519: bytes.fromhex(card.ed25519)}
            roles[line.person] = frozenset(line.roles)
        return Persons(keys, roles), wrong

    def _order(self, persons: Persons, found: list[WorkOrder]) -> Iterator[Finding]:
        if ORDER not in self.bundle.members:
            if self.history.order or self.history.issued:  # a lot that was only sorted needs none
                yield Finding(ORDER, "is missing: nobody ordered this lot")
            return
        envelope = self.bundle.read(ORDER)
        try:
            statement = opened(envelope)
            order = statement.read(WorkOrder)
            names = persons.signers(statement, Action.ADD_ORDER)
        except (StatementError, KeyError) as error:
            yield Finding(ORDER, str(error))
            return
        found.append(order)
        opened_data = self.history.opened
        product = "" if opened_data is None else opened_data.product
        if order.id != self.history.order:
            yield Finding(ORDER, f"is {order.id}, the lot was opened under {self.history.order or 'none'}")
        if order.product != product or (order.lots != "any" and self.history.lot not in order.lots):
            yield Finding(ORDER, "is not for this product and lot")
        if reason := order.not_for(self.vault, alone=self.trust.mode == "production"):
            yield Finding(ORDER, reason)
        yield from _leaf(ORDER, self.orders.added.get(digest_of(envelope)), order.id, names)

    def _releases(self, persons: Persons, found: list[tuple[int, KeyRelease]]) -> Iterator[Finding]:
        for name, envelope in self.bundle.contents(RELEASES).items():
            file = f"{RELEASES}/{name}"
            try:
                statement = opened(envelope)
                release = statement.read(KeyRelease)
                names = persons.signers(statement, Action.RELEASE_KEYS)
            except (StatementError, KeyError) as error:
                yield Finding(file, str(error))
                continue
            told = self.orders.released.get(digest_of(envelope))
            yield from _leaf(file, told, release.order, names)
            if told is not None and release.order == self.history.order:
                found.append((told[0], release))

    def _quota(self, order: WorkOrder) -> Iterator[Finding]:
        sealed = len(self.orders.sealed.get(order.id, ()))
        issued, credited = len(self.orders.issued.get(order.id, ())), self.orders.credited(order.id)
        if sealed > order.quantity:
            yield Finding(ORDER, f"allows {order.quantity} devices, the ledger seals {sealed} under it")
        if issued - credited > order.begun_max:
            told = f"{issued} got certificates, {credited} of them were destroyed"
            yield Finding(ORDER, f"allows {order.begun_max} to be begun; {told}")

    # -- approvals
    def _actions(self, persons: Persons, known: Known) -> Iterator[Finding]:
        """Collect what was approved as it must be."""
        nonces: set[str] = set()
        for number, line in enumerate(lines_of(ACTIONS, self.bundle.read(ACTIONS), ActionLine), 1):
            try:
                request, used = self._approved(line, persons, nonces)
            except (StatementError, EvidenceError, KeyError) as error:
                yield Finding(ACTIONS, f"line {number}: {error}")
                continue
            known.setdefault((request.action, request.target), []).append((request, used))

    def _moves(self, known: Known) -> Iterator[Finding]:
        for move in self.orders.moves:
            if move.lot != self.history.lot:
                continue
            candidates = known.get((EVENTS[move.event], move.lot or ""), [])
            if not any(_covers(request, used, move.unit or "", move.seq) for request, used in candidates):
                yield Finding(ACTIONS, f"has no approval of leaf {move.seq}, {move.event}", move.unit or "")

    def _approved(self, line: ActionLine, persons: Persons, nonces: set[str]) -> tuple[Request, UsedApproval]:
        """Return an action and when it was done; an error unless enough persons approved it, in time."""
        statement = opened(line.request.encode())
        request = statement.read(Request)
        if statement.signed_by(persons.keys.get) != (request.person,):
            raise EvidenceError(f"the request of {request.person} is signed by others")
        digest = request.action_hash()
        uses = self.orders.used.get(digest, [])
        if len(uses) != 1:
            raise EvidenceError(f"{request.action} {digest[:16]}… is told by {len(uses)} leaves, not by one")
        held: dict[str, set[Role]] = {}
        for text in line.approvals:
            approval = _consent(opened(text.encode()), persons)
            _exactly(approval, request, digest, uses[0].t_s)
            if approval.nonce in nonces or approval.person in held:
                raise EvidenceError(f"an approval of {approval.person} is used twice")
            nonces.add(approval.nonce)
            held[approval.person] = {approval.role}
        if not seated(request.action, held) or set(uses[0].persons) - held.keys():
            raise EvidenceError(f"{request.action} {digest[:16]}… is not approved by enough persons")
        return request, uses[0]


def _consent(statement: Opened, persons: Persons) -> Approval:
    approval = statement.read(Approval)
    if statement.signed_by(persons.keys.get) != (approval.person,):
        raise EvidenceError(f"an approval of {approval.person} is signed by others")
    if approval.role not in persons.roles[approval.person]:
        raise EvidenceError(f"{approval.person} is no {approval.role}")
    return approval


def _exactly(approval: Approval, request: Request, digest: str, used_s: float) -> None:
    if (approval.action, approval.action_hash) != (request.action, digest):
        raise EvidenceError(f"the approval of {approval.person} is for another action")
    fresh = approval.issued_at - EARLY_S <= used_s <= min(approval.expires_at, approval.issued_at + FRESH_S)
    if not fresh or used_s > request.expires_at:
        raise EvidenceError(f"the approval of {approval.person} was not valid when it was used")


def _covers(request: Request, used: UsedApproval, unit: str, leaf: int) -> bool:
    units = request.parameters.get("units")
    return isinstance(units, list | tuple) and unit in units and used.leaf < leaf


def _leaf(file: str, told: Signed | None, order: str, names: tuple[str, ...]) -> Iterator[Finding]:
    if told is None:
        yield Finding(file, "no leaf of the ledger tells of it")
    elif (told[1], sorted(told[2])) != (order, sorted(names)):
        yield Finding(file, f"leaf {told[0]} tells of another order, or of others who signed")


def _outside(
    device: DeviceFacts, order: WorkOrder, releases: Sequence[tuple[int, KeyRelease]]
) -> Iterator[str]:
    """Say how a device lies outside its order, or was made without the keys being released."""
    if device.order != order.id:
        yield f"its record names order {device.order or 'none'}, not {order.id}"
        return
    if device.fingerprint not in order.fingerprints:
        yield "its sequence is not one that the order allows"
    if device.profile != order.profile_hash:
        yield "its profile is not that of the order"
    try:
        at = datetime.fromisoformat(device.secured_at).timestamp()
    except ValueError:
        yield "its record does not say when it was secured"
        return
    if not order.not_before <= at <= order.not_after:
        yield f"it was secured at {device.secured_at}, outside the order's dates"
    if not any(
        leaf < device.leaf and at <= release.not_after and device.station in release.stations
        for leaf, release in releases
    ):
        yield f"no keys were released for it at {device.station or 'its station'}"
