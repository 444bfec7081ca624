"""Station files that lie with a station: brought by whatever path, taken between two lots by a command."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from tempfile import NamedTemporaryFile

import msgspec
from msgspec import Struct

from station import assemble, binding
from station import config as station_config
from station.config import StationConfig
from station.config_keys import redacted
from station.custody import durable_file
from station.errors import ConfigError
from station.recipe.shelf import NotFoundError

FOLDER, ENDING = "configs", ".toml"
SIZE_MAX = 1 << 20
FIXED = ("station.name", "station.plant", "cell.product", "cell.sequence", "cell.sites", "mqtt.")
"""What a station that runs has told others of itself, or works with already."""
GUARDED = ("station.record", "station.production", "vault.", "recipe.")
"""What custody and trust rest on: two persons change it."""


class Change(Struct, frozen=True):
    """One value: `null` where there was or is none."""

    key: str
    before: object
    after: object


class OnShelf(Struct, frozen=True):
    """One file as it is listed: what it would change, and why it cannot be taken; empty if it can."""

    config: str
    changes: tuple[Change, ...]
    two: bool
    """Whether two persons change it."""
    wrong: str = ""


def listed(folder: Path, now: StationConfig) -> list[OnShelf]:
    """Return all that lie in a station's folder."""
    return [_shown(path, now) for path in sorted((folder / FOLDER).glob(f"*{ENDING}"))]


def _shown(path: Path, now: StationConfig) -> OnShelf:
    try:
        found = changes(now, taken_for(path, now))
    except ConfigError as error:
        return OnShelf(path.stem, (), two=False, wrong=str(error))
    wrong = fixed(found)
    return OnShelf(path.stem, found, two=bool(guarded(found)), wrong=", ".join(wrong))


def bring(folder: Path, content: bytes) -> str:
    """Lay a station file down in a station's folder, which changes nothing yet; return its name."""
    if len(content) > SIZE_MAX:
        raise ConfigError(f"a station file has at most {SIZE_MAX} bytes")
    name = sha256(content).hexdigest()
    path = folder / FOLDER / f"{name}{ENDING}"
    path.parent.mkdir(parents=True, exist_ok=True)
    durable_file.replace(path, content)
    return name


def named(folder: Path, name: str) -> Path:
    """Return the file of this name, or of this beginning of one; NotFoundError."""
    found = [path for path in (folder / FOLDER).glob(f"*{ENDING}") if name and path.stem.startswith(name)]
    if len(found) != 1:
        raise NotFoundError(f"{'more than one' if found else 'no'} station file {name!r} was brought here")
    if sha256(found[0].read_bytes()).hexdigest() != found[0].stem:
        raise ConfigError(f"{found[0]} is not what was brought: its SHA-256 is another one")
    return found[0]


def taken_for(path: Path, now: StationConfig) -> StationConfig:
    """Read a file as if it were that of a station; ConfigError unless a cell can be built of it."""
    config = replace(station_config.load(path, sites=len(now.sites)), source=now.source)
    sequence = assemble.sequence_named(config.cell.sequence)
    made = assemble.equipment(config, assemble.Hardware(config.visa.library))
    binding.fitting(config, made.machines, sequence)
    return config


def changes(old: StationConfig, new: StationConfig) -> tuple[Change, ...]:
    """Return what would be another value, in the order of the keys."""
    before, after = dict(_flat(_told(old))), dict(_flat(_told(new)))
    keys = sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))
    return tuple(Change(key, redacted(before.get(key)), redacted(after.get(key))) for key in keys)


def fixed(found: tuple[Change, ...]) -> list[str]:
    """Return the keys among them that a station which runs cannot take."""
    return [one.key for one in found if one.key.startswith(FIXED)]


def guarded(found: tuple[Change, ...]) -> list[str]:
    """Return the keys among them that two persons change."""
    return [one.key for one in found if one.key.startswith(GUARDED)]


def put(path: Path, config: StationConfig) -> None:
    """Make a file that was brought that of the station, whole or not at all."""
    durable_file.replace(config.source, path.read_bytes())


def rewritten(path: Path, after: str, schema: int) -> Path:
    """Write a file in another layout and keep it as it was, under the name that is returned.

    ConfigError if it would make another cell, or that name is taken: then nothing is changed.
    """
    kept = path.with_name(f"{path.name}.schema-{schema}.old")
    if kept.exists():
        raise ConfigError(f"{kept}: is there already; bring it away first")
    with NamedTemporaryFile(dir=path.parent, prefix=f".{path.stem}-", suffix=ENDING) as file:
        file.write(after.encode())
        file.flush()
        found = changes(station_config.load(path), station_config.load(Path(file.name)))
    if found:
        raise ConfigError(f"{path}: would be another cell: {', '.join(one.key for one in found)}")
    durable_file.put(kept, path.read_bytes())
    durable_file.replace(path, after.encode())
    return kept


def _told(config: StationConfig) -> Mapping[str, object]:
    whole = msgspec.to_builtins(replace(config, source=Path()), enc_hook=str, str_keys=True)
    return {name: one for name, one in whole.items() if name != "source"}


def _flat(whole: object, path: str = "") -> Iterator[tuple[str, object]]:
    if isinstance(whole, Mapping):
        for name, one in whole.items():
            yield from _flat(one, f"{path}.{name}" if path else str(name))
    elif isinstance(whole, list | tuple) and any(isinstance(one, Mapping) for one in whole):
        for one in whole:
            yield from _flat(one, f"{path}.{one['name']}")
    else:
        yield path, whole
