"""`hardbin key` on single keys: look at one, bring it into another state, have it prove itself."""

import os
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec

from station.cli.codes import Exit
from station.cli.key_access import FDS, FILES, FOLDER, JSON, by, opened, reached, said, stop
from station.vault.keys import calls
from station.vault.keys.control import Control
from station.vault.keys.errors import PolicyError
from station.vault.keys.words import (
    PROOF,
    Approval,
    Attributes,
    Entry,
    Health,
    KeyState,
    Use,
)
from station.vault.pki.affected import affected as units_of

KEY = click.argument("key")
ACTOR = click.option("--actor", required=True, help="Who wants it; kept in the register.")
REASON = click.option("--reason", required=True, help="Why; kept in the register.")
CUSTODIANS = click.option(
    "--custodian", "custodians", multiple=True, help="Who approves it; as many as open the store."
)
NONCE = 32


@click.command()
@FOLDER
@KEY
@JSON
def show(folder: Path, key: str, *, as_json: bool) -> None:
    """Print what the register tells of KEY: profile, state, uses, and each change with actor and reason."""
    with said(), reached(folder) as store:
        entry = found(store, key)
    click.echo(msgspec.json.encode(entry).decode() if as_json else _text(entry))


@click.command()
@FOLDER
@KEY
@click.argument("to", type=click.Choice([state.value for state in KeyState]))
@ACTOR
@REASON
@CUSTODIANS
@FILES
@FDS
@JSON
def state(
    folder: Path,
    key: str,
    to: str,
    *,
    actor: str,
    reason: str,
    custodians: tuple[str, ...],
    files: tuple[Path, ...],
    fds: tuple[int, ...],
    as_json: bool,
) -> None:
    """Bring KEY into the state TO. Custodians approve it, unless it stops the key."""
    with said():
        approval, holders = Approval(actor, reason), by(custodians, files, fds)
        _decide(folder, key, KeyState(to), approval, holders, as_json=as_json)


def _into(name: str, to: KeyState, told: str) -> click.Command:
    """Make the command that brings a key into one state."""

    @click.command(name, help=told)
    @FOLDER
    @KEY
    @ACTOR
    @REASON
    @CUSTODIANS
    @FILES
    @FDS
    @JSON
    def command(
        folder: Path,
        key: str,
        *,
        actor: str,
        reason: str,
        custodians: tuple[str, ...],
        files: tuple[Path, ...],
        fds: tuple[int, ...],
        as_json: bool,
    ) -> None:
        with said():
            approval, holders = Approval(actor, reason), by(custodians, files, fds)
            _decide(folder, key, to, approval, holders, as_json=as_json)

    return command


RUNS = "A store that runs asks for no custodians."
suspend = _into("suspend", KeyState.SUSPENDED, f"Stop KEY until it is made active again. {RUNS}")
compromise = _into(
    "compromise", KeyState.COMPROMISED, f"Stop KEY for good: somebody else may have it. {RUNS}"
)
destroy = _into(
    "destroy", KeyState.DESTROYED, "Destroy KEY, which is deactivated or compromised. Custodians approve it."
)


def _decide(
    folder: Path,
    key: str,
    to: KeyState,
    approval: Approval,
    holders: tuple[calls.Custodian, ...],
    *,
    as_json: bool,
) -> None:
    with reached(folder) as store:
        holders = opened(store, holders)
        store.ask(calls.Decide(key, to, approval, holders), type(None))
        entry = found(store, key)
    click.echo(msgspec.json.encode(entry).decode() if as_json else line(entry))


@click.command()
@FOLDER
@KEY
@JSON
def attest(folder: Path, key: str, *, as_json: bool) -> None:
    """Print what protects KEY, and have it prove that it is there; the store must be active."""
    with said(), reached(folder) as store:
        entry = found(store, key)
        told = store.ask(calls.Attest(key), Attributes)
        use = store.ask(calls.Usage(key), Use)
        nonce, proof = os.urandom(NONCE), None
        with suppress(PolicyError):
            proof = store.ask(calls.Prove(key, nonce), bytes)
    if as_json:
        shown = {
            "key": key,
            "where": entry.where,
            "attributes": told,
            "use": use,
            "signed": (PROOF + nonce).hex(),
            "proof": None if proof is None else proof.hex(),
        }
        click.echo(msgspec.json.encode(shown).decode())
        return
    names = ", ".join(name if value else f"not {name}" for name, value in told.items())
    click.echo(f"{key}: {entry.where}, {names}")
    click.echo(f"{use.used} uses, {use.leased} leased{'' if use.limit is None else f' of {use.limit}'}")
    click.echo(
        "no proof: its state or purpose allows none"
        if proof is None
        else f"proves itself: {proof.hex()[:64]}"
    )


@click.command()
@FOLDER
@click.argument("out", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--key", "keys", multiple=True, required=True, help="Signs it: an active key that signs records."
)
@JSON
def register(folder: Path, out: Path, *, keys: tuple[str, ...], as_json: bool) -> None:
    """Write the register, as a statement that keys of the store sign, into the new file OUT."""
    if out.exists():
        raise click.UsageError(f"{out} is there already; give a new file")
    with said(), reached(folder) as store:
        statement = store.ask(calls.StateRegister(keys), bytes)
        health = store.ask(calls.Health(), Health)
    out.write_bytes(statement)
    if as_json:
        told = {"out": str(out), "store": health.store, "keys": health.keys, "signed_by": keys}
        click.echo(msgspec.json.encode(told).decode())
    else:
        click.echo(f"{out}: register of store {health.store}, signed by {', '.join(keys)}")


def found(store: Control, key: str) -> Entry:
    """A key's entry; the command ends if there is none."""
    entry = next((one for one in store.ask(calls.Entries(), list[Entry]) if one.id == key), None)
    if entry is None:
        stop(Exit.NOT_FOUND, f"there is no key {key[:64]!r}")
    return entry


def line(entry: Entry) -> str:
    """A key's state, and who wanted it why."""
    last = entry.history[-1]
    return f"{entry.id}: {entry.state}, by {_printable(last.actor)}: {_printable(last.reason)}"


def _text(entry: Entry) -> str:
    profile = entry.profile
    limit = "" if profile.limit is None else f" of {profile.limit}"
    rows = [
        f"{profile.id}: {profile.algorithm} to {profile.purpose}, {entry.state}",
        f"{entry.where}, {entry.origin}{', ' if entry.mark else ''}{entry.mark}",
        f"{entry.used}{limit} uses",
    ]
    if profile.not_after is not None:
        rows.append(f"from {_time(profile.not_before)} to {_time(profile.not_after)}")
    for change in entry.history:
        who, why = _printable(change.actor), _printable(change.reason)
        rows.append(f"{_time(change.at)}  {change.state}, by {who}: {why}")
    return "\n".join(rows)


def _time(unix: int) -> str:
    return datetime.fromtimestamp(unix, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def _printable(text: str) -> str:
    """Escape what a terminal would obey: actors and reasons are not ours."""
    return "".join(one if one.isprintable() else f"\\u{ord(one):04x}" for one in text)


@click.command()
@FOLDER
@KEY
@click.option(
    "--journal",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="The vault's journal, `vault.sqlite`.",
)
@JSON
def affected(folder: Path, key: str, *, journal: Path, as_json: bool) -> None:
    """Print every unit that KEY was used for; the vault may run meanwhile."""
    if not journal.is_file():
        stop(Exit.NOT_FOUND, f"{journal}: there is no such journal")
    with said(), reached(folder) as store:
        entry = found(store, key)
    units = units_of(journal, key, entry.public)
    if as_json:
        click.echo(msgspec.json.encode({"key": key, "state": entry.state, "units": units}).decode())
        return
    for one in units:
        click.echo(_printable(f"{one.unit}  {one.uid or 'no UID'}  {one.account}: {one.by}"))
    click.echo(f"{key}, {entry.state}: {len({one.unit for one in units})} units", err=True)


COMMANDS = (show, state, suspend, compromise, destroy, attest, affected, register)
