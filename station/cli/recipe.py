"""`hardbin recipe`: build, sign, verify, compare and rehearse what a lot is run by."""

from hashlib import sha256
from pathlib import Path

import click
import msgspec

from station import config as station_config
from station.assemble import sequence_named
from station.cli.codes import Exit
from station.cli.desk_access import FILE, JSON, Caller, Person, at_desk, by_person
from station.cli.key_access import stop
from station.cli.said import Said, says
from station.clock import RealClock
from station.custody import durable_file
from station.datalog.store import Store
from station.errors import ConfigError
from station.recipe.application import applied
from station.recipe.content import Recipe, draft_of, recipe_of
from station.recipe.difference import differences
from station.recipe.rehearsal import Rehearsal, rehearsed
from station.recipe.shelf import Shelf, bring
from station.recipe.trust import trust_of
from station.vault.desk.roles import Action
from station.vault.desk.statement import StatementError, countersigned, opened, signed

DAY_S = 86_400
SHOWN = 20
OUT = click.option("--out", type=click.Path(path_type=Path), required=True, help="A new file.")
RECIPE = click.argument("file", type=FILE)


@click.group()
def recipe() -> None:
    """Limits, retest and stop rules of a lot, signed by two persons."""


@recipe.command()
@click.argument("draft", type=FILE)
@click.option("--days", type=click.IntRange(1, 3660), default=90, show_default=True, help="From now on.")
@OUT
@says
def build(draft: Path, days: int, out: Path) -> Said:
    """Bind a DRAFT to the sequence that is installed, and write the recipe that nobody has signed yet."""
    found = draft_of(draft)
    sequence = sequence_named(found.sequence)
    now = int(RealClock().unix())
    made = recipe_of(found, sequence.fingerprint(), now, now + days * DAY_S)
    fingerprint = applied(made, sequence).fingerprint().hex()
    _new(out, signed(made, ()))
    words = f"{out}: {made.title}, for {days} days; a lot run by it has the fingerprint {fingerprint}"
    return Said(words, file=out, recipe=made.name, version=made.version, fingerprint=fingerprint)


@recipe.command()
@RECIPE
@by_person
@OUT
@says
def sign(who: Person, file: Path, out: Path) -> Said:
    """Add a person's two signatures to a recipe that the person has read."""
    found = _read(file)
    signer = who.signer()
    _new(out, countersigned(file.read_bytes(), signer.both()))
    return Said(
        f"{out}: {found.title}, signed by {signer.kid}", file=out, recipe=found.name, signed_by=signer.kid
    )


@recipe.command()
@by_person
@says
def key(who: Person) -> Said:
    """Print a person's two public keys as an entry of a trust file."""
    first, second = who.signer().both()
    facts = {"person": first.kid, "ed25519": first.public().hex(), "ml_dsa_65": second.public().hex()}
    return Said(
        "\n".join(["[[trusted]]", *(f'{name} = "{value}"' for name, value in facts.items())]), **facts
    )


@recipe.command()
@RECIPE
@click.option("--trust", type=FILE, required=True, help="Whose recipes are believed.")
@JSON
def verify(file: Path, trust: Path, *, as_json: bool) -> None:
    """Check signatures, time, and that the recipe fits the sequence that is installed."""
    found = trust_of(trust).believed(file.read_bytes(), RealClock().unix())
    fingerprint = applied(found, sequence_named(found.sequence)).fingerprint().hex()
    told = {"recipe": found.name, "version": found.version, "fingerprint": fingerprint}
    click.echo(msgspec.json.encode(told).decode() if as_json else f"{found.title} is good: {fingerprint}")


@recipe.command()
@RECIPE
@says
def show(file: Path) -> Said:
    """Print what a recipe says, and who has signed it; nothing is verified."""
    found = _read(file)
    names = list(dict.fromkeys(name for name, _, _ in opened(file.read_bytes()).signatures))
    text = msgspec.json.format(msgspec.json.encode(found), indent=2).decode()
    words = f"{text}\nsigned by {', '.join(names) or 'nobody'}; not verified"
    return Said(words, recipe=found, signed_by=names)


@recipe.command()
@RECIPE
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("station-data"),
    show_default=True,
    help="The folder of the station.",
)
@says
def stage(file: Path, data: Path) -> Said:
    """Bring a recipe to a station; `recipe.stage` by an engineer or a host then lets lots run by it."""
    name = bring(data, file.read_bytes())
    return Said(f"{_read(file).title} lies with the station: recipe.stage recipe={name}", recipe=name)


@recipe.command()
@RECIPE
@click.option("--trust", type=FILE, required=True, help="Whose recipes are believed.")
@at_desk
def release(caller: Caller, file: Path, trust: Path) -> None:
    """Have a vault's ledger tell that a recipe is released; an engineer and a security officer."""
    envelope = file.read_bytes()
    found = trust_of(trust).believed(envelope, RealClock().unix())
    fingerprint = applied(found, sequence_named(found.sequence)).fingerprint().hex()
    digest = sha256(opened(envelope).payload).hexdigest()
    body = caller.ask(Action.RELEASE_RECIPE, digest, {"fingerprint": fingerprint}, envelope)
    caller.show(body, [f"{found.title} is released: {digest}, with the fingerprint {fingerprint}"])


@recipe.command(name="list")
@click.option("--station", type=FILE, required=True, help="Station file.")
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("station-data"),
    show_default=True,
    help="The folder of the station.",
)
@JSON
def list_(station: Path, data: Path, *, as_json: bool) -> None:
    """Print the recipes that lie with a station: which are staged, and what keeps a lot from one."""
    found = Shelf(data, station_config.load(station), RealClock().unix).listed()
    if as_json:
        click.echo(msgspec.json.encode(found).decode())
        return
    for one in found:
        stands = "staged" if one.staged else "brought"
        click.echo(f"{one.recipe[:16]}  {one.title}  {stands}{f': {one.wrong}' if one.wrong else ''}")
    if not found:
        click.echo("no recipe lies with the station")


@recipe.command()
@click.argument("old", type=FILE)
@click.argument("new", type=FILE)
@says
def diff(old: Path, new: Path) -> Said:
    """Print what NEW says otherwise than OLD."""
    lines = list(differences(_read(old), _read(new)))
    return Said("\n".join(lines), differences=lines)


@recipe.command(name="try")
@RECIPE
@click.option("--store", "stores", type=FILE, multiple=True, required=True, help="results.db of a lot.")
@JSON
def try_(file: Path, stores: tuple[Path, ...], *, as_json: bool) -> None:
    """Tell which devices of stored lots would have got another bin."""
    found = _read(file)
    sequence = applied(found, sequence_named(found.sequence))
    told = []
    for path in stores:
        store = Store(path)
        for run in store.runs():
            info = store.info(run.run)
            if info.product != found.product:
                stop(
                    Exit.CONFIG,
                    f"{path}: lot {run.lot} is of {info.product}, the recipe is for {found.product}",
                )
            outcome = rehearsed(store.touchdowns(run.run), sequence)
            told.append({"lot": run.lot, "devices": outcome.devices, "changed": outcome.changed})
            if not as_json:
                _shown(run.lot, outcome)
    if as_json:
        click.echo(msgspec.json.encode(told).decode())


def _shown(lot: str, outcome: Rehearsal) -> None:
    click.echo(f"{lot}: {outcome.devices} devices, {len(outcome.changed)} would have got another bin")
    for (was, becomes), count in sorted(outcome.moves().items()):
        click.echo(f"  {count:>6} from bin {was} to bin {becomes}")
    for one in outcome.changed[:SHOWN]:
        click.echo(f"  device {one.part}: {one.was.name} -> {one.becomes.name} by {one.test}")
    if len(outcome.changed) > SHOWN:
        click.echo(f"  and {len(outcome.changed) - SHOWN} more; --json names all")


def _read(file: Path) -> Recipe:
    try:
        return opened(file.read_bytes()).read(Recipe)
    except StatementError as error:
        raise ConfigError(f"{file} is no recipe: {error}") from None


def _new(out: Path, content: bytes) -> None:
    if out.exists():
        raise ConfigError(f"{out} is there already")
    durable_file.replace(out, content)
