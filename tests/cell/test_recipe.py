"""A lot by a recipe, from the draft to the datalog, as test engineers would do it at a shell."""

from pathlib import Path

from msgspec import json

from station.cli.codes import Exit
from station.datalog.stdf.reader import read
from station.surroundings import simulated_station_file
from tests.cell.lots import LOT, hardbin, lot

DRAFT = """
name = "careful"
version = 1
product = "se1"
sequence = "se1-final-test"

[limits]
300 = { low = 5e-3, high = 5.5e-3 }
"""
SIZE = ("--devices", "8", "--sites", "4", "--fault", "dut.population=ideal")


def test_from_draft_to_datalog(tmp_path: Path) -> None:
    def said(*arguments: str, code: int = 0) -> str:
        done = hardbin("recipe", *arguments)
        assert done.returncode == code, done.stderr
        return done.stdout + done.stderr

    def path(name: str) -> str:
        return str(tmp_path / name)

    (tmp_path / "draft.toml").write_text(DRAFT)
    said("build", path("draft.toml"), "--out", path("r0"))
    said("sign", path("r0"), "--development", "p-00000001", "--out", path("r1"))
    said("sign", path("r1"), "--development", "p-00000002", "--out", path("r2"))
    trust = said("key", "--development", "p-00000001") + said("key", "--development", "p-00000002")
    (tmp_path / "trust.toml").write_text(trust)
    assert "careful 1 is good" in said("verify", path("r2"), "--trust", path("trust.toml"))
    assert "alone" in said("verify", path("r1"), "--trust", path("trust.toml"), code=Exit.TRUST)

    station = tmp_path / "station.toml"
    station.write_text(simulated_station_file().read_text() + '\n[recipe]\ntrust = "trust.toml"\n')
    at = ("--station", str(station))
    without = hardbin("run", "--lot", LOT, "--out", path("none"), *at, *SIZE)
    assert (without.returncode, (tmp_path / "none" / LOT).exists()) == (Exit.CONFIG, False)
    assert "runs lots by a recipe only" in without.stderr

    code, report = lot(tmp_path / "by", *at, *SIZE, "--recipe", path("r2"))
    supply = next(bin_ for bin_ in report["bins"] if bin_["name"] == "supply")["count"]
    assert 0 < supply < 8, "the recipe's limit of the idle current splits the lot"
    assert (code, len(report["truth"]["overkill"])) == (Exit.INTEGRITY, supply), "good by the specification"
    (name,) = {r.values["SPEC_NAM"] for r in read(Path(report["stdf"])) if r.name == "MIR"}
    assert str(name).startswith("careful 1 ")

    code, usual = lot(tmp_path / "usual", *SIZE)
    assert (code, usual["good"]) == (0, 8)
    rehearsed = json.decode(said("try", path("r2"), "--store", usual["store"], "--json"))
    assert [run["devices"] for run in rehearsed] == [8]
    assert len(rehearsed[0]["changed"]) == supply, "the same dies in the same sockets"
