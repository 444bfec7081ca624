"""`hardbin key` on states that officers decide by their signatures, where no custodian is at hand."""

from pathlib import Path

import click
import msgspec

from station import key_releases
from station.cli.key_access import FOLDER, JSON, reached, said
from station.cli.key_states import KEY, REASON, found, line
from station.cli.order import DAY_S, OUT, write_draft
from station.cli.said import Said, says
from station.clock import RealClock
from station.errors import ConfigError
from station.vault.desk.documents import KeyDecision
from station.vault.desk.statement import StatementError
from station.vault.desk.statement import opened as envelope
from station.vault.keys import calls
from station.vault.keys.words import Health, KeyState


@click.command(name="draft-state")
@FOLDER
@KEY
@click.argument("to", type=click.Choice([state.value for state in KeyState]))
@REASON
@click.option("--days", type=click.IntRange(1, 30), default=1, show_default=True, help="How long it is good.")
@OUT
@says
def draft_state(folder: Path, key: str, to: str, *, reason: str, days: int, out: Path) -> Said:
    """Write that KEY is to come into the state TO, which nobody has signed yet."""
    with said(), reached(folder) as store:
        entry, health = found(store, key), store.ask(calls.Health(), Health)
    until = int(RealClock().unix()) + days * DAY_S
    decision = KeyDecision(
        store=health.store,
        key=key,
        state=KeyState(to),
        reason=reason,
        changes=len(entry.history),
        not_after=until,
    )
    write_draft(out, decision)
    return Said("", file=out, key=key, state=to)


@click.command()
@FOLDER
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@JSON
def decide(folder: Path, file: Path, *, as_json: bool) -> None:
    """Bring a key into another state by FILE, a statement that two security officers signed."""
    statement = file.read_bytes()
    try:
        key = envelope(statement).read(KeyDecision).key
    except StatementError as error:
        raise ConfigError(f"{file}: {error}") from error
    with said(), reached(folder) as store:
        store.ask(calls.DecideSigned(statement), type(None))
        entry = found(store, key)
    click.echo(msgspec.json.encode(entry).decode() if as_json else line(entry))


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("station-data"),
    show_default=True,
    help="The folder of the station.",
)
@says
def bring(file: Path, data: Path) -> Said:
    """Bring a key release, FILE, to a station, which carries it to its vault by `key.release`."""
    name = key_releases.bring(data, file.read_bytes())
    return Said(f"it lies with the station: key.release release={name[:16]}", release=name)


COMMANDS = (draft_state, decide, bring)
