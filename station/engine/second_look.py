"""Which good devices are tested a second time, and by what they fail then. Pure."""

from collections.abc import Iterable
from hashlib import sha256

from station.model import Measurement, Verdict
from station.policies import Quality


def chosen(quality: Quality, lot: str, part: int) -> bool:
    """Tell whether a device is tested a second time: by lot and running number, nothing else."""
    if part <= quality.first:
        return True
    draw = sha256(f"{lot}:quality:{part}".encode()).digest()
    return bool(quality.every) and int.from_bytes(draw[:8], "big") % quality.every == 0


def first_failing(measurements: Iterable[Measurement]) -> str:
    """Name the first test that did not pass."""
    found = (m for m in measurements if m.verdict is not Verdict.PASSED)
    return next((f"{m.test} {m.name}" for m in found), "a condition")
