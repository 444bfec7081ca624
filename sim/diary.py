"""What a simulated cell keeps when its process ends: where each device lies, and what its chip holds.

A folder. `world`: one line of JSON a change, the first says how the world began; a last line without its end
does not count. `chip-<n>`: the same for the memory of device n, while it is in a socket. Nothing is synced:
the plant's power does not fail with the process.
"""

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import TypeAlias

from msgspec import Struct, json

from sim.dut.memory import Memory
from sim.dut.truth import Fates

Line: TypeAlias = list[str | int | bool]
WORLD = "world"


class Begun(Struct, frozen=True):
    """What a world was told when it began."""

    seed: int
    faults: tuple[str, ...] = ()
    lot: str = ""
    """Of devices that came out of another world: the lot that they are of."""
    devices: int = 0
    """How many that has."""


class Diary:
    """One folder, written as things happen; what it had before is read once."""

    def __init__(self, folder: Path, begun: Begun) -> None:
        """Open nothing yet; `begun` is what the diary has had from its first day on, if it has one."""
        self._folder = folder
        self.goes_on = (folder / WORLD).exists()
        """Whether there was a life before this one."""
        self.begun = _first(folder / WORLD) if self.goes_on else begun
        self._world = -1
        self._chips = dict[int, int]()
        self._sweeper = ThreadPoolExecutor(1, thread_name_prefix="diary")
        self._swept: Future[None] | None = None
        """The last file that was given to the sweeper: a file system may take its time to remove one."""
        self.inside = dict[int, int]()
        """The device in each socket, by site."""
        self.promised = dict[int, int]()
        """Bins that the machine had accepted for them and not yet moved them to, by site."""
        self.again = list[int]()
        """Devices that were put into the input once more, in their order, and are not fed yet."""
        self.fed_again = list[int]()
        """Those of them that are."""
        self.next = 1
        """The next device of the handler's input."""
        self.fed = Counter[int]()
        """How often each device came into a socket."""
        self.numbers = dict[tuple[int, int, int], int]()
        """Running numbers of dies that were landed on, by wafer, x and y."""

    def open(self, fates: Fates) -> None:
        """Tell what happened before, and write down what happens from now on."""
        for line in _lines(self._folder / WORLD, skip=1):
            self._remember(line, fates)
        self._folder.mkdir(parents=True, exist_ok=True)
        for left in set(self._folder.glob("chip-*")) - {self._chip(index) for index in self.inside.values()}:
            left.unlink()  # the process ended before it was swept away
        self._world = _opened(self._folder / WORLD)
        if not os.fstat(self._world).st_size:  # new, or its folder was removed meanwhile
            os.write(self._world, json.encode(self.begun) + b"\n")
        fates.told = self.write

    def close(self) -> None:
        """Let go of the files."""
        for file in (self._world, *self._chips.values()):
            if file >= 0:
                os.close(file)
        self._world = -1
        self._chips.clear()
        self._sweeper.shutdown()

    # -- the cell
    def write(self, what: str, *about: str | int | bool) -> None:
        """Write down one change."""
        _write(self._world, what, *about)

    def placed(self, site: int, index: int) -> None:
        """A device came into a socket."""
        self.write("placed", site, index)

    def taken(self, site: int, index: int) -> None:
        """It left it, and its chip is not met again in this state."""
        self.write("taken", site)
        self.forget(index)

    def _remember(self, line: Line, fates: Fates) -> None:
        match line:
            case ["placed", int(site), int(index)]:
                self.inside[site] = index
                self.fed[index] += 1
                if index in self.again:
                    self.again.remove(index)
                    self.fed_again.append(index)
                self.next = max(self.next, index + 1)
            case ["taken", int(site)]:
                self.inside.pop(site, None)
                self.promised.pop(site, None)
            case ["promised", int(site), int(hard_bin)]:
                self.promised[site] = hard_bin
            case ["again", *indices]:
                self.again = [index for index in indices if isinstance(index, int)]
                self.fed_again = []
            case ["number", int(wafer), int(x), int(y)]:
                self.numbers[wafer, x, y] = len(self.numbers) + 1
            case _:
                fates.again(line)

    # -- its chips
    def knows(self, index: int) -> bool:
        """Whether the chip of a device has had power before."""
        self._wait_for_sweeper()
        return self._chip(index).exists()

    def keep(self, index: int, memory: Memory) -> None:
        """Give a chip's memory back what it held, and write down what is written into it."""
        self._wait_for_sweeper()
        for line in _lines(self._chip(index)):
            match line:
                case ["page", int(page), str(data)]:
                    memory.pages[page] = bytes.fromhex(data)
                case ["blank", int(page)]:
                    memory.pages.pop(page, None)
                case ["bit", int(bit)]:
                    memory.bits.add(bit)
                    memory.weak.discard(bit)
                case ["weak", int(bit)]:
                    memory.weak.add(bit)
        self._folder.mkdir(parents=True, exist_ok=True)
        file = self._chips[index] = _opened(self._chip(index))
        memory.told = lambda what, number, data="": _write(file, what, number, *([data] if data else []))

    def forget(self, index: int) -> None:
        """A chip is not met again."""
        if (file := self._chips.pop(index, None)) is not None:
            os.close(file)
        self._swept = self._sweeper.submit(self._chip(index).unlink, missing_ok=True)

    def _wait_for_sweeper(self) -> None:
        if self._swept is not None:
            self._swept.result()

    def _chip(self, index: int) -> Path:
        return self._folder / f"chip-{index}"


def carried(before: Path, after: Path, bins: frozenset[int], lot: str, devices: int) -> None:
    """Make the folder of a world that goes on with the devices of another, those of these hard bins.

    Somebody has emptied the bins into the handler's input: nobody knows in which order. ValueError if no
    world was kept. `lot`, `devices`: of which lot they are, and how many that had.
    """
    if not (before / WORLD).exists():
        raise ValueError(f"{before}: no simulated world was kept there")
    begun = _first(before / WORLD)
    lines = [line for line in _lines(before / WORLD, skip=1) if line[0] != "again"]
    again = sorted(index for index, hard_bin in found(before).items() if hard_bin in bins)
    Random(f"{begun.seed}:{len(lines)}:again").shuffle(again)
    begun = Begun(begun.seed, begun.faults, lot, devices)
    after.mkdir(parents=True, exist_ok=True)
    told = [json.encode(begun), *map(json.encode, lines), json.encode(["again", *again])]
    (after / WORLD).write_bytes(b"\n".join(told) + b"\n")


def found(folder: Path) -> Mapping[int, int | None]:
    """Return the hard bin of each device that was ever in a socket, None if it is still there."""
    where, sites = dict[int, int | None](), dict[int, int]()
    for line in _lines(folder / WORLD, skip=1):
        match line:
            case ["placed", int(site), int(index)]:
                sites[site], where[index] = index, None
            case ["promised", int(site), int(hard_bin)]:
                where[sites[site]] = hard_bin
            case ["sorted", int(index), int(hard_bin)]:
                where[index] = hard_bin
            case _:
                pass
    return where


def _opened(path: Path) -> int:
    """Open to go on behind the last whole line."""
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
    os.ftruncate(file, path.read_bytes().rfind(b"\n") + 1)
    return file


def _write(file: int, *line: str | int | bool) -> None:
    if file >= 0:
        os.write(file, json.encode(line) + b"\n")


def _lines(path: Path, *, skip: int = 0) -> Iterator[Line]:
    data = path.read_bytes() if path.exists() else b""
    for line in data[: data.rfind(b"\n") + 1].splitlines()[skip:]:
        yield json.decode(line, type=Line)


def _first(path: Path) -> Begun:
    return json.decode(path.read_bytes().partition(b"\n")[0], type=Begun)
