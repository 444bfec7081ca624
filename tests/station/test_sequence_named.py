"""`cell.sequence` is an entry point or module:NAME; what is neither is one clear message."""

import pytest

from sequences.example.first import FIRST
from station.assemble import sequence_named
from station.errors import ConfigError


def test_an_entry_point() -> None:
    assert sequence_named("se1-final-test").name == "se1-final-test"


def test_a_module_and_its_name() -> None:
    assert sequence_named("sequences.example.first:FIRST") is FIRST


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("first", "there are: se1-electrical-sort, se1-final-test"),
        ("sequences.example.frist:FIRST", "No module named 'sequences.example.frist'"),
        ("sequences.example.first:FRIST", "has no attribute 'FRIST'"),
        ("sequences.example.first:GOOD", "is of type Bin, a Sequence is needed"),
        (":FIRST", "Empty module name"),
        ("sequences.example.first:", "has no attribute ''"),
    ],
)
def test_what_is_none(name: str, says: str) -> None:
    with pytest.raises(ConfigError, match=r"^cell\.sequence: ") as caught:
        sequence_named(name)
    assert says in str(caught.value)
