"""Whether it is safe to go on, asked of every interlock of a cell."""

from collections.abc import Iterable

from drivers.roles import Interlock, Resource


async def why_open(resources: Iterable[Resource]) -> str:
    """Say which interlock is open, and why; empty if all are closed, or there is none."""
    for resource in resources:
        if isinstance(resource, Interlock) and (why := await resource.why_open()):
            return why
    return ""
