"""`hardbin person`: make a person's key, found a vault's register, change it, look at it."""

from pathlib import Path

import click
import msgspec

from station.cli.codes import Exit
from station.cli.desk_access import FILE, Caller, at_desk
from station.cli.key_access import passphrases, prompted, stop
from station.cli.said import Said, says
from station.custody import durable_file
from station.errors import ConfigError
from station.vault.desk.founders import FOUNDERS, Founder, read
from station.vault.desk.people import card_of
from station.vault.desk.roles import Action, Role
from station.vault.desk.signers import create
from station.vault.desk.statement import StatementError

ROLES = click.Choice([role.value for role in Role])
ROLE = click.option("--role", "roles", multiple=True, type=ROLES, help="A role that is given.")


@click.group()
def person() -> None:
    """Make persons' keys, and say who may do what at a vault."""


@person.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--passphrase-file", type=FILE, help="Its passphrase; asked for if it is not given.")
@click.option("--passphrase-fd", type=int, help="Its passphrase, from a descriptor.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def new(file: Path, passphrase_file: Path | None, passphrase_fd: int | None, *, as_json: bool) -> None:
    """Make a person's key in a new sealed FILE, and the card that others enter beside it, FILE.card."""
    files = () if passphrase_file is None else (passphrase_file,)
    fds = () if passphrase_fd is None else (passphrase_fd,)
    given = next(passphrases(files, fds), None) or prompted(str(file), new=True)
    signer = create(file, given)
    card = file.with_name(f"{file.name}.card")
    durable_file.replace(card, signer.card())
    told = {"person": signer.kid, "key": str(file), "card": str(card)}
    click.echo(msgspec.json.encode(told).decode() if as_json else f"{signer.kid}: {file}, card {card}")


@person.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--engineer", "engineers", multiple=True, type=FILE, help="Card of an engineer.")
@click.option("--officer", "officers", multiple=True, type=FILE, help="Card of a security officer.")
@says
def found(folder: Path, engineers: tuple[Path, ...], officers: tuple[Path, ...]) -> Said:
    """Name the first persons of the vault in FOLDER, before its first start."""
    if not engineers or len(officers) < 2:  # noqa: PLR2004 - two persons
        raise click.UsageError("a vault begins with an engineer and two security officers at least")
    named = [(Role.ENGINEER, one) for one in engineers] + [(Role.OFFICER, one) for one in officers]
    founders = [Founder(_card(path), (role,)) for role, path in named]
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if (folder / FOUNDERS).exists():
        raise ConfigError(f"{folder / FOUNDERS} is there already")
    durable_file.replace(folder / FOUNDERS, msgspec.json.encode(founders))
    count = len(read(folder))
    return Said(f"{folder / FOUNDERS}: {count} persons", file=folder / FOUNDERS, persons=count)


@person.command()
@click.argument("card", type=FILE)
@ROLE
@at_desk
def add(caller: Caller, card: Path, roles: tuple[str, ...]) -> None:
    """Enter a person by his card; an engineer and a security officer."""
    document = _card(card)
    body = caller.ask(Action.ADD_PERSON, card_of(document).person, {"roles": roles}, document)
    caller.show(body, [f"{card_of(document).person}: {', '.join(roles) or 'no role'}"])


@person.command(name="roles")
@click.argument("name", metavar="PERSON")
@ROLE
@at_desk
def roles_(caller: Caller, name: str, roles: tuple[str, ...]) -> None:
    """Give a person other roles, or none; an engineer and a security officer."""
    body = caller.ask(Action.CHANGE_ROLES, name, {"roles": roles})
    caller.show(body, [f"{name}: {', '.join(roles) or 'no role'}"])


class Shown(msgspec.Struct):
    """A person as the desk shows him."""

    person: str
    roles: list[str]
    ed25519: str


@person.command()
@at_desk
def show(caller: Caller) -> None:
    """Print the register: who has which role."""
    body = caller.ask(Action.SHOW_PEOPLE)
    people = msgspec.convert(body, list[Shown])
    caller.show(body, [f"{one.person}: {', '.join(one.roles) or 'no role'}" for one in people])


def _card(path: Path) -> bytes:
    content = path.read_bytes()
    try:
        card_of(content)
    except StatementError as error:
        stop(Exit.TRUST, f"{path} is no person's card: {error}")
    return content
