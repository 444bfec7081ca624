"""What `hardbin chaos` says while it is under way."""

from pathlib import Path

import pytest

from station.chaos.campaign import Campaign, Played, Violation
from station.cli import code_of
from station.cli.chaos import STRIDE, Telling
from station.cli.codes import Exit


def test_a_campaign_says_how_far_it_is_and_what_it_found(capsys: pytest.CaptureFixture[str]) -> None:
    telling = Telling(2 * STRIDE, quiet=True)
    wrong = Violation("hardbin chaos --schedule 'x'", "x", ("a die is missing",))
    for seed in range(2 * STRIDE):
        telling(Played(seed, 1, wrong if seed == STRIDE + 1 else None))
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines() == [
        f"{STRIDE} of {2 * STRIDE} lots, 0 violations",
        f"seed {STRIDE + 1}: a die is missing",
        "    hardbin chaos --schedule 'x'",
        f"{2 * STRIDE} of {2 * STRIDE} lots, 1 violations",
    ]


@pytest.mark.parametrize(
    "what", [("--lots", "200"), ("--schedule", "seed=1 devices=4 sites=2 way=served trouble=console:5:3")]
)
def test_a_tree_without_the_code_of_others_is_told_before_the_first_lot(
    what: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def played(*_: object, **__: object) -> None:
        raise AssertionError

    monkeypatch.setattr("station.console.page_files.VENDOR", tmp_path / "vendor")
    monkeypatch.setattr("station.cli.chaos.campaign", played)
    monkeypatch.setattr(Campaign, "wrong_with", played)
    assert code_of(["chaos", *what]) == Exit.USAGE
    (said,) = capsys.readouterr().err.splitlines()
    assert "no console can be started" in said
    assert said.endswith("fetch it with `make setup`")
