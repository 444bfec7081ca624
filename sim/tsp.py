"""Simulated TSP machines: as much Lua as a driver speaks, compiled chunk by chunk.

Ref: Series 2600B Reference Manual 2600BS-901-01, section 7.
"""

import re
from collections.abc import Callable, Mapping
from typing import TypeAlias

from drivers.protocols.tsp import EMPTY
from sim.clock import Clock
from sim.faults import NO_FAULTS, Faults
from sim.messages import CommandError, MessageInstrument

Value: TypeAlias = float | bool | str | tuple[float, ...] | None
Values: TypeAlias = list[Value]
Expression: TypeAlias = Callable[[], Values]
Statement: TypeAlias = Callable[[], None]

SYNTAX_ERROR = -285
RUNTIME_ERROR = -286
POWERED_ON = 128.0
"""The bit of `status.standard.event` that tells of a power that has come on."""
SEVERITY = 20.0
CACHED_CHUNKS = 256

_TOKEN = re.compile(
    r"\s*(?:(\d+\.?\d*(?:[eE][+-]?\d+)?)|([A-Za-z_][\w.]*(?:\[\d+\][\w.]*)*)|\"([^\"]*)\"|(==|~=|[-=<(),;{}]))"
)
_COMPARISONS: Mapping[str, Callable[[Value, Value], bool]] = {
    "==": lambda left, right: left == right,
    "~=": lambda left, right: left != right,
    "<": lambda left, right: _real(left) < _real(right),
}
_CONSTANTS: Mapping[str, Value] = {"true": True, "false": False, "nil": None}


def syntax_error(near: str) -> CommandError:
    """What a chunk is refused with that cannot be understood."""
    return CommandError(SYNTAX_ERROR, f"TSP Syntax error at line 1: unexpected symbol near `{near}'")


def runtime_error(why: str) -> CommandError:
    """What ends a chunk half done."""
    return CommandError(RUNTIME_ERROR, f"TSP Runtime error at line 1: {why}")


class TspInstrument(MessageInstrument):
    """A machine whose names are tables: what can be read, set and called.

    It knows three statements: assignment, call, and `if ... then ... end`. A name without a dot is a variable
    where it is set.
    """

    def __init__(self, clock: Clock, faults: Faults = NO_FAULTS) -> None:
        super().__init__(clock, faults)
        self.common: dict[str, Callable[[], str | None]] = {"*CLS": self.errors.clear, "*OPC?": lambda: "1"}
        self.events = 0.0
        self.gets: dict[str, Callable[[], Value]] = {
            "errorqueue.count": lambda: float(len(self.errors)),
            "status.standard.event": self._take_events,
        }
        self.sets: dict[str, Callable[[Value], None]] = {}
        self.calls: dict[str, Callable[[], Values]] = {
            "errorqueue.clear": self._clear_errors,
            "errorqueue.next": self._next_error,
            "status.reset": self._reset_status,
            "waitcomplete": lambda: [],
        }
        self.functions: dict[str, Callable[[Values], Values]] = {}
        """Calls that take arguments; `calls` takes none, or does not look at them."""
        self._variables: dict[str, Value] = {}
        self._printed: list[str] = []
        self._chunks: dict[str, list[Statement]] = {}

    def obey(self, message: str) -> str | None:
        if self.faults.strikes("power_cycle") is not None:
            self.lose_power()
        if message.startswith("*"):
            return self._obey_common(message.strip().upper())
        self._printed = []
        try:
            for statement in self._compiled(message):
                statement()
        except CommandError as refused:
            self.refuse(refused)
        return "\n".join(self._printed) if self._printed else None

    def lose_power(self) -> None:
        """Come back with nothing as it was set, and with the event that tells of it."""
        self.errors.clear()
        self._variables.clear()
        self.events = POWERED_ON

    def print(self, values: Values) -> Values:
        """Answer with the values, separated by tabs."""
        self._printed.append("\t".join(map(written, values)))
        return []

    def _obey_common(self, command: str) -> str | None:
        if (action := self.common.get(command)) is None:
            self.refuse(CommandError(-113))
            return None
        return action()

    def _clear_errors(self) -> Values:
        self.errors.clear()
        return []

    def _take_events(self) -> Value:
        events, self.events = self.events, 0.0
        return events

    def _reset_status(self) -> Values:
        self.events = 0.0
        return []

    def _next_error(self) -> Values:
        entry = self.next_error()
        if entry is None:
            return [0.0, EMPTY.text, 0.0, 0.0]
        return [float(entry.code), entry.text, SEVERITY, 1.0]

    def _compiled(self, message: str) -> list[Statement]:
        if (chunk := self._chunks.get(message)) is None:
            if len(self._chunks) >= CACHED_CHUNKS:
                self._chunks.clear()
            chunk = self._chunks[message] = _Compiler(self, message).chunk()
        return chunk

    # -- what compiled chunks do
    def get(self, name: str) -> Value:
        """Read a name; a field that a table has not is nil."""
        if (getter := self.gets.get(name)) is not None:
            return getter()
        if name in self._variables:
            return self._variables[name]
        root = name.partition(".")[0]
        if root != name and not any(known.startswith(f"{root}.") for known in self.gets):
            raise runtime_error(f"attempt to index global `{root}' (a nil value)")
        return None

    def set(self, name: str, value: Value) -> None:
        """Set a name; what only this setting does wrong is queued, and the chunk goes on."""
        if "." not in name:
            self._variables[name] = value
            return
        if (setter := self.sets.get(name)) is None:
            raise runtime_error(f"cannot set `{name}'")
        try:
            setter(value)
        except CommandError as refused:
            if refused.entry.code == RUNTIME_ERROR:
                raise
            self.refuse(refused)

    def _called(self, function: Callable[[Values], Values], arguments: Values) -> Values:
        """What a call refuses is queued, and the chunk goes on, but for an error of the chunk itself."""
        try:
            return function(arguments)
        except CommandError as refused:
            if refused.entry.code == RUNTIME_ERROR:
                raise
            self.refuse(refused)
            return [None]

    def call(self, name: str, arguments: Values) -> Values:
        """Call a name."""
        if name == "print":
            return self.print(arguments)
        if (with_arguments := self.functions.get(name)) is not None:
            return self._called(with_arguments, arguments)
        if (function := self.calls.get(name)) is None:
            raise runtime_error(f"attempt to call `{name}' (a nil value)")
        return function()


def written(value: Value) -> str:
    """Write a value as `print` does, with six digits."""
    match value:
        case None:
            return "nil"
        case bool():
            return str(value).lower()
        case float():
            return f"{value:.5e}"
        case tuple():
            return "table: 0x1"
    return value


def _real(value: Value) -> float:
    return number(value, low=-9e99, high=9e99)


def number(value: Value, *, low: float, high: float) -> float:
    """Check a setting; CommandError with the codes of the 2600B if it is no number, too small or too big."""
    if not isinstance(value, float):
        raise runtime_error("number expected")
    if value < low:
        raise CommandError(1101, "Parameter too small")
    if value > high:
        raise CommandError(1102, "Parameter too big")
    return value


class _Compiler:
    """Turns the text of one chunk into what it does; nothing runs before all of it is understood."""

    def __init__(self, machine: TspInstrument, text: str) -> None:
        self.machine = machine
        self.tokens = self._cut(text)
        self.at = 0

    def chunk(self) -> list[Statement]:
        statements = self._block()
        if self.at < len(self.tokens):
            raise self._unexpected()
        return statements

    @staticmethod
    def _cut(text: str) -> list[tuple[str, str]]:
        tokens, at = list[tuple[str, str]](), 0
        text = text.strip()
        while at < len(text):
            if (found := _TOKEN.match(text, at)) is None:
                raise syntax_error(text[at])
            kind = ("number", "name", "string", "sign")[(found.lastindex or 1) - 1]
            tokens.append((kind, found[found.lastindex or 1]))
            at = found.end()
        return tokens

    def _block(self) -> list[Statement]:
        statements = list[Statement]()
        while self.at < len(self.tokens) and self.tokens[self.at] != ("name", "end"):
            if self._taken(";"):
                continue
            statements.append(self._statement())
        return statements

    def _statement(self) -> Statement:
        name = self._take("name")
        if name == "if":
            return self._if()
        if self._taken("="):
            value = self._expression()
            return lambda: self.machine.set(name, value()[0])
        call = self._call(name)
        return lambda: self._discard(call())

    @staticmethod
    def _discard(_: Values) -> None:
        """A statement has no value."""

    def _if(self) -> Statement:
        condition = self._expression()
        self._need("name", "then")
        body = self._block()
        self._need("name", "end")

        def run() -> None:
            if condition()[0] not in (None, False):
                for statement in body:
                    statement()

        return run

    def _expression(self) -> Expression:
        left = self._comparison()
        if self.at < len(self.tokens) and self.tokens[self.at] == ("name", "and"):
            self.at += 1
            right = self._expression()
            return lambda: [left()[0] and right()[0]]
        return left

    def _comparison(self) -> Expression:
        left = self._operand()
        for sign, compare in _COMPARISONS.items():
            if self._taken(sign):
                right = self._operand()
                return lambda: [compare(left()[0], right()[0])]
        return left

    def _operand(self) -> Expression:
        if self._taken("{"):
            return self._table()
        if self._taken("-"):
            value = self._operand()
            return lambda: [-_real(value()[0])]
        if self.at == len(self.tokens):
            raise self._unexpected()
        kind, text = self.tokens[self.at]
        self.at += 1
        if kind == "number":
            return lambda: [float(text)]
        if kind == "string" or text in _CONSTANTS:
            return lambda: [_CONSTANTS.get(text, text)]
        if kind != "name":
            self.at -= 1
            raise self._unexpected()
        if self.at < len(self.tokens) and self.tokens[self.at] == ("sign", "("):
            return self._call(text)
        return lambda: [self.machine.get(text)]

    def _table(self) -> Expression:
        """A table of numbers."""
        entries = list[Expression]()
        while not self._taken("}"):
            if entries:
                self._need("sign", ",")
            entries.append(self._expression())
        return lambda: [tuple(_real(entry()[0]) for entry in entries)]

    def _call(self, name: str) -> Expression:
        """Compile the arguments; of the last one all values count, of the others the first."""
        self._need("sign", "(")
        arguments = list[Expression]()
        while not self._taken(")"):
            if arguments:
                self._need("sign", ",")
            arguments.append(self._expression())

        def run() -> Values:
            values: Values = [argument()[0] for argument in arguments[:-1]]
            if arguments:
                values += arguments[-1]()
            return self.machine.call(name, values)

        return run

    def _taken(self, sign: str) -> bool:
        taken = self.at < len(self.tokens) and self.tokens[self.at] == ("sign", sign)
        self.at += taken
        return taken

    def _take(self, kind: str) -> str:
        if self.at == len(self.tokens) or self.tokens[self.at][0] != kind:
            raise self._unexpected()
        self.at += 1
        return self.tokens[self.at - 1][1]

    def _need(self, kind: str, text: str) -> None:
        if self.at == len(self.tokens) or self.tokens[self.at] != (kind, text):
            raise self._unexpected()
        self.at += 1

    def _unexpected(self) -> CommandError:
        return syntax_error(self.tokens[self.at][1] if self.at < len(self.tokens) else "<eof>")
