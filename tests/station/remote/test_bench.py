"""The bench measures what it says, with and without a Mosquitto."""

import pytest

from station.remote import bench, own_broker
from tests.station.remote.mosquitto import PROGRAM


@pytest.mark.parametrize("broker", ["bus", "mosquitto"])
def test_every_figure_is_there_and_of_the_broker_that_was_asked_for(
    broker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if broker == "mosquitto" and PROGRAM is None:
        pytest.skip("no mosquitto is installed")
    monkeypatch.setattr(own_broker, "PROGRAM", PROGRAM if broker == "mosquitto" else None)
    figures = bench.measured(None, 20, 200)
    assert figures.pop("broker") == ("mosquitto" if broker == "mosquitto" else "in-process bus")
    assert set(figures) == {
        "round_trip_p50_ms",
        "round_trip_p95_ms",
        "round_trip_ml_dsa_p50_ms",
        "events_per_s",
        "engine_us_per_event",
    }
    assert all(float(figure) > 0 for figure in figures.values())
