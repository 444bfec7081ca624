"""Work orders: the key store believes the signatures of persons whom it knows, not the vault."""

from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from typing import Protocol, TypeVar

from station.vault.desk.documents import WorkOrder
from station.vault.desk.people import card_of
from station.vault.desk.roles import Action, Role, conflict, seated
from station.vault.desk.signers import DEVELOPMENT, development
from station.vault.desk.statement import ED25519, Statement, StatementError, opened
from station.vault.die.kinds import KINDS
from station.vault.keys.errors import PolicyError, RequestError
from station.vault.keys.header import Header, Order
from station.vault.keys.words import Mode, Signatory

T = TypeVar("T", bound=Statement)

SPARE = 64
TENTH = 10
PERSONS_MAX = 256


class Read(Protocol):
    """Reads a statement as one of a kind; PolicyError if it is none."""

    def __call__(self, kind: type[T]) -> T:
        """What it says."""


def believed(statement: bytes, header: Header) -> tuple[str, Order]:
    """An order's id and what it allows; PolicyError unless persons whom the store knows have signed it."""
    read, roles = signed(statement, header, "work order")
    order = read(WorkOrder)
    if not seated(Action.ADD_ORDER, roles):
        raise PolicyError(f"order {order.id}: an engineer and a security officer sign it, two persons")
    return order.id, Order(
        limit=limit_of(order),
        statement=sha256(opened(statement).payload).digest(),
        not_before=order.not_before,
        not_after=order.not_after,
    )


def signed(statement: bytes, header: Header, what: str) -> tuple[Read, dict[str, list[Role]]]:
    """What reads a statement, and the roles of who signed it; PolicyError unless the store knows them all."""
    known = {one.person: one for one in _known(header)}
    try:
        found = opened(statement)
        signed_by = found.signed_by(lambda name: _keys(known, name))
    except StatementError as error:
        raise PolicyError(f"{what}: {error}") from None

    def read(kind: type[T]) -> T:
        try:
            return found.read(kind)
        except StatementError as error:
            raise PolicyError(f"{what}: {error}") from None

    return read, {name: [Role(role) for role in known[name].roles] for name in signed_by}


def limit_of(order: WorkOrder) -> int:
    """How many signatures of issuing keys an order takes at most.

    A tenth beyond what may be begun, for leases that a crash wastes and for begins that were given back. A
    store does not know its vault by name: of an order in slices it allows the largest.
    """
    largest = max((order.at(vault).begun_max for vault in order.slices), default=order.begun_max)
    sound = largest * len(KINDS)
    return sound + max(sound // TENTH, SPARE)


def checked(persons: tuple[Signatory, ...]) -> tuple[Signatory, ...]:
    """Raise RequestError unless these can be the persons of a store."""
    names, keys = {one.person for one in persons}, {one.ed25519 for one in persons}
    if len(persons) > PERSONS_MAX or not len(names) == len(keys) == len(persons):
        raise RequestError(f"at most {PERSONS_MAX} persons, each once, each with a key of his own")
    for one in persons:
        if not set(one.roles) <= set(Role):
            raise RequestError(f"{one.person}: roles are {', '.join(Role)}")
        if reason := conflict([Role(role) for role in one.roles]):
            raise RequestError(f"{one.person}: {reason}")
    return persons


def _keys(known: Mapping[str, Signatory], name: str) -> Mapping[str, bytes] | None:
    return {ED25519: known[name].ed25519} if name in known else None


def _known(header: Header) -> tuple[Signatory, ...]:
    """A development store knows the persons for whom everybody can sign; production never those."""
    return _everybody() if header.mode is Mode.DEVELOPMENT else header.persons


@cache
def _everybody() -> tuple[Signatory, ...]:
    cards = {name: card_of(development(name).card()) for name in DEVELOPMENT}
    return tuple(
        Signatory(name, tuple(sorted(DEVELOPMENT[name])), bytes.fromhex(card.ed25519))
        for name, card in cards.items()
    )


def foreign(persons: tuple[Signatory, ...]) -> None:
    """Raise PolicyError if one of these is a person for whom everybody can sign."""
    public = {one.ed25519 for one in _everybody()}
    for one in persons:
        if one.ed25519 in public:
            raise PolicyError(f"{one.person}: a development person, for whom everybody can sign")
