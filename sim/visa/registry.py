"""What stands behind VISA resource names, world by world."""

from pyvisa.rname import parse_resource_name

from sim.instrument import Instrument

worlds: dict[str, dict[str, Instrument]] = {}
"""World to VISA resource name to instrument."""


def names(world: str) -> list[str]:
    """Return the full resource names of a world; none if there is no such world."""
    return [str(parse_resource_name(name)) for name in worlds.get(world, {})]


def find(world: str, resource: str) -> tuple[str, Instrument] | None:
    """Return the full resource name and the instrument; case does not matter, nor do parts left out."""
    wanted = str(parse_resource_name(resource)).upper()
    for name, instrument in worlds.get(world, {}).items():
        full = str(parse_resource_name(name))
        if full.upper() == wanted:
            return full, instrument
    return None
