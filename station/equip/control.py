"""The socket by which knobs of served machines are turned: a JSON line asks, a JSON line answers."""

import asyncio
import socket
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
from msgspec import Struct, json

from station.errors import BusyError, ConfigError
from station.surroundings import Served

LONGEST = 4096
ANSWER_S = 5.0


class Turn(Struct, frozen=True, tag="turn", forbid_unknown_fields=True):
    """Turn a knob."""

    fault: str


class Clear(Struct, frozen=True, tag="clear", forbid_unknown_fields=True):
    """Turn a knob back, all knobs of the machine if none is named."""

    machine: str
    knob: str = ""


class Show(Struct, frozen=True, tag="show", forbid_unknown_fields=True):
    """Turn nothing."""


class Answer(Struct, frozen=True):
    """What is turned now, by machine; or what was wrong."""

    knobs: dict[str, list[str]] = {}
    error: str = ""


Request = Turn | Clear | Show


class ControlServer:
    """Listens at a path that only its owner can reach."""

    def __init__(self, path: Path, served: Served) -> None:
        self._path = path
        self._served = served
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        if self._path.is_socket():
            if _answers(self._path):
                raise BusyError(f"{self._path}: machines are served there already; choose another --control")
            self._path.unlink()
        elif self._path.exists():
            raise ConfigError(f"{self._path} exists and is no socket; choose another --control")
        self._server = await asyncio.start_unix_server(self._client, self._path, limit=LONGEST)
        self._path.chmod(0o600)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()
            self._path.unlink(missing_ok=True)

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            answer = self._answered(await reader.readline())
        except ValueError as error:  # a line that is too long, no JSON, a knob that is not there
            answer = Answer(error=str(error))
        writer.write(json.encode(answer) + b"\n")
        writer.close()

    def _answered(self, line: bytes) -> Answer:
        match json.decode(line, type=Request):
            case Turn(fault):
                self._served.turn(fault)
            case Clear(machine, knob):
                self._served.clear(machine, knob)
        return Answer({name: list(turned) for name, turned in self._served.knobs().items()})


def ask(path: Path, request: Request) -> dict[str, list[str]]:
    """Ask whoever serves at `path`; ConfigError if nobody does, or for what they refuse."""
    try:
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(ANSWER_S)
            line.connect(str(path))
            line.sendall(json.encode(request) + b"\n")
            with line.makefile("rb") as answers:
                answer = json.decode(answers.readline(), type=Answer)
    except (OSError, msgspec.DecodeError) as error:
        raise ConfigError(f"{path}: nobody serves machines there: {error}") from None
    if answer.error:
        raise ConfigError(answer.error)
    return answer.knobs


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as line:
        return line.connect_ex(str(path)) == 0
