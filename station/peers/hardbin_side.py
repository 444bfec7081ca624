"""hardbin's side of the comparison: the whole engine with its journal on disk, and nothing simulated."""

import sys
import time
from pathlib import Path

from msgspec import json

from station.engine.bench import last_landing_s, quick, sequence, waiting
from station.peers.load import Cost, Load


def cost(load: Load) -> Cost:
    """Run the load here; the longest device is the last landing's."""
    row = waiting if load.wait_s else quick
    plan = sequence(tuple(row(number) for number in range(1, load.rows + 1)))
    cpu_s, wall_s = time.process_time(), time.monotonic()
    longest_s = last_landing_s(plan, load.sites, load.devices)
    return Cost(
        cpu_s=time.process_time() - cpu_s,
        wall_s=time.monotonic() - wall_s,
        measurements=load.sites * load.devices * load.rows,
        longest_s=longest_s,
        resident_mb=most_resident_mb(),
    )


def most_resident_mb() -> float:
    """Return the most memory this program had; `getrusage` would tell that of the one that started it."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1000


if __name__ == "__main__":
    print(json.encode(cost(json.decode(sys.argv[1], type=Load))).decode())  # noqa: T201 - it is a program
