"""Metrics over a real socket: what happened is counted once, and dashboards name what is there."""

import asyncio
import json
import re
import sys
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest
from msgspec.structs import replace
from prometheus_client import CollectorRegistry, generate_latest

from station import events
from station.cli import code_of
from station.cli.codes import Exit
from station.metrics.gauges import Counting, Instruments
from station.model import Disposition
from tests.docs.test_references import page, rows
from tests.station.console.lots import GOOD, HELLO, LEAKY, NOW, landing, loaded, shift

FLOOR = files("station.metrics") / "floor"
NAME = re.compile(r"hardbin_[a-z0-9_]+")


@pytest.fixture
def made() -> Instruments:
    return Instruments(CollectorRegistry())


@pytest.fixture
def counting(made: Instruments) -> Counting:
    one = Counting(made, lambda: NOW)
    one.greeted(HELLO)
    one.stands("EMPTY")
    return one


def lot() -> list[events.Any]:
    return [
        loaded(),
        shift("LOADED", "RUNNING"),
        *landing(1, {1: GOOD, 2: LEAKY}),
        events.Sorted(at=NOW + 15, seq=1, bins={1: 1, 2: 5}),
        *landing(2, {1: GOOD, 2: GOOD}),
        events.Faulted(at=NOW + 25, site=0, reason="jam"),
        events.PersonalisationEnded(at=NOW + 26, unit="u", part=1, disposition=Disposition.SEALED),
        events.CommandRefused(at=NOW + 27, id="1", command="lot.end", actor="p", code="denied", reason="no"),
    ]


def tell(counting: Counting, journal: Path = Path("L1")) -> None:
    counting.begun(journal)
    for line, event in enumerate(lot(), 1):
        counting.happened(line, event)
    counting.caught_up()


def value(made: Instruments, metric: str, **labels: str) -> float:
    return made.registry.get_sample_value(metric, {"station": "ws-07", **labels}) or 0.0


def test_a_lot_in_numbers(made: Instruments, counting: Counting) -> None:
    tell(counting)
    assert value(made, "hardbin_parts_total", site="1", result="pass") == 2
    assert value(made, "hardbin_parts_total", site="2", result="fail") == 1
    assert value(made, "hardbin_site_yield_ratio", site="2") == 0.5
    assert value(made, "hardbin_bin_total", kind="hard", bin="5") == 1
    assert value(made, "hardbin_touchdowns_total") == 2
    assert value(made, "hardbin_index_duration_seconds_count") == 1
    assert value(made, "hardbin_alarms_total", id="fault") == 1
    assert value(made, "hardbin_perso_operations_total", outcome="sealed") == 1
    assert value(made, "hardbin_commands_total", source="", name="lot.end", code="denied") == 1
    assert value(made, "hardbin_run_state", state="RUNNING") == 1
    assert value(made, "hardbin_balance_difference") == 2
    assert value(made, "hardbin_e10_seconds_total", state="PRD") > 0


def test_what_is_told_again_is_not_counted_again(made: Instruments, counting: Counting) -> None:
    tell(counting)
    before = generate_latest(made.registry)
    tell(counting)
    assert generate_latest(made.registry) == before


def test_a_lot_that_is_loaded_again_under_its_name_is_counted(made: Instruments, counting: Counting) -> None:
    tell(counting)
    again = [replace(loaded(), at=NOW + 100), *lot()[1:]]
    counting.begun(Path("L1"))
    for line, event in enumerate(again, 1):
        counting.happened(line, event)
    counting.caught_up()
    assert value(made, "hardbin_touchdowns_total") == 4
    assert value(made, "hardbin_parts_total", site="1", result="pass") == 4


def test_what_was_before_the_process_is_no_count(made: Instruments) -> None:
    late = Counting(made, lambda: NOW)
    late.greeted(HELLO)
    tell(late)
    assert value(made, "hardbin_parts_total", site="1", result="pass") == 0
    assert value(made, "hardbin_run_state", state="RUNNING") == 1
    tell(late, Path("L2"))
    assert value(made, "hardbin_parts_total", site="1", result="pass") == 2


def test_an_engine_that_is_away_says_so(made: Instruments, counting: Counting) -> None:
    assert value(made, "hardbin_engine_up") == 1
    counting.left()
    assert value(made, "hardbin_engine_up") == 0


def test_no_label_is_a_lot_a_device_or_a_person(made: Instruments, counting: Counting) -> None:
    tell(counting)
    text = generate_latest(made.registry).decode()
    allowed = {"station", "site", "bin", "state", "kind", "result", "outcome", "id", "source", "name", "code"}
    assert set(re.findall(r'[{,](\w+)="', text)) <= allowed | {"le", "version"}


def named(registry: CollectorRegistry) -> Iterator[str]:
    for family in registry.collect():
        yield from (family.name, f"{family.name}_total", f"{family.name}_bucket", f"{family.name}_count")


@pytest.mark.parametrize("file", ["station.json", "alerts.yml"])
def test_dashboard_and_rules_ask_for_what_is_there(file: str, made: Instruments) -> None:
    asked = set(NAME.findall((FLOOR / file).read_text("utf-8")))
    assert asked
    assert asked <= set(named(made.registry))


def test_the_dashboard_has_no_two_panels_in_one_place() -> None:
    panels = json.loads((FLOOR / "station.json").read_text("utf-8"))["panels"]
    cells = [
        (x, y)
        for one in panels
        for x in range(one["gridPos"]["x"], one["gridPos"]["x"] + one["gridPos"]["w"])
        for y in range(one["gridPos"]["y"], one["gridPos"]["y"] + one["gridPos"]["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24


def test_the_files_come_with_the_command(tmp_path: Path) -> None:
    assert code_of(["metrics", "files", str(tmp_path / "floor")]) == Exit.OK
    assert {one.name for one in (tmp_path / "floor").iterdir()} == {
        "station.json",
        "alerts.yml",
        "prometheus.yml",
    }
    assert code_of(["metrics", "files", str(tmp_path / "floor")]) == Exit.CONFIG


def test_only_this_machine_is_answered(capsys: pytest.CaptureFixture[str]) -> None:
    assert code_of(["metrics", "serve", "--host", "0.0.0.0"]) == Exit.CONFIG  # noqa: S104 - it is refused
    assert "127.0.0.1" in capsys.readouterr().err


async def test_the_process_answers_and_ends(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "station.cli", "metrics", "serve"),
        *("--engine", str(tmp_path / "none"), "--port", "0"),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    said = (await process.stdout.readline()).decode()
    port = int(said.rsplit(":", 1)[1].split("/")[0])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /metrics HTTP/1.0\r\n\r\n")
    answer = await reader.read()
    writer.close()
    assert b"200 OK" in answer
    assert b"# TYPE hardbin_parts_total counter" in answer
    process.terminate()
    assert await process.wait() == 0


def test_the_page_has_every_metric(made: Instruments) -> None:
    told = {row[0].strip("`") for row in rows(page("metrics"))}
    kinds = {"counter": "_total", "info": "_info"}
    assert told == {one.name + kinds.get(one.type, "") for one in made.registry.collect()}
