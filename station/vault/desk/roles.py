"""Who may do what at the desk, as data: exported as evidence, and walked by one test."""

from collections.abc import Collection, Mapping, Sequence
from enum import StrEnum
from itertools import permutations
from types import MappingProxyType


class Role(StrEnum):
    """In what quality a person acts."""

    OPERATOR = "operator"
    TECHNICIAN = "technician"
    ENGINEER = "engineer"
    OFFICER = "security-officer"
    CUSTODIAN = "key-custodian"
    AUDITOR = "auditor"


class Action(StrEnum):
    """What can be asked for at the desk."""

    ADD_ORDER = "order.add"
    CLOSE_ORDER = "order.close"
    SHOW_ORDERS = "order.show"
    APPROVE = "approve"
    SHOW_PROPOSALS = "approve.show"
    RELEASE_KEYS = "key.release"
    ADD_DIES = "dies.add"
    RELEASE_PROFILE = "profile.release"
    RELEASE_RECIPE = "recipe.release"
    IMPORT_CEREMONY = "ceremony.import"
    RELEASE_UNIT = "unit.release"
    RELEASE_LINE = "line.release"
    DESTROY = "unit.destroy"
    MARK_MISSING = "unit.missing"
    SAMPLE = "unit.sample"
    RETURN = "unit.return"
    SHIP = "unit.ship"
    TAKE_BACK = "unit.rma"
    SHOW_BOX = "rma.box"
    OPEN_UNIT = "rma.open"
    ADD_PERSON = "person.add"
    CHANGE_ROLES = "person.roles"
    SHOW_PEOPLE = "person.show"
    CLOSE_LOT = "lot.close"
    SEAL = "container.seal"
    BALANCE = "balance"
    UNITS = "units"
    ROTATE_LOG = "log.rotate"


Seat = frozenset[Role]
"""One of the persons that an action needs, by the roles that he may have."""

_ENGINEER, _OFFICER = frozenset({Role.ENGINEER}), frozenset({Role.OFFICER})
_WITNESS = frozenset({Role.OPERATOR, Role.TECHNICIAN, Role.ENGINEER, Role.OFFICER})
_FLOOR = frozenset({Role.OPERATOR, Role.TECHNICIAN, Role.ENGINEER, Role.OFFICER, Role.AUDITOR})
_RECORDS = frozenset({Role.ENGINEER, Role.OFFICER, Role.AUDITOR})

RIGHTS: Mapping[Action, tuple[Seat, ...]] = MappingProxyType(
    {
        Action.ADD_ORDER: (_ENGINEER, _OFFICER),
        Action.CLOSE_ORDER: (_ENGINEER | _OFFICER,),  # it only stops something
        Action.SHOW_ORDERS: (_FLOOR,),
        Action.APPROVE: (_WITNESS,),
        Action.SHOW_PROPOSALS: (_FLOOR,),
        Action.RELEASE_KEYS: (_OFFICER, _OFFICER),
        Action.ADD_DIES: (_ENGINEER, _OFFICER),
        Action.RELEASE_PROFILE: (_ENGINEER, _OFFICER),
        Action.RELEASE_RECIPE: (_ENGINEER, _OFFICER),
        Action.IMPORT_CEREMONY: (_OFFICER, _OFFICER),
        Action.RELEASE_UNIT: (_OFFICER, _OFFICER),
        Action.RELEASE_LINE: (_OFFICER, _OFFICER),
        Action.DESTROY: (_WITNESS, _WITNESS),
        Action.MARK_MISSING: (_ENGINEER, _OFFICER),
        Action.SAMPLE: (_ENGINEER,),
        Action.RETURN: (_ENGINEER, _OFFICER),
        Action.SHIP: (_ENGINEER | _OFFICER,),
        Action.TAKE_BACK: (_ENGINEER | _OFFICER,),
        Action.SHOW_BOX: (_OFFICER,),
        Action.OPEN_UNIT: (_OFFICER, _OFFICER),
        Action.ADD_PERSON: (_ENGINEER, _OFFICER),
        Action.CHANGE_ROLES: (_ENGINEER, _OFFICER),
        Action.SHOW_PEOPLE: (_RECORDS,),
        Action.CLOSE_LOT: (frozenset({Role.OPERATOR, Role.TECHNICIAN, Role.ENGINEER}),),
        Action.SEAL: (frozenset({Role.OPERATOR, Role.TECHNICIAN, Role.ENGINEER}),),
        Action.BALANCE: (_FLOOR,),
        Action.UNITS: (_FLOOR,),
        Action.ROTATE_LOG: (_ENGINEER, _OFFICER),
    }
)
"""The seats of each action: that many different persons, each of a role that its seat allows."""

APART: Sequence[tuple[Seat, Seat]] = (
    (_OFFICER, frozenset({Role.OPERATOR, Role.TECHNICIAN})),
    (frozenset({Role.AUDITOR}), frozenset(Role) - {Role.AUDITOR}),
)
"""Roles that nobody has at once: an officer runs no lots, an auditor only reads."""


def may_take_part(action: Action, roles: Collection[Role]) -> bool:
    """Whether a person of these roles may have one of the action's seats."""
    return any(seat & frozenset(roles) for seat in RIGHTS[action])


def seated(action: Action, persons: Mapping[str, Collection[Role]]) -> bool:
    """Whether these different persons fill all seats of an action."""
    return filled(RIGHTS[action], persons)


def filled(seats: Sequence[Seat], persons: Mapping[str, Collection[str]]) -> bool:
    """Whether of these different persons each seat can have one of its own."""
    return any(
        all(seat & frozenset(persons[name]) for seat, name in zip(seats, order, strict=True))
        for order in permutations(persons, len(seats))
    )


def conflict(roles: Collection[Role]) -> str:
    """Say which of these roles nobody may have at once; empty if they go together."""
    held = frozenset(roles)
    for one, other in APART:
        if held & one and held & other:
            return f"nobody is {min(held & one)} and {min(held & other)} at once"
    return ""
