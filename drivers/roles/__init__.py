"""The abstract device classes: all that a sequence or the engine may know of the equipment."""

from drivers.roles.card import Apdu, Card, CardReply, CardStep, Reset, ScriptReply, Stopped
from drivers.roles.handler import Handler, Touchdown
from drivers.roles.resource import Identity, Machine, Resource
from drivers.roles.smu import Reading, Smu
from drivers.roles.supply import Supply

__all__ = [
    "Apdu",
    "Card",
    "CardReply",
    "CardStep",
    "Handler",
    "Identity",
    "Machine",
    "Reading",
    "Reset",
    "Resource",
    "ScriptReply",
    "Smu",
    "Stopped",
    "Supply",
    "Touchdown",
]
