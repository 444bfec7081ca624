"""A dialogue in the place of a port: the driver must say every line of it, and nothing else."""

import asyncio
from collections import deque
from collections.abc import Collection, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from drivers.errors import DeviceLost, Silent
from drivers.protocols.ttl import Signals
from drivers.roles.dio import Dio, DioStep, Levels
from drivers.transports import (
    Clear,
    Control,
    Conversation,
    Pause,
    Port,
    Read,
    ReadStatus,
    Reply,
    Step,
    Stream,
    T,
    Timestamp,
    Trigger,
    Write,
)
from tests.dialogue import Dialogue, Kind, Turn, find, read

IN = 0x80


class _Script:
    """The turns that are left, and who waits for the next."""

    def __init__(self, dialogue: Dialogue) -> None:
        self.dialogue = dialogue
        self.left = deque(dialogue.turns)
        self.moved = asyncio.Event()
        self.half = b""

    def __str__(self) -> str:
        return f"{self.dialogue}, {self.left[0] if self.left else 'end'}"

    def next_is(self, *kinds: Kind) -> bool:
        return bool(self.left) and self.left[0].kind in kinds

    def pop(self, kind: Kind, what: object) -> Turn:
        assert self.next_is(kind), f"{self}: the driver did {what}"
        turn = self.left.popleft()
        self.moved.set()
        return turn

    def said(self, data: bytes, *, whole: bool) -> None:
        data = self.half + data
        self.half = b""
        while data:
            assert self.next_is("say"), f"{self}: the driver said {data!r}"
            expected = self.left[0].data
            if not whole and len(data) < len(expected) and expected.startswith(data):
                self.half = data
                return
            assert data.startswith(expected), f"{self}: the driver said {data!r}"
            self.pop("say", data)
            data = data[len(expected) :]

    def assert_finished(self) -> None:
        while self.next_is("silence"):
            self.left.popleft()
        assert not self.left, f"{self}: the driver stopped here"
        assert not self.half, f"{self}: the driver stopped in the middle of {self.half!r}"


class ReplayPort(Port):
    """Runs conversations against a dialogue; service requests come where it has `!`."""

    def __init__(self, dialogue: Dialogue) -> None:
        self.name = f"replay:{dialogue}"
        self.script = _Script(dialogue)
        self.opened = 0
        self.closed = 0
        self.hops = 0
        self.paused_s = 0.0

    async def open(self) -> None:
        self.opened += 1

    async def aclose(self) -> None:
        self.closed += 1

    async def run(self, conversation: Conversation[T]) -> T:
        self.hops += 1
        reply: Reply = None
        failure: Silent | None = None
        while True:
            try:
                step = conversation.throw(failure) if failure else conversation.send(reply)
            except StopIteration as end:
                result: T = end.value
                return result
            reply, failure = None, None
            try:
                reply = self._do(step)
            except Silent as silence:
                failure = silence

    async def service_request(self) -> int:
        while not self.script.next_is("request"):
            self.script.moved.clear()
            await self.script.moved.wait()
        return self.script.pop("request", "wait for a service request").number

    def _do(self, step: Step) -> Reply:
        match step:
            case Write(data):
                self.script.said(data, whole=True)
            case Read():
                return self._heard(step)
            case ReadStatus():
                kind: Kind = "request" if self.script.next_is("request") else "status"
                return self.script.pop(kind, step).number
            case Clear():
                self.script.pop("clear", step)
            case Trigger():
                self.script.pop("trigger", step)
            case Pause(seconds):
                self.paused_s += seconds
            case Control():
                return self._controlled(step)
            case Timestamp():
                return self.paused_s
        return None

    def _heard(self, step: Read) -> bytes:
        if self.script.next_is("silence"):
            self.script.pop("silence", step)
            raise Silent(f"{self.name}: no answer in {step.timeout_s:g} s")
        turn = self.script.pop("hear", step)
        assert turn.number in (0, step.endpoint), f"{self.script}: read at endpoint {step.endpoint:#x}"
        return turn.data

    def _controlled(self, step: Control) -> Reply:
        said = bytes((step.request_type, step.request)) + step.value.to_bytes(2, "big")
        said += step.index.to_bytes(2, "big") + step.data
        turn = self.script.pop("control", step)
        assert turn.data == said, f"{turn}: the driver asked {said.hex(' ')}"
        return self.script.pop("hear", step).data if step.request_type & IN else None


class ReplayStream(Stream):
    """Gives the bytes of a dialogue, at most `chunk` at a time, and takes what the driver says."""

    def __init__(self, dialogue: Dialogue, *, chunk: int = 4096) -> None:
        self.name = f"replay:{dialogue}"
        self.script = _Script(dialogue)
        self.opened = 0
        self.closed = 0
        self.breaks = 0
        """How many answers to come are lost with their connection."""
        self._chunk = chunk
        self._rest = b""

    async def open(self) -> None:
        self.opened += 1

    async def write(self, data: bytes) -> None:
        while self.script.next_is("silence"):
            self.script.pop("silence", data)
        self.script.said(data, whole=False)

    async def receive(self) -> bytes:
        if self.breaks:
            self.breaks -= 1
            raise DeviceLost(f"{self.name} broke")
        if not self._rest:
            await self._answer_or_end()
            self._rest = self.script.pop("hear", "receive").data
        now, self._rest = self._rest[: self._chunk], self._rest[self._chunk :]
        return now

    async def discard(self) -> bytes:
        taken, self._rest = self._rest, b""
        while self.script.next_is("hear"):
            taken += self.script.pop("hear", "discard").data
        return taken

    async def aclose(self) -> None:
        self.closed += 1
        self.script.moved.set()

    async def _answer_or_end(self) -> None:
        while not self.script.next_is("hear"):
            if self.closed and self.closed >= self.opened:
                raise DeviceLost(f"{self.name} is closed")
            self.script.moved.clear()
            await self.script.moved.wait()


def written(text: str) -> ReplayPort:
    """A port that says what `text` says: for answers that no machine may give, which no file may hold."""
    return ReplayPort(read(f"origin assumed\n{text}", Path("test/written.txt")))


def written_stream(text: str) -> ReplayStream:
    """A line that says what `text` says."""
    return ReplayStream(read(f"origin assumed\n{text}", Path("test/written.txt")))


@contextmanager
def replayed(name: str) -> Generator[ReplayPort, None, None]:
    """`<model>/<what_happens>` as a port; at the end of the block the driver must have come to its end."""
    port = ReplayPort(find(name))
    yield port
    port.script.assert_finished()


@contextmanager
def replayed_stream(name: str, *, chunk: int = 4096) -> Generator[ReplayStream, None, None]:
    """`<model>/<what_happens>` as a line; at the end of the block the driver must have come to its end."""
    stream = ReplayStream(find(name), chunk=chunk)
    yield stream
    stream.script.assert_finished()


class ReplayDio(Dio):
    """Lines that change as a dialogue says: `> EOT1 low` by the station, `< SOT1 low` by the machine."""

    def __init__(self, dialogue: Dialogue, *, outputs: Collection[str], inputs: Collection[str]) -> None:
        super().__init__(f"replay:{dialogue}")
        self.script = _Script(dialogue)
        self.outputs, self.inputs = frozenset(outputs), frozenset(inputs)
        self.resting = dict.fromkeys(outputs, dialogue.given.get("outputs_active") != "high")
        self._high = dict(self.resting) | dict.fromkeys(inputs, True)
        self._looks = 0

    async def read(self) -> Mapping[str, bool]:
        """Let the next line of the handler change after a few looks, so that each level lasts a while."""
        self._looks += 1
        if self._looks >= LOOKS and self.script.next_is("hear"):
            self._change()
        return dict(self._high)

    def _change(self) -> None:
        self._looks = 0
        line, level = self.script.pop("hear", "look at the lines").data.decode().split()
        self._high[line] = level == "high"

    async def play(self, steps: Sequence[DioStep]) -> None:
        for step in steps:
            for line, high in (step.high if isinstance(step, Levels) else {}).items():
                if self._high[line] is not high:
                    while self.script.next_is("hear"):  # the machine does not wait for the station
                        self._change()
                    self._high[line] = high
                    self.script.said(f"{line} {'high' if high else 'low'}\n".encode(), whole=True)


LOOKS = 8


@contextmanager
def replayed_lines(name: str, signals: Mapping[int, Signals]) -> Generator[ReplayDio, None, None]:
    """`<model>/<what_happens>` as lines; at the end of the block the driver must have come to its end."""
    outputs = [line for one in signals.values() for line in one.outputs]
    inputs = [line for one in signals.values() for line in one.inputs]
    dio = ReplayDio(find(name), outputs=outputs, inputs=inputs)
    yield dio
    dio.script.assert_finished()
