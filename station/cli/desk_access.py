"""How commands speak to a vault's desk: who signs, in which role, and what became of it."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, replace
from functools import wraps
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

import click
import msgspec

from station.cli.codes import Exit
from station.cli.key_access import passphrases, prompted, stop
from station.errors import ConfigError
from station.vault.desk.client import Answer, Asked, DeskClient, DeskGoneError
from station.vault.desk.roles import RIGHTS, Action, Role
from station.vault.desk.signers import DEVELOPMENT, PersonSigner, development, open_file
from station.vault.keys.errors import PassphraseError
from station.vault.tls import ClientTls

P = ParamSpec("P")
T = TypeVar("T")

NOTHING: Mapping[str, object] = {}
EXITS = {
    "ok": Exit.OK,
    "malformed": Exit.USAGE,
    "invalid_order": Exit.CONFIG,
    "not_found": Exit.NOT_FOUND,
    "denied": Exit.DENIED,
    "dual_pending": Exit.DUAL,
    "dual_denied": Exit.DUAL,
    "dual_expired": Exit.DUAL,
    "unsigned": Exit.TRUST,
    "unknown_key": Exit.TRUST,
    "bad_signature": Exit.TRUST,
    "wrong_audience": Exit.TRUST,
    "expired": Exit.TRUST,
    "replayed": Exit.TRUST,
    "wrong_state": Exit.WRONG_STATE,
    "integrity": Exit.INTEGRITY,
}
"""The exit code of each answer of a desk."""
APPROVED = frozenset({Action.ADD_PERSON, Action.IMPORT_CEREMONY, Action.OPEN_UNIT, Action.RELEASE_RECIPE})
"""Actions with a document that takes two approvals all the same."""
FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object or list.")
DESK = click.option(
    "--desk", envvar="HARDBIN_DESK", required=True, type=click.Path(path_type=Path), help="The desk's socket."
)
PERSON = (
    click.option("--person", type=FILE, help="File with the key of the person who signs."),
    click.option("--development", help="A development person who signs, as p-00000001."),
    click.option("--passphrase-file", type=FILE, help="The passphrase of the person's file."),
    click.option("--passphrase-fd", type=int, help="The passphrase, from a descriptor."),
)
AS = click.option("--as", "role", type=click.Choice([role.value for role in Role]), help="In which role.")


@dataclass(frozen=True)
class Person:
    """Who signs, as the command line says."""

    person: Path | None
    development: str | None
    passphrase_file: Path | None
    passphrase_fd: int | None

    def signer(self) -> PersonSigner:
        """Open the person's key; the passphrase comes from a file, a descriptor, or a prompt."""
        if (self.person is None) is (self.development is None):
            raise click.UsageError("give one of --person FILE and --development NAME")
        if self.person is None:
            return development(str(self.development))
        files = () if self.passphrase_file is None else (self.passphrase_file,)
        fds = () if self.passphrase_fd is None else (self.passphrase_fd,)
        given = next(passphrases(files, fds), None) or prompted(str(self.person), new=False)
        try:
            return open_file(self.person, given)
        except PassphraseError as error:
            stop(Exit.DENIED, str(error))


@dataclass(frozen=True)
class Opened(Person):
    """One whose key is open already."""

    key: PersonSigner

    def signer(self) -> PersonSigner:
        """Return it."""
        return self.key


@dataclass(frozen=True)
class Caller:
    """A person at a desk."""

    desk: Path
    who: Person
    role: Role | None
    as_json: bool

    def ask(
        self,
        action: Action,
        target: str = "",
        parameters: Mapping[str, object] = NOTHING,
        document: bytes = b"",
    ) -> object:
        """Ask for an action, approving it where it takes two, and return what the desk answers with."""
        signer = self.who.signer()
        takes_two = len(RIGHTS[action]) > 1 and not document or action in APPROVED
        approving = [(signer, self.quality(action, signer))] if takes_two else []
        asked = Asked(action, target, parameters, document)
        return self.settled(self.wait(lambda desk: desk.ask(asked, signer, approving)))

    def opened(self) -> "Caller":
        """Open the person's key once for all that is going to be asked."""
        return replace(self, who=Opened(None, None, None, None, self.who.signer()))

    def quality(self, action: Action, signer: PersonSigner) -> Role:
        """In which role the person approves; UsageError if that is not clear."""
        if self.role is not None:
            return self.role
        held = DEVELOPMENT.get(signer.kid, frozenset().union(*RIGHTS[action]))
        if len(held) != 1:
            allowed = ", ".join(sorted(frozenset().union(*RIGHTS[action])))
            raise click.UsageError(f"--as: in which role? {action} takes {allowed}")
        return next(iter(held))

    def wait(self, talk: Callable[[DeskClient], Coroutine[object, object, T]]) -> T:
        """Have a conversation with the desk; the command ends if nobody answers."""
        try:
            return asyncio.run(_talked(_client(self.desk), talk))
        except DeskGoneError as error:
            stop(Exit.TIMEOUT, f"{self.desk}: {error}")

    def settled(self, answer: Answer) -> object:
        """Return the body of an answer; the command ends with its code if it is none that was wanted."""
        if answer.code == "ok":
            return answer.body
        if answer.code == "dual_pending" and self.as_json:
            self.show({"code": answer.code, "action_hash": answer.action_hash}, [])
        waits = f": hardbin approve {answer.action_hash}" if answer.action_hash else ""
        return stop(EXITS.get(answer.code, Exit.UNEXPECTED), f"{answer.detail}{waits}")

    def show(self, body: object, lines: list[str]) -> None:
        """Print the answer, as JSON or as lines."""
        click.echo(msgspec.json.encode(body).decode() if self.as_json else "\n".join(lines))


class _Place(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A desk that is reached over TLS; paths are relative to the file."""

    address: str
    certificate: str
    key: str
    authority: str


def _client(desk: Path) -> DeskClient:
    """A desk's Unix socket, or a file that says where it is and with what one comes there."""
    if desk.suffix != ".toml":
        return DeskClient(desk)
    try:
        place = msgspec.toml.decode(desk.read_bytes(), type=_Place)
    except OSError as error:
        raise ConfigError(f"{desk}: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{desk}: {error}") from error
    files = (desk.parent / one for one in (place.certificate, place.key, place.authority))
    return DeskClient(place.address, tls=ClientTls.read(*files))


async def _talked(desk: DeskClient, talk: Callable[[DeskClient], Coroutine[object, object, T]]) -> T:
    try:
        return await talk(desk)
    finally:
        await desk.aclose()


def by_person(command: Callable[Concatenate[Person, P], T]) -> Callable[P, T]:
    """Give a command the options that say who signs."""

    @wraps(command)
    def called(*args: P.args, **options: P.kwargs) -> T:
        named = ("person", "development", "passphrase_file", "passphrase_fd")
        return command(Person(*(options.pop(name) for name in named)), *args, **options)  # type: ignore[arg-type]

    for option in reversed(PERSON):
        called = option(called)
    return called


def at_desk(command: Callable[Concatenate[Caller, P], T]) -> Callable[P, T]:
    """Give a command the options that say at which desk, who signs, and in which role."""

    @by_person
    @wraps(command)
    def called(who: Person, /, *args: P.args, **options: P.kwargs) -> T:
        desk, role, as_json = (options.pop(name) for name in ("desk", "role", "as_json"))
        caller = Caller(Path(str(desk)), who, None if role is None else Role(str(role)), bool(as_json))
        return command(caller, *args, **options)

    return DESK(AS(JSON(called)))
