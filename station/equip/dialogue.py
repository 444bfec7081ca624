r"""Dialogues: what crosses the wire, written down once, against which driver and simulator are both held.

A dialogue is `tests/dialogues/<model>/<what_happens>.txt`. Its lines:

    origin captured <date, model, firmware> | manual <document, page> | assumed      first line
    given <name> = <value>      the state before; the model's file in tests/simulated knows the names
    ends \r\n | none            what ends each text line from here on; \n unless said
    > text       said by the station          >x 65 0A   the same in hexadecimal
    < text       answered by the equipment    <x 81 00   the same in hexadecimal
    <x@83 50     answered at USB endpoint 83
    <-           no answer: a read runs into its time-out
    ! 0x41       service request whose serial poll brings this status byte
    <stb 0x10    serial poll without a service request
    >clear       device clear (USB: clear halt)
    >trigger     group execute trigger
    >control 21 01 0100 0000 [data]     USB control transfer; its answer, if it has one, is the next `<x`

Text knows the escapes \r \n \t \\ \xNN; a text that itself ends in \r or \n gets no `ends`. A line that
begins with `#`, and what follows two blanks and `# `, is comment.
"""

import re
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Literal, TypeGuard


def folder() -> Path:
    """Where the shipped dialogues are: in the package, or beside it in a working copy."""
    here = Path(str(files("station")))
    shipped = here / "dialogues"
    return shipped if shipped.is_dir() else here.parent / "tests" / "dialogues"


Kind = Literal["say", "hear", "silence", "request", "status", "clear", "trigger", "control"]
Origin = Literal["captured", "manual", "assumed"]

_MARKS: dict[str, Kind] = {
    ">": "say",
    ">x": "say",
    "<": "hear",
    "<x": "hear",
    "<-": "silence",
    "!": "request",
    "<stb": "status",
    ">clear": "clear",
    ">trigger": "trigger",
    ">control": "control",
}
_ESCAPES = {"r": "\r", "n": "\n", "t": "\t", "\\": "\\"}


class DialogueError(ValueError):
    """A dialogue file that breaks the rules above."""


@dataclass(frozen=True)
class Turn:
    """One line of a dialogue: exact bytes, or a number."""

    kind: Kind
    line: int
    data: bytes = b""
    number: int = 0
    """Status byte of `request` and `status`; endpoint of `hear`, 0 where any will do."""

    def __str__(self) -> str:
        return (
            f"line {self.line}: {self.kind} {self.data!r}" if self.data else f"line {self.line}: {self.kind}"
        )


@dataclass(frozen=True)
class Dialogue:
    """One file."""

    model: str
    name: str
    origin: Origin
    source: str
    given: dict[str, str]
    turns: tuple[Turn, ...]

    def __str__(self) -> str:
        return f"{self.model}/{self.name}"

    def number(self, name: str, default: float) -> float:
        """Return a given quantity as a number."""
        return float(self.given.get(name, default))


@dataclass
class _Reader:
    path: Path
    given: dict[str, str] = field(default_factory=dict)
    turns: list[Turn] = field(default_factory=list)
    ends: str = "\n"

    def take(self, line: int, text: str) -> None:
        text = re.sub(r"\s\s+# .*$", "", text)
        if not text.strip() or text.startswith("#"):
            return
        mark, _, rest = text.partition(" ")
        match mark:
            case "given":
                name, _, value = rest.partition("=")
                self.given[name.strip()] = value.strip()
            case "ends":
                self.ends = "" if rest.strip() == "none" else unescaped(rest.strip())
            case _:
                self.turns.append(self._turn(line, mark, rest))

    def _turn(self, line: int, mark: str, rest: str) -> Turn:
        mark, _, endpoint = mark.partition("@")
        if (kind := _MARKS.get(mark)) is None:
            raise DialogueError(f"{self.path}:{line}: mark {mark!r}; known: {' '.join(_MARKS)} given ends")
        if kind in ("request", "status"):
            return Turn(kind, line, number=int(rest, 0))
        if mark in (">x", "<x", ">control"):
            return Turn(kind, line, bytes.fromhex(rest), int(endpoint or "0", 16))
        return Turn(kind, line, self._ended(rest) if mark in (">", "<") else b"")

    def _ended(self, text: str) -> bytes:
        text = unescaped(text)
        return (text if text.endswith(("\r", "\n")) else text + self.ends).encode("latin-1")


def unescaped(text: str) -> str:
    r"""Resolve \r \n \t \\ \xNN."""
    return re.sub(
        r"\\(?:x([0-9A-Fa-f]{2})|([rnt\\]))",
        lambda found: chr(int(found[1], 16)) if found[1] else _ESCAPES[found[2]],
        text,
    )


def load(path: Path) -> Dialogue:
    """Read one dialogue file; DialogueError names file and line."""
    return read(path.read_text("utf-8"), path)


def read(text: str, path: Path) -> Dialogue:
    """Read a dialogue from its text; the path gives its model and name."""
    lines = text.splitlines()
    word, origin, source = (*(lines[0] if lines else "").split(" ", 2), "", "", "")[:3]
    if word != "origin" or not _is_origin(origin):
        raise DialogueError(f"{path}:1: the first line is `origin captured|manual|assumed ...`")
    reader = _Reader(path)
    for line, text in enumerate(lines[1:], start=2):
        reader.take(line, text)
    return Dialogue(path.parent.name, path.stem, origin, source, reader.given, tuple(reader.turns))


def _is_origin(word: str) -> TypeGuard[Origin]:
    return word in ("captured", "manual", "assumed")


def find(name: str) -> Dialogue:
    """Load `<model>/<what_happens>`."""
    return load(folder() / f"{name}.txt")


def all_dialogues(model: str = "*") -> list[Dialogue]:
    """Load every dialogue, or those of one model."""
    return [load(path) for path in sorted(folder().glob(f"{model}/*.txt"))]
