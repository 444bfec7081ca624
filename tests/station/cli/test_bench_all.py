"""`hardbin bench all`: what it makes of the parts' reports."""

import pytest
from msgspec import json

from station.cli import bench_all, code_of
from station.cli.bench_all import PARTS, PROMISES, Report, results
from station.cli.codes import Exit

ENGINE = {
    "kept_per_cpu_s": 50_000, "stdf_per_cpu_s": 14_999, "floor_per_cpu_s": 1, "efficiency_8_sites": 0.9,
    "efficiency_32_sites": 0.8, "rss_growth_mb_per_100k": 20.1,
}  # fmt: skip
DRIVERS = {
    "transports": {
        "visa": [
            {"call_us": 90, "handoff_us": 60, "call_cpu_us": 70, "handoff_cpu_us": 50},
            {"call_us": 110, "handoff_us": 100, "call_cpu_us": 50, "handoff_cpu_us": 50},
        ],
        "usb": [{"call_us": 80, "handoff_us": 50, "call_cpu_us": 39, "handoff_cpu_us": 30}],
    },
    "unsolicited": {"serial": {"idle_ms": 0.5, "loaded_ms": 4.0}, "visa": {"idle_ms": 9, "loaded_ms": 3.0}},
}


def reports(part: str) -> Report:
    return ENGINE if part == "engine" else DRIVERS


def test_each_figure_stands_beside_its_promise() -> None:
    found = {one.figure: (one.value, one.kept) for one in results(("engine", "drivers"), reports)}
    assert found == {
        "kept_per_cpu_s": (50_000, True),
        "stdf_per_cpu_s": (14_999, False),
        "efficiency_8_sites": (0.9, True),
        "efficiency_32_sites": (0.8, True),
        "rss_growth_mb_per_100k": (20.1, False),
        "worst_call_over_handoff": (1.6, False),
        "worst_cpu_over_handoff": (1.4, True),
        "worst_unsolicited_ms": (4.0, True),
    }


def test_every_part_has_promises_and_every_promise_a_part() -> None:
    assert {promise.part for promise in PROMISES} == set(PARTS)


def test_what_a_person_and_a_program_read(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench_all, "ask", reports)
    assert code_of(["bench", "all", "--part", "engine"]) == Exit.OK
    lines = capsys.readouterr().out.splitlines()
    assert " ".join(lines[2].split()) == "engine stdf_per_cpu_s 14,999 >= 15,000 1 NOT AS PROMISED"
    assert code_of(["bench", "all", "--part", "engine", "--json"]) == Exit.OK
    found = json.decode(capsys.readouterr().out)
    assert [one["kept"] for one in found] == [True, False, True, True, False]
    assert [one["floor"] for one in found] == [1, 1, None, None, None]


def test_a_part_that_cannot_be_measured_is_named_and_takes_no_other_along(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench_all, "PARTS", {**PARTS, "engine": ("bench", "nothing")})
    ask = bench_all.ask
    monkeypatch.setattr(bench_all, "ask", lambda part: ask(part) if part == "engine" else DRIVERS)
    both = ["bench", "all", "--part", "engine", "--part", "drivers"]
    assert code_of(both) == Exit.UNEXPECTED
    said = capsys.readouterr()
    lines = [" ".join(line.split()) for line in said.out.splitlines()]
    assert lines[1] == "engine kept_per_cpu_s - >= 20,000 NOT MEASURED"
    assert lines[8] == "drivers worst_unsolicited_ms 4 <= 5"
    assert "engine not measured: bench nothing ended with 2" in said.err
    assert code_of([*both, "--json"]) == Exit.UNEXPECTED
    found = json.decode(capsys.readouterr().out)
    assert [one["value"] for one in found] == [None] * 5 + [1.6, 1.4, 4.0]
    assert "bench nothing ended with 2" in found[0]["why"]
