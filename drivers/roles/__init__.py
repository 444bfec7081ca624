"""The abstract device classes: all that a sequence or the engine may know of the equipment."""

from drivers.roles.card import Apdu, Card, CardReply, CardStep, Reset, ScriptReply, Stopped
from drivers.roles.counter import Counter
from drivers.roles.dio import Dio
from drivers.roles.dmm import Dmm, DmmFunction, TriggerSource
from drivers.roles.feeder import Feeder, Touchdown
from drivers.roles.generator import Generator, Shape
from drivers.roles.handler import Handler
from drivers.roles.i2c import I2c
from drivers.roles.idreader import IdReader
from drivers.roles.interlock import Interlock
from drivers.roles.prober import Prober
from drivers.roles.relays import Relays
from drivers.roles.resource import Identity, Machine, Resource
from drivers.roles.scanner import Scanner
from drivers.roles.scope import Scope, Waveform
from drivers.roles.smu import Reading, Smu
from drivers.roles.spi import Spi
from drivers.roles.supply import Supply
from drivers.roles.thermal import Thermal, ThermalStatus
from drivers.roles.tower import Tower
from drivers.roles.turn import taking

__all__ = [
    "Apdu",
    "Card",
    "CardReply",
    "CardStep",
    "Dio",
    "Feeder",
    "Counter",
    "Dmm",
    "DmmFunction",
    "Generator",
    "Handler",
    "I2c",
    "IdReader",
    "Identity",
    "Interlock",
    "Machine",
    "Prober",
    "Reading",
    "Relays",
    "Reset",
    "Resource",
    "Scanner",
    "Scope",
    "ScriptReply",
    "Shape",
    "Smu",
    "Spi",
    "Stopped",
    "Supply",
    "Thermal",
    "ThermalStatus",
    "Touchdown",
    "Tower",
    "TriggerSource",
    "Waveform",
    "taking",
]
