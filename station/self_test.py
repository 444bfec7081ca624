"""What a cell is asked between lots: do all its machines answer, are they the right ones, are they safe."""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path

from msgspec import Struct

from drivers.errors import EquipmentError
from station import assemble, instruments
from station.config import StationConfig
from station.doctor import Health, before_a_lot
from station.engine.interlocks import why_open
from station.engine.safe_state import make_safe
from station.surroundings import Surroundings


class SelfTest(Struct, frozen=True):
    """What was found."""

    machines: tuple[str, ...]
    time_to_safe_s: float = 0.0
    failed: Mapping[str, str] = {}
    """By the name of a machine or a check: what is wrong with it."""

    def __str__(self) -> str:
        return "; ".join(f"{name}: {why}" for name, why in sorted(self.failed.items()))


async def self_tested(config: StationConfig, surroundings: Surroundings, out: Path) -> SelfTest:
    """Open every machine, ask it who it is, switch all outputs off, read back, close; lots go to `out`."""
    async with AsyncExitStack() as stack:
        stack.callback(surroundings.close)
        surroundings.start()
        stack.push_async_callback(surroundings.settle)
        made = assemble.equipment(config, surroundings)
        stack.push_async_callback(made.aclose)
        names = tuple(sorted(made.machines))
        try:
            await made.connect()
        except EquipmentError as error:
            return SelfTest(names, failed={"machines": str(error)})
        inventory = await instruments.read(config, made.machines)
        failed = dict(inventory.silent)
        seen = instruments.examined(config, inventory, surroundings.clock.unix())
        failed |= seen.waivable
        if seen.wrong:
            failed["identity"] = "; ".join(seen.wrong)
        took, unsafe = await make_safe(made.resources)
        failed |= unsafe
        if why := await why_open(made.resources):
            failed["interlock"] = why
        failed |= {one.name: one.found for one in before_a_lot(out) if one.health is Health.BAD}
        return SelfTest(names, round(took, 6), failed)
