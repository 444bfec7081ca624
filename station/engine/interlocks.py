"""Whether it is safe to go on, asked of every interlock of a cell."""

from collections.abc import Iterable

from drivers.roles import Interlock, Resource


def contacts(resources: Iterable[Resource]) -> str:
    """Name the contacts of every interlock of a cell; empty if it has none."""
    found = (one for one in resources if isinstance(one, Interlock) and one.contacts)
    return "; ".join(f"{one.name}: {', '.join(one.contacts)}" for one in found)


async def why_open(resources: Iterable[Resource]) -> str:
    """Say which interlock is open, and why; empty if all are closed, or there is none."""
    for resource in resources:
        if isinstance(resource, Interlock) and (why := await resource.why_open()):
            return why
    return ""
