"""What `hardbin chaos` says while it is under way."""

import pytest

from station.chaos.campaign import Played, Violation
from station.cli.chaos import STRIDE, Telling


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
