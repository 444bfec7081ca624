"""The probers' pages say what is so: options, faults, table of states, example."""

import re
import tomllib
from pathlib import Path

import msgspec
import pytest

from drivers.links.prober_options import ProberOptions
from drivers.prober.accretech_uf import AccretechOptions
from drivers.prober.cascade_nucleus import NucleusOptions
from drivers.prober.formfactor_velox import VeloxOptions
from drivers.prober.mpi_sentio import SentioOptions
from drivers.protocols.accretech import BinProfile
from sim.lines import LINE_KNOBS, Talker
from sim.prober.accretech_uf import AccretechUf
from sim.prober.cascade_nucleus import CascadeNucleus
from sim.prober.formfactor_velox import FormFactorVelox
from sim.prober.mpi_sentio import MpiSentio
from sim.prober.stage import LOADER_KNOBS, STAGE_KNOBS, TABLE, Move, State

FOLDER = Path(__file__).parents[3] / "docs/reference/equipment"
COMMON = (FOLDER / "probers.md").read_text("utf-8")
KNOWN = set(ProberOptions.__struct_fields__)


@pytest.mark.parametrize(
    "words",
    [ProberOptions.__struct_fields__, STAGE_KNOBS, LOADER_KNOBS, LINE_KNOBS, Talker.knobs],
    ids=["options", "stage", "loader", "line", "talker"],
)
def test_what_all_have_is_on_the_common_page(words: frozenset[str]) -> None:
    assert [word for word in words if f"`{word}`" not in COMMON] == []


@pytest.mark.parametrize(
    ("page", "options", "knobs"),
    [
        ("accretech_uf", AccretechOptions, AccretechUf.knobs),
        ("cascade_nucleus", NucleusOptions, CascadeNucleus.knobs),
        ("formfactor_velox", VeloxOptions, FormFactorVelox.knobs),
        ("mpi_sentio", SentioOptions, MpiSentio.knobs),
    ],
)
def test_what_one_has_is_on_its_own(page: str, options: type[msgspec.Struct], knobs: frozenset[str]) -> None:
    text = (FOLDER / f"{page}.md").read_text("utf-8")
    own = (set(options.__struct_fields__) - KNOWN) | (
        knobs - STAGE_KNOBS - LOADER_KNOBS - LINE_KNOBS - Talker.knobs
    )
    assert [word for word in own if f"`{word}`" not in text] == []


def test_every_field_of_a_bin_profile_is_explained() -> None:
    text = (FOLDER / "accretech_uf.md").read_text("utf-8")
    assert [field for field in BinProfile.__struct_fields__ if f"`{field}`" not in text] == []
    (example,) = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    (placed,) = tomllib.loads(example)["equipment"]
    profile = msgspec.convert(placed["options"], AccretechOptions).bin_profile
    assert profile is not None
    assert profile.command == "XB"


def test_table_of_states() -> None:
    rows = dict(re.findall(r"^\| (nothing|a wafer, down|a wafer, up) \| (.*) \|$", COMMON, re.MULTILINE))
    names = {State.EMPTY: "nothing", State.DOWN: "down", State.UP: "up"}
    order = (Move.LOAD, Move.UNLOAD, Move.STEP, Move.ALIGN, Move.RAISE, Move.LOWER)
    for state, row in zip(State, rows.values(), strict=True):
        after = [TABLE.get((state, move)) for move in order]
        assert row.split(" | ") == [names[new] if new else "–" for new in after]


def test_example_is_accepted() -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", COMMON, re.DOTALL)
    (placed,) = tomllib.loads(example)["equipment"]
    assert len(msgspec.convert({"sites": [1, 2, 3, 4], **placed["options"]}, SentioOptions).card) == 4


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"card": [[0, 0], [1, 0]]}, r"card has 2 sites, the station has \[1\]"),
        ({"sites": [1, 2], "card": [[0, 0], [0, 0]]}, "two sites stand on the same die"),
        ({"cassettes": [3]}, r"cassettes \[3\]: 1 and 2 are allowed"),
        ({"slots": [26]}, r"slots \[26\]: 1 to 25 are allowed"),
        ({"contact_tries": 0}, "contact_tries 0: 1 or more is allowed"),
        ({"heating_s": 0}, "heating_s 0: more than 0"),
        ({"mode": "nobody"}, "Invalid enum value 'nobody'"),
        ({"cord": []}, "unknown field `cord`"),
    ],
)
def test_options_that_cannot_be_meant(options: dict[str, object], says: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=says):
        msgspec.convert(options, ProberOptions)
