"""Our drivers at served machines, over every connection that reaches them: the same use, the same result."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from drivers.errors import DeviceLost, EquipmentError, InstrumentError, Silent
from drivers.smu.keithley_2450 import Keithley2450, Keithley2450Options
from drivers.smu.keithley_2600b import Keithley2600B, Keithley2600BOptions
from drivers.transports import Port
from drivers.transports.visa import VisaLibrary
from sim.served.served import Served, serve
from station.ports import Ports

WIRES = {
    "our own HiSLIP": ("hislip", "hislip:{host}:{port}"),
    "HiSLIP by PyVISA-py": ("hislip", "visa:TCPIP0::{host}::hislip0,{port}::INSTR"),
    "VXI-11 by PyVISA-py": ("vxi11", "visa:TCPIP0::{host},{port}::inst0::INSTR"),
    "a raw socket": ("tcp", "visa:TCPIP0::{host}::{port}::SOCKET"),
}


@asynccontextmanager
async def machine(driver: str, wire: str) -> AsyncIterator[tuple[Port, Served]]:
    kind, text = WIRES[wire]
    served = serve((), {}, wires={driver: kind}, devices=1, seed=1, faults=(), epoch=0.0)
    (place,) = await served.start()
    host, _, number = place.address.rpartition(":")
    library = VisaLibrary("@py")
    port = Ports(library, None).make("smu", text.format(host=host, port=number), None)
    assert isinstance(port, Port)
    yield port, served
    await port.aclose()
    library.close()
    await served.aclose()


@pytest.mark.parametrize("wire", WIRES)
async def test_a_scpi_machine_is_driven(wire: str) -> None:
    async with machine("keithley_2450", wire) as (port, served):
        smu = Keithley2450("smu", port, Keithley2450Options(nplc=0.01))
        await smu.connect()
        async with smu.channels[""].forcing_voltage(1.0, limit_a=1e-3):
            for _ in range(3):
                assert abs(await smu.channels[""].measure()) < 1e-6
            served.turn("keithley_2450.scpi_error=-222@once")
            with pytest.raises(InstrumentError):
                await smu.channels[""].measure()
            assert abs(await smu.channels[""].measure()) < 1e-6


@pytest.mark.parametrize("wire", WIRES)
async def test_an_answer_that_is_lost_is_not_found_in_the_next(wire: str) -> None:
    async with machine("keithley_2450", wire) as (port, served):
        smu = Keithley2450("smu", port, Keithley2450Options(nplc=0.01))
        await smu.connect()
        served.turn("keithley_2450.drop_reply@once")
        with pytest.raises(Silent):
            await smu.identify()
        assert (await smu.identify()).model == "MODEL 2450"


@pytest.mark.parametrize("wire", WIRES)
async def test_a_tsp_machine_is_driven(wire: str) -> None:
    async with machine("keithley_2600b", wire) as (port, _):
        smu = Keithley2600B("smu", port, Keithley2600BOptions(nplc=0.01))
        await smu.connect()
        async with smu.channels["a"].forcing_voltage(1.0, limit_a=1e-3):
            assert abs(await smu.channels["a"].measure()) < 1e-6


@pytest.mark.parametrize("wire", WIRES)
async def test_a_machine_that_goes_is_an_error(wire: str) -> None:
    async with machine("keithley_2450", wire) as (port, served):
        smu = Keithley2450("smu", port, Keithley2450Options())
        await smu.connect()
        await served.aclose()
        met = list[type[EquipmentError]]()
        for _ in range(2):
            with pytest.raises(EquipmentError) as error:
                await smu.identify()
            met.append(error.type)
        assert issubclass(met[-1], DeviceLost)
