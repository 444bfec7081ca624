"""Every output off, in levels, each bounded and read back; how long it took is measured and told."""

import asyncio
from collections.abc import Mapping, Sequence

from drivers.roles import Card, Feeder, Generator, Interlock, Relays, Resource, Smu, Supply, Thermal, Tower

BOUNDS_S: tuple[tuple[type[Resource], int, float], ...] = (
    (Card, 1, 0.1),
    (Smu, 1, 0.3),
    (Generator, 1, 0.3),
    (Supply, 2, 0.4),
    (Relays, 3, 0.5),
    (Thermal, 3, 1.0),
    (Feeder, 3, 1.0),
    (Interlock, 3, 1.0),
    (Tower, 3, 1.0),
    (Resource, 1, 1.0),
)
"""Role, level and bound in seconds: chip links and sources first, then supplies, what moves last.

A resource that is slow adds its own seconds.
Relays are among the last: they shall not open under current. So is what drives no device.
"""


GRACE_S = 0.5
"""How much longer than its bound a resource may take to let go."""


async def make_safe(resources: Sequence[Resource]) -> tuple[float, Mapping[str, str]]:
    """Run the safe state; return the seconds it took, and by name why a resource could not be verified.

    A tower is told too, and counts for nothing.
    """
    loop = asyncio.get_running_loop()
    began = loop.time()
    failed: dict[str, str] = {}
    for level in sorted({level for _, level, _ in BOUNDS_S}):
        await _level([(r, bound_s) for r in resources for of, bound_s in [_place(r)] if of == level], failed)
    return loop.time() - began, failed


def _place(resource: Resource) -> tuple[int, float]:
    level, bound_s = next((level, bound) for role, level, bound in BOUNDS_S if isinstance(resource, role))
    return level, bound_s + resource.slow_s


async def _level(members: Sequence[tuple[Resource, float]], failed: dict[str, str]) -> None:
    """One level at once; what does not even let itself be cancelled is left behind as unverified."""
    loop = asyncio.get_running_loop()
    tasks = {loop.create_task(_one(resource, bound_s, failed)): resource for resource, bound_s in members}
    if not tasks:
        return
    _, hanging = await asyncio.wait(tasks, timeout=max(bound_s for _, bound_s in members) + GRACE_S)
    for task in hanging:
        task.cancel()
        if not isinstance(tasks[task], Tower):
            failed[tasks[task].name] = "hangs"


async def _one(resource: Resource, bound_s: float, failed: dict[str, str]) -> None:
    try:
        async with asyncio.timeout(bound_s):
            await resource.make_safe()
    except Exception as error:  # noqa: BLE001 - whatever one resource raises, the others are made safe
        if not isinstance(resource, Tower):
            failed[resource.name] = _unverified(error, bound_s)


def _unverified(error: Exception, bound_s: float) -> str:
    if isinstance(error, TimeoutError):
        return f"not verified within {bound_s:g} s"
    return str(error) or type(error).__name__
