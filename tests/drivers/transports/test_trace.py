"""What a trace keeps, how it reads as a dialogue, and what it never keeps."""

import asyncio
import struct
from pathlib import Path

import pytest

from drivers.transports.trace import KEPT_BYTES, Mark, Trace, muted
from tests.dialogue import load


def trace_of(*entries: tuple[Mark, bytes], length: int = 200) -> Trace:
    trace = Trace(lambda: 0.0, length=length)
    for mark, data in entries:
        trace.recorder().note(mark, data)
    return trace


def test_it_is_bounded() -> None:
    trace = trace_of(*(((">", b"%d\n" % n)) for n in range(500)), length=3)
    assert [entry.data for entry in trace.entries()] == [b"497\n", b"498\n", b"499\n"]
    assert trace.tail(2) == r"> 498\n | > 499\n"
    assert trace_of().tail() == "nothing yet"


def test_times_are_the_loops() -> None:
    now = iter([1.5, 2.5])
    trace = Trace(lambda: next(now))
    trace.keep(">", b"a\n", 0)
    trace.keep("<", b"b\n", 0)
    assert [entry.time for entry in trace.entries()] == [1.5, 2.5]


ENTRIES: list[tuple[Mark, bytes]] = [
    (">", b"*IDN?\n"),
    ("<", b"SIM,METER,0,1.0\n"),
    (">clear", b""),
    (">trigger", b""),
    ("<-", b""),
    ("<", bytes(range(256))),
    ("!", b"\x41"),
    ("<stb", b"\x10"),
]


@pytest.mark.parametrize(
    "text",
    [b"A?\n", b"A?", b"A?\r\n", b"back\\slash\n", b"blank \n", b" blank\n", b"two  # signs\n", b"\n", b""],
)
def test_a_dialogue_brings_back_the_very_bytes(tmp_path: Path, text: bytes) -> None:
    file = tmp_path / "model" / "case.txt"
    file.parent.mkdir()
    entries = [(">", text), *ENTRIES]
    file.write_text(trace_of(*entries).to_dialogue("captured 2026-03-01, SIM METER, 1.0"))
    dialogue = load(file)
    assert (dialogue.origin, dialogue.source) == ("captured", "2026-03-01, SIM METER, 1.0")
    kinds = ["say", "say", "hear", "clear", "trigger", "silence", "hear", "request", "status"]
    assert [turn.kind for turn in dialogue.turns] == kinds
    for turn, (_, data) in zip(dialogue.turns[:3], entries[:3], strict=True):
        assert turn.data == data
    assert dialogue.turns[6].data == bytes(range(256))
    assert [turn.number for turn in dialogue.turns[-2:]] == [0x41, 0x10]


def test_usb_endpoints_and_control_transfers(tmp_path: Path) -> None:
    trace = Trace(lambda: 0.0)
    recorder = trace.recorder()
    recorder.note(">control", struct.pack(">BBHH", 0x21, 0x01, 0x0100, 0) + b"\xaa")
    recorder.note(">", b"\x65\x00", 0x02)
    recorder.note("<", b"\x50\x03", 0x83)
    text = trace.to_dialogue("assumed")
    assert text == "origin assumed\n>control 21 01 0100 0000 AA\n>x@02 65 00\n<x@83 50 03\n"
    file = tmp_path / "case.txt"
    file.write_text(text)
    assert load(file).turns[2].number == 0x83


def test_of_a_long_transfer_the_beginning_is_kept() -> None:
    trace = trace_of(("<", b"x" * (KEPT_BYTES + 5)))
    assert trace.to_dialogue("assumed").endswith("# 5 bytes more, which were not kept\n")
    assert len(trace.tail()) < 200


async def test_a_muted_task_and_its_children_leave_nothing() -> None:
    trace = Trace(lambda: 0.0)

    async def child() -> None:
        trace.recorder().note(">", b"SECRET\n")

    with muted():
        recorder = trace.recorder()
        async with asyncio.TaskGroup() as group:
            group.create_task(child())
    recorder.note("<", b"SECRET\n")  # a thread that is late: it was muted when it was asked
    assert recorder.tail() == "not recorded"
    trace.recorder().note(">", b"A?\n")
    assert [entry.data for entry in trace.entries()] == [b"A?\n"]
