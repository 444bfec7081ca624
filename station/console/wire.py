"""What engine and console say to each other over the Unix socket: a line of JSON each."""

import asyncio
import os
import socket
from collections.abc import AsyncGenerator
from typing import TypeAlias

import msgspec
from msgspec import Struct

from station import commands, events
from station.console.shown import Row
from station.errors import ConfigError

VERSION = 1
PATH_MAX = 107
"""Bytes that a Unix socket's path may have."""
LINE_MAX = 16 * 1024 * 1024
"""The longest is a lot's beginning, with all its tests and bins."""


class Said(Struct, frozen=True, tag_field="said", kw_only=True):
    """A line."""


class Hello(Said, frozen=True, tag="hello", kw_only=True):
    """The engine's first: who it is."""

    version: int
    plant: str
    station: str
    product: str
    sequence: str
    fingerprint: str
    sites: tuple[int, ...]
    more_lots: bool
    """Whether it takes another lot when this one is over."""
    notes: str = ""
    """The journal of what is said between lots; empty where nobody keeps one."""
    station_file: str = ""
    data: str = ""
    """The station's folder; empty where no recipes lie."""
    lots: str = ""
    """The folder of its lots; empty: that of the lot that is told of is in it."""
    rows: tuple[Row, ...] = ()
    """Of its sequence."""
    real: bool = False
    """Whether its machines are, and not simulated."""
    cleans: bool = False
    """Whether what feeds the sites may have something that cleans the tips: it is a prober."""


class Lot(Said, frozen=True, tag="lot", kw_only=True):
    """There is a lot: its journal, and how many lines of that are told of already."""

    journal: str
    lines: int


class Happened(Said, frozen=True, tag="happened", kw_only=True):
    """An event, with its line in the journal, from 1."""

    line: int
    event: events.Any


class Noted(Said, frozen=True, tag="noted", kw_only=True):
    """An entry of the journal between lots, with its line."""

    line: int
    event: events.Any


class Beat(Said, frozen=True, tag="beat", kw_only=True):
    """The engine is there, and this is how its cell stands."""

    state: str


class Answer(Said, frozen=True, tag="answer", kw_only=True):
    """What became of what was asked."""

    number: int
    receipt: commands.Receipt


class Ask(Said, frozen=True, tag="ask", kw_only=True):
    """The console's only word: a command, under a number of its own."""

    number: int
    command: commands.Any


FromEngine: TypeAlias = Hello | Lot | Happened | Noted | Beat | Answer
_ENCODER = msgspec.json.Encoder()
_ANSWERS: msgspec.json.Decoder[FromEngine] = msgspec.json.Decoder(FromEngine)
_ASKED = msgspec.json.Decoder(Ask)


def line(said: Said) -> bytes:
    """Return what goes over the wire."""
    return _ENCODER.encode(said) + b"\n"


async def from_engine(reader: asyncio.StreamReader) -> AsyncGenerator[FromEngine, None]:
    """Yield what the engine says until it is gone; msgspec.DecodeError for what is none of these."""
    async for one in reader:
        yield _ANSWERS.decode(one)


async def from_console(reader: asyncio.StreamReader) -> AsyncGenerator[Ask, None]:
    """Yield what a console asks until it is gone; msgspec.DecodeError for what is none."""
    async for one in reader:
        yield _ASKED.decode(one)


def checked(path: str) -> str:
    """Return a path that a Unix socket can have; ConfigError if it is too long."""
    if len(os.fsencode(path)) > PATH_MAX:
        raise ConfigError(f"{path}: the path of a Unix socket has at most {PATH_MAX} bytes")
    return path


def same_user(peer: socket.socket) -> bool:
    """Whether whoever is at the other end is our own user, or root."""
    if not hasattr(socket, "SO_PEERCRED"):
        return True  # the file's mode alone keeps others out
    found = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    return int.from_bytes(found[4:8], "little") in (0, os.geteuid())
