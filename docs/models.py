"""Write docs/reference/equipment/README.md, the table of all models: `python -m docs.models`."""

import inspect
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import UnionType

from msgspec.structs import fields

from drivers.transports import Stream
from sim.machines import MODELS
from tests.dialogue import all_dialogues

PAGE = Path(__file__).parent / "reference" / "equipment" / "README.md"

HEAD = """\
# All models

Each row is a driver that a station file may name, with its own page. This table is made by
`python -m docs.models` from the code and the dialogues.

*Evidence* is the best origin among the dialogues of a model: `captured` on a machine, from a `manual` (or
from a maintained driver of others, which is their reading of it), or `assumed`. Before production, capture
dialogues on your machine.

"""
MARKS = ("captured", "manual", "assumed")


@dataclass(frozen=True)
class Row:
    """What the table says of one driver."""

    name: str
    role: str
    what: str
    port: str
    options: str
    faults: str
    evidence: str
    facts: str

    def __str__(self) -> str:
        link = f"[`{self.name}`]({self.name}.md)"
        cells = (link, self.role, self.what, self.port, self.options, self.faults, self.evidence, self.facts)
        return f"| {' | '.join(cell or '–' for cell in cells)} |"


def row(entry: EntryPoint) -> Row:
    """Describe the driver of one entry point."""
    driver = entry.load()
    module = inspect.getmodule(driver)
    role = driver.__module__.split(".")[1]
    return Row(
        name=entry.name,
        role=role,
        what=_sentence(inspect.getdoc(driver) or ""),
        port=_ports(entry.name, driver.port),
        options=_names(field.encode_name for field in fields(driver.Options)),
        faults=_names(sorted(MODELS[entry.name].knobs)) if entry.name in MODELS else "",
        evidence=evidence(entry.name),
        facts=_facts(inspect.getdoc(module) or "") or _sources(entry.name),
    )


def evidence(model: str) -> str:
    """Name the best origin among a model's dialogues."""
    found = {dialogue.origin for dialogue in all_dialogues(model)}
    return next((mark for mark in MARKS if mark in found), "none")


def table() -> str:
    """Return the whole page."""
    entries = sorted(entry_points(group="hardbin.drivers"), key=lambda entry: entry.name)
    rows = sorted((row(entry) for entry in entries), key=lambda row: (row.role, row.name))
    titles = ("driver", "role", "what", "port", "options", "simulated faults", "evidence", "facts from")
    return HEAD + "\n".join((f"| {' | '.join(titles)} |", "|---" * len(titles) + "|", *map(str, rows))) + "\n"


def _ports(name: str, kinds: type | UnionType) -> str:
    if isinstance(kinds, UnionType):
        return "tcp, visa"
    return "serial, tcp" if issubclass(kinds, Stream) else _scheme(name)


def _scheme(name: str) -> str:
    return MODELS[name].scheme.replace("|", ", ")


def _names(names: Iterable[str]) -> str:
    return " ".join(f"`{name}`" for name in names)


def _sentence(text: str) -> str:
    return text.partition("\n\n")[0].replace("\n", " ").replace("|", "\\|")


def _sources(model: str) -> str:
    """Name what most of the dialogues of the best origin were written from."""
    best = evidence(model)
    found = Counter(one.source for one in all_dialogues(model) if one.origin == best)
    return _sentence(found.most_common(1)[0][0]) if found else ""


def _facts(text: str) -> str:
    found = re.search(r"Ref: (.*?)(?:\n\n|$)", text, re.DOTALL)
    return _sentence(found[1] if found else "").rstrip(".")


if __name__ == "__main__":
    PAGE.write_text(table(), "utf-8")
