"""Lines that send without an end: whoever empties one gives up and says so."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest

from drivers.dio.velleman_k8090 import VellemanK8090, VellemanK8090Options
from drivers.errors import EquipmentError, ProtocolError, Silent
from drivers.idreader.text_line import TextLineOptions, TextLineReader
from drivers.interlock.modbus import Modbus, ModbusOptions, Point
from drivers.links.wire import wire
from drivers.protocols.k8090 import Code, Frame
from drivers.transports import MOST_STRAY, RESTS_S, Stream
from drivers.transports.prologix import PrologixAdapter
from sim.time import new_loop

AS_LONG_S = 60.0
"""Of virtual time, for whoever would go on for ever."""


class Babble(Stream):
    """Sends a piece ever so often, whatever is said to it; the first comes at once."""

    def __init__(self, piece: bytes, *, every_s: float, answers: int | None = None) -> None:
        self.name = "line"
        self._piece = piece
        self._every_s = every_s
        self._left = answers
        self._taken = 0

    async def open(self) -> None:
        pass

    async def write(self, data: bytes) -> None:
        pass

    async def receive(self) -> bytes:
        if self._left == 0:
            await asyncio.Event().wait()
        self._left = None if self._left is None else self._left - 1
        self._taken += len(self._piece)
        assert self._taken < 3 * MOST_STRAY, "it is read on and on"
        if self._every_s:
            await asyncio.sleep(self._every_s)
        return self._piece

    async def aclose(self) -> None:
        pass


def lasts(main: Callable[[], Coroutine[Any, Any, None]]) -> float:
    """Run in virtual time; return how long it took there."""

    async def timed() -> float:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        async with asyncio.timeout(AS_LONG_S):
            await main()
        return loop.time() - begun

    with asyncio.Runner(loop_factory=lambda: new_loop(None)) as runner:
        return runner.run(timed())


def asked_modbus(line: Stream) -> Awaitable[object]:
    options = ModbusOptions(points={"door": Point(kind="input", address=0)}, reply_timeout_s=0.5)
    return Modbus("cell", line, options).measure("door")


def read_code(line: Stream) -> Awaitable[object]:
    return TextLineReader("reader", line, TextLineOptions(trigger="+")).read()


def read_relays(line: Stream) -> Awaitable[object]:
    return VellemanK8090("relays", line, VellemanK8090Options()).read()


def asked_adapter(line: Stream) -> Awaitable[object]:
    return PrologixAdapter(line).ask("++ver")


def asked_wire(line: Stream) -> Awaitable[object]:
    return wire(line).ask("?", timeout_s=1.0)


@pytest.mark.parametrize("asked", [asked_modbus, read_code, read_relays])
def test_a_driver_gives_up_a_line_that_does_not_rest(asked: Callable[[Stream], Awaitable[object]]) -> None:
    async def main() -> None:
        with pytest.raises(EquipmentError, match="line: the line does not rest: 2[0-9]+ bytes that nobody"):
            await asked(Babble(b"x\r\n", every_s=0.003))

    assert lasts(main) < 2 * RESTS_S


@pytest.mark.parametrize("asked", [asked_modbus, read_code, read_relays, asked_adapter, asked_wire])
def test_a_line_that_is_never_waited_for_is_given_up(asked: Callable[[Stream], Awaitable[object]]) -> None:
    async def main() -> None:
        with pytest.raises(ProtocolError, match="the line does not rest: 16842752 bytes"):
            await asked(Babble(bytes(1 << 16), every_s=0.0))

    assert lasts(main) < RESTS_S


def test_a_board_whose_buttons_are_pressed_on_and_on_is_asked_three_times() -> None:
    async def main() -> None:
        with pytest.raises(Silent, match="in 3 tries"):
            await read_relays(Babble(Frame(Code.ON, 1).encode(), every_s=0.1))

    assert lasts(main) < 4.0


def test_what_came_before_the_line_rests_is_given() -> None:
    async def main() -> None:
        assert await Babble(b"ab", every_s=0.1, answers=3).until_quiet(0.2) == b"ababab"
        assert await Babble(b"ab", every_s=0.0, answers=3).discard() == b"ababab"
        assert await Babble(b"ab", every_s=0.1).discard() == b""

    assert lasts(main) < 1.0
