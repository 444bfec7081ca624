"""Both sides in turn, at 1, 4, 8 and 32 devices at once."""

import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

from msgspec import DecodeError, Struct, ValidationError, json

from station.engine.bench import INSTRUMENT_S
from station.peers.load import Cost, Load

AT_ONCE = (1, 4, 8, 32)
QUICK_ROWS, WAITING_ROWS = 50, 100
OPENHTF_SIDE = Path(__file__).with_name("openhtf_side.py")
Asked: TypeAlias = Callable[[Sequence[str], Load], Cost]


class PeerError(Exception):
    """A side did not do its work."""


class Figures(Struct, frozen=True):
    """What one side costs with so many devices at once."""

    side: str
    at_once: int
    measurements_per_cpu_s: float
    wall_ms_per_device: float
    efficiency: float
    """Ideal time over real where each row waits 5 ms for an instrument: 1 if no device waits for another."""
    resident_mb: float


def compared(openhtf: Path, devices: int, asked: "Asked | None" = None) -> Iterator[Figures]:
    """Measure side by side; `openhtf` is a Python that has it. PeerError if a side fails."""
    sides = {
        "hardbin": (sys.executable, "-P", "-m", "station.peers.hardbin_side"),
        "OpenHTF": (str(openhtf), str(OPENHTF_SIDE)),
    }
    for at_once in AT_ONCE:
        for side, command in sides.items():
            yield _figures(side, command, at_once, devices, asked or cost_of)


def _figures(side: str, command: Sequence[str], at_once: int, devices: int, asked: Asked) -> Figures:
    quick = asked(command, Load(at_once, devices, QUICK_ROWS))
    waiting = asked(command, Load(at_once, 1, WAITING_ROWS, INSTRUMENT_S))
    return Figures(
        side=side,
        at_once=at_once,
        measurements_per_cpu_s=round(quick.measurements / quick.cpu_s),
        wall_ms_per_device=round(quick.wall_s / (at_once * devices) * 1000, 3),
        efficiency=round(WAITING_ROWS * INSTRUMENT_S / waiting.longest_s, 3),
        resident_mb=round(quick.resident_mb, 1),
    )


def cost_of(command: Sequence[str], load: Load) -> Cost:
    """Have a side do a load in a process of its own. PeerError if it cannot."""
    asked = [*command, json.encode(load).decode()]
    try:
        done = subprocess.run(asked, capture_output=True, check=False)  # noqa: S603 - ours, or the user's Python
    except OSError as error:
        raise PeerError(f"{command[0]} does not start: {error.strerror}") from error
    if done.returncode:
        last = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise PeerError(f"{command[0]} ended with {done.returncode}: {last}")
    try:
        return json.decode(done.stdout.strip().rpartition(b"\n")[2], type=Cost)
    except (DecodeError, ValidationError) as error:
        raise PeerError(f"{command[0]} did not tell what it measured: {error}") from error
