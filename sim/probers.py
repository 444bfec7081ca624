"""How simulated probers get onto their buses, and what of a driver's options the machine itself is told."""

from typing import Any

import msgspec
from msgspec import Struct

from drivers.protocols.accretech import BinProfile
from sim.addresses import tcp_address, visa_resource
from sim.lines import LINE_KNOBS, BusLines, Talker, TcpLines
from sim.plant import Plant
from sim.prober.accretech_uf import AccretechUf
from sim.prober.cascade_nucleus import CascadeNucleus
from sim.prober.formfactor_velox import FormFactorVelox
from sim.prober.mpi_sentio import MpiSentio
from sim.prober.stage import Stage
from sim.wafers import LotWafers
from sim.wiring import Placement, WorldError

SENTIO_KNOBS = MpiSentio.knobs | LINE_KNOBS
VELOX_KNOBS = FormFactorVelox.knobs | LINE_KNOBS


class Dialect(Struct, frozen=True):
    """What the options of a prober say of the machine itself."""

    card: tuple[tuple[int, int], ...] = ((0, 0),)
    coordinates: int = 3
    bin_profile: BinProfile | None = None


def dialect(placed: Placement) -> Dialect:
    """Read the options of a prober; WorldError if they cannot be meant."""
    options: dict[str, Any] = dict(placed.options)
    try:
        return msgspec.convert(options, Dialect)
    except ValueError as error:
        raise WorldError(f"equipment {placed.name!r}: {error}") from None


def _stage(placed: Placement, plant: Plant, knobs: frozenset[str]) -> Stage:
    wafers = LotWafers(plant.bench, dict(enumerate(dialect(placed).card, start=1)))
    faults = plant.faults(placed, knobs)
    stage = Stage(plant.clock, wafers, seed=plant.seed_of(placed), faults=faults)
    plant.bench.lot.heaters.append(stage.heater.heat)
    return stage


def _plug(placed: Placement, plant: Plant, talker: Talker) -> None:
    """Put a talker where its port is: at TCP, or on a bus."""
    if placed.port.startswith("tcp:"):
        host, number = tcp_address(placed)
        plant.tcp.plug(host, number, TcpLines(talker))
        plant.unplugging.callback(plant.tcp.unplug, host, number)
    else:
        plant.visa[visa_resource(placed)] = BusLines(talker)


def mpi_sentio(placed: Placement, plant: Plant) -> None:
    """Make a SENTIO with the lot in its cassettes."""
    _plug(placed, plant, MpiSentio(_stage(placed, plant, SENTIO_KNOBS)))


def formfactor_velox(placed: Placement, plant: Plant) -> None:
    """Make a Velox with the lot in its cassettes."""
    stage = _stage(placed, plant, VELOX_KNOBS)
    _plug(placed, plant, FormFactorVelox(stage, enveloped=placed.port.startswith("tcp:")))


def accretech_uf(placed: Placement, plant: Plant) -> None:
    """Make a UF with the lot in its cassettes, set as the station file says."""
    told, stage = dialect(placed), _stage(placed, plant, AccretechUf.knobs)
    plant.visa[visa_resource(placed)] = AccretechUf(
        stage, width=told.coordinates, card=told.card, profile=told.bin_profile
    )


def cascade_nucleus(placed: Placement, plant: Plant) -> None:
    """Make a Nucleus with the first wafer of the lot on its chuck; nobody brings a second."""
    stage = _stage(placed, plant, CascadeNucleus.knobs)
    if stage.wafers.count:
        stage.put(1)
    _plug(placed, plant, CascadeNucleus(stage))
