"""A VISA port on PyVISA-py over TCP: a library that has no events and cannot abort."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from drivers.errors import Silent
from drivers.transports.visa import VisaLibrary, VisaPort
from tests.drivers.transports.visa_bench import query, run


@asynccontextmanager
async def tcp_instrument() -> AsyncIterator[tuple[VisaPort, asyncio.Event]]:
    asked_in_vain = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            if line == b"LATE?\n":
                asyncio.get_running_loop().call_later(0.05, writer.write, b"LATE-ANSWER\n")
            elif line == b"HALF?\n":
                writer.write(b"HALF-")
                asyncio.get_running_loop().call_later(0.2, writer.write, b"ANSWER\n")
            elif line == b"NEVER?\n":
                asked_in_vain.set()
            else:
                writer.write(b"ANSWER-TO-" + line)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    host, number = server.sockets[0].getsockname()
    resource = f"TCPIP0::{host}::{number}::SOCKET"
    library = VisaLibrary("@py")
    async with server, VisaPort(f"visa:{resource}", resource, library, grace_s=5.0) as port:
        yield port, asked_in_vain
    library.close()


def test_pyvisa_py_over_tcp() -> None:
    async def main() -> None:
        async with tcp_instrument() as (port, asked_in_vain):
            assert port.strategy == "none"
            assert await port.run(query("A?")) == "ANSWER-TO-A?"
            assert await port.run(query("HALF?")) == "HALF-ANSWER", "half of it came before a slice ended"
            with pytest.raises(Silent):
                await port.run(query("LATE?", timeout_s=0.01))
            assert await port.run(query("B?")) == "ANSWER-TO-B?", "not the late answer"
            call = asyncio.create_task(port.run(query("NEVER?", timeout_s=60)))
            await asked_in_vain.wait()
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            assert not port.lost
            assert await port.run(query("C?")) == "ANSWER-TO-C?"

    run(main, asyncio.SelectorEventLoop)
