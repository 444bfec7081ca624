"""A machine at a port is asked for its queue of errors in its own words."""

import pytest

from drivers.errors import EquipmentError, InstrumentError
from drivers.roles import Supply
from drivers.smu.keithley_2450 import Keithley2450, Keithley2450Options
from drivers.smu.keithley_2600b import Keithley2600B, Keithley2600BOptions
from drivers.thermal.ers_ac3 import ErsAc3, ErsAc3Options
from tests.replay import written


async def test_scpi() -> None:
    port = written('> :SYST:ERR?\n< -113,"Undefined header;1;0 0"\n> :SYST:ERR?\n< 0,"No error;0;0 0"\n')
    with pytest.raises(InstrumentError, match="Undefined header"):
        await Keithley2450("smu", port, Keithley2450Options()).read_errors()


async def test_tsp() -> None:
    port = written("> print(errorqueue.count)\n< 0.00000e+00\n")
    await Keithley2600B("smu", port, Keithley2600BOptions()).read_errors()


async def test_a_machine_without_a_queue_is_not_asked() -> None:
    await ErsAc3("chuck", written(""), ErsAc3Options()).read_errors()


class Tripped(Supply):
    """A supply whose protection has tripped."""

    async def switch_on(self, volts: float, *, limit_a: float, ovp_v: float) -> None: ...

    async def switch_off(self) -> None: ...

    async def measure_current(self) -> float:
        return 0.0

    async def measure_voltage(self) -> float:
        return 0.0

    async def tripped(self) -> str | None:
        return "over-voltage"

    async def clear_protection(self) -> None: ...

    async def make_safe(self) -> None: ...


async def test_a_trip_is_not_well() -> None:
    with pytest.raises(EquipmentError, match="supply: over-voltage"):
        await Tripped("supply").health()
