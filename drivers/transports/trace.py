"""What crossed a port lately, kept for messages and for dialogue files; and when nothing may be kept."""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol, TypeAlias

Mark: TypeAlias = Literal[">", "<", "<-", "!", "<stb", ">clear", ">trigger", ">control"]
"""Said, heard, nothing heard, service request, status byte, clear, trigger, control, as in a dialogue."""

KEPT_BYTES = 4096
_muted: ContextVar[bool] = ContextVar("muted", default=False)


@contextmanager
def muted() -> Iterator[None]:
    """Let no port record what this task, or one that it starts inside, sends and receives."""
    token = _muted.set(True)
    try:
        yield
    finally:
        _muted.reset(token)


class Entry(NamedTuple):
    """One thing that crossed the port."""

    time: float
    """Seconds on the loop's clock."""
    mark: Mark
    data: bytes
    """A status byte counts as data; of a control transfer the six bytes before its data, big-endian, too."""
    endpoint: int
    size: int
    """How long the data was; more than `data` when only its beginning is kept."""


class Keep(Protocol):
    """What takes one entry."""

    def __call__(self, mark: Mark, data: bytes = b"", endpoint: int = 0) -> None:
        """Keep it, or not."""


@dataclass(frozen=True, slots=True)
class Recorder:
    """The trace as one conversation writes to it."""

    note: Keep
    """Keeps one entry, unless the conversation is muted."""
    tail: Callable[[], str]
    """Returns what crossed last, for a message."""


class Trace:
    """The last entries of one port. Any thread may add; it costs under a microsecond."""

    def __init__(self, now: Callable[[], float], *, length: int = 200) -> None:
        """`now` is the time of the loop that owns the port."""
        self._now = now
        self._kept: deque[tuple[float, Mark, bytes, int, int]] = deque(maxlen=length)
        """Becomes entries when somebody looks: two are kept for each query."""
        self._recorders = Recorder(self.keep, self.tail), Recorder(_let_go, _untold)

    def recorder(self) -> Recorder:
        """Return what a conversation of the calling task records with; muted if the task is."""
        return self._recorders[_muted.get()]

    def keep(self, mark: Mark, data: bytes = b"", endpoint: int = 0) -> None:
        """Add one entry."""
        self._kept.append((self._now(), mark, data[:KEPT_BYTES], endpoint, len(data)))

    def entries(self) -> tuple[Entry, ...]:
        """Return what is kept, oldest first."""
        return tuple(map(Entry._make, tuple(self._kept)))

    def tail(self, length: int = 4) -> str:
        """Return the last few entries in one line."""
        return " | ".join(_shown(entry) for entry in self.entries()[-length:]) or "nothing yet"

    def to_dialogue(self, origin: str) -> str:
        """Write what is kept as a dialogue; `origin` as in `captured 2026-03-01, <model>, <firmware>`."""
        entries = self.entries()
        ends = all(entry.data == _body(entry) + b"\n" for entry in entries if _is_text(entry))
        lines = [f"origin {origin}", *([] if ends else ["ends none"])]
        for entry in entries:
            lines.append(_line(entry, ends=ends))
            if entry.size > len(entry.data):
                lines.append(f"# {entry.size - len(entry.data)} bytes more, which were not kept")
        return "\n".join(lines) + "\n"


def _let_go(mark: Mark, data: bytes = b"", endpoint: int = 0) -> None:
    del mark, data, endpoint


def _untold() -> str:
    return "not recorded"


def _line(entry: Entry, *, ends: bool) -> str:
    data = entry.data
    match entry.mark:
        case "!" | "<stb":
            return f"{entry.mark} 0x{data[0]:02X}"
        case ">clear" | ">trigger" | "<-":
            return entry.mark
        case ">control":
            fields = (data[0:1], data[1:2], data[2:4], data[4:6], data[6:])
            return " ".join((">control", *(part.hex().upper() for part in fields if part)))
        case ">" | "<" if _is_text(entry):
            return f"{entry.mark} {_text(data[:-1] if ends else data)}"
        case _:
            endpoint = f"@{entry.endpoint:02X}" if entry.endpoint else ""
            return f"{entry.mark}x{endpoint} {data.hex(' ').upper()}".rstrip()


def _is_text(entry: Entry) -> bool:
    if entry.mark not in (">", "<") or entry.endpoint or entry.size > len(entry.data):
        return False
    body = _body(entry)
    return bool(body) and body.isascii() and body.decode().isprintable() and not _is_frail(body.decode())


def _body(entry: Entry) -> bytes:
    return entry.data.rstrip(b"\r\n")


def _is_frail(text: str) -> bool:
    """Whether an editor or the reader of the file would take something away."""
    return text != text.strip() or "  #" in text


def _text(data: bytes) -> str:
    return data.decode().replace("\\", "\\\\").replace("\r", "\\r").replace("\n", "\\n")


def _shown(entry: Entry) -> str:
    text = _line(entry._replace(data=entry.data[:80], size=min(entry.size, 80)), ends=False)
    return text if entry.size <= 80 else f"{text}..."
