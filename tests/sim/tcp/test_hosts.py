"""Simulated TCP: the driver's transport reaches machines of its loop, in virtual time."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest

from drivers.errors import DeviceLost, TransportError
from drivers.transports.tcp import TcpStream
from sim.faults import Faults, parse
from sim.tcp.machine import TCP_KNOBS, Connection, TcpMachine
from sim.time import VirtualLoop, new_loop

T = TypeVar("T")


class Echo(TcpMachine):
    """Says back what it hears, a second later, and twice if it is a `2`."""

    def on_data(self, connection: Connection, data: bytes) -> None:
        for _ in range(2 if data == b"2" else 1):
            connection.send(data, after_s=1.0)


def virtually(life: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=lambda: new_loop(None)) as runner:
        return runner.run(life)


def echo(*faults: str) -> Echo:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    machine = Echo(loop.clock, Faults("echo", TCP_KNOBS, tuple(parse(f"echo.{f}") for f in faults), "tcp"))
    loop.hosts.plug("echo-1", 7, machine)
    return machine


def test_bytes_take_virtual_time_and_no_real_one() -> None:
    async def life() -> tuple[bytes, float]:
        echo()
        async with TcpStream("tcp:echo", "echo-1", 7) as stream:
            await stream.write(b"hello")
            return await stream.receive(), asyncio.get_running_loop().time()

    data, seconds = virtually(life())
    assert data == b"hello"
    assert 1.0 < seconds < 1.01


@pytest.mark.parametrize(
    ("fault", "said", "pieces"),
    [
        ("chunk=2", b"abc", [b"ab", b"c"]),
        ("coalesce", b"2", [b"22"]),
        ("coalesce", b"x", [b"x"]),
    ],
)
def test_segments_are_cut_and_joined(fault: str, said: bytes, pieces: list[bytes]) -> None:
    async def life() -> list[bytes]:
        echo(fault)
        async with TcpStream("tcp:echo", "echo-1", 7) as stream:
            await stream.write(said)
            return [await stream.receive() for _ in pieces]

    assert virtually(life()) == pieces


def test_a_reset_ends_the_connection_for_who_waits() -> None:
    async def life() -> None:
        machine = echo("rst@once")
        stream = TcpStream("tcp:echo", "echo-1", 7)
        await stream.open()
        await stream.write(b"x")
        with pytest.raises(DeviceLost, match="reset by the simulated machine"):
            await stream.receive()
        await stream.aclose()
        assert machine.connections == []
        async with stream:
            await stream.write(b"again")
            assert await stream.receive() == b"again"

    virtually(life())


def test_two_clients_hear_their_own() -> None:
    async def life() -> None:
        machine = echo()
        async with TcpStream("tcp:a", "echo-1", 7) as a, TcpStream("tcp:b", "echo-1", 7) as b:
            await a.write(b"a")
            await b.write(b"b")
            assert (await b.receive(), await a.receive()) == (b"b", b"a")
            assert len(machine.connections) == 2

    virtually(life())


def test_nobody_listens_at_other_ports_nor_after_a_power_loss() -> None:
    async def life() -> None:
        machine = echo()
        with pytest.raises(TransportError, match="no simulated machine listens at echo-1:8"):
            await TcpStream("tcp:echo", "echo-1", 8).open()
        async with TcpStream("tcp:echo", "echo-1", 7) as stream:
            machine.unplug()
            with pytest.raises(DeviceLost):
                await stream.receive()
        with pytest.raises(TransportError, match="cannot connect"):
            await stream.open()

    virtually(life())


def test_a_lost_answer_is_lost() -> None:
    async def life() -> None:
        echo("drop_tx@once")
        async with TcpStream("tcp:echo", "echo-1", 7) as stream:
            await stream.write(b"x")
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(5.0):
                    await stream.receive()

    virtually(life())


def test_a_taken_port_is_not_given_twice() -> None:
    async def life() -> None:
        machine = echo()
        with pytest.raises(ValueError, match="echo-1:7 is taken"):
            machine_loop().hosts.plug("echo-1", 7, machine)
        machine_loop().hosts.unplug("echo-1", 7)
        assert machine.gone

    def machine_loop() -> VirtualLoop:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        return loop

    virtually(life())
