"""Which model plays the machine of which driver, and how it gets onto its bus."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from math import inf
from typing import Any, Protocol

import msgspec
from msgspec import Struct
from pyvisa.rname import InvalidResourceName, parse_resource_name

from drivers.protocols.binon import Profile, profile_of
from drivers.protocols.ccid import Features
from drivers.protocols.exatron import Mode
from sim.card.ccid import CcidReader
from sim.clock import Clock
from sim.dmm.keysight_34465a import Keysight34465A
from sim.faults import Fault, FaultError, Faults
from sim.handler.binon import BinonHandler
from sim.handler.exatron import ExatronHandler
from sim.instrument import Instrument
from sim.plant import Plant
from sim.relays.keithley_707b import Keithley707B
from sim.serial import machine as serial
from sim.serial import protocol_hardbin
from sim.smu.keithley_2450 import RANGES, Keithley2450
from sim.smu.keithley_2600b import Keithley2600B
from sim.smu.keysight_b2900 import KeysightB2900
from sim.sockets import Load
from sim.supply.keysight_e36300 import KeysightE36300
from sim.supply.keysight_n6700 import KeysightN6700
from sim.supply.rohde_schwarz import HmpSupply, NgxSupply
from sim.wiring import Placement, WorldError

START_S = 3.0
"""When the operator presses the handler's start key."""
SERIAL = "hardbin://"
SLOTS = frozenset("0123456789")
APDU_READER = 0x0002
"""The product number of simulated readers at extended APDU level; those with another are at TPDU level."""

_WHOLE = ("truncate", "dup_srq", "slow_card", "chunk", "block_length")
_TIMES = ("late_srq", "operator_skip", "min_gap", "slow_rise", "usb_detach", "card_removed")
NUMBERS: Mapping[str, Callable[[str], float]] = {
    **dict.fromkeys(_WHOLE, int),
    **dict.fromkeys(_TIMES, float),
    **dict.fromkeys(("jam", "announce_end"), lambda value: int(value, 0)),
    "scpi_error": lambda value: abs(int(value)),
}
"""Knobs whose value, if there is one, is a number: how it is read."""


@dataclass(frozen=True)
class Model:
    """One kind of machine."""

    scheme: str
    """Where its port must be: visa, usb, serial or tcp."""
    knobs: frozenset[str]
    plug: Callable[[Placement, Plant], None]
    channels: frozenset[str] = frozenset()
    """What a site may be wired to; none of a handler."""
    reads_chips: bool = False
    stands_alone: bool = False
    """Whether nothing is wired to it, though it is no handler."""

    @property
    def handles(self) -> bool:
        """Whether it fills and empties the sockets."""
        return not self.channels and not self.stands_alone

    def check(self, placed: Placement) -> None:
        """Refuse a port or options with which this machine cannot be made."""
        scheme, _, _ = placed.port.partition(":")
        if scheme != self.scheme:
            raise WorldError(
                f"equipment {placed.name!r}: {placed.driver} is at {self.scheme}:..., not at {placed.port!r}"
            )
        ADDRESSES[scheme](placed)
        if self.handles:
            dialect(placed)

    def check_fault(self, fault: Fault) -> None:
        """Refuse a fault that this machine does not have, or whose value it could not use."""
        if fault.knob not in self.knobs:
            known = ", ".join(sorted(self.knobs)) or "none"
            raise FaultError(f"{fault.machine} has no fault {fault.knob!r}; it has: {known}")
        if fault.value and fault.knob in NUMBERS and not _is_number(fault.value, NUMBERS[fault.knob]):
            raise FaultError(
                f"fault {fault.machine}.{fault.knob}={fault.value}: a number is needed, 0 or more"
            )


def _is_number(text: str, read: Callable[[str], float]) -> bool:
    try:
        return 0 <= read(text) < inf
    except ValueError:
        return False


# -- addresses
def visa_resource(placed: Placement) -> str:
    """Return the VISA resource name of a port; WorldError if it is none."""
    _, _, resource = placed.port.partition(":")
    try:
        parse_resource_name(resource)
    except InvalidResourceName:
        raise WorldError(f"equipment {placed.name!r}: {resource!r} is no VISA resource name") from None
    return resource


def serial_end(placed: Placement) -> str:
    """Return the simulated end of a serial port; WorldError if the port is a real one."""
    _, _, url = placed.port.partition(":")
    end = url.removeprefix(SERIAL)
    if not url.startswith(SERIAL) or not end:
        raise WorldError(
            f"equipment {placed.name!r}: a simulated serial port is serial:{SERIAL}<end>, not {placed.port!r}"
        )
    return end


def usb_identity(placed: Placement) -> tuple[int, int, str]:
    """Return vendor, product and serial number of a port; WorldError if they are not there."""
    try:
        _, vendor, product, number = placed.port.split(":")
        if not number:
            raise ValueError(number)
        return int(vendor, 16), int(product, 16), number
    except ValueError:
        raise WorldError(
            f"equipment {placed.name!r}: a USB port is usb:<vendor>:<product>:<serial>, not {placed.port!r}"
        ) from None


def tcp_address(placed: Placement) -> tuple[str, int]:
    """Return host and number of a TCP port; WorldError if it is none. Any host is a simulated one."""
    _, _, address = placed.port.partition(":")
    host, _, number = address.rpartition(":")
    if not host or not number.isdigit():
        raise WorldError(f"equipment {placed.name!r}: a TCP port is tcp:<host>:<port>, not {placed.port!r}")
    return host, int(number)


ADDRESSES: Mapping[str, Callable[[Placement], object]] = {
    "visa": visa_resource,
    "serial": serial_end,
    "tcp": tcp_address,
    "usb": usb_identity,
}


# -- handlers' dialects: of the driver's options, those that the machine shares
class Dialect(Struct, frozen=True):
    """What the options of a handler say of the machine itself."""

    profile: str = ""
    fields: dict[str, Any] = {}
    mode: Mode = "exatron"
    retest_sort: int | None = None

    @property
    def binon(self) -> Profile:
        """The BINON dialect."""
        return profile_of(self.profile, self.fields)


def dialect(placed: Placement) -> Dialect:
    """Read the options of a handler; WorldError if they cannot be meant."""
    try:
        found = msgspec.convert(dict(placed.options), Dialect)
        found.binon  # noqa: B018 - it is made, or refused, here
    except ValueError as error:
        raise WorldError(f"equipment {placed.name!r}: {error}") from None
    return found


# -- models onto their buses
class Source(Protocol):
    """How SMUs and supplies are made."""

    def __call__(
        self, clock: Clock, loads: Mapping[str, Load], faults: Faults, *, seed: str | None
    ) -> Instrument:
        """Make it, its outputs at `loads`."""


def _source(make: Source, knobs: frozenset[str], placed: Placement, plant: Plant) -> None:
    faults, seed = plant.faults(placed, knobs), plant.seed_of(placed)
    plant.visa[visa_resource(placed)] = make(plant.clock, plant.loads(placed), faults, seed=seed)


def _keithley_2450(placed: Placement, plant: Plant) -> None:
    model = placed.options.get("model", "2450")
    if model not in RANGES:
        raise WorldError(f"equipment {placed.name!r}: model {model!r} is none of {', '.join(RANGES)}")
    _source(partial(Keithley2450, model=str(model)), Keithley2450.knobs, placed, plant)


def _binon(placed: Placement, plant: Plant) -> None:
    handler = BinonHandler(
        plant.clock,
        plant.bench,
        dialect(placed).binon,
        sites=max(plant.bench.sockets),
        seed=plant.seed_of(placed),
        faults=plant.faults(placed, BinonHandler.knobs),
    )
    plant.clock.call_later(START_S, handler.start)
    plant.visa[visa_resource(placed)] = handler


def _exatron(placed: Placement, plant: Plant) -> None:
    told = dialect(placed)
    handler = ExatronHandler(
        plant.clock,
        plant.bench,
        mode=told.mode,
        retest_sort=told.retest_sort,
        seed=plant.seed_of(placed),
        faults=plant.faults(placed, ExatronHandler.knobs),
    )
    end = f"{plant.world}.{serial_end(placed)}"
    protocol_hardbin.known_to_pyserial()
    serial.plug(end, handler)
    plant.unplugging.callback(serial.unplug, end)
    plant.clock.call_later(START_S, handler.start)


def _ccid(placed: Placement, plant: Plant) -> None:
    vendor, product, number = usb_identity(placed)
    reader = CcidReader(
        plant.usb,
        plant.slots(placed),
        faults=plant.faults(placed, CcidReader.knobs),
        vid=vendor,
        pid=product,
        serial=number,
        level=Features.EXTENDED_APDU if product == APDU_READER else Features.TPDU,
    )
    plant.usb.attach(reader)


def _measuring(make: Source, knobs: frozenset[str], *channels: str) -> Model:
    return Model("visa", knobs, partial(_source, make, knobs), frozenset(channels))


class Alone(Protocol):
    """How machines are made to which nothing is wired."""

    def __call__(self, clock: Clock, faults: Faults) -> Instrument:
        """Make it."""


def _plug_alone(make: Alone, knobs: frozenset[str], placed: Placement, plant: Plant) -> None:
    plant.visa[visa_resource(placed)] = make(plant.clock, plant.faults(placed, knobs))


def _alone(make: Alone, knobs: frozenset[str]) -> Model:
    return Model("visa", knobs, partial(_plug_alone, make, knobs), stands_alone=True)


MODELS: Mapping[str, Model] = {
    "binon": Model("visa", BinonHandler.knobs, _binon),
    "exatron": Model("serial", ExatronHandler.knobs, _exatron),
    "keithley_2600b": _measuring(Keithley2600B, Keithley2600B.knobs, "a", "b"),
    "keithley_2450": Model("visa", Keithley2450.knobs, _keithley_2450, frozenset({""})),
    "keysight_b2900": _measuring(KeysightB2900, KeysightB2900.knobs, "1", "2"),
    "keysight_e36300": _measuring(KeysightE36300, KeysightE36300.knobs, "1", "2", "3"),
    "keysight_n6700": _measuring(KeysightN6700, KeysightN6700.knobs, "1", "2", "3", "4"),
    "rohde_schwarz_hmp": _measuring(HmpSupply, HmpSupply.knobs, "1", "2", "3", "4"),
    "rohde_schwarz_ngx": _measuring(NgxSupply, NgxSupply.knobs, "1", "2", "3"),
    "keysight_34465a": _measuring(Keysight34465A, Keysight34465A.knobs, ""),
    "keithley_707b": _alone(Keithley707B, Keithley707B.knobs),
    "ccid": Model("usb", CcidReader.knobs, _ccid, SLOTS, reads_chips=True),
}
