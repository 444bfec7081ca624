"""Every output off, in levels, each bounded and read back; how long it took is measured and told."""

import asyncio
from collections.abc import Mapping, Sequence

from drivers.errors import EquipmentError
from drivers.roles import Card, Handler, Resource, Smu, Supply

LEVELS: tuple[tuple[type[Resource], float], ...] = ((Card, 0.1), (Smu, 0.3), (Supply, 0.4), (Handler, 1.0))
"""Role and bound in seconds; chip links and sources first, what moves last."""


async def make_safe(resources: Sequence[Resource]) -> tuple[float, Mapping[str, str]]:
    """Run the safe state; return the seconds it took, and by name why a resource could not be verified."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    failed: dict[str, str] = {}
    for level in ((Card, Smu), (Supply,), (Handler,)):
        members = [resource for resource in resources if isinstance(resource, level)]
        async with asyncio.TaskGroup() as group:
            for resource in members:
                group.create_task(_one(resource, _bound_s(resource), failed))
    return loop.time() - began, failed


def _bound_s(resource: Resource) -> float:
    return next(bound for role, bound in LEVELS if isinstance(resource, role))


async def _one(resource: Resource, bound_s: float, failed: dict[str, str]) -> None:
    try:
        async with asyncio.timeout(bound_s):
            await resource.make_safe()
    except TimeoutError:
        failed[resource.name] = f"not verified within {bound_s:g} s"
    except EquipmentError as error:
        failed[resource.name] = str(error)
