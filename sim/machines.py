"""Which model plays the machine of which driver, and how it gets onto its bus."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from math import inf
from typing import Any, Protocol

import msgspec
from msgspec import Struct

from drivers.protocols.binon import Profile, profile_of
from drivers.protocols.ccid import Features
from drivers.protocols.exatron import Mode
from drivers.protocols.gem import GemProfile
from drivers.protocols.ttl import Active, Coding, Sensing, Signals
from sim import peripherals, probers
from sim.addresses import ADDRESSES, dio_name, pcsc_name, scheme_of, tcp_address, usb_identity, visa_resource
from sim.card.ccid import CcidReader
from sim.card.pcsc import SimulatedPcsc
from sim.clock import Clock
from sim.counter.keysight_53230a import Keysight53230A
from sim.dio.ftdi_mpsse import FtdiMpsse
from sim.dio.velleman_k8090 import VellemanK8090
from sim.dmm.keysight_34465a import Keysight34465A
from sim.dmm.keysight_34970a import Keysight34970A
from sim.faults import Fault, FaultError, Faults
from sim.generator.keysight_33500b import Keysight33500B
from sim.handler.binon import BinonHandler
from sim.handler.exatron import ExatronHandler
from sim.handler.gem import GemHandler
from sim.handler.geringer_pto92ut import GeringerPto92ut
from sim.handler.ttl import Port, TtlHandler
from sim.idreader.keyboard import KeyboardReader
from sim.idreader.text_line import TextLineReader
from sim.instrument import Instrument
from sim.interlock.modbus import ModbusRtu, ModbusTcp
from sim.plant import Plant
from sim.prober.accretech_uf import AccretechUf
from sim.prober.cascade_nucleus import CascadeNucleus
from sim.relays.keithley_707b import Keithley707B
from sim.scope.keysight_infiniivision import KeysightInfiniiVision
from sim.smu.keithley_2450 import RANGES, Keithley2450
from sim.smu.keithley_2600b import Keithley2600B
from sim.smu.keysight_b2900 import KeysightB2900
from sim.sockets import Load
from sim.supply.keysight_e36300 import KeysightE36300
from sim.supply.keysight_n6700 import KeysightN6700
from sim.supply.rohde_schwarz import HmpSupply, NgxSupply
from sim.thermal.ers_ac3 import ErsAc3
from sim.thermal.intest_thermostream import InTestThermoStream
from sim.tower.patlite import Patlite
from sim.wiring import Placement, WorldError

START_S = 3.0
"""When the operator presses the handler's start key."""
SLOTS = frozenset("0123456789")
APDU_READER = 0x0002
"""The product number of simulated readers at extended APDU level; those with another are at TPDU level."""

TOLD = frozenset({"other_serial"})
"""The fault of machines that tell their serial number: it is another one."""
_WHOLE = ("truncate", "dup_srq", "slow_card", "chunk", "block_length", "ers_error")
_TIMES = (
    "late_srq",
    "operator_skip",
    "min_gap",
    "slow_rise",
    "usb_detach",
    "excursion",
    "slow_soak",
    "card_removed",
    "bounce",
    "short_sot",
)
NUMBERS: Mapping[str, Callable[[str], float]] = {
    **dict.fromkeys(_WHOLE, int),
    **dict.fromkeys(_TIMES, float),
    **dict.fromkeys(("jam", "announce_end", "eror"), lambda value: int(value, 0)),
    "scpi_error": lambda value: abs(int(value)),
}
"""Knobs whose value, if there is one, is a number: how it is read."""


@dataclass(frozen=True)
class Model:
    """One kind of machine."""

    scheme: str
    """Where its port must be: visa, usb, serial, tcp, pcsc or dio; several are parted by |."""
    knobs: frozenset[str]
    plug: Callable[[Placement, Plant], None]
    channels: frozenset[str] = frozenset()
    """What a site may be wired to; none of a handler or prober."""
    reads_chips: bool = False
    stands_alone: bool = False
    """Whether nothing need be wired to it, though it is no handler."""
    probes: bool = False
    """Whether it brings dies on wafers."""

    @property
    def handles(self) -> bool:
        """Whether it fills and empties the sockets."""
        return not self.channels and not self.stands_alone

    @property
    def shared(self) -> bool:
        """Whether a site may name it without a pin of its own at it."""
        return self.stands_alone or self.handles

    def check(self, placed: Placement) -> None:
        """Refuse a port or options with which this machine cannot be made."""
        scheme = scheme_of(placed)
        if scheme not in self.scheme.split("|"):
            raise WorldError(
                f"equipment {placed.name!r}: {placed.driver} is at {self.scheme}:..., not at {placed.port!r}"
            )
        ADDRESSES[scheme](placed)
        if self.handles:
            (probers.dialect if self.probes else dialect)(placed)

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


# -- handlers' dialects: of the driver's options, those that the machine shares
class Dialect(Struct, frozen=True):
    """What the options of a handler say of the machine itself."""

    profile: str | GemProfile = ""
    """A name of a BINON dialect, or the table of a GEM handler."""
    fields: dict[str, Any] = {}
    refeeds: frozenset[int] = frozenset()
    mode: Mode = "exatron"
    retest_sort: int | None = None
    lines: dict[str, Signals] = {}
    coding: Coding = "one_hot"
    sensing: Sensing = "pulse"
    sot_active: Active = "low"
    outputs_active: Active = "low"
    error_active: Active = "low"

    @property
    def binon(self) -> Profile:
        """The BINON dialect."""
        return profile_of(self.profile if isinstance(self.profile, str) else "", self.fields)

    @property
    def parallel(self) -> Port:
        """How a parallel port is set."""
        return Port(self.coding, self.sensing, self.sot_active, self.outputs_active, self.error_active)


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
    machine = make(plant.clock, plant.loads(placed), faults, seed=seed)
    plant.visa[visa_resource(placed)] = _numbered(machine, placed, faults)


def _numbered(machine: Instrument, placed: Placement, faults: Faults) -> Instrument:
    """Give a machine the serial number of the station file, or another one if that is its fault."""
    if (other := faults.strikes("other_serial")) is not None:
        machine.bear(other or "OTHER")
    elif placed.serial and machine.idn:
        machine.bear(placed.serial)
    return machine


def _keithley_2450(placed: Placement, plant: Plant) -> None:
    model = placed.options.get("model", "2450")
    if model not in RANGES:
        raise WorldError(f"equipment {placed.name!r}: model {model!r} is none of {', '.join(RANGES)}")
    _source(partial(Keithley2450, model=str(model)), Keithley2450.knobs | TOLD, placed, plant)


def _binon(placed: Placement, plant: Plant) -> None:
    handler = BinonHandler(
        plant.clock,
        plant.bench,
        dialect(placed).binon,
        sites=max(plant.bench.sockets),
        seed=plant.seed_of(placed),
        faults=plant.faults(placed, BinonHandler.knobs),
        refeeds=dialect(placed).refeeds,
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
    peripherals.at_line(placed, plant, handler)
    plant.clock.call_later(START_S, handler.start)


def _geringer(placed: Placement, plant: Plant) -> None:
    handler = GeringerPto92ut(
        plant.clock,
        plant.bench,
        lot=plant.bench.lot.name,
        sites=max(plant.bench.sockets),
        seed=plant.seed_of(placed),
        faults=plant.faults(placed, GeringerPto92ut.knobs),
    )
    peripherals.at_line(placed, plant, handler)
    plant.clock.call_later(START_S, handler.start)


def _gem(placed: Placement, plant: Plant) -> None:
    if isinstance(profile := dialect(placed).profile, str):
        raise WorldError(f"equipment {placed.name!r}: profile: a table with the maker's numbers is needed")
    handler = GemHandler(
        plant.clock,
        plant.bench,
        profile,
        sites=max(plant.bench.sockets),
        seed=plant.seed_of(placed),
        faults=plant.faults(placed, GemHandler.knobs),
    )
    if placed.options.get("map_folder"):
        handler.talk_of_maps()
    plant.tcp.plug(*tcp_address(placed), handler)
    if not profile.start:
        plant.clock.call_later(START_S, handler.start)


def _ttl(placed: Placement, plant: Plant) -> None:
    told, io = dialect(placed), dio_name(placed)
    if io not in plant.lines:
        raise WorldError(f"equipment {placed.name!r}: no digital I/O {io!r} stands above it in the file")
    handler = TtlHandler(
        plant.clock,
        plant.bench,
        plant.lines[io],
        {int(site): signals for site, signals in told.lines.items()},
        port=told.parallel,
        seed=plant.seed_of(placed),
        faults=plant.faults(placed, TtlHandler.knobs),
    )
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


def _pcsc(placed: Placement, plant: Plant) -> None:
    (slot,) = plant.slots(placed)
    plant.pcsc.plug(pcsc_name(placed), slot, plant.faults(placed, SimulatedPcsc.knobs))


def _measuring(make: Source, knobs: frozenset[str], *channels: str) -> Model:
    knobs |= TOLD
    return Model("visa", knobs, partial(_source, make, knobs), frozenset(channels))


class Alone(Protocol):
    """How machines are made to which nothing is wired."""

    def __call__(self, clock: Clock, faults: Faults) -> Instrument:
        """Make it."""


def _plug_alone(make: Alone, knobs: frozenset[str], placed: Placement, plant: Plant) -> None:
    faults = plant.faults(placed, knobs)
    plant.visa[visa_resource(placed)] = _numbered(make(plant.clock, faults), placed, faults)


class Heats(Protocol):
    """How machines are made that heat or cool the devices."""

    def __call__(self, clock: Clock, faults: Faults) -> "InTestThermoStream | ErsAc3":
        """Make it."""


def _plug_thermal(make: Heats, knobs: frozenset[str], placed: Placement, plant: Plant) -> None:
    faults = plant.faults(placed, knobs)
    machine = make(plant.clock, faults)
    plant.bench.lot.heaters.append(machine.heat)
    plant.visa[visa_resource(placed)] = _numbered(machine, placed, faults)


def _thermal(make: Heats, knobs: frozenset[str]) -> Model:
    return Model("visa", knobs, partial(_plug_thermal, make, knobs), stands_alone=True)


def _alone(make: Alone, knobs: frozenset[str]) -> Model:
    knobs |= TOLD
    return Model("visa", knobs, partial(_plug_alone, make, knobs), stands_alone=True)


MODELS: Mapping[str, Model] = {
    "accretech_uf": Model("visa", AccretechUf.knobs, probers.accretech_uf, probes=True),
    "cascade_nucleus": Model("visa", CascadeNucleus.knobs, probers.cascade_nucleus, probes=True),
    "formfactor_velox": Model("tcp|visa", probers.VELOX_KNOBS, probers.formfactor_velox, probes=True),
    "mpi_sentio": Model("tcp|visa", probers.SENTIO_KNOBS, probers.mpi_sentio, probes=True),
    "binon": Model("visa", BinonHandler.knobs, _binon),
    "exatron": Model("serial", ExatronHandler.knobs, _exatron),
    "gem": Model("tcp", GemHandler.knobs, _gem),
    "geringer_pto92ut": Model("serial", GeringerPto92ut.knobs, _geringer),
    "ttl": Model("dio", TtlHandler.knobs, _ttl),
    "ftdi_mpsse": Model("usb", FtdiMpsse.knobs, peripherals.ftdi_mpsse, stands_alone=True),
    "velleman_k8090": Model("serial", VellemanK8090.knobs, peripherals.velleman_k8090, stands_alone=True),
    "patlite": Model("tcp", Patlite.knobs, peripherals.patlite, stands_alone=True),
    "modbus": Model("tcp|serial", ModbusTcp.knobs | ModbusRtu.knobs, peripherals.modbus, stands_alone=True),
    "text_line": Model("serial", TextLineReader.knobs, peripherals.text_line, stands_alone=True),
    "keyboard": Model("usb", KeyboardReader.knobs, peripherals.keyboard, stands_alone=True),
    "keithley_2600b": _measuring(Keithley2600B, Keithley2600B.knobs, "a", "b"),
    "keithley_2450": Model("visa", Keithley2450.knobs | TOLD, _keithley_2450, frozenset({""})),
    "keysight_b2900": _measuring(KeysightB2900, KeysightB2900.knobs, "1", "2"),
    "keysight_e36300": _measuring(KeysightE36300, KeysightE36300.knobs, "1", "2", "3"),
    "keysight_n6700": _measuring(KeysightN6700, KeysightN6700.knobs, "1", "2", "3", "4"),
    "rohde_schwarz_hmp": _measuring(HmpSupply, HmpSupply.knobs, "1", "2", "3", "4"),
    "rohde_schwarz_ngx": _measuring(NgxSupply, NgxSupply.knobs, "1", "2", "3"),
    "keysight_34465a": replace(_measuring(Keysight34465A, Keysight34465A.knobs, ""), stands_alone=True),
    "keysight_34970a": _alone(Keysight34970A, Keysight34970A.knobs),
    "keysight_infiniivision": _alone(KeysightInfiniiVision, KeysightInfiniiVision.knobs),
    "keysight_33500b": _alone(Keysight33500B, Keysight33500B.knobs),
    "keysight_53230a": _alone(Keysight53230A, Keysight53230A.knobs),
    "intest_thermostream": _thermal(InTestThermoStream, InTestThermoStream.knobs | TOLD),
    "ers_ac3": _thermal(ErsAc3, ErsAc3.knobs),
    "keithley_707b": _alone(Keithley707B, Keithley707B.knobs),
    "ccid": Model("usb", CcidReader.knobs, _ccid, SLOTS, reads_chips=True),
    "pcsc": Model("pcsc", SimulatedPcsc.knobs, _pcsc, frozenset({""}), reads_chips=True),
}
