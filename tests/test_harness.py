"""The harness itself: what it takes, and what it must not let pass."""

import asyncio
from pathlib import Path

import pytest

from drivers.errors import DeviceLost, Silent
from drivers.transports import Clear, Control, Conversation, Pause, Read, ReadStatus, Trigger, Write
from sim.instrument import Instrument
from tests.dialogue import Dialogue, DialogueError, Turn, read
from tests.player import InstrumentPlayer, play
from tests.replay import ReplayPort, ReplayStream, written
from tests.stepclock import StepClock


def dialogue(text: str) -> Dialogue:
    return read(f"origin assumed\n{text}", Path("model/name.txt"))


def talk(*steps: Write | Read | ReadStatus | Trigger | Clear | Control | Pause) -> Conversation[list[object]]:
    replies = list[object]()
    for step in steps:
        reply = yield step
        replies += [reply]
    return replies


def test_every_kind_of_line() -> None:
    found = dialogue(
        "# a comment\ngiven a = 1\nends \\r\\n\n> x   # remark\n< y\\n\n>x 0aFF\n<x@83 50\n<-\n! 0x41\n"
        "<stb 16\n>clear\n>trigger\n>control 21 01 0100 0000\nends none\n> z"
    )
    assert found.given == {"a": "1"}
    assert found.number("a", 2.0) == 1.0
    assert found.turns == (
        Turn("say", 5, b"x\r\n"),
        Turn("hear", 6, b"y\n"),
        Turn("say", 7, b"\x0a\xff"),
        Turn("hear", 8, b"\x50", 0x83),
        Turn("silence", 9),
        Turn("request", 10, number=0x41),
        Turn("status", 11, number=16),
        Turn("clear", 12),
        Turn("trigger", 13),
        Turn("control", 14, b"\x21\x01\x01\x00\x00\x00"),
        Turn("say", 16, b"z"),
    )


@pytest.mark.parametrize("text", ["? x", "origin manual x"])
def test_unknown_mark_is_refused(text: str) -> None:
    with pytest.raises(DialogueError, match=r"name.txt:2: mark"):
        dialogue(text)


async def test_port_answers_every_kind_of_step() -> None:
    port = written(
        "> a\n< b\n>x 01\n<x@83 02\n<stb 0x10\n! 0x41\n>trigger\n>clear\n"
        ">control A1 03 0000 0000\n<x 05\n>control 21 01 0100 0000"
    )
    get, abort = Control(0xA1, 3, length=4), Control(0x21, 1, value=0x0100)
    steps = (Write(b"a\n"), Read(), Write(b"\1"), Read(endpoint=0x83), ReadStatus(), ReadStatus(), Trigger())
    replies = await port.run(talk(*steps, Clear(), get, abort, Pause(1.5)))
    assert [reply for reply in replies if reply is not None] == [b"b\n", b"\2", 0x10, 0x41, b"\5"]
    assert (port.hops, port.paused_s) == (1, 1.5)
    port.script.assert_finished()


@pytest.mark.parametrize(
    ("text", "step"),
    [("> a", Write(b"b\n")), ("> a", Read()), ("> a", Write(b"a")), ("", Clear()), ("<x@83 00", Read())],
)
async def test_port_lets_nothing_else_pass(text: str, step: Write | Read | Clear) -> None:
    with pytest.raises(AssertionError):
        await written(text).run(talk(step))


async def test_driver_that_stops_short_is_found() -> None:
    port = written("> a\n> b")
    await port.run(talk(Write(b"a\n")))
    with pytest.raises(AssertionError, match="stopped here"):
        port.script.assert_finished()


async def test_silence_is_raised_inside_the_conversation() -> None:
    def patient() -> Conversation[str]:
        try:
            yield Read(0.5)
        except Silent as error:
            return str(error)
        return "heard"

    assert "0.5 s" in await written("<-").run(patient())


async def test_service_request_waits_for_its_line() -> None:
    port = written("> a\n! 0x41")
    waiting = asyncio.get_running_loop().create_task(port.service_request())
    await asyncio.sleep(0)
    assert not waiting.done()
    await port.run(talk(Write(b"a\n")))
    assert await waiting == 0x41


@pytest.mark.parametrize("chunk", [1, 3, 4096])
async def test_stream_cuts_as_told_and_joins_what_it_is_told(chunk: int) -> None:
    stream = ReplayStream(dialogue("ends none\n< H\\r\n> R\n> S\n< S\\r"), chunk=chunk)
    heard = b""
    while len(heard) < 2:
        heard += await stream.receive()
    await stream.write(b"RS")
    while len(heard) < 4:
        heard += await stream.receive()
    assert heard == b"H\rS\r"
    stream.script.assert_finished()


async def test_stream_takes_a_line_in_pieces_and_ends_when_closed() -> None:
    stream = ReplayStream(dialogue("> hello"))
    for piece in (b"he", b"llo", b"\n"):
        await stream.write(piece)
    receiving = asyncio.get_running_loop().create_task(stream.receive())
    await asyncio.sleep(0)
    await stream.aclose()
    with pytest.raises(DeviceLost):
        await receiving


class Echo(Instrument):
    """Says every message back after a second, and asks for service after two."""

    def handle(self, message: bytes) -> None:
        self.respond(message + b"\n", after_s=1.0)
        self.clock.call_later(2.0, self.request_service, 1)


def test_player_lets_time_go_by() -> None:
    clock = StepClock()
    play(dialogue("<-\n> a\n< a\n! 0x41\n<stb 0\n>clear\n<-"), InstrumentPlayer(Echo(clock), clock))
    assert clock.time() >= 2.0


@pytest.mark.parametrize("text", ["> a\n< b", "> a\n<-", "! 0x41", "> a\n! 0x42", "<stb 1"])
def test_player_demands_every_answer(text: str) -> None:
    clock = StepClock()
    with pytest.raises(AssertionError, match="simulator gave"):
        play(dialogue(text), InstrumentPlayer(Echo(clock), clock))


def test_clock_that_would_wait_for_ever_says_so() -> None:
    clock = StepClock()
    with pytest.raises(AssertionError, match="waits for ever"):
        Echo(clock).bus_read(10, None, None)


def test_bad_origin_is_refused() -> None:
    with pytest.raises(DialogueError, match="name.txt:1"):
        read("origin guessed\n> a", Path("model/name.txt"))
    assert isinstance(written("> a"), ReplayPort)
