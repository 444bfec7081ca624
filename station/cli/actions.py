"""Which action each command of the command line is; one test holds this table against the commands."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TypeAlias

from station.authority import Action
from station.vault.desk.roles import Action as AtDesk

Named: TypeAlias = Action | AtDesk

_KEEPING = "activate affected attest backup compromise decide destroy draft-state init passphrase register"
_KEEPING += " reshare restore seal state suspend zeroise"

COMMANDS: Mapping[str, frozenset[Named]] = MappingProxyType(
    {
        "approve": frozenset({AtDesk.SHOW_PROPOSALS, AtDesk.APPROVE}),
        "audit commands": frozenset({Action.KEEP_LOG}),
        "audit export": frozenset({Action.READ}),
        "audit key": frozenset({Action.KEEP_LOG}),
        "audit lot": frozenset({Action.KEEP_LOG}),
        "audit tail": frozenset({Action.READ}),
        "audit verify": frozenset({Action.READ}),
        "chaos": frozenset({Action.MEASURE}),
        "check": frozenset({Action.READ}),
        "collector": frozenset({Action.SERVE}),
        "completion": frozenset({Action.READ}),
        "config explain": frozenset({Action.READ}),
        "config show": frozenset({Action.READ}),
        "console": frozenset({Action.SERVE}),
        "doctor": frozenset({Action.READ}),
        "e10 report": frozenset({Action.READ}),
        "e10 set": frozenset({Action.ASK_REMOTELY}),
        "e10 shift": frozenset({Action.READ}),
        "equip cycle": frozenset({Action.HANDLE}),
        "equip list": frozenset({Action.READ}),
        "equip new": frozenset({Action.DRAFT}),
        "equip probe": frozenset({Action.HANDLE}),
        "equip send": frozenset({Action.HANDLE}),
        "equip sim fault": frozenset({Action.HANDLE}),
        "equip sim faults": frozenset({Action.READ}),
        "equip trace": frozenset({Action.HANDLE}),
        **{f"key {verb}": frozenset({Action.KEEP_KEYS}) for verb in _KEEPING.split()},
        "floor": frozenset({Action.SERVE}),
        "key ceremony import": frozenset({AtDesk.IMPORT_CEREMONY}),
        "key ceremony plan": frozenset({Action.DRAFT, Action.SIGN}),
        "key ceremony resume": frozenset({Action.KEEP_KEYS}),
        "key ceremony run": frozenset({Action.KEEP_KEYS}),
        "key ceremony verify": frozenset({Action.READ}),
        "key list": frozenset({Action.READ}),
        "key show": frozenset({Action.READ}),
        "key status": frozenset({Action.READ}),
        "key trust": frozenset({Action.SIGN}),
        "man": frozenset({Action.READ}),
        "metrics files": frozenset({Action.READ}),
        "metrics serve": frozenset({Action.SERVE}),
        "mqtt acl": frozenset({Action.READ}),
        "mqtt key": frozenset({Action.SIGN}),
        "mqtt ping": frozenset({Action.ASK_REMOTELY}),
        "mqtt schema": frozenset({Action.READ}),
        "mqtt send": frozenset({Action.ASK_REMOTELY}),
        "mqtt wait": frozenset({Action.READ}),
        "mqtt watch": frozenset({Action.READ}),
        "order add": frozenset({AtDesk.ADD_ORDER, AtDesk.ADD_DIES, AtDesk.RELEASE_KEYS}),
        "order close": frozenset({AtDesk.CLOSE_ORDER}),
        "order draft": frozenset({Action.DRAFT}),
        "order draft-dies": frozenset({Action.DRAFT}),
        "order draft-keys": frozenset({Action.DRAFT}),
        "order draft-profile": frozenset({Action.DRAFT}),
        "order show": frozenset({AtDesk.SHOW_ORDERS}),
        "order sign": frozenset({Action.SIGN}),
        "people add": frozenset({Action.KEEP_PEOPLE}),
        "people disable": frozenset({Action.KEEP_PEOPLE}),
        "people enrol": frozenset({Action.LOG_IN}),
        "people init": frozenset({Action.FOUND}),
        "people key": frozenset({Action.READ}),
        "people list": frozenset({Action.READ}),
        "people renew": frozenset({Action.KEEP_PEOPLE}),
        "people roles": frozenset({Action.KEEP_PEOPLE}),
        "people unlock": frozenset({Action.KEEP_PEOPLE}),
        "perso balance": frozenset({AtDesk.BALANCE}),
        "perso close": frozenset({AtDesk.CLOSE_LOT}),
        "perso destroy": frozenset({AtDesk.DESTROY}),
        "perso missing": frozenset({AtDesk.MARK_MISSING}),
        "perso quota": frozenset({AtDesk.SHOW_ORDERS}),
        "perso release": frozenset({AtDesk.RELEASE_UNIT}),
        "perso release-line": frozenset({AtDesk.RELEASE_LINE}),
        "perso return": frozenset({AtDesk.RETURN}),
        "perso rma-box": frozenset({AtDesk.SHOW_BOX}),
        "perso rma-open": frozenset({AtDesk.OPEN_UNIT}),
        "perso sample": frozenset({AtDesk.SAMPLE}),
        "perso seal": frozenset({AtDesk.SEAL}),
        "perso ship": frozenset({AtDesk.SHIP}),
        "perso status": frozenset({AtDesk.SHOW_ORDERS}),
        "perso take-back": frozenset({AtDesk.TAKE_BACK}),
        "perso unit": frozenset({AtDesk.UNITS}),
        "person add": frozenset({AtDesk.ADD_PERSON}),
        "person found": frozenset({Action.FOUND}),
        "person new": frozenset({Action.SIGN}),
        "person roles": frozenset({AtDesk.CHANGE_ROLES}),
        "person show": frozenset({AtDesk.SHOW_PEOPLE}),
        "recipe build": frozenset({Action.DRAFT}),
        "recipe diff": frozenset({Action.READ}),
        "recipe key": frozenset({Action.READ}),
        "recipe show": frozenset({Action.READ}),
        "recipe sign": frozenset({Action.SIGN}),
        "recipe stage": frozenset({Action.DRAFT}),
        "recipe try": frozenset({Action.READ}),
        "recipe verify": frozenset({Action.READ}),
        "run": frozenset({Action.LOAD, Action.START, Action.PAUSE, Action.ABORT}),
        "serve": frozenset({Action.SERVE}),
        "service backup": frozenset({Action.READ}),
        "service files": frozenset({Action.READ}),
        "service restore": frozenset({Action.DRAFT}),
        "sim serve": frozenset({Action.MEASURE}),
        "version": frozenset({Action.READ}),
        "witness key": frozenset({Action.KEEP_LOG}),
        "witness run": frozenset({Action.KEEP_LOG}),
        "witness submit": frozenset({Action.KEEP_LOG}),
        "study golden": frozenset({Action.LOAD, Action.START, Action.PAUSE, Action.ABORT, Action.READ}),
        "study gauge": frozenset({Action.LOAD, Action.START, Action.PAUSE, Action.ABORT, Action.READ}),
        "store archive": frozenset({Action.KEEP_LOG}),
        "store instruments": frozenset({Action.READ}),
        "store query": frozenset({Action.READ}),
        "store to-ritdb": frozenset({Action.READ}),
        "store sync": frozenset({Action.KEEP_LOG}),
        "store upgrade": frozenset({Action.KEEP_LOG}),
    }
)
"""By the words after `hardbin`."""

GROUPS: Mapping[str, frozenset[Named]] = MappingProxyType(
    {
        "bench": frozenset({Action.MEASURE}),
        "cert": frozenset({Action.READ}),
        "disposition": frozenset({Action.READ}),
        "evidence": frozenset({Action.READ}),
        "report": frozenset({Action.READ}),
        "stdf": frozenset({Action.READ}),
        "wafer": frozenset({Action.READ}),
    }
)
"""Commands of which each verb is the same action: files are read, the machine is measured."""


def actions_of(path: str) -> frozenset[Named]:
    """Return the actions of a command, by the words after `hardbin`; KeyError if it names none."""
    return COMMANDS[path] if path in COMMANDS else GROUPS[path.partition(" ")[0]]
