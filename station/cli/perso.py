"""`hardbin perso`: what a vault has made, where each unit is, and what persons decide about units."""

from pathlib import Path

import click
import msgspec

from station.cli.codes import Exit
from station.cli.desk_access import DESK, FILE, JSON, Caller, Person, at_desk
from station.cli.order import use_lines, write_new
from station.cli.perso_bodies import Balanced, Listed
from station.cli.perso_report import report
from station.cli.said import Said, says
from station.custody.moves import Account
from station.errors import EvidenceError
from station.evidence import delivered
from station.vault.desk.roles import Action

UNITS = click.argument("units", metavar="UNIT...", nargs=-1, required=True)
LOT = click.argument("lot")
REASON = click.option("--reason", required=True, help="Why.")


@click.group()
def perso() -> None:
    """See what a vault has made and where each unit is, and decide about units."""


perso.add_command(report)


@perso.command()
@click.argument("bundle", type=FILE)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="A new folder.")
@says
def manifest(bundle: Path, out: Path) -> Said:
    """Take the customer's manifest out of a lot's evidence BUNDLE: one line a device, and what proves it."""
    if out.exists():
        raise click.UsageError(f"{out} is there already; give a new folder")
    try:
        lot = delivered.taken(bundle, out)
    except EvidenceError as error:
        raise click.UsageError(str(error)) from error
    words = f"{out}: {lot.sealed} devices of lot {lot.lot}, {lot.product}; hardbin evidence verify checks it"
    return Said(words, out=out, lot=lot.lot, product=lot.product, devices=lot.sealed)


@perso.command()
@DESK
@JSON
def status(desk: Path, *, as_json: bool) -> None:
    """Tell which vault this is; needs no signature."""
    caller = Caller(desk, Person(None, None, None, None), None, as_json)
    greeting = caller.wait(lambda client: client.greet())
    told = {
        "vault": greeting.vault,
        "mode": greeting.mode,
        "key_set": greeting.key_set,
        "stops": list(greeting.stops),
    }
    stops = [f"stopped: {one}" for one in greeting.stops] or ["the line runs"]
    caller.show(told, [f"{greeting.vault}: {greeting.mode}, key set {greeting.key_set}", *stops])


@perso.command()
@click.argument("order", metavar="[ORDER]", required=False, default="")
@at_desk
def quota(caller: Caller, order: str) -> None:
    """Print how much of an order, or of each, is used."""
    body = caller.ask(Action.SHOW_ORDERS, order)
    caller.show(body, use_lines(body))


@perso.command()
@click.argument("lot", metavar="[LOT]", required=False, default="")
@at_desk
def balance(caller: Caller, lot: str) -> None:
    """Print the balance of a lot, or of all; exit code 13 if one is not zero."""
    body = caller.ask(Action.BALANCE, lot)
    found = msgspec.convert(body, list[Balanced])
    caller.show(body, [one.line() for one in found] or ["no lots"])
    if any(one.difference for one in found):
        click.get_current_context().exit(Exit.INTEGRITY)


class Closed(msgspec.Struct):
    """A lot that is closed."""

    lot: str
    accounts: dict[str, int]


@perso.command()
@LOT
@at_desk
def close(caller: Caller, lot: str) -> None:
    """Close a lot that its balance kept open, once that is zero."""
    body = caller.ask(Action.CLOSE_LOT, lot)
    held = ", ".join(f"{count} {name}" for name, count in msgspec.convert(body, Closed).accounts.items())
    caller.show(body, [f"{lot}: closed, {held}"])


@perso.command()
@LOT
@click.argument("container")
@click.option("--seal", "seal_", required=True, help="The number on it.")
@at_desk
def seal(caller: Caller, lot: str, container: str, seal_: str) -> None:
    """Tell that a CONTAINER with rejects of a lot was closed with a seal."""
    body = caller.ask(Action.SEAL, lot, {"container": container, "seal": seal_})
    caller.show(body, [f"{container}: sealed with {seal_}"])


@perso.command()
@LOT
@click.option("--account", type=click.Choice([one.value for one in Account]), help="Only of this account.")
@click.option("--most", type=click.IntRange(1, 10_000), default=100, show_default=True, help="So many.")
@at_desk
def unit(caller: Caller, lot: str, account: str | None, most: int) -> None:
    """Print the units of a lot, and where each is."""
    wanted = {} if account is None else {"account": account}
    body = caller.ask(Action.UNITS, lot, {"most": most, **wanted})
    found = msgspec.convert(body, list[Listed])
    caller.show(body, [one.row() for one in found] or ["no units"])


@perso.command()
@LOT
@UNITS
@click.option("--to", type=click.Choice(["WIP", "SECURED", "REJECT_HELD"]), required=True, help="Where to.")
@REASON
@at_desk
def release(caller: Caller, lot: str, units: tuple[str, ...], to: str, reason: str) -> None:
    """Take units out of quarantine; two security officers."""
    _moved(caller, Action.RELEASE_UNIT, lot, units=units, to=to, reason=reason)


@perso.command()
@LOT
@UNITS
@click.option("--method", required=True, help="How they are destroyed.")
@click.option("--place", required=True, help="Where.")
@REASON
@at_desk
def destroy(caller: Caller, lot: str, units: tuple[str, ...], method: str, place: str, reason: str) -> None:
    """Account for units that two witnesses have seen destroyed."""
    _moved(caller, Action.DESTROY, lot, units=units, method=method, place=place, reason=reason)


@perso.command()
@LOT
@UNITS
@click.option("--incident", required=True, help="Under which it is looked into.")
@REASON
@at_desk
def missing(caller: Caller, lot: str, units: tuple[str, ...], incident: str, reason: str) -> None:
    """Account for units that nobody finds; an engineer and a security officer."""
    _moved(caller, Action.MARK_MISSING, lot, units=units, incident=incident, reason=reason)


@perso.command()
@LOT
@UNITS
@REASON
@at_desk
def sample(caller: Caller, lot: str, units: tuple[str, ...], reason: str) -> None:
    """Take units as samples; an engineer."""
    _moved(caller, Action.SAMPLE, lot, units=units, reason=reason)


@perso.command(name="return")
@LOT
@UNITS
@REASON
@at_desk
def return_(caller: Caller, lot: str, units: tuple[str, ...], reason: str) -> None:
    """Account for units that go back; an engineer and a security officer."""
    _moved(caller, Action.RETURN, lot, units=units, reason=reason)


@perso.command()
@LOT
@UNITS
@click.option("--delivery", required=True, help="With which delivery they leave.")
@REASON
@at_desk
def ship(caller: Caller, lot: str, units: tuple[str, ...], delivery: str, reason: str) -> None:
    """Account for units that leave for the customer; their lot is closed, the plant has checked them."""
    _moved(caller, Action.SHIP, lot, units=units, delivery=delivery, reason=reason)


@perso.command(name="take-back")
@LOT
@UNITS
@click.option("--order", "order", required=True, help="The customer's, to look into them.")
@REASON
@at_desk
def take_back(caller: Caller, lot: str, units: tuple[str, ...], order: str, reason: str) -> None:
    """Account for units that came back from the customer; they are in quarantine then."""
    _moved(caller, Action.TAKE_BACK, lot, units=units, order=order, reason=reason)


@perso.command(name="rma-box")
@click.argument("unit")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="A new file.")
@at_desk
def rma_box(caller: Caller, unit: str, out: Path) -> None:
    """Write the sealed RMA token of a unit, for the ceremony rma-open; a security officer."""
    body = caller.ask(Action.SHOW_BOX, unit)
    write_new(out, msgspec.json.encode(body))
    caller.show({"unit": unit, "box": str(out)}, [f"{unit}: its box is in {out}"])


@perso.command(name="rma-open")
@click.argument("unit")
@click.argument("token", type=FILE)
@at_desk
def rma_open(caller: Caller, unit: str, token: Path) -> None:
    """Let a unit that came back be opened, by the TOKEN of its ceremony; two security officers."""
    body = caller.ask(Action.OPEN_UNIT, unit, document=token.read_bytes())
    caller.show(body, [f"{unit}: its next contact opens it"])


@perso.command(name="release-line")
@REASON
@at_desk
def release_line(caller: Caller, reason: str) -> None:
    """Let a stopped line run again; two security officers."""
    body = caller.ask(Action.RELEASE_LINE, "", {"reason": reason})
    caller.show(body, [f"released: {one}" for one in msgspec.convert(body, Freed).released])


class Freed(msgspec.Struct):
    """What stopped the line until now."""

    released: list[str]


class Move(msgspec.Struct):
    """Where a unit was, and is."""

    unit: str
    to: str
    source: str = msgspec.field(name="from")


class Moves(msgspec.Struct):
    """What was moved."""

    moved: list[Move]


def _moved(caller: Caller, action: Action, lot: str, **parameters: object) -> None:
    body = caller.ask(action, lot, parameters)
    done = msgspec.convert(body, Moves).moved
    caller.show(body, [f"{one.unit}: {one.source} to {one.to}" for one in done])
