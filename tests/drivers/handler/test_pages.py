"""The handlers' pages say what is so: their dialogues, their options, their fields, their examples."""

import re
import tomllib
from pathlib import Path

import msgspec
import pytest

import drivers.handler
from drivers.handler.binon import BinonHandler, BinonOptions
from drivers.handler.exatron import ExatronHandler
from drivers.protocols.binon import Profile
from sim.handler import binon, exatron
from tests.dialogue import FOLDER

ROOT = Path(drivers.handler.__path__[0]).parents[1]
PAGES = {name: (ROOT / f"docs/reference/equipment/{name}.md").read_text() for name in ("binon", "exatron")}
HOW_TO = (ROOT / "docs/how-to/write-a-handler-profile.md").read_text()


@pytest.mark.parametrize("page", PAGES)
def test_dialogues_are_those_that_are_tested(page: str) -> None:
    shown = re.findall(r"```dialogue (\S+)\n(.*?)```", PAGES[page], re.DOTALL)
    assert len(shown) >= 5
    for name, text in shown:
        assert text == (FOLDER / f"{name}.txt").read_text(), name


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ("binon", (*Profile.__struct_fields__, *BinonHandler.Options.__struct_fields__)),
        ("binon", tuple(binon.BinonHandler.knobs)),
        ("exatron", ExatronHandler.Options.__struct_fields__),
        ("exatron", tuple(exatron.ExatronHandler.knobs)),
    ],
)
def test_every_option_field_and_fault_is_explained(page: str, words: tuple[str, ...]) -> None:
    assert [word for word in words if f"`{word}`" not in PAGES[page]] == []


@pytest.mark.parametrize("text", [PAGES["binon"], HOW_TO])
def test_examples_are_accepted(text: str) -> None:
    examples = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    assert examples
    for example in examples:
        (placed,) = tomllib.loads(example)["equipment"]
        assert msgspec.convert({"sites": [1], **placed["options"]}, BinonOptions).dialect.retest_code == "R"


def test_defaults_of_the_profile_are_those_of_its_page() -> None:
    assert (
        f"| `{'`, `'.join(('reply_timeout_s', 'srq_poll_s', 'retry_gap_s', 'settle_s'))}` | 10, 1, 1, 0 |"
        in PAGES["binon"]
    )
    profile = Profile()
    assert (profile.reply_timeout_s, profile.srq_poll_s, profile.retry_gap_s, profile.settle_s) == (
        10,
        1,
        1,
        0,
    )
