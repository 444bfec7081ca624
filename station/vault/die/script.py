"""A batch of commands for the station to relay, and what the replies to it mean."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from drivers.protocols import se1
from drivers.protocols.se1_table import COMMANDS, StatusWord
from station.vault.die.scp03 import Command, ReplyMacError, Session, Ticket
from station.vault.faults import Code, DoubtError

PLAIN_REPLY = 256
RESET_MS = 3000
MAC_AND_PADDING = 32
STEPS_MAX = 128
BYTES_MAX = 128 * 1024


class Step(msgspec.Struct, frozen=True):
    """One step of a script: a reset (no command) or a command."""

    name: str
    apdu: bytes
    expect: tuple[int, ...]
    budget_ms: int
    reply_max: int
    ticket: Ticket | None = None


class Answer(msgspec.Struct, frozen=True):
    """What the die is said to have answered."""

    data: bytes
    sw: int


@dataclass
class Script:
    """Commands that need no answer of each other; `session` wraps those that go through the channel."""

    label: str
    session: Session | None = None
    may_park: bool = False
    factor: float = 1.0
    steps: list[Step] = field(default_factory=list)
    _size: int = 0

    @property
    def budget_ms(self) -> int:
        """What all steps together may take."""
        return sum(step.budget_ms for step in self.steps)

    def reset(self) -> None:
        """Reset the die."""
        self.steps.append(Step("reset", b"", (), RESET_MS, PLAIN_REPLY))

    def plain(self, command: str, apdu: bytes, *expect: int, reply: int = PLAIN_REPLY) -> None:
        """Send a command as it is; `expect` are the status words after which the script goes on."""
        self._add(Step(command, apdu, expect or (StatusWord.OK,), self._budget(command), reply))

    def authenticate(self) -> None:
        """Prove to the die that we know its keys."""
        name = "EXTERNAL AUTHENTICATE"
        self._add(
            Step(name, self._channel().authenticate(), (StatusWord.OK,), self._budget(name), PLAIN_REPLY)
        )

    def secure(self, command: str, apdu: bytes, *expect: int, name: str = "", reply: int = 223) -> None:
        """Send a command through the channel; `reply` is the most plain bytes that it may answer."""
        wrapped, ticket = self._channel().wrap(Command.of(apdu, reply))
        expected = expect or (StatusWord.OK,)
        limit = reply + MAC_AND_PADDING
        self._add(Step(name or command, wrapped, expected, self._budget(command), limit, ticket))

    def read(self, name: str, kind: int, slot: int, size: int, payload: int) -> None:
        """Read an object of `size` bytes through the channel, in as many commands as it takes."""
        for at in range(0, size, payload):
            length = min(payload, size - at)
            self.secure("READ", se1.read(kind, slot, at, length), name=name, reply=length)

    def opened(self, answers: Sequence[Answer], *, ended: bool) -> dict[str, bytes]:
        """Check the replies in order and return the data by name, those of one name joined.

        DoubtError if the script did not run to its end, or a reply is not what the die can have sent.
        """
        found: dict[str, bytes] = {}
        for step, answer in zip(self.steps, answers, strict=False):
            data = self._checked(step, answer)
            found[step.name] = found[step.name] + data if step.name in found else data
        if not ended or len(answers) != len(self.steps):
            raise DoubtError(Code.LINK, f"{self.label} ended after {len(answers)} of {len(self.steps)} steps")
        return found

    def _checked(self, step: Step, answer: Answer) -> bytes:
        if len(answer.data) > step.reply_max:
            raise DoubtError(Code.LINK, f"{self.label}, {step.name}: reply of {len(answer.data)} bytes")
        if step.expect and answer.sw not in step.expect:
            said = se1.status_name(answer.sw)
            raise DoubtError(Code.STATUS_WORD, f"{self.label}, {step.name}: {said}")
        if step.ticket is None:
            return answer.data if answer.sw == StatusWord.OK or not step.expect else b""
        try:
            return self._channel().unwrap(step.ticket, answer.data, answer.sw)
        except ReplyMacError as error:
            raise DoubtError(Code.R_MAC, f"{self.label}, {step.name}: {error}") from error

    def _channel(self) -> Session:
        if self.session is None:
            raise ValueError(f"{self.label}: no session")
        return self.session

    def _budget(self, command: str) -> int:
        return round(COMMANDS[command].budget_ms * self.factor)

    def _add(self, step: Step) -> None:
        self.steps.append(step)
        self._size += len(step.apdu)
        if len(self.steps) > STEPS_MAX or self._size > BYTES_MAX:
            raise ValueError(f"{self.label}: more than {STEPS_MAX} steps or {BYTES_MAX} bytes")
