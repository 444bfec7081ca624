"""Key releases that lie with a station: it carries them to its vault, which alone believes the signatures."""

from hashlib import sha256
from pathlib import Path

from msgspec import Struct

from station import commands
from station.clock import RealClock
from station.config import StationConfig
from station.custody import durable_file
from station.errors import ConfigError
from station.lot_vault import reached
from station.recipe.shelf import NotFoundError
from station.vault.desk.documents import KeyRelease
from station.vault.desk.statement import StatementError, opened

FOLDER, ENDING = "keys", ".signed"
SIZE_MAX = 1 << 16


def bring(folder: Path, statement: bytes) -> str:
    """Lay a signed release down in a station's folder, and return its name; ConfigError if it is none."""
    if len(statement) > SIZE_MAX:
        raise ConfigError(f"a key release has at most {SIZE_MAX} bytes")
    try:
        opened(statement).read(KeyRelease)
    except StatementError as error:
        raise ConfigError(f"this is no key release: {error}") from error
    name = sha256(statement).hexdigest()
    path = folder / FOLDER / f"{name}{ENDING}"
    path.parent.mkdir(parents=True, exist_ok=True)
    durable_file.replace(path, statement)
    return name


class OnShelf(Struct, frozen=True):
    """One release as it is listed; `wrong` says why it cannot be read, empty if it can."""

    release: str
    order: str = ""
    key_set: str = ""
    stations: tuple[str, ...] = ()
    not_after: int = 0
    """Unix seconds."""
    signers: tuple[str, ...] = ()
    """Whom it names; whether it was they, the vault finds out."""
    wrong: str = ""


def listed(folder: Path) -> list[OnShelf]:
    """Return all that lie in a station's folder."""
    return [_shown(path) for path in sorted((folder / FOLDER).glob(f"*{ENDING}"))]


def _shown(path: Path) -> OnShelf:
    try:
        statement = opened(path.read_bytes())
        found = statement.read(KeyRelease)
    except (OSError, StatementError) as error:
        return OnShelf(path.stem, wrong=str(error))
    signers = tuple(sorted({kid for kid, _, _ in statement.signatures}))
    return OnShelf(path.stem, found.order, found.key_set, found.stations, found.not_after, signers)


def named(folder: Path, name: str) -> bytes:
    """Return the release of this name, or of this beginning of one; NotFoundError."""
    found = [path for path in (folder / FOLDER).glob(f"*{ENDING}") if name and path.stem.startswith(name)]
    if len(found) != 1:
        raise NotFoundError(f"{'more than one' if found else 'no'} key release {name!r} was brought here")
    return found[0].read_bytes()


async def carried(config: StationConfig, statement: bytes) -> commands.Receipt:
    """Carry it to the vault that runs, and return what that says; CustodyError if it does not answer."""
    if config.vault.mode != "running":
        return commands.Receipt(False, "wrong_state", "key.release: this station has no vault that runs")
    if len({kid for kid, _, _ in opened(statement).signatures}) < 2:  # noqa: PLR2004 - two officers
        return commands.Receipt(False, "dual_pending", "key.release: one person has signed it, two must")
    async with reached(config, RealClock()) as vault:
        code, told = await vault.release_keys(statement)
    return commands.Receipt(code == "ok", code, "" if code == "ok" else told)
