"""Whole lots by the command, on the simulated cell with other instruments than its own."""

from pathlib import Path

import pytest

from tests.cell.lots import here, lot

STATION = Path(__file__).parents[2] / "sim" / "station.toml"
MEASURING = Path(__file__).parent / "instruments.toml"

SMU, FINE, SUPPLY = 'driver = "keithley_2600b"', 'driver = "keithley_2450"', 'driver = "keysight_e36300"'
PCSC = {
    'driver = "ccid"': 'driver = "pcsc"',
    "usb:1209:0002:R{site}": "pcsc:Gemplus {site} 00 00",
    "reader-{site}.0": "reader-{site}",
}
OTHERS = {
    "b2900, 2470, n6700, and all that measures and switches": {
        SMU: 'driver = "keysight_b2900"',
        "smu-{site}.a": "smu-{site}.1",
        "smu-{site}.b": "smu-{site}.2",
        FINE: f'{FINE}\noptions = {{model = "2470"}}',
        SUPPLY: 'driver = "keysight_n6700"',
        "\n[site]\n": "\n" + MEASURING.read_text("utf-8") + "\n[site]\n",
    },
    "2460, hmp, one reader with a slot for each site": {
        FINE: f'{FINE}\noptions = {{model = "2460"}}',
        SUPPLY: 'driver = "rohde_schwarz_hmp"',
        'name = "reader-{site}"': 'name = "reader"',
        '"usb:1209:0002:R{site}"': '"usb:1209:0002:R1"\noptions = { slots = 3 }',
        "reader-{site}.0": "reader.{site}",
    },
    "ngx, pcsc": {SUPPLY: 'driver = "rohde_schwarz_ngx"', **PCSC},
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


@pytest.mark.parametrize(
    ("fault", "code", "says"),
    [
        ("service_stopped", 11, "no PC/SC service answers (0x8010001e)"),
        ("taken", 12, "somebody else uses the reader"),
        ("card_removed@after=3", 0, ""),
    ],
)
def test_what_is_wrong_with_a_service_of_readers_is_found(
    fault: str, code: int, says: str, tmp_path: Path
) -> None:
    text = STATION.read_text("utf-8").replace("sites = 16", "sites = 1")
    for old, new in PCSC.items():
        text = text.replace(old, new)
    station = tmp_path / "station.toml"
    station.write_text(text, "utf-8")
    where = ("--station", str(station), "--out", str(tmp_path / "out"), "--seed", "7", "--devices", "2")
    ran = here("run", "--lot", "T1", *where, "--fault", f"reader-1.{fault}")
    assert ran.returncode == code, ran.stdout + ran.stderr
    assert says in ran.stdout + ran.stderr
