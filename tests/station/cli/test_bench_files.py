"""`hardbin bench map`, `stdf` and `handshake`: every figure is beside its floor, and larger than nothing."""

import pytest
from msgspec import json

from station.cli import code_of
from station.cli.bench_files import MAP_LABELS, STDF_LABELS
from station.cli.bench_handshake import LABELS as HANDSHAKE_LABELS
from station.cli.codes import Exit


@pytest.mark.parametrize(
    ("arguments", "labels"),
    [
        (("map", "--dies", "500"), MAP_LABELS),
        (("stdf", "--touchdowns", "2"), STDF_LABELS),
        (("handshake", "--touchdowns", "10"), HANDSHAKE_LABELS),
    ],
)
def test_figures_beside_their_floors(
    arguments: tuple[str, ...], labels: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert code_of(["bench", *arguments, "--json"]) == Exit.OK
    figures = json.decode(capsys.readouterr().out)
    assert set(figures) == set(labels)
    assert all(figure > 0 for figure in figures.values())
    assert code_of(["bench", *arguments]) == Exit.OK
    lines = capsys.readouterr().out.splitlines()
    assert [line[14:] for line in lines] == list(labels.values())
