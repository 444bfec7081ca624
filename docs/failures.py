"""Write docs/reference/failures.md from docs/failures.toml and the simulators: `python -m docs.failures`."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from msgspec import Struct, toml

from sim.machines import MODELS

SOURCE = Path(__file__).parent / "failures.toml"
PAGE = Path(__file__).parent / "reference" / "failures.md"
TESTS = "../../tests"
COMMON = 40
"""So many rows are of equipment of any kind; those after them are of single machines."""

HEAD = """\
# What fails, and what proves that it is met

Every failure of a machine that hardbin knows: the switch of the simulators that brings it about, the
reaction, and tests that throw the switch, or play the dialogue of it, and look at the reaction. Made by
`python -m docs.failures` from `docs/failures.toml`; a test compares it with the simulators and the tests.

A switch is thrown by `--fault <machine>.<switch>` ([faults and knobs](simulator.md#faults-and-knobs)), of a
served machine by [`hardbin equip sim fault`](../how-to/serve-a-simulator.md#faults);
`hardbin equip sim faults` lists them all. What fails in devices, contacts and chips is on the simulator's
page.

## Of any equipment

"""
SINGLE = """
## Of single machines

"""
TITLES = ("#", "what fails", "reaction", "switches", "proved by")


class Row(Struct, frozen=True, forbid_unknown_fields=True):
    """One way to fail."""

    number: int
    failure: str
    reaction: str
    switches: tuple[str, ...]
    """A knob of every machine that has it, or `model.knob`."""
    tests: tuple[str, ...]
    """Below tests/, as pytest names them."""

    def knobs(self) -> Iterator[tuple[str, frozenset[str]]]:
        """Yield each knob with the models that have it; ValueError for one that no machine has."""
        for switch in self.switches:
            model, _, knob = switch.rpartition(".")
            having = {name for name, made in MODELS.items() if knob in made.knobs and model in ("", name)}
            if not having:
                raise ValueError(f"row {self.number}: no simulated machine has {switch}")
            yield knob, frozenset(having)

    def __str__(self) -> str:
        switches = "<br>".join(f"`{knob}`: {', '.join(sorted(models))}" for knob, models in self.knobs())
        tests = "<br>".join(_linked(name) for name in self.tests)
        return f"| {self.number} | {self.failure} | {self.reaction} | {switches} | {tests} |"


class _Rows(Struct, frozen=True):
    row: tuple[Row, ...]


def rows() -> tuple[Row, ...]:
    """Read the table."""
    return toml.decode(SOURCE.read_text("utf-8"), type=_Rows).row


def covered() -> Mapping[str, frozenset[str]]:
    """Return the knobs in the table, by model."""
    found: dict[str, set[str]] = {name: set() for name in MODELS}
    for row in rows():
        for knob, models in row.knobs():
            for model in models:
                found[model].add(knob)
    return {model: frozenset(knobs) for model, knobs in found.items()}


def page() -> str:
    """Return the whole page."""
    table = f"| {' | '.join(TITLES)} |\n{'|---' * len(TITLES)}|\n"
    common = "".join(f"{row}\n" for row in rows() if row.number <= COMMON)
    single = "".join(f"{row}\n" for row in rows() if row.number > COMMON)
    return HEAD + table + common + SINGLE + table + single


def _linked(name: str) -> str:
    file, _, test = name.partition("::")
    return f"[`{test}`]({TESTS}/{file})"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
