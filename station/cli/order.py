"""`hardbin order`: draft and sign work orders and key releases, bring them to a vault, look at them."""

from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

import click
import msgspec

from station import toml_file
from station.assemble import sequence_named
from station.cli.codes import Exit
from station.cli.desk_access import FILE, Caller, Person, at_desk, by_person
from station.cli.key_access import stop
from station.cli.said import Said, says
from station.clock import RealClock
from station.errors import ConfigError
from station.vault.desk.documents import UIDS_MAX, KeyDecision, KeyRelease, ProfileRelease, UidList, WorkOrder
from station.vault.desk.roles import Action
from station.vault.desk.statement import Statement, StatementError, countersigned, opened, signed
from station.vault.profiles import PRODUCTS, Profile

DAY_S = 86_400
HOUR_S = 3_600
Document: TypeAlias = WorkOrder | KeyRelease | UidList | ProfileRelease | KeyDecision
KINDS: Mapping[str, type[Document]] = {
    "hardbin.work-order.v1": WorkOrder,
    "hardbin.key-release.v1": KeyRelease,
    "hardbin.uid-list.v1": UidList,
    "hardbin.profile.v1": ProfileRelease,
    "hardbin.key-state.v1": KeyDecision,
}
OUT = click.option("--out", type=click.Path(path_type=Path), required=True, help="A new file.")


class Slice(click.ParamType[tuple[str, int]]):
    """A vault's name and how many devices of an order are for it."""

    name = "VAULT=DEVICES"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, int]:
        """Read one; anything else is a usage error."""
        vault, _, devices = str(value).rpartition("=")
        if not vault or not devices.isdecimal() or not int(devices):
            self.fail(f"{value!r} is none, such as vault-1=2500", param, ctx)
        return vault, int(devices)


SLICE = Slice()


class _Typed(msgspec.Struct):
    typ: str = ""


@click.group()
def order() -> None:
    """Draft and sign work orders and key releases, bring them to a vault, look at them."""


@order.command()
@click.option("--id", "name", required=True, help="The order's name.")
@click.option("--customer", default="", help="For whom.")
@click.option("--product", type=click.Choice(sorted(PRODUCTS)), help="What is made, by its built-in profile.")
@click.option("--profile", type=FILE, help="What is made: a product's profile, signed or not.")
@click.option("--quantity", type=click.IntRange(1), required=True, help="How many devices.")
@click.option("--allowance", type=click.IntRange(0, 100), default=2, show_default=True, help="Percent.")
@click.option("--sequence", "sequences", multiple=True, required=True, help="What may personalise them.")
@click.option("--lot", "lots", multiple=True, help="Only these lots.")
@click.option("--site", "sites", multiple=True, help="Only at these vaults.")
@click.option("--slice", "slices", type=SLICE, multiple=True, help="How many of them a vault may make.")
@click.option("--days", type=click.IntRange(1), default=30, show_default=True, help="From now on.")
@OUT
@says
def draft(
    name: str,
    customer: str,
    product: str | None,
    profile: Path | None,
    quantity: int,
    allowance: int,
    sequences: tuple[str, ...],
    lots: tuple[str, ...],
    sites: tuple[str, ...],
    slices: tuple[tuple[str, int], ...],
    days: int,
    out: Path,
) -> Said:
    """Write a work order that nobody has signed yet."""
    if (product is None) is (profile is None):
        raise click.UsageError("give one of --product NAME and --profile FILE")
    now = int(RealClock().unix())
    made = PRODUCTS[product] if product else _profile_of(Path(str(profile)))
    work = WorkOrder(
        id=name,
        customer=customer,
        product=made.product,
        quantity=quantity,
        allowance=allowance,
        not_before=now,
        not_after=now + days * DAY_S,
        profile_hash=made.hash().hex(),
        fingerprints=tuple(sequence_named(one).fingerprint().hex() for one in sequences),
        sites=sites,
        slices=_shared(slices, quantity),
        lots=lots or "any",
        policy_oid=made.policy_oid,
    )
    write_draft(out, work)
    return Said("", file=out, order=name)


@order.command(name="draft-keys")
@click.argument("name", metavar="ORDER")
@click.option("--key-set", required=True, help="As `hardbin perso status` tells it.")
@click.option("--station", "stations", multiple=True, required=True, help="Where they may be used.")
@click.option("--hours", type=click.IntRange(1), default=12, show_default=True, help="From now on.")
@OUT
@says
def draft_keys(name: str, key_set: str, stations: tuple[str, ...], hours: int, out: Path) -> Said:
    """Write a key release for an order that nobody has signed yet."""
    until = int(RealClock().unix()) + hours * HOUR_S
    write_draft(out, KeyRelease(key_set=key_set, order=name, stations=stations, not_after=until))
    return Said("", file=out, order=name, key_set=key_set)


@order.command(name="draft-profile")
@click.argument("file", type=FILE)
@OUT
@says
def draft_profile(file: Path, out: Path) -> Said:
    """Write a product's profile, a TOML FILE, as a release that nobody has signed yet."""
    profile = toml_file.read(file, Profile)
    if wrong := profile.faults():
        raise ConfigError(f"{file}: {'; '.join(wrong)}")
    write_draft(out, ProfileRelease(profile=profile))
    return Said("", file=out, product=profile.product, hash=profile.hash().hex())


@order.command(name="draft-dies")
@click.argument("file", type=FILE)
@click.option("--id", "name", required=True, help="The list's name.")
@click.option("--product", required=True, help="What they are.")
@click.option("--sorted-at", default="", help="Where they were sorted.")
@OUT
@says
def draft_dies(file: Path, name: str, product: str, sorted_at: str, out: Path) -> Said:
    """Write a list of dies that were sorted elsewhere; FILE has a UID a line, in hexadecimal."""
    uids = [line.strip().lower() for line in file.read_text("ascii", "replace").splitlines() if line.strip()]
    try:
        draft = {"id": name, "product": product, "sorted_at": sorted_at, "uids": uids}
        write_draft(out, msgspec.convert(draft, UidList))
    except msgspec.ValidationError as error:
        what = f"1 to {UIDS_MAX} UIDs, each of 32 hexadecimal digits"
        raise ConfigError(f"{file}: {error}; a list has {what}") from error
    return Said("", file=out, list=name, dies=len(uids))


@order.command()
@click.argument("file", type=FILE)
@OUT
@by_person
@says
def sign(who: Person, file: Path, out: Path) -> Said:
    """Sign a draft, or add a signature to one that somebody has signed."""
    content = file.read_bytes()
    try:
        if b'"payload"' in content[:64]:
            _kind(content)
            envelope = countersigned(content, [who.signer()])
        else:
            envelope = signed(_read_draft(content), [who.signer()])
    except StatementError as error:
        raise ConfigError(f"{file}: {error}") from error
    write_new(out, envelope)
    return Said("", file=out)


@order.command()
@click.argument("file", type=FILE)
@at_desk
def add(caller: Caller, file: Path) -> None:
    """Bring a signed work order, key release, list of dies or profile to a vault."""
    envelope = file.read_bytes()
    try:
        document = _kind(envelope)
    except StatementError as error:
        raise ConfigError(f"{file}: {error}") from error
    match document:
        case WorkOrder():
            body = caller.ask(Action.ADD_ORDER, document.id, document=envelope)
            line = f"order {document.id}: {document.quantity} devices of {document.product}"
        case UidList():
            body = caller.ask(Action.ADD_DIES, document.id, document=envelope)
            line = f"list {document.id}: {len(document.uids)} dies of {document.product} may come"
        case ProfileRelease():
            product = document.profile.product
            body = caller.ask(Action.RELEASE_PROFILE, product, document=envelope)
            line = f"{product} is made by profile {document.profile.hash().hex()[:16]}…"
        case KeyDecision():
            raise ConfigError(f"{file}: a decision on a key goes to its store: hardbin key decide")
        case KeyRelease():
            body = caller.ask(Action.RELEASE_KEYS, document.order, document=envelope)
            line = (
                f"{document.key_set} is released for order {document.order} at {', '.join(document.stations)}"
            )
    caller.show(body, [line])


@order.command()
@click.argument("name", metavar="[ORDER]", required=False, default="")
@at_desk
def show(caller: Caller, name: str) -> None:
    """Print an order, or all, and what is used of each."""
    body = caller.ask(Action.SHOW_ORDERS, name)
    caller.show(body, use_lines(body))


@order.command()
@click.argument("name", metavar="ORDER")
@click.option("--reason", required=True, help="Why.")
@at_desk
def close(caller: Caller, name: str, reason: str) -> None:
    """Let nothing more be begun under an order."""
    body = caller.ask(Action.CLOSE_ORDER, name, {"reason": reason})
    caller.show(body, use_lines(body))


class Used(msgspec.Struct):
    """How much of an order is used."""

    begun: int
    sealed: int
    credited: int
    live: int


class Shown(msgspec.Struct):
    """An order as the desk shows it; it has more fields than these."""

    id: str
    product: str
    quantity: int
    begun_max: int
    state: str
    not_after: int
    use: Used


def use_lines(body: object) -> list[str]:
    """Say of each order how much of it is used."""
    return [_use_line(one) for one in msgspec.convert(body, list[Shown])] or ["no orders"]


def _use_line(one: Shown) -> str:
    use = one.use
    given = f", {use.credited} given back" if use.credited else ""
    counts = f"{use.sealed} of {one.quantity} sealed, {use.begun} of {one.begun_max} begun{given}"
    return f"{one.id}: {one.product}, {one.state}, {counts}, {use.live} in work"


def _shared(slices: tuple[tuple[str, int], ...], quantity: int) -> dict[str, int]:
    """Who makes how many, if several vaults share an order."""
    found = dict(slices)
    if len(found) < len(slices):
        raise click.UsageError("--slice: each vault has one")
    if (cut := sum(found.values())) > quantity:
        raise click.UsageError(f"--slice: {cut} devices together are more than --quantity {quantity}")
    return found


def _kind(envelope: bytes) -> Document:
    """Return what an envelope states; StatementError if it is no document of `KINDS`."""
    found = opened(envelope)
    typ = msgspec.json.decode(found.payload, type=_Typed).typ
    if typ not in KINDS:
        raise StatementError("malformed", f"none of {', '.join(KINDS)} but {typ[:64]!r}")
    return found.read(KINDS[typ])


def _profile_of(file: Path) -> Profile:
    """The profile of a release, signed or not."""
    try:
        content = file.read_bytes()
        release = _kind(content) if b'"payload"' in content[:64] else _read_draft(content)
    except StatementError as error:
        raise ConfigError(f"{file}: {error}") from error
    if not isinstance(release, ProfileRelease):
        raise ConfigError(f"{file}: no profile but a {release.typ}")
    return release.profile


def _read_draft(content: bytes) -> Statement:
    try:
        typ = msgspec.json.decode(content, type=_Typed).typ
        if typ not in KINDS:
            raise StatementError("malformed", f"`typ` is {typ[:64]!r}; allowed are {', '.join(KINDS)}")
        return msgspec.json.decode(content, type=KINDS[typ])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StatementError("malformed", f"not a draft: {error}") from None


def write_draft(out: Path, statement: Statement) -> None:
    """Write a statement that nobody has signed yet into a new file."""
    write_new(out, msgspec.json.format(msgspec.json.encode(statement), indent=1) + b"\n")


def write_new(out: Path, content: bytes) -> None:
    """Write a file that is not there yet; the command ends if that cannot be."""
    try:
        with out.open("xb") as file:
            file.write(content)
    except FileExistsError:
        stop(Exit.CONFIG, f"{out} is there already; give a new file")
    except OSError as error:
        stop(Exit.CONFIG, f"{out}: {error.strerror}")
