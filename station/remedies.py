"""What of a station's files may be put right by itself: each thing named, and how it is undone."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from station import config as station_config
from station.doctor import Finding, Health

OTHERS = 0o007
"""The rights of whoever is neither the owner nor of the group."""
FOLDER = 0o750


@dataclass(frozen=True)
class Remedy:
    """Something that is wrong, what would put it right, and what would undo that."""

    finding: Finding
    fix: str
    undo: str
    act: Callable[[], None]


def remedies(out: Path, data: Path, station: Path | None) -> Iterator[Remedy]:
    """Look at the folder of the lots, that of the station, and the private keys that its file names."""
    if not out.exists():
        advice = "lots go there; it is made with the first one"
        finding = Finding("lots", Health.WARN, f"there is no folder {out}", advice)
        make = partial(out.mkdir, FOLDER, parents=True)
        yield Remedy(finding, f"mkdir -p {out}", f"rmdir {out}", make)
    named = [("data", data), *(("key", path) for path in _keys(station))]
    for name, path in named:
        if path.exists() and (mode := path.stat().st_mode & 0o777) & OTHERS:
            yield _closed(name, path, mode)


def _closed(name: str, path: Path, mode: int) -> Remedy:
    finding = Finding(name, Health.WARN, f"{path} is open to every user of the machine", "shut it to others")
    fixed = mode & ~OTHERS
    act = partial(path.chmod, fixed)
    return Remedy(finding, f"chmod {fixed:04o} {path}", f"chmod {mode:04o} {path}", act)


def _keys(station: Path | None) -> Iterator[Path]:
    if station is None:
        return
    config = station_config.load(station)
    for name in (config.mqtt.key, config.vault.key):
        if name:
            yield config.source.parent / name


def applied(remedy: Remedy) -> Finding:
    """Put it right; return what is found then."""
    try:
        remedy.act()
    except OSError as error:
        advice = f"{remedy.fix}: {error.strerror}"
        return Finding(remedy.finding.name, Health.WARN, remedy.finding.found, advice)
    return Finding(remedy.finding.name, Health.OK, f"{remedy.fix} (undone by {remedy.undo})")


def offered(remedy: Remedy) -> Finding:
    """Return what was found, and that `--fix` would put it right."""
    found = remedy.finding
    return Finding(found.name, found.health, found.found, f"{found.advice}; --fix: {remedy.fix}")
