"""What stands behind VISA resource names, world by world."""

from pyvisa.rname import parse_resource_name

from sim.instrument import Instrument

worlds: dict[str, dict[str, Instrument]] = {}
"""World to VISA resource name to instrument."""


def instruments(world: str) -> dict[str, Instrument]:
    """Return the instruments of a world by canonical resource name; empty if there is no such world."""
    return {canonical(name): instrument for name, instrument in worlds.get(world, {}).items()}


def canonical(resource: str) -> str:
    """Return the full resource name; InvalidResourceName if it is none."""
    return str(parse_resource_name(resource)).upper()
