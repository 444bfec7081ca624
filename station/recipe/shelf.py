"""The recipes that lie with a station: brought by whatever path, believed by their signatures alone."""

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from msgspec import Struct

from station.assemble import sequence_named
from station.config import StationConfig
from station.custody import durable_file
from station.errors import ConfigError, SequenceError, UntrustedError
from station.recipe.application import applied
from station.recipe.content import Recipe
from station.recipe.trust import trust_of
from station.vault.desk.statement import StatementError, opened

FOLDER, BROUGHT = "recipes", "brought"
ENDING = ".recipe"
SIZE_MAX = 1 << 20


class OnShelf(Struct, frozen=True):
    """One recipe as it is listed."""

    recipe: str
    """SHA-256 of what was signed: its name everywhere."""
    title: str
    product: str
    sequence: str
    not_before: int
    not_after: int
    signers: tuple[str, ...]
    staged: bool
    wrong: str
    """Why no lot can be run by it; empty if one can."""


class NotFoundError(ConfigError):
    """No such recipe lies here."""


def bring(folder: Path, envelope: bytes) -> str:
    """Lay a recipe down in a station's folder, which nobody believes yet, and return its name.

    ConfigError if it is none.
    """
    if len(envelope) > SIZE_MAX:
        raise ConfigError(f"a recipe has at most {SIZE_MAX} bytes")
    name = _named(envelope)
    path = folder / FOLDER / BROUGHT / f"{name}{ENDING}"
    path.parent.mkdir(parents=True, exist_ok=True)
    durable_file.replace(path, envelope)
    return name


class Shelf:
    """Reads and writes files, and blocks."""

    def __init__(self, folder: Path, config: StationConfig, now: Callable[[], float]) -> None:
        """`folder` is that of the station; `now` tells seconds since 1970."""
        self._folder, self.config, self._now = folder / FOLDER, config, now

    def listed(self) -> list[OnShelf]:
        """Return all of them, those that are staged first."""
        found = [self._shown(path, staged=True) for path in self._files(staged=True)]
        names = {one.recipe for one in found}
        brought = (self._shown(path, staged=False) for path in self._files(staged=False))
        return found + [one for one in brought if one.recipe not in names]

    def stage(self, name: str, reason: str) -> Recipe:
        """Believe a recipe and let lots run by it; NotFoundError, UntrustedError, ConfigError, SequenceError.

        A version never says two things, and an older one than is staged needs a reason.
        """
        envelope = self._only(name, staged=False).read_bytes()
        recipe = self._believed(envelope)
        for path in self._files(staged=True):
            other = _content(path.read_bytes())
            same = other.name == recipe.name
            if same and other.version == recipe.version and path.stem != _named(envelope):
                raise UntrustedError(f"recipe {recipe.title} is staged with other words: make a new version")
            if same and other.version > recipe.version and not reason:
                raise ConfigError(f"recipe {other.title} is staged: an older one needs a reason")
        durable_file.replace(self._folder / f"{_named(envelope)}{ENDING}", envelope)
        return recipe

    def path(self, name: str) -> Path:
        """Return the file of a recipe that is staged; NotFoundError."""
        return self._only(name, staged=True)

    # -- inside
    def _files(self, *, staged: bool) -> list[Path]:
        folder = self._folder if staged else self._folder / BROUGHT
        return sorted(folder.glob(f"*{ENDING}"))

    def _only(self, name: str, *, staged: bool) -> Path:
        found = [path for path in self._files(staged=staged) if name and path.stem.startswith(name)]
        if len(found) != 1:
            many = "more than one" if found else "no"
            raise NotFoundError(f"{many} recipe {name!r} {'is staged' if staged else 'was brought'} here")
        return found[0]

    def _believed(self, envelope: bytes) -> Recipe:
        config = self.config
        if not config.recipe.trust:
            raise ConfigError(f"{config.source}: recipe.trust: name the file that says whose recipes are run")
        recipe = trust_of(config.source.parent / config.recipe.trust).believed(envelope, self._now())
        if recipe.product != config.cell.product:
            raise ConfigError(f"recipe {recipe.title} is for {recipe.product}, not {config.cell.product}")
        applied(recipe, sequence_named(config.cell.sequence))
        return recipe

    def _shown(self, path: Path, *, staged: bool) -> OnShelf:
        envelope = path.read_bytes()
        try:
            recipe = _content(envelope)
            names = dict.fromkeys(who for who, _, _ in opened(envelope).signatures)
        except ConfigError as error:
            return OnShelf(path.stem, "", "", "", 0, 0, (), staged, str(error))
        wrong = "" if path.stem == _named(envelope) else "its file has another name than its words"
        try:
            self._believed(envelope)
        except (ConfigError, SequenceError, UntrustedError) as error:
            wrong = str(error)
        times = recipe.not_before, recipe.not_after
        return OnShelf(
            path.stem, recipe.title, recipe.product, recipe.sequence, *times, tuple(names), staged, wrong
        )


def _named(envelope: bytes) -> str:
    try:
        return sha256(opened(envelope).payload).hexdigest()
    except StatementError as error:
        raise ConfigError(f"this is no recipe: {error}") from None


def _content(envelope: bytes) -> Recipe:
    try:
        return opened(envelope).read(Recipe)
    except StatementError as error:
        raise ConfigError(f"this is no recipe: {error}") from None
