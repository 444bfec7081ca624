"""Simulated dies for the vault's tests, in this process and without latency."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from hashlib import sha256
from typing import ParamSpec, TypeVar

from drivers.protocols.se1_table import LifeCycle
from drivers.roles.card import Apdu, Card, CardReply, CardStep, ScriptReply, Stopped
from sim.dut.chip import Chip
from station.sequence import Die
from station.vault.die.script import Answer, Script
from station.vault.faults import Code, DoubtError, FaultError

P = ParamSpec("P")
T = TypeVar("T")
NOW = 1_780_272_000.0
FINGERPRINT = sha256(b"a sequence").digest()


def sound_chip(index: int = 1, payload: int = 1024, uid: bytes | None = None) -> Chip:
    """A good die as it comes to the personalise row, powered."""
    chip = Chip.from_sort(
        index, seed="test", uid=uid, payload=payload, latency="zero", state=LifeCycle.OP_READY
    )
    chip.power(3.3)
    chip.atr()
    return chip


def die_of(unit: str, *, contact: int = 1, lot: str = "L1") -> Die:
    """What the engine tells of a device."""
    return Die(unit, lot, contact, 1, FINGERPRINT, sha256(f"{unit} {contact}".encode()).digest()[:16])


class ChipCard(Card):
    """The card role over a simulated die, without a reader."""

    def __init__(self, chip: Chip) -> None:
        super().__init__("card")
        self.chip = chip
        self.scripts: list[tuple[CardStep, ...]] = []
        self.stop_at: Callable[[int, int], bool] = lambda script, step: False
        """Whether the link fails before a step of a script; both count from 1 and 0."""

    async def power_on(self) -> bytes:
        return self.chip.atr() or b""

    async def power_off(self) -> None:
        self.chip.deactivate()

    async def make_safe(self) -> None:
        self.chip.deactivate()

    async def run(self, script: Sequence[CardStep]) -> ScriptReply:
        self.scripts.append(tuple(script))
        replies: list[CardReply] = []
        for number, step in enumerate(script):
            if self.stop_at(len(self.scripts), number):
                return ScriptReply(tuple(replies), Stopped.LINK)
            answer = answer_of(self.chip, step.command if isinstance(step, Apdu) else b"")
            if answer is None:
                return ScriptReply(tuple(replies), Stopped.LINK)
            replies.append(CardReply(answer.data, answer.sw, 0.0))
            if isinstance(step, Apdu) and answer.sw not in step.expect:
                return ScriptReply(tuple(replies), Stopped.STATUS_WORD)
        return ScriptReply(tuple(replies), Stopped.END)


def answer_of(chip: Chip, command: bytes) -> Answer | None:
    """Run one command, or a reset if it is empty."""
    if not command:
        atr = chip.atr()
        return None if atr is None else Answer(atr, 0)
    reply, _ = chip.apdu(command)
    return None if not reply else Answer(reply[:-2], int.from_bytes(reply[-2:]))


class DirectLink:
    """The way to a die without a station between."""

    def __init__(self, chip: Chip) -> None:
        self.chip = chip
        self.labels: list[str] = []
        self.touch: Callable[[str, str, Answer], Answer | None] = lambda label, step, answer: answer
        """What becomes of a reply on its way; None: it is lost."""

    async def run(self, script: Script) -> dict[str, bytes]:
        """Run a script on the die itself."""
        self.labels.append(script.label)
        answers: list[Answer] = []
        for step in script.steps:
            answer = answer_of(self.chip, step.apdu)
            answer = None if answer is None else self.touch(script.label, step.name, answer)
            if answer is None:
                raise DoubtError(Code.LINK, f"{script.label}, {step.name}: no answer")
            answers.append(answer)
            if step.expect and answer.sw not in step.expect:
                return script.opened(answers, ended=False)
        return script.opened(answers, ended=True)


class Here:
    """Computes in the calling thread."""

    def __call__(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Awaitable[T]:
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        try:
            done.set_result(function(*args, **kwargs))
        except FaultError as fault:
            done.set_exception(fault)
        return done
