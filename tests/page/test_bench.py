"""The bench measures what it says, in a real browser before a real console."""

import pytest

from station.console.bench import measured
from tests.page.conftest import CHROMIUM


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
@pytest.mark.timeout(600)
def test_every_figure_is_there_and_no_die_is_lost() -> None:
    figures = dict(measured(2.0, 100, 4000))
    assert figures.pop("lost_dies") == 0
    assert figures.pop("external_requests") == 0
    assert figures.pop("reconnects") >= 3
    assert figures.pop("page_kb") < 350
    assert set(figures) == {
        "server_cpu_percent",
        "paint_p50_ms",
        "paint_p95_ms",
        "cpu_50_clients_percent",
    }
    assert all(figure > 0 for figure in figures.values())
