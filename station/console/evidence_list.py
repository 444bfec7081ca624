"""The evidence of the lots beside the one that is shown: which bundles there are, and what each is."""

from hashlib import file_digest
from pathlib import Path

from msgspec import DecodeError, Struct, json

from station.evidence.bundle import BUNDLE
from station.open_lot import REPORT

MOST = 50
"""So many of the latest lots are listed."""


class Evidence(Struct, frozen=True):
    """A lot, and its bundle if it has one: size in bytes, SHA-256."""

    lot: str
    state: str
    at: float
    size: int = 0
    sha256: str = ""


class _Reported(Struct):
    state: str


class EvidenceList:
    """Reads each bundle once, for as long as it is the same file."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, float, int], str] = {}

    def of(self, lots: Path) -> list[Evidence]:
        """Return the latest lots of a folder, the last one first."""
        found = sorted(
            ((path.stat().st_mtime, path) for path in lots.glob(f"*/{REPORT}")), key=lambda one: -one[0]
        )
        return [self._one(path.parent, at) for at, path in found[:MOST]]

    def _one(self, folder: Path, at: float) -> Evidence:
        try:
            state = json.decode((folder / REPORT).read_bytes(), type=_Reported).state
        except (OSError, DecodeError):
            state = ""
        bundle = folder / BUNDLE
        if not bundle.exists():
            return Evidence(folder.name, state, at)
        status = bundle.stat()
        key = folder.name, status.st_mtime, status.st_size
        if key not in self._known:
            with bundle.open("rb") as file:
                self._known[key] = file_digest(file, "sha256").hexdigest()
        return Evidence(folder.name, state, at, status.st_size, self._known[key])
