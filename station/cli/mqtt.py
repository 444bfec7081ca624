"""`hardbin mqtt`: command a station through its broker, watch it, and set broker and keys up."""

import os
import zlib
from pathlib import Path
from typing import Any, get_type_hints

import click
import msgspec
from cryptography.hazmat.primitives.asymmetric import ed25519, mldsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from station.cli.codes import ANSWERS, Exit
from station.cli.key_access import stop
from station.cli.mqtt_access import Broker, Commander, at_broker, signing
from station.cli.said import Said, says
from station.engine.states import State as CellState
from station.errors import ConfigError
from station.remote import acl as access
from station.remote.asyncapi import encoded
from station.remote.client import Client, ClientSigner
from station.remote.link import Link, Message
from station.remote.messages import Reply, State
from station.remote.outflow import GZIP
from station.remote.reception import ARGS
from station.remote.trust import ROLES, TrustedKey, entry

JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
HEARD = ("birth", "online", "state", "td", "evt/#", "map/+", "log")
GZIP_BITS = 31
MAP_MAX = 64 * 1024 * 1024
ENDED = frozenset({CellState.HELD.value, CellState.ABORTED.value})


@click.group()
def mqtt() -> None:
    """Command a station through its broker, watch it, and set broker and keys up."""


@mqtt.command()
@click.argument("command")
@click.argument("arguments", metavar="[NAME=VALUE]...", nargs=-1)
@click.option("--lease", envvar="HARDBIN_LEASE", default="", help="As control.acquire has answered.")
@click.option("--id", "name", default="", help="Of a command that got no answer: it is done once.")
@click.option("--reason", default="", help="Why; goes into the audit trail.")
@JSON
@signing
def send(
    commander: Commander,
    command: str,
    arguments: tuple[str, ...],
    lease: str,
    name: str,
    reason: str,
    *,
    as_json: bool,
) -> int:
    """Send a signed COMMAND, as `lot.load lot=L1 quantity=16`, and print the station's reply."""
    args = given(command, arguments)

    async def talk(client: Client) -> Reply:
        client.lease = lease
        return await client.ask(command, args, name=name, reason=reason)

    return answered(commander.talk(talk), command, as_json=as_json)


@mqtt.command()
@JSON
@signing
def ping(commander: Commander, *, as_json: bool) -> int:
    """Send a signed command that does nothing: key, epoch, clock and broker are right if it is answered."""

    async def talk(client: Client) -> Reply:
        return await client.ask("control.ping")

    return answered(commander.talk(talk), "control.ping", as_json=as_json)


@mqtt.command()
@click.argument("states", metavar="STATE...", nargs=-1, required=True)
@click.option("--lot", default="", help="Of this lot, not of the one before.")
@JSON
@at_broker
def wait(broker: Broker, states: tuple[str, ...], lot: str, *, as_json: bool) -> int:
    """Wait until the cell is in one of these states; exit code 12 if it is held or aborted instead."""
    known = {state.value for state in CellState}
    if wrong := [state for state in states if state not in known]:
        raise click.UsageError(f"{', '.join(wrong)}: the states are {', '.join(sorted(known))}")

    async def talk(link: Link) -> State:
        await link.subscribe(broker.tree.state)
        async for message in link.messages():
            state = msgspec.json.decode(message.payload, type=State)
            ours = not lot or (state.lot is not None and state.lot.id == lot)
            if ours and state.cell in {*states, *ENDED}:
                return state
        raise AssertionError

    state = broker.talk("wait", talk)
    line = f"{state.cell}: {state.count.good} good of {state.count.tested} {state.reason}".rstrip()
    click.echo(msgspec.json.encode(state).decode() if as_json else line)
    return Exit.OK if state.cell in states else Exit.HELD


@mqtt.command()
@click.option("--count", type=click.IntRange(1), help="End after so many messages.")
@at_broker
def watch(broker: Broker, count: int | None) -> None:
    """Print what the station says, a JSON object a line, until interrupted."""
    tree = broker.tree

    async def talk(link: Link) -> None:
        await link.subscribe(*(f"{tree.root}/{part}" for part in HEARD))
        left = count
        async for message in link.messages():
            click.echo(_line(message))
            left = None if left is None else left - 1
            if left == 0:
                return

    broker.talk("watch", talk)


@mqtt.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--kid", required=True, help="Its name: the client's, # and a number, as mes-gw#1.")
@click.option(
    "--role",
    "roles",
    multiple=True,
    type=click.Choice(sorted(ROLES)),
    default=("host",),
    show_default=True,
    help="What it may; may be given several times.",
)
@click.option("--ml-dsa", is_flag=True, help="Sign with ML-DSA-65 too.")
@says
def key(file: Path, kid: str, roles: tuple[str, ...], *, ml_dsa: bool) -> Said:
    """Make a client's signing keys in a new FILE, and print their entry for the station's trust file."""
    made: list[ed25519.Ed25519PrivateKey | mldsa.MLDSA65PrivateKey] = [ed25519.Ed25519PrivateKey.generate()]
    if ml_dsa:
        made.append(mldsa.MLDSA65PrivateKey.generate())
    public = {one.algorithm: one.public().hex() for one in (ClientSigner(kid, each) for each in made)}
    told = {"kid": kid, "roles": list(roles), "ed25519": public["Ed25519"]}
    try:
        trusted = msgspec.convert({**told, "ml-dsa-65": public.get("ML-DSA-65", "")}, TrustedKey)
    except msgspec.ValidationError:
        raise click.UsageError(f"--kid {kid!r}: a name of a-z, 0-9 and -, then # and a number") from None
    _write_new(
        file, b"".join(one.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) for one in made)
    )
    return Said(entry(trusted).rstrip("\n"), **msgspec.to_builtins(trusted))


@mqtt.command()
def schema() -> None:
    """Print the AsyncAPI document of all messages."""
    click.echo(encoded(), nl=False)


@mqtt.command()
@click.option("--plant", required=True, help="As in the station file.")
@click.option("--client", "clients", multiple=True, help="A client that may command the plant's stations.")
@click.option("--collector", "collectors", multiple=True, help="A collector of the plant's events.")
@click.option("--logs", "readers", multiple=True, help="Who hears the logs of the plant's stations.")
def acl(plant: str, clients: tuple[str, ...], collectors: tuple[str, ...], readers: tuple[str, ...]) -> None:
    """Print Mosquitto's access list for a plant: each station writes below its own name only."""
    click.echo(access.text(plant, clients, collectors, readers), nl=False)


def _line(message: Message) -> bytes:
    payload = msgspec.Raw(unpacked(message))
    return msgspec.json.encode({"topic": message.topic, "retained": message.retain, "payload": payload})


def unpacked(message: Message) -> bytes:
    """Return what a message says; of a map that is no gzip, or too large, that it is none."""
    if message.content_type != GZIP:
        return message.payload
    try:
        reading = zlib.decompressobj(wbits=GZIP_BITS)
        found = reading.decompress(message.payload, MAP_MAX)
        return bytes(msgspec.json.decode(found, type=msgspec.Raw)) if reading.eof else b"null"
    except (zlib.error, msgspec.DecodeError):
        return b"null"


def given(command: str, arguments: tuple[str, ...]) -> dict[str, Any]:
    """Return the arguments of a command, each of the type that it takes; what does not fit stays a text."""
    hints = next((get_type_hints(kind) for action, kind in ARGS.items() if action.value == command), {})
    found: dict[str, Any] = {}
    for one in arguments:
        name, equals, value = one.partition("=")
        if not equals or not name:
            raise click.UsageError(f"{one!r}: write NAME=VALUE")
        found[name] = _meant(value, hints.get(name, str))
    return found


def _meant(text: str, kind: Any) -> Any:  # noqa: ANN401 - of whatever type the argument has
    try:
        return msgspec.convert(text, kind, strict=False)
    except msgspec.ValidationError:
        return text


def answered(reply: Reply, command: str, *, as_json: bool) -> int:
    """Print a reply, and return its exit code."""
    if as_json:
        click.echo(msgspec.json.encode(reply))
    elif reply.ok:
        click.echo(reply.detail.get("lease", f"{command}: {reply.code}, {reply.state}"))
    code = ANSWERS.get(reply.code, Exit.UNEXPECTED)
    if reply.ok or as_json:
        return code
    return stop(code, f"{command}: {reply.code}: {reply.reason}")


def _write_new(file: Path, content: bytes) -> None:
    try:
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise ConfigError(f"{file} is there already; a key is never overwritten") from None
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}") from None
    with os.fdopen(handle, "wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())
