"""Whether a station may test what is sold: its content released, its packages as they were built."""

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from importlib.metadata import Distribution, PackagePath, distribution, entry_points
from pathlib import Path
from typing import Any

from station import binding
from station.config import StationConfig
from station.equip import origins
from station.errors import ConfigError
from station.sequence import Sequence

GROUPS = "hardbin.drivers", "hardbin.sequences"


def must_be_released(config: StationConfig, sequence: Sequence[Any]) -> None:
    """Refuse to drive the machines of a production station by anything else; ConfigError says all of it."""
    found = objections(config, sequence) if config.station.production else ()
    if found:
        raise ConfigError(f"{config.source}: not for production: {'; '.join(found)}")


def objections(config: StationConfig, sequence: Sequence[Any]) -> tuple[str, ...]:
    """Say what is in the way; reads every file of the packages that drivers and sequence are of."""
    return *assumed(config), *_unreleased(config, sequence), *_altered(config)


def assumed(config: StationConfig) -> Iterator[str]:
    """Name the drivers that nothing but assumption carries."""
    bases = origins.of(placed.driver for placed in config.equipment)
    if wrong := [basis.driver for basis in bases if basis.assumption]:
        yield (
            f"{', '.join(wrong)}: no dialogue was captured or is by a manual; "
            "capture some with `hardbin equip trace`"
        )


def _unreleased(config: StationConfig, sequence: Sequence[Any]) -> Iterator[str]:
    if not config.recipe.trust:
        yield "recipe.trust is not given: lots of production are run by signed recipes"
    if config.vault.mode == "development" and binding.needs_vault(sequence):
        yield 'vault.mode is "development": its keys stand for nobody'
    if ":" in config.cell.sequence:
        yield f"cell.sequence: {config.cell.sequence} is of no installed package"


def _altered(config: StationConfig) -> Iterator[str]:
    for package in _packages(config):
        if why := altered(package):
            yield f"package {package.name}: {why}"


def _packages(config: StationConfig) -> list[Distribution]:
    used = {config.cell.sequence, *(placed.driver for placed in config.equipment)}
    entries = (entry for group in GROUPS for entry in entry_points(group=group))
    found = {entry.dist.name: entry.dist for entry in entries if entry.name in used and entry.dist}
    return list((found | {"hardbin": distribution("hardbin")}).values())


def altered(package: Distribution) -> str:
    """Say what of an installed package is not as it was built; empty if all is."""
    if '"editable":true' in (package.read_text("direct_url.json") or "").replace(" ", ""):
        return "it is installed from a working folder"
    files = list(package.files or ())
    if not any(one.hash for one in files):
        return "it has no list of its files and their hashes"
    if wrong := next((one for one in files if one.hash and _digest(one) != one.hash.value), None):
        return f"{wrong} is not as it was built"
    known = {Path(str(one.locate())).resolve() for one in files}
    folders = {Path(str(one.locate())).parent for one in files if one.suffix == ".py" and len(one.parts) > 1}
    there = (path.resolve() for folder in sorted(folders) for path in folder.glob("*.py"))
    stranger = next((path for path in there if path not in known), None)
    return "" if stranger is None else f"{stranger} is no file of it"


def _digest(file: PackagePath) -> str:
    """The SHA-256 of a file as the list of a package has it; empty if it is gone."""
    try:
        data = Path(str(file.locate())).read_bytes()
    except OSError:
        return ""
    return urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
