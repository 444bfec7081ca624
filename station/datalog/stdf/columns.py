"""A file's parametric results as columns, for whoever counts: a million records a second and more."""

from pathlib import Path

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from station.datalog.stdf.fields import Order
from station.datalog.stdf.reader import HEADER_SIZE, began, decoded, unpacker
from station.datalog.stdf.records import Record

UNUSABLE_TEST, UNUSABLE_PARM = 0x3F, 0x07
SHORTEST = 12
"""Bytes of a PTR up to RESULT."""


class Columns(Struct, frozen=True):
    """What a file holds: one element a PTR in each array, in file order; everything else as records."""

    test: NDArray[np.uint32]
    head: NDArray[np.uint8]
    site: NDArray[np.uint8]
    flags: NDArray[np.uint8]
    """TEST_FLG."""
    parm: NDArray[np.uint8]
    """PARM_FLG."""
    result: NDArray[np.float32]
    contact: NDArray[np.int64]
    """Which contact the result belongs to: the place of its PRR among those of the file; -1 without one."""
    firsts: dict[int, Record]
    """The first PTR of each test number, which carries its name, unit and limits."""
    others: tuple[Record, ...]
    """Every other record, in file order."""
    fault: str
    """Why the file ended early, if it did."""

    @property
    def records(self) -> int:
        """How many records the file has."""
        return len(self.test) + len(self.others)

    @property
    def usable(self) -> NDArray[np.bool_]:
        """Which results are numbers that count: no flag says otherwise."""
        bits = (self.flags & UNUSABLE_TEST) | (self.parm & UNUSABLE_PARM)
        return np.logical_not(bits.astype(np.bool_))


def load(path: Path) -> Columns:
    """Read a whole file; it never raises for what the file holds."""
    return columns(path.read_bytes())


def columns(data: bytes) -> Columns:
    """Take the columns out of a file that is in memory."""
    start = began(data)
    places, rest, end = ([], [], len(data)) if start.fault else _walked(data, start.order)
    behind = f"the file ends inside a record, {len(data) - end} bytes behind the last whole one"
    at = np.array(places, np.int64) + HEADER_SIZE
    buffer, others = (
        np.frombuffer(data, np.uint8),
        tuple(_decoded(data, place, start.order) for place in rest),
    )
    order = start.order
    test = _taken(buffer, at, np.dtype(f"{order}u4")).astype(np.uint32)
    head, site, flags, parm = (buffer[at + place] for place in (4, 5, 6, 7))
    result = _taken(buffer, at + 8, np.dtype(f"{order}f4")).astype(np.float32)
    numbers, first = np.unique(test, return_index=True)
    firsts = {int(number): _decoded(data, places[i], order) for number, i in zip(numbers, first, strict=True)}
    contact = _contacts(at, head, site, others)
    fault = start.fault or (behind if end < len(data) else "")
    return Columns(test, head, site, flags, parm, result, contact, firsts, others, fault)


def _walked(data: bytes, order: Order) -> tuple[list[int], list[int], int]:
    """Return where PTRs begin, where other records begin, and where the last whole record ends."""
    places, others = list[int](), list[int]()
    unpack, at, last = unpacker(order), 0, len(data) - HEADER_SIZE
    results, rest = places.append, others.append
    while at <= last:
        length, typ, sub = unpack(data, at)
        end = at + HEADER_SIZE + length
        if end > len(data):
            break
        if typ == 15 and sub == 10 and length >= SHORTEST:
            results(at)
        else:
            rest(at)
        at = end
    return places, others, at


def _decoded(data: bytes, at: int, order: Order) -> Record:
    length, typ, sub = unpacker(order)(data, at)
    begin = at + HEADER_SIZE
    return decoded(at, typ, sub, data[begin : begin + length], order)


def _taken(
    buffer: NDArray[np.uint8], at: NDArray[np.int64], kind: np.dtype[np.generic]
) -> NDArray[np.generic]:
    """Gather one number from each of many places."""
    spread = at[:, None] + np.arange(kind.itemsize)
    return np.ascontiguousarray(buffer[spread]).view(kind).ravel()


def _contacts(
    at: NDArray[np.int64], head: NDArray[np.uint8], site: NDArray[np.uint8], others: tuple[Record, ...]
) -> NDArray[np.int64]:
    """Return the place of the PRR that closes the part to which each result belongs."""
    ends = [record for record in others if record.name == "PRR"]
    where = np.array([record.integer("HEAD_NUM") << 8 | record.integer("SITE_NUM") for record in ends], int)
    offsets = np.array([record.offset for record in ends], np.int64)
    contact, of_result = np.full(len(at), -1, np.int64), head.astype(int) << 8 | site
    for place in np.unique(of_result):
        here, mine = np.flatnonzero(where == place), of_result == place
        following = np.searchsorted(offsets[here], at[mine])
        contact[mine] = np.append(here, -1)[following]
    return contact
