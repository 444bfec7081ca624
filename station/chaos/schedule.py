"""What one lot of a campaign has to bear: drawn from a seed, written as one line, made smaller."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from random import Random

from station import config
from station.chaos import troubles
from station.chaos.draw import drawn
from station.chaos.points import STEPS, Kill, parsed
from station.chaos.troubles import AT_CONSOLE, CONSOLE, DATABASE, DOUBLED, LOST, ON_PLANT, Trouble
from station.surroundings import FINAL_TEST, WAFER_SORT, simulated_knobs, simulated_station_file, without_keys

PLAIN, PERSONALISING, EXATRON, WAFER = "plain", "personalising", "exatron", "wafer"
CELLS = (PLAIN, PERSONALISING, EXATRON, WAFER)
SHARES = (0.55, 0.2, 0.1, 0.15)
"""Of the cells in a campaign."""
SITES = {EXATRON: 1, WAFER: 4}
"""Of cells that have so many and no other number."""
RUN, SERVED = "run", "served"
"""Which command has the cell: `hardbin run`, or `hardbin serve` with somebody at the console."""
SHARE_SERVED = 0.25
OF_VAULT = ("vault", "keys")
VALUES: dict[str, tuple[float, ...]] = {
    "vault": (0,),
    "keys": (0,),
    "full": (1, 3, 30),
    "slow": (3,),
    "lock": (0.1, 2),
    "clock": (-86_400, -60, 0.5, 60, 86_400),
}
"""What a trouble's value may be."""
SHARE_BRIM = 0.1
"""Of lots whose disk fills to the brim once."""
SHARE_CONSOLE, SHARE_PLANT, SHARE_PAGE, SHARE_LATE = 0.25, 0.4, 0.2, 0.3
"""Of served lots: whose console hangs or dies in the middle of a word; whose floor has troubles; that are
seen through a real console, which is killed; that somebody leaves alone for days."""
PAGE_AWAY: tuple[float, ...] = (1, 10, 1000)
"""For so many records there is no console then."""
OF_PLANT: dict[str, tuple[int, tuple[float, ...]]] = {
    "broker": (40, (1, 10, 1000)),
    DATABASE: (2, (0, 1)),
    LOST: (10, (1, 5)),
    DOUBLED: (10, (1, 5)),
}
"""What its number is at most, and its value may be."""
MOST_TRIES = 24
"""So often a failing schedule is tried in a smaller form."""


@dataclass(frozen=True)
class Schedule:
    """One lot: its size and seed, what is wrong in and around its cell, and when the station is killed."""

    seed: int
    devices: int
    sites: int
    cell: str
    faults: tuple[str, ...] = ()
    kills: tuple[Kill, ...] = ()
    troubles: tuple[Trouble, ...] = ()
    way: str = RUN

    @property
    def wrongs(self) -> int:
        """How many things go wrong."""
        return len(self.faults) + len(self.kills) + len(self.troubles)

    def __str__(self) -> str:
        words = [f"seed={self.seed}", f"devices={self.devices}", f"sites={self.sites}", f"cell={self.cell}"]
        words += [f"way={self.way}", *(f"fault={fault}" for fault in self.faults)]
        words += [f"trouble={trouble}" for trouble in self.troubles]
        return " ".join([*words, *(f"kill={kill}" for kill in self.kills)])


def read(text: str) -> Schedule:
    """Read a schedule as `str` writes it; ValueError says what cannot be meant."""
    plain = dict[str, str]()
    faults, kills, met = list[str](), list[Kill](), list[Trouble]()
    for word in text.split():
        name, _, value = word.partition("=")
        match name:
            case "fault":
                faults.append(value)
            case "kill":
                kills.append(parsed(value))
            case "trouble":
                met.append(troubles.parsed(value))
            case "seed" | "devices" | "sites" | "cell" | "way":
                plain[name] = value
            case _:
                raise ValueError(
                    f"schedule: {word!r}: write seed= devices= sites= cell= way= fault= trouble= kill="
                )
    try:
        cell, way = plain.get("cell", PLAIN), plain.get("way", RUN)
        size = int(plain["seed"]), int(plain["devices"]), int(plain["sites"])
    except (KeyError, ValueError):
        raise ValueError("schedule: seed=, devices= and sites= are numbers and must be there") from None
    if cell not in CELLS:
        raise ValueError(f"schedule: cell={cell}: one of {', '.join(CELLS)}")
    if way not in (RUN, SERVED):
        raise ValueError(f"schedule: way={way}: {RUN} or {SERVED}")
    return Schedule(*size, cell, tuple(faults), tuple(kills), tuple(met), way)


def schedule(seed: int) -> Schedule:
    """Draw the schedule of a seed: up to three faults, two troubles and three kills."""
    random = Random(f"chaos:{seed}")  # noqa: S311 - draws faults
    (cell,) = random.choices(CELLS, SHARES)
    sites, devices = random.randint(2, 4), random.randint(4, 12)
    sites = SITES.get(cell, sites)
    faults = tuple(drawn(random, *knob) for knob in random.sample(_knobs(cell, sites), random.randint(0, 3)))
    kills = tuple(_kills(random))
    way = SERVED if random.random() < SHARE_SERVED else RUN
    met = tuple(_troubles(random, cell, way, lives=len(kills) + 1))
    if way == SERVED:
        met += tuple(_around(Random(f"chaos:{seed}:floor"), lives=len(kills) + 1))  # noqa: S311 - the same
    met += tuple(_brim(Random(f"chaos:{seed}:brim"), lives=len(kills) + 1))  # noqa: S311 - the same
    return Schedule(seed, devices, sites, cell, faults, kills, met, way)


def _kills(random: Random) -> Iterator[Kill]:
    for _ in range(random.randint(0, 3)):
        if random.random() < 0.3:
            yield Kill("time", round(random.uniform(0, 20), 3))
            continue
        point = random.choices(("record", *(p for p in STEPS if p != "record")), (6, 1, 1, 1, 1))[0]
        moment = random.choice(("before", "torn", "after") if point == "record" else ("before", "after"))
        yield Kill(point, random.randint(1, 40 if point == "record" else 4), moment)


def _troubles(random: Random, cell: str, way: str, *, lives: int) -> Iterator[Trouble]:
    names = [name for name in VALUES if cell == PERSONALISING or name not in OF_VAULT]
    for _ in range(random.choice((0, 0, 1, 1, 2))):
        name = random.choice(names)
        number, life = random.randint(1, 40), random.randint(1, lives)
        yield Trouble(name, number, random.choice(VALUES[name]), life)
    if way == SERVED and random.random() < 0.5:
        yield Trouble(random.choice(("twice", "cut")), random.randint(1, 4))


def _brim(random: Random, *, lives: int) -> Iterator[Trouble]:
    if random.random() < SHARE_BRIM:
        yield Trouble("brim", random.randint(1, 40), random.choice((1, 3, 30)), random.randint(1, lives))


def _around(random: Random, *, lives: int) -> Iterator[Trouble]:
    """What a served lot has to bear beside that: a console that hangs, and the floor."""
    if random.random() < SHARE_CONSOLE:
        yield Trouble(random.choice(("torn", "deaf")), random.randint(1, 4))
    if random.random() < SHARE_PLANT:
        for name in random.sample(ON_PLANT, random.randint(1, 2)):
            most, values = OF_PLANT[name]
            life = random.randint(1, lives) if name == "broker" else 1
            yield Trouble(name, random.randint(1, most), random.choice(values), life)
    if random.random() < SHARE_PAGE:
        yield Trouble(CONSOLE, random.randint(1, 40), random.choice(PAGE_AWAY), random.randint(1, lives))
    if random.random() < SHARE_LATE:
        yield Trouble("late", random.randint(1, 5))


@cache
def _knobs(cell: str, sites: int) -> tuple[tuple[str, str], ...]:
    return tuple(_of_machines(cell, sites))


def _of_machines(cell: str, sites: int) -> Iterator[tuple[str, str]]:
    for placed in config.load(_simulated(cell), sites=sites).equipment:
        yield from ((placed.name, knob) for knob in sorted(simulated_knobs(placed.driver)))
    for name in sorted(simulated_knobs("")):
        machine, _, knob = name.partition(".")
        yield machine, knob


def station_file(cell: str, folder: Path) -> Path:
    """Return the station file of a cell; all but the personalising one see no chips, and go to `folder`."""
    if cell == PERSONALISING:
        return _simulated(cell)
    path = folder / f"{cell}.toml"
    path.write_text(without_keys(_simulated(cell).read_text("utf-8")), "utf-8")
    return path


def _simulated(cell: str) -> Path:
    if cell == EXATRON:
        return simulated_station_file().with_name("exatron.toml")
    return simulated_station_file(WAFER_SORT if cell == WAFER else FINAL_TEST)


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
    for n in range(len(of.troubles)):
        yield replace(of, troubles=of.troubles[:n] + of.troubles[n + 1 :])
    for n in range(len(of.kills)):
        yield replace(of, kills=of.kills[:n] + of.kills[n + 1 :])
    if of.way != RUN:
        kept = tuple(one for one in of.troubles if one.name not in (*AT_CONSOLE, CONSOLE, *ON_PLANT))
        yield replace(of, way=RUN, troubles=kept)
    if of.devices > of.sites:
        yield replace(of, devices=max(of.sites, of.devices // 2))
