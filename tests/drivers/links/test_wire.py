"""Lines over a stream or a port: split, joined, late, unasked, without an end."""

import asyncio
from collections import deque

import pytest

from drivers.errors import DeviceLost, ProtocolError, Silent, TransportError
from drivers.links import wire as module
from drivers.links.wire import PortWire, StreamWire, wire
from drivers.transports import Stream
from tests.replay import written


class Far(Stream):
    """The other end: pieces that arrive at once, and later ones for each line that is said."""

    def __init__(self, *answers: list[bytes], unasked: list[bytes] | None = None) -> None:
        self.name = "far"
        self.said = b""
        self.opened = 0
        self._answers = deque(answers)
        self._pieces = deque(unasked or [])
        self._arrived = asyncio.Event()

    async def open(self) -> None:
        self.opened += 1

    async def write(self, data: bytes) -> None:
        self.said += data
        self._pieces.extend(self._answers.popleft() if self._answers else [])
        self._arrived.set()

    async def receive(self) -> bytes:
        while not self._pieces:
            self._arrived.clear()
            await self._arrived.wait()
        piece = self._pieces.popleft()
        if piece == b"!":
            raise DeviceLost("far: gone")
        return piece

    async def aclose(self) -> None:
        self._pieces.clear()


def at(stream: Stream, *, unended_s: float = 0.0) -> StreamWire:
    made = wire(stream, unended_s=unended_s)
    assert isinstance(made, StreamWire)
    return made


@pytest.mark.parametrize("pieces", [[b"yes\r\n"], [b"y", b"es", b"\r", b"\n"], [b"yes\nno\n"]])
async def test_an_answer_however_it_is_cut(pieces: list[bytes]) -> None:
    far = Far(pieces)
    assert await at(far).ask("?", timeout_s=1.0) == "yes"
    assert far.said == b"?\n"


async def test_what_came_before_the_question_is_no_answer() -> None:
    far = Far([b"new\n"], unasked=[b"old\nolder", b"\n"])
    line = at(far)
    assert await line.ask("?", timeout_s=1.0) == "new"
    assert line.strays == 2


async def test_what_comes_with_an_answer_is_not_the_next() -> None:
    far = Far([b"1\nlate\n"], [b"2\n"])
    line = at(far)
    assert [await line.ask("?", timeout_s=1.0) for _ in range(2)] == ["1", "2"]
    assert line.strays == 1


async def test_only_mine() -> None:
    far = Far([b"theirs\n", b"mine 7\n"])
    line = at(far)
    assert await line.ask("?", timeout_s=1.0, mine=lambda text: text.startswith("mine")) == "mine 7"
    assert line.strays == 1


async def test_a_line_without_an_end_is_taken_after_a_while_if_that_is_allowed() -> None:
    assert await at(Far([b"ye", b"s"]), unended_s=0.01).ask("?", timeout_s=1.0) == "yes"
    with pytest.raises(Silent, match="no answer to '\\?' in 0.02 s"):
        await at(Far([b"yes"])).ask("?", timeout_s=0.02)


async def test_after_silence_nothing_is_asked_until_it_was_opened_anew() -> None:
    far = Far([], [b"2\n"])
    line = at(far)
    await line.open()
    with pytest.raises(Silent):
        await line.ask("1?", timeout_s=0.01)
    for again in (line.ask("2?", timeout_s=1.0), line.say("x")):
        with pytest.raises(TransportError, match="out of step"):
            await again
    assert far.said == b"1?\n"
    await line.open()
    assert line.broken == ""
    assert await line.ask("2?", timeout_s=1.0) == "2"
    assert far.opened == 2


async def test_a_line_that_is_gone_is_broken_too() -> None:
    line = at(Far([b"!"]))
    with pytest.raises(DeviceLost):
        await line.ask("?", timeout_s=1.0)
    assert "DeviceLost" in line.broken


@pytest.mark.parametrize("asks", [False, True])
async def test_a_line_that_was_cut_off_while_it_was_said_is_broken(asks: bool) -> None:
    class Full(Far):
        """Takes half of the first line, and the rest never."""

        async def write(self, data: bytes) -> None:
            if self.said:
                await super().write(data)
                return
            await super().write(data[: len(data) // 2])
            full.set()
            await asyncio.Event().wait()

    full, far = asyncio.Event(), Full()
    line = at(far)
    work = line.ask("MOVE?", timeout_s=1.0) if asks else line.say("MOVE!")
    saying = asyncio.ensure_future(work)
    await full.wait()
    saying.cancel()
    await asyncio.wait([saying])
    assert saying.cancelled()
    with pytest.raises(TransportError, match="out of step \\('MOVE.' ended in CancelledError\\)"):
        await line.say("STOP!")
    assert far.said == b"MOV"


async def test_two_tasks_take_turns() -> None:
    far = Far([b"1\n"], [b"2\n"])
    line = at(far)
    async with asyncio.TaskGroup() as group:
        first = group.create_task(line.ask("a", timeout_s=1.0))
        second = group.create_task(line.ask("b", timeout_s=1.0))
    assert (first.result(), second.result()) == ("1", "2")
    assert far.said == b"a\nb\n"


@pytest.mark.parametrize("kind", ["stream", "port"])
async def test_a_line_that_never_rests_is_no_answer(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_STRAYS", 3)
    line = (
        at(Far([b"x\n" * 5])) if kind == "stream" else PortWire(written("> ?\n" + "< x\n" * 3), sends=b"\n")
    )
    with pytest.raises(ProtocolError, match="3 lines, and none is the answer"):
        await line.ask("?", timeout_s=1.0, mine=lambda text: text == "y")


async def test_a_port_is_cleared_after_silence_and_stays_in_step() -> None:
    port = written("ends \\r\\n\n> 1?\n<-\n>clear\n> 2?\n< two\n> bye")
    line = wire(port, sends=b"\r\n")
    await line.open()
    await line.open()
    with pytest.raises(Silent):
        await line.ask("1?", timeout_s=0.01)
    assert line.broken == ""
    assert await line.ask("2?", timeout_s=1.0) == "two"
    await line.say("bye")
    await line.aclose()
    assert (port.opened, port.closed) == (1, 1)
