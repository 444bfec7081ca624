"""Lots with faults drawn from a seed, and what must be true after each of them, whatever was wrong.

`python -m tests.cell.campaign FIRST COUNT` runs the cases of these seeds, each in a process of its own, and
prints what is wrong with them; `python -m tests.cell.campaign FIRST 1 --keep FOLDER` keeps the lot.
"""

import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from msgspec import json

import sim
from sim.dut.wishes import KNOBS
from sim.machines import MODELS
from station import config
from station.chaos.draw import drawn as drawn_fault
from station.chaos.evidence import Evidence, complaints
from station.report import LotReport
from station.surroundings import simulated_station_file

LOT = "C"
TIMEOUT_S = 300.0
SLOW = "Executing <"
"""How asyncio's debug mode begins to tell that the machine is busy."""
EXATRON_SHARE = 0.15


@dataclass(frozen=True)
class Case:
    """One lot: what is tested on how many sites, and what is wrong in that cell."""

    seed: int
    devices: int
    sites: int
    station: Path
    faults: tuple[str, ...]

    def arguments(self, out: Path) -> list[str]:
        """The command line that runs it."""
        faults = [word for fault in self.faults for word in ("--fault", fault)]
        size = ["--devices", str(self.devices), "--sites", str(self.sites), "--seed", str(self.seed)]
        where = ["--station", str(self.station), "--lot", LOT, "--out", str(out), "--json"]
        return ["run", *size, *where, *faults]


def case(seed: int) -> Case:
    """Draw the case of a seed."""
    random = Random(f"campaign:{seed}")  # noqa: S311 - draws faults
    exatron = random.random() < EXATRON_SHARE
    station = Path(str(files(sim) / "exatron.toml")) if exatron else simulated_station_file()
    sites = 1 if exatron else random.randint(2, 4)
    devices = random.randint(8, 12 if exatron else 24)
    knobs = list(_knobs(station, sites))
    drawn = random.sample(knobs, random.randint(1, 4))
    return Case(seed, devices, sites, station, tuple(drawn_fault(random, *knob) for knob in drawn))


def _knobs(station: Path, sites: int) -> Iterator[tuple[str, str]]:
    for placed in config.load(station, sites=sites).equipment:
        share = (
            sites if MODELS[placed.driver].handles else 1
        )  # a handler is there once, the others at each site
        yield from ((placed.name, knob) for knob in sorted(MODELS[placed.driver].knobs) * share)
    for machine, of_machine in KNOBS.items():
        yield from ((machine, knob) for knob in sorted(of_machine))


# -- many of them, each in a process of its own
def wrong_with(tried: Case, out: Path) -> list[str]:
    """Run a case in a process of its own and return what is wrong with it."""
    command = [sys.executable, "-X", "dev", "-m", "station.cli", *tried.arguments(out)]
    try:
        ran = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        return [f"not done within {TIMEOUT_S:g} s"]
    said = "".join(line for line in ran.stderr.splitlines(keepends=True) if not line.startswith(SLOW))
    return complaints(evidence(tried, out, ran.returncode, said))


def evidence(tried: Case, out: Path, code: int, said: str) -> Evidence:
    """Gather what a run has left."""
    path = out / LOT / "report.json"
    report = json.decode(path.read_bytes(), type=LotReport) if path.exists() else None
    return Evidence(tried.devices, tried.faults, out / LOT, code, said, report)


def main() -> None:
    """Run the cases that the command line asks for."""
    parser = ArgumentParser()
    parser.add_argument("first", type=int)
    parser.add_argument("count", type=int)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--keep", type=Path)
    asked = parser.parse_args()
    with TemporaryDirectory() as folder, ThreadPoolExecutor(asked.jobs) as pool:
        kept: Path = asked.keep or Path(folder)
        cases = [case(seed) for seed in range(asked.first, asked.first + asked.count)]
        for tried, wrong in zip(
            cases, pool.map(lambda c: wrong_with(c, kept / str(c.seed)), cases), strict=True
        ):
            for text in wrong:
                said = " ".join(tried.arguments(Path("lots")))
                sys.stdout.write(f"seed {tried.seed}: {text}\n    {said}\n")
                sys.stdout.flush()
        sys.stdout.write(f"{len(cases)} lots\n")


if __name__ == "__main__":
    main()
