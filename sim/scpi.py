"""Simulated SCPI machines: headers in any case, long or short, and compound messages.

Ref: SCPI-99 vol. 1, 6.2 (headers, compound messages); IEEE 488.2, 6.1.6 (what an error does to a message).
"""

import re
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from itertools import product
from typing import TypeAlias

from drivers.protocols import scpi
from drivers.protocols.scpi import ErrorEntry
from sim.clock import Clock
from sim.faults import NO_FAULTS, Faults
from sim.messages import CommandError, MessageInstrument

Action: TypeAlias = Callable[[str], str | None]

_NODE = re.compile(r"(\[?):([A-Z]+)([a-z]*)(\[1\]|\d)?\]?")
COMMAND_ERRORS = range(-199, -99)
CACHED_MESSAGES = 256


@cache
def spellings(pattern: str) -> tuple[str, ...]:
    """Return every way to write a header such as `:SOURce[1]:VOLTage[:LEVel]?`, `:CHANnel2?`, in capitals."""
    if pattern.startswith("*"):
        return (pattern,)
    query = "?" if pattern.endswith("?") else ""
    nodes = list[list[str]]()
    for optional, short, rest, number in _NODE.findall(pattern):
        names = {short, short + rest.upper()}
        digits = ("", "1") if number == "[1]" else (number,)
        ways = [f":{name}{digit}" for name in sorted(names) for digit in digits]
        nodes.append(["", *ways] if optional else ways)
    return tuple("".join(way) + query for way in product(*nodes))


class ScpiInstrument(MessageInstrument):
    """A machine whose commands are a table; a refused header discards what follows it in its message."""

    def __init__(self, clock: Clock, faults: Faults = NO_FAULTS) -> None:
        super().__init__(clock, faults)
        self._messages: dict[str, list[tuple[Action, str]]] = {}
        self._actions = {
            spelling: action for pattern, action in self.table().items() for spelling in spellings(pattern)
        }

    @abstractmethod
    def table(self) -> Mapping[str, Action]:
        """Return what each header does, with its arguments; a query returns its answer."""

    @abstractmethod
    def write_error(self, entry: ErrorEntry | None) -> str:
        """Write the answer to `SYST:ERR?`; None is the empty queue."""

    def obey(self, message: str) -> str | None:
        answers = list[str]()
        try:
            for action, argument in self._compiled(message):
                if (answer := self._do(action, argument)) is not None:
                    answers.append(answer)
        except CommandError as refused:
            self.refuse(refused)
        return ";".join(answers) if answers else None

    def _compiled(self, message: str) -> list[tuple[Action, str]]:
        """Return what the units of a message do, up to the first that the machine does not know."""
        if (found := self._messages.get(message)) is None:
            if len(self._messages) >= CACHED_MESSAGES:
                self._messages.clear()
            found = self._messages[message] = list(self._compile(message))
        return found

    def _compile(self, message: str) -> Iterator[tuple[Action, str]]:
        path = ""
        for unit in scpi.units(message):
            header, _, argument = unit.strip().partition(" ")
            header = header.upper().replace(":*", "*")
            full = header if header[:1] in ("*", ":") else f"{path}:{header}"
            if (action := self._actions.get(full)) is None:
                yield _undefined, ""
                return
            yield action, argument.strip()
            if full[0] != "*":
                path = full.rpartition(":")[0]

    def _do(self, action: Action, argument: str) -> str | None:
        """Carry out one unit; what only this unit does wrong is queued, the next ones are carried out."""
        try:
            return action(argument)
        except CommandError as refused:
            if refused.entry.code in COMMAND_ERRORS:
                raise
            self.refuse(refused)
            return None

    def read_error(self, argument: str) -> str:
        """`SYST:ERR?`."""
        del argument
        return self.write_error(self.next_error())


def _undefined(_: str) -> None:
    raise CommandError(-113)


def number(argument: str, *, low: float, high: float) -> float:
    """Read a numeric parameter; CommandError if it is missing, not a number, or outside."""
    if not argument:
        raise CommandError(-109)
    try:
        value = scpi.read_number(argument)
    except ValueError:
        raise CommandError(-104) from None
    if not low <= value <= high:
        raise CommandError(-222)
    return value


def boolean(argument: str) -> bool:
    """Read ON, OFF, 1 or 0; CommandError for all else."""
    try:
        return scpi.read_boolean(argument)
    except ValueError:
        raise CommandError(-224 if argument else -109) from None


def choice(argument: str, **words: str) -> str:
    """Return the value whose word is meant: `VOLTage="v"` takes VOLT and VOLTAGE; CommandError if none."""
    for word, value in words.items():
        short = "".join(letter for letter in word if not letter.islower())
        if argument.strip("\"'").upper() in (short, word.upper()):
            return value
    raise CommandError(-224 if argument else -109)
