"""OpenHTF's side of the comparison: a program for an interpreter that has it; hardbin never imports this.

Each device is a test of its own on a thread of its own, as a station with several sites runs OpenHTF; a row
is a phase with one measurement and its two limits. The record of each test is taken and dropped.
"""

import logging
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from json import dumps, loads
from pathlib import Path
from typing import Any

import openhtf as htf


def phase(number: int, wait_s: float) -> Any:  # noqa: ANN401 - OpenHTF's own, which has no types
    """Return a row: it waits for its instrument, then measures."""

    def row(test: Any) -> None:  # noqa: ANN401
        if wait_s:
            time.sleep(wait_s)  # noqa: TID251 - the instrument's time
        test.measurements[f"value_{number}"] = 0.5

    limited = htf.Measurement(f"value_{number}").in_range(0.0, 1.0)
    return htf.PhaseOptions(name=f"row_{number}")(htf.measures(limited)(row))


class Executed:
    """One device after the other at one site."""

    def __init__(self, rows: int, wait_s: float) -> None:
        self.seconds: list[float] = []
        self.measured = 0
        self._test = htf.Test(*(phase(number, wait_s) for number in range(1, rows + 1)), test_name="peer")
        self._test.add_output_callbacks(self._ended)

    def run(self, devices: int) -> None:
        """Test so many devices."""
        for _ in range(devices):
            if not self._test.execute(test_start=lambda: "device"):
                raise RuntimeError("a device failed that cannot")

    def _ended(self, record: Any) -> None:  # noqa: ANN401
        self.seconds.append((record.end_time_millis - record.start_time_millis) / 1000)
        self.measured += sum(len(one.measurements) for one in record.phases)


def main() -> None:
    """Measure what the argument says, a JSON object; print another in the last line."""
    load = loads(sys.argv[1])
    logging.disable()
    print(dumps(measured(load)))  # noqa: T201 - it is a program


def measured(load: dict[str, Any]) -> dict[str, float]:
    """Run the load; OpenHTF prints each outcome meanwhile."""
    sites = [Executed(load["rows"], load["wait_s"]) for _ in range(load["sites"])]
    cpu_s, wall_s = time.process_time(), time.monotonic()
    with ThreadPoolExecutor(len(sites)) as pool:
        list(pool.map(lambda site: site.run(load["devices"]), sites))
    return {
        "cpu_s": time.process_time() - cpu_s,
        "wall_s": time.monotonic() - wall_s,
        "measurements": sum(site.measured for site in sites),
        "longest_s": max(max(site.seconds) for site in sites),
        "resident_mb": most_resident_mb(),
    }


def most_resident_mb() -> float:
    """Return the most memory this program had; `getrusage` would tell that of the one that started it."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1000


if __name__ == "__main__":
    main()
