"""The pages of handlers, cards and cell I/O name every option and every simulated fault."""

from importlib.metadata import entry_points
from pathlib import Path

import msgspec
import pytest

from sim.machines import MODELS

DOCS = Path(__file__).parents[2] / "docs" / "reference" / "equipment"
HANDLERS = ("gem", "ttl", "geringer_pto92ut")
CARDS = ("pcsc",)
CELL_IO = ("ftdi_mpsse", "velleman_k8090", "patlite", "modbus", "text_line", "keyboard")
NAMES = (*HANDLERS, *CARDS, *CELL_IO)


@pytest.mark.parametrize("name", NAMES)
def test_every_option_and_fault_is_explained(name: str) -> None:
    page = (DOCS / f"{name}.md").read_text("utf-8")
    (entry,) = entry_points(group="hardbin.drivers", name=name)
    options = {field.encode_name for field in msgspec.structs.fields(entry.load().Options)}
    assert [
        word
        for word in sorted(options | (MODELS[name].knobs if name in MODELS else set()))
        if f"`{word}`" not in page
    ] == []
