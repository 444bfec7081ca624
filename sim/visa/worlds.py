"""Worlds of simulated instruments: what `<world>@hardbin` finds behind its resource names."""

import sys

from sim.instrument import Instrument
from sim.visa import backend
from sim.visa.registry import worlds


def register(world: str) -> dict[str, Instrument]:
    """Make a world and return it for the caller to fill: VISA resource name to instrument.

    PyVISA keeps one library, with one resource manager, per world: cells and tests stay apart.
    """
    if world in worlds:
        raise ValueError(f"world {world!r} exists already: every cell and every test has its own")
    sys.modules["pyvisa_hardbin"] = backend  # PyVISA imports this name for what stands behind the @
    return worlds.setdefault(world, {})


def unregister(world: str) -> None:
    """Forget a world; sessions that are still open keep their instruments."""
    worlds.pop(world, None)
