"""Which recipe a lot is run by: the one given, if two persons of the station's trust file signed it."""

from hashlib import sha256
from pathlib import Path
from typing import Any

from station.clock import RealClock
from station.config import StationConfig
from station.errors import ConfigError
from station.recipe.application import applied
from station.recipe.trust import trust_of
from station.sequence import Sequence
from station.set_up import Temperature
from station.vault.desk.statement import opened


def with_recipe(
    config: StationConfig,
    sequence: Sequence[Any],
    path: Path | None,
    asked: Temperature | None = None,
) -> tuple[Sequence[Any], str, Temperature | None]:
    """Put the recipe in, name it with its digest, and say at which temperature it is.

    A station with a trust file runs nothing without a recipe. Its time is that of the real world, also where
    the lot is simulated.
    """
    if not config.recipe.trust:
        if path is not None:
            raise ConfigError(f"{config.source}: recipe.trust: name the file that says whose recipes are run")
        return sequence, "", asked
    if path is None:
        raise ConfigError(f"{config.source}: this station runs lots by a recipe only: give --recipe FILE")
    envelope = path.read_bytes()
    recipe = trust_of(config.source.parent / config.recipe.trust).believed(envelope, RealClock().unix())
    if asked is not None and asked != recipe.temperature:
        raise ConfigError(
            f"--celsius {asked.celsius:g}: recipe {recipe.title} says at which temperature it is tested"
        )
    digest = sha256(opened(envelope).payload).hexdigest()
    return applied(recipe, sequence), f"{recipe.title} {digest[:16]}", recipe.temperature
