"""What one lot of a campaign has to bear: drawn from a seed, written as one line, made smaller."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

from station import config
from station.chaos.draw import drawn
from station.chaos.points import STEPS, Kill, parsed
from station.surroundings import simulated_knobs, simulated_station_file

PLAIN, PERSONALISING = "plain", "personalising"
SHARE_PERSONALISING = 0.25
MOST_TRIES = 24
"""So often a failing schedule is tried in a smaller form."""


@dataclass(frozen=True)
class Schedule:
    """One lot: its size and seed, what is wrong in its cell, and when the station is killed."""

    seed: int
    devices: int
    sites: int
    cell: str
    faults: tuple[str, ...] = ()
    kills: tuple[Kill, ...] = ()

    def __str__(self) -> str:
        words = [f"seed={self.seed}", f"devices={self.devices}", f"sites={self.sites}", f"cell={self.cell}"]
        words += [f"fault={fault}" for fault in self.faults]
        return " ".join([*words, *(f"kill={kill}" for kill in self.kills)])


def read(text: str) -> Schedule:
    """Read a schedule as `str` writes it; ValueError says what cannot be meant."""
    plain = dict[str, str]()
    faults, kills = list[str](), list[Kill]()
    for word in text.split():
        name, _, value = word.partition("=")
        match name:
            case "fault":
                faults.append(value)
            case "kill":
                kills.append(parsed(value))
            case "seed" | "devices" | "sites" | "cell":
                plain[name] = value
            case _:
                raise ValueError(f"schedule: {word!r}: write seed= devices= sites= cell= fault= kill=")
    try:
        cell = plain.get("cell", PLAIN)
        size = int(plain["seed"]), int(plain["devices"]), int(plain["sites"])
    except (KeyError, ValueError):
        raise ValueError("schedule: seed=, devices= and sites= are numbers and must be there") from None
    if cell not in (PLAIN, PERSONALISING):
        raise ValueError(f"schedule: cell={cell}: {PLAIN} or {PERSONALISING}")
    return Schedule(*size, cell, tuple(faults), tuple(kills))


def schedule(seed: int) -> Schedule:
    """Draw the schedule of a seed: up to three faults, up to three kills."""
    random = Random(f"chaos:{seed}")  # noqa: S311 - draws faults
    cell = PERSONALISING if random.random() < SHARE_PERSONALISING else PLAIN
    sites, devices = random.randint(2, 4), random.randint(4, 12)
    knobs = list(_knobs(sites))
    faults = tuple(drawn(random, *knob) for knob in random.sample(knobs, random.randint(0, 3)))
    return Schedule(seed, devices, sites, cell, faults, tuple(_kills(random)))


def _kills(random: Random) -> Iterator[Kill]:
    for _ in range(random.randint(0, 3)):
        if random.random() < 0.3:
            yield Kill("time", round(random.uniform(0, 20), 3))
            continue
        point = random.choices(("record", *(p for p in STEPS if p != "record")), (6, 1, 1, 1, 1))[0]
        moment = random.choice(("before", "torn", "after") if point == "record" else ("before", "after"))
        yield Kill(point, random.randint(1, 40 if point == "record" else 4), moment)


def _knobs(sites: int) -> Iterator[tuple[str, str]]:
    for placed in config.load(simulated_station_file(), sites=sites).equipment:
        yield from ((placed.name, knob) for knob in sorted(simulated_knobs(placed.driver)))
    for name in sorted(simulated_knobs("")):
        machine, _, knob = name.partition(".")
        yield machine, knob


def station_file(cell: str, folder: Path) -> Path:
    """Return the station file of a cell; the plain one has no vault, sees no chips, and goes to `folder`."""
    if cell == PERSONALISING:
        return simulated_station_file()
    text = simulated_station_file().read_text()
    text = text.replace('sequence = "se1-final-test"', 'sequence = "se1-electrical-sort"')
    path = folder / "plain.toml"
    path.write_text("".join(line for line in text.splitlines(True) if not line.startswith("chip = ")))
    return path


def smaller(failing: Schedule, fails: Callable[[Schedule], bool]) -> Schedule:
    """Leave out faults and kills, and devices, as long as it still fails."""
    tries = 0
    again = True
    while again and tries < MOST_TRIES:
        again = False
        for candidate in _candidates(failing):
            tries += 1
            if tries <= MOST_TRIES and fails(candidate):
                failing, again = candidate, True
                break
    return failing


def _candidates(of: Schedule) -> Iterator[Schedule]:
    for n in range(len(of.faults)):
        yield replace(of, faults=of.faults[:n] + of.faults[n + 1 :])
    for n in range(len(of.kills)):
        yield replace(of, kills=of.kills[:n] + of.kills[n + 1 :])
    if of.devices > of.sites:
        yield replace(of, devices=max(of.sites, of.devices // 2))
