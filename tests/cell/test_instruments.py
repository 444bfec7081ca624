"""Whole lots by the command, on the simulated cell with other instruments than its own."""

from pathlib import Path

import pytest

from tests.cell.lots import lot

STATION = Path(__file__).parents[2] / "sim" / "station.toml"
MEASURING = Path(__file__).parent / "instruments.toml"

SMU, FINE, SUPPLY = 'driver = "keithley_2600b"', 'driver = "keithley_2450"', 'driver = "keysight_e36300"'
OTHERS = {
    "b2900, 2470, n6700, and all that measures and switches": {
        SMU: 'driver = "keysight_b2900"',
        "smu-{site}.a": "smu-{site}.1",
        "smu-{site}.b": "smu-{site}.2",
        FINE: f'{FINE}\noptions = {{model = "2470"}}',
        SUPPLY: 'driver = "keysight_n6700"',
        "\n[site]\n": "\n" + MEASURING.read_text("utf-8") + "\n[site]\n",
    },
    "2460, hmp": {FINE: f'{FINE}\noptions = {{model = "2460"}}', SUPPLY: 'driver = "rohde_schwarz_hmp"'},
}


@pytest.mark.parametrize("others", OTHERS.values(), ids=OTHERS)
def test_a_lot_is_judged_the_same_whoever_made_the_instruments(
    others: dict[str, str], tmp_path: Path
) -> None:
    text = STATION.read_text("utf-8").replace("sites = 16", "sites = 2")
    for old, new in others.items():
        assert old in text, old
        text = text.replace(old, new)
    station = tmp_path / "station.toml"
    station.write_text(text, "utf-8")
    code, result = lot(tmp_path / "out", "--station", str(station), "--devices", "4", "--seed", "7")
    assert code == 0, result
    assert result["tested"] == 4
    truth = result["truth"]
    assert (truth["escapes"], truth["overkill"], truth["misplaced"], truth["custody"]) == ([], [], [], [])
