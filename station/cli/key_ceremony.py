"""`hardbin key ceremony`: plan one, carry it out, go on after an interruption, check it afterwards."""

import sys
from pathlib import Path

import click
import msgspec

from station.cli.desk_access import Caller, at_desk
from station.cli.key_access import said
from station.clock import RealClock
from station.errors import StoppedError
from station.vault.ceremonies import bundle, printed
from station.vault.ceremonies import plan as plans
from station.vault.ceremonies.conductor import Conductor, Outcome
from station.vault.ceremonies.proof import verified
from station.vault.ceremonies.questions import Answers, Questions
from station.vault.desk.people import card_of
from station.vault.desk.roles import Action
from station.vault.desk.statement import StatementError

FOLDER = click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
ANSWERS = click.option(
    "--answers-fd", type=int, help="Take answers from a descriptor, one a line: `question = answer`."
)


class Terminal:
    """Asks at the terminal; what is said goes to standard error."""

    def word(self, about: str) -> str:
        return str(click.prompt(_said(about), err=True))

    def secret(self, about: str, *, new: bool) -> bytearray:
        asked = click.prompt(_said(about), hide_input=True, confirmation_prompt=new, err=True)
        return bytearray(str(asked).encode())

    def yes(self, about: str) -> bool:
        confirmed: bool = click.confirm(about, default=None, err=True)
        return confirmed

    def say(self, text: str) -> None:
        click.echo(text, err=True)


def _said(about: str) -> str:
    return about[:1].upper() + about[1:]


@click.group()
def ceremony() -> None:
    """Do to keys what takes several persons: scripted, resumable, with a transcript."""


@ceremony.command()
@click.argument("name")
@FOLDER
@click.option("--store", required=True, type=click.Path(path_type=Path), help="The key store's folder.")
@click.option("--person", "persons", multiple=True, help="Who confirms each step: file of his card, or name.")
@click.option("--custodian", "custodians", multiple=True, help="Who gets a share of a new store.")
@click.option("--holder", "holders", multiple=True, help="Who gets a share of a backup.")
@click.option("--set", "given", multiple=True, metavar="NAME=VALUE", help="A parameter of the script.")
@JSON
def plan(
    name: str,
    folder: Path,
    *,
    store: Path,
    persons: tuple[str, ...],
    custodians: tuple[str, ...],
    holders: tuple[str, ...],
    given: tuple[str, ...],
    as_json: bool,
) -> None:
    """Fill in the script NAME and write it as the plan of a new ceremony FOLDER; nothing else is done."""
    words = dict(_parameter(one) for one in given)
    several = {"custodians": custodians, "holders": holders}
    parameters: dict[str, plans.Given] = {**words, **{name: who for name, who in several.items() if who}}
    names, cards = _persons(persons)
    made = plans.made(name, str(store.absolute()), names, parameters, RealClock().unix(), cards)
    plans.write(made, folder)
    if as_json:
        click.echo(msgspec.json.encode({"plan": made.hash, "steps": len(made.steps)}).decode())
    else:
        click.echo(printed.overview(made))


def _persons(given: tuple[str, ...]) -> tuple[list[str], dict[str, str]]:
    """Names, and the public keys of those who gave a card."""
    names, cards = [], {}
    for one in given:
        if not Path(one).is_file():
            names.append(one)
            continue
        try:
            card = card_of(Path(one).read_bytes())
        except StatementError as error:
            raise click.UsageError(f"{one}: not a person's card: {error}") from error
        names.append(card.person)
        cards[card.person] = card.ed25519
    return names, cards


def _parameter(text: str) -> tuple[str, str]:
    name, parted, value = text.partition("=")
    if not parted:
        raise click.UsageError(f"--set {text!r}: NAME=VALUE")
    return name, value


@ceremony.command()
@FOLDER
@ANSWERS
@JSON
def run(folder: Path, *, answers_fd: int | None, as_json: bool) -> None:
    """Carry the plan of FOLDER out, from its first step."""
    with said():
        _show(folder, Conductor(folder, _questions(answers_fd), RealClock()).run(), as_json=as_json)


@ceremony.command()
@FOLDER
@ANSWERS
@JSON
def resume(folder: Path, *, answers_fd: int | None, as_json: bool) -> None:
    """Go on with the ceremony of FOLDER where it was interrupted."""
    with said():
        _show(folder, Conductor(folder, _questions(answers_fd), RealClock()).resume(), as_json=as_json)


@ceremony.command()
@FOLDER
@JSON
def verify(folder: Path, *, as_json: bool) -> None:
    """Check a ceremony that is over, offline: plan, chain, signatures, attributes, bundle."""
    found = verified(folder)
    if as_json:
        click.echo(msgspec.json.encode({"sound": True, **found._asdict()}).decode())
        return
    click.echo(f"{found.ceremony}: {found.steps} steps, {found.lines} lines, {len(found.keys)} keys, sound")
    click.echo(f"transcript {printed.grouped(found.transcript)}")


@ceremony.command(name="import")
@FOLDER
@at_desk
def import_(caller: Caller, folder: Path) -> None:
    """Bring the bundle of a ceremony that is over to a vault's ledger; two security officers."""
    found = verified(folder)
    content = (folder / bundle.FILE).read_bytes()
    body = caller.ask(Action.IMPORT_CEREMONY, found.ceremony, document=content)
    caller.show(body, [f"{found.ceremony}: imported, transcript {printed.grouped(found.transcript)}"])


def _questions(fd: int | None) -> Questions:
    if fd is not None:
        return Answers(fd)
    if not sys.stdin.isatty():
        raise StoppedError("a ceremony needs a terminal, or --answers-fd")
    return Terminal()


def _show(folder: Path, outcome: Outcome, *, as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.encode(outcome._asdict()).decode())
        return
    click.echo(f"\n{outcome.steps} steps done. {folder / 'transcript.txt'} is to be printed and signed.")
    click.echo(f"transcript {printed.grouped(outcome.transcript)}")
    click.echo(f"bundle     {printed.grouped(outcome.bundle)}")
