"""One machine, again and again, as a lot uses it: how long each cycle takes, and what goes wrong."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress

from msgspec import Struct

from drivers.errors import DutError, EquipmentError
from drivers.roles import Card, Feeder, Machine
from drivers.roles.resource import Resource
from station.equip.place import LOT

CYCLE_S = 600.0


class Cycled(Struct, frozen=True):
    """What became of it."""

    cycles: int
    median_s: float
    worst_s: float
    what: str
    """What a cycle was."""
    error: str = ""


async def cycled(machine: Machine, times: int, hard_bin: int, done: Callable[[int], None]) -> Cycled:
    """Cycle a connected machine; a fault of it ends the cycling and is told."""
    roles = tuple(machine.channels.values())
    feeder = next((role for role in roles if isinstance(role, Feeder)), None)
    if feeder is not None:
        what, cycles = f"touchdown, all devices into bin {hard_bin}", _touchdowns(feeder, hard_bin)
    elif cards := [role for role in roles if isinstance(role, Card)]:
        what, cycles = "power on and off of each slot", _powered(cards)
    else:
        what, cycles = "identity, and safe state of each channel", _made_safe(machine, roles)
    return await _timed(cycles, times, what, done)


async def _timed(
    cycles: AsyncGenerator[None, None], times: int, what: str, done: Callable[[int], None]
) -> Cycled:
    loop = asyncio.get_running_loop()
    took, error = list[float](), ""
    try:
        for number in range(1, times + 1):
            began = loop.time()
            async with asyncio.timeout(CYCLE_S):
                await anext(cycles)
            took.append(loop.time() - began)
            done(number)
    except StopAsyncIteration:
        error = "the machine says that its lot is over"
    except TimeoutError:
        error = f"no cycle within {CYCLE_S:g} s"
    except (EquipmentError, DutError) as failed:
        error = str(failed)
    finally:
        with suppress(EquipmentError, DutError):
            await cycles.aclose()
    median = sorted(took)[len(took) // 2] if took else 0.0
    return Cycled(len(took), round(median, 6), round(max(took, default=0.0), 6), what, error)


async def _touchdowns(feeder: Feeder, hard_bin: int) -> AsyncGenerator[None, None]:
    if hard_bin not in feeder.hard_bins:
        known = ", ".join(str(number) for number in sorted(feeder.hard_bins)[:16])
        raise EquipmentError(f"{feeder.name} has no bin {hard_bin}; it has: {known}")
    await feeder.start_lot(LOT)
    async for touchdown in feeder.touchdowns():
        await feeder.sort(dict.fromkeys(touchdown.sites, hard_bin))
        yield


async def _powered(cards: list[Card]) -> AsyncGenerator[None, None]:
    while True:
        for card in cards:
            await card.power_on()
            await card.power_off()
        yield


async def _made_safe(machine: Machine, roles: tuple[Resource, ...]) -> AsyncGenerator[None, None]:
    while True:
        await machine.identify()
        for role in roles:
            await role.make_safe()
        yield
