"""Commands that the page posts: once a key, as a command of the cell, answered with its receipt."""

import asyncio
import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, Literal, get_args

import msgspec
from msgspec import Meta

from station import commands
from station.authority import Action
from station.console.engine_link import AwayError
from station.console.identity import Person
from station.model import Axis, Whereabouts

SOURCE = "console"
NOBODY = "nobody"
"""Who has asked, when nobody has logged in: only stopping is open to whoever stands there."""
KEY = re.compile(r"[A-Za-z0-9_-]{8,64}")
KEPT = 512
"""Receipts that are remembered; the same key again gets the same one."""
STATUS: Mapping[str, int] = {
    "ok": 200,
    "denied": 403,
    "bad_arguments": 400,
    "malformed": 400,
    "engine_away": 503,
    "busy": 503,
    "timeout": 504,
}
"""The HTTP status of a receipt; any other refusal is a conflict."""


class Wanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a command."""

    reason: Annotated[str, Meta(max_length=400)] = ""
    lot: Annotated[str, Meta(pattern=r"^([A-Za-z0-9][A-Za-z0-9_.-]{0,30})?\Z")] = ""
    quantity: Annotated[int, Meta(ge=0, le=10_000_000)] = 0
    sublot: Annotated[str, Meta(max_length=31)] = ""
    state: Literal["", "SDT", "ENG"] = ""
    found: dict[int, Whereabouts] = {}
    cleared: frozenset[int] = frozenset()
    line: int = 0
    site: Annotated[int, Meta(ge=0, le=64)] = 0
    on: bool = False
    bins: frozenset[int] = frozenset()
    sites: frozenset[int] = frozenset()
    area: Literal["", "edge", "centre"] = ""
    mode: Literal["", "P", "E"] = ""
    product: Annotated[str, Meta(max_length=64)] = ""
    card: Annotated[str, Meta(max_length=64)] = ""
    program: Annotated[str, Meta(max_length=64)] = ""
    go: Literal["next", "to", "on"] = "next"
    row: Annotated[int, Meta(ge=0)] = 0
    bound_s: Annotated[float, Meta(ge=1, le=3600)] = 300.0
    x: Axis | None = None
    y: Axis | None = None
    recipe: Annotated[str, Meta(pattern=r"^([0-9a-f]{8,64})?\Z")] = ""
    config: Annotated[str, Meta(pattern=r"^([0-9a-f]{8,64})?\Z")] = ""
    release: Annotated[str, Meta(pattern=r"^([0-9a-f]{8,64})?\Z")] = ""
    check: Literal[commands.WAIVABLE, ""] = ""
    study: Annotated[str, Meta(pattern=r"^([A-Za-z0-9][A-Za-z0-9_.-]{0,23})?\Z")] = ""
    test: Annotated[int, Meta(ge=0, le=4_294_967_295)] = 0
    operator: Annotated[str, Meta(pattern=r"^[ -~]{0,30}\Z")] = ""
    trials: Annotated[int, Meta(ge=0, le=50)] = 0
    alarm: Annotated[str, Meta(max_length=64)] = ""
    minutes: Annotated[int, Meta(ge=0, le=480)] = 0


KINDS: Mapping[str, type[commands.Any]] = {
    str(kind.__struct_config__.tag): kind for kind in get_args(commands.Any)
}
"""Every command of the cell, by its name."""
NAMES = frozenset(KINDS)
NEEDED: Mapping[str, tuple[tuple[str, ...], str]] = {
    Action.LOAD: (("lot", "quantity"), "a lot has a name and at least one device"),
    Action.SHMOO: (("site", "row", "x"), "name site, row, and what is swept"),
    Action.STUDY: (
        ("lot", "quantity", "study", "operator", "trials"),
        "a study has a name, an operator (letters of ASCII), devices, and how often each is tested",
    ),
    Action.STAGE: (("recipe",), "name the recipe"),
    Action.APPLY: (("config",), "name the station file"),
    Action.WAIVE: (("check",), "name the check"),
    Action.RELEASE_KEYS: (("release",), "name the key release"),
    Action.SET_SITE: (("site",), "name the site"),
    Action.ACKNOWLEDGE: (("alarm",), "name the alarm"),
    Action.SHELVE: (("alarm", "minutes"), "name the alarm, and for how many minutes"),
}
"""What must be said, and what is answered where it is not."""
_WANTED = msgspec.json.Decoder(Wanted)


class Orders:
    """Asks the cell, each key once."""

    def __init__(self, ask: Callable[[commands.Any], Awaitable[commands.Receipt]]) -> None:
        self._ask = ask
        self._taken: OrderedDict[str, tuple[commands.Any, asyncio.Task[commands.Receipt]]] = OrderedDict()

    async def take(
        self, name: str, key: str, person: Person | None, body: bytes, second: Person | None = None
    ) -> commands.Receipt:
        """Return the receipt of a command; the same key again is the same command, or none."""
        if not KEY.fullmatch(key):
            return commands.Receipt(False, "malformed", "Idempotency-Key: 8 to 64 letters, digits, _ and -")
        try:
            command = _command(name, key, (person, second), _WANTED.decode(body or b"{}"))
        except (msgspec.DecodeError, ValueError) as error:
            return commands.Receipt(False, "bad_arguments", f"{name}: {error}")
        if key not in self._taken:
            self._taken[key] = command, asyncio.get_running_loop().create_task(self._asked(command))
            while len(self._taken) > KEPT:
                self._taken.popitem(last=False)
        before, task = self._taken[key]
        if not _same(before, command):
            return commands.Receipt(False, "malformed", "Idempotency-Key: another command had this one")
        return await asyncio.shield(task)

    async def _asked(self, command: commands.Any) -> commands.Receipt:
        try:
            return await self._ask(command)
        except AwayError:
            return commands.Receipt(False, "engine_away", "the engine is not reached: stop at the machine")


def _same(one: commands.Any, other: commands.Any) -> bool:
    """Whether the same is asked by the same; roles may have changed meanwhile."""
    return _without_roles(one) == _without_roles(other)


def _without_roles(command: commands.Any) -> commands.Any:
    bare = msgspec.structs.replace(command, roles=frozenset())
    return (
        msgspec.structs.replace(bare, second_roles=frozenset())
        if isinstance(bare, commands.Seconded)
        else bare
    )


def _command(
    name: str, key: str, persons: tuple[Person | None, Person | None], wanted: Wanted
) -> commands.Any:
    person, second = persons
    who: dict[str, Any] = {
        "id": f"{SOURCE}:{key}",
        "actor": NOBODY if person is None else person.id,
        "roles": frozenset() if person is None else person.roles,
        "source": SOURCE,
        "reason": wanted.reason,
    }
    if issubclass(KINDS[name], commands.Seconded):
        both = {} if second is None else {"second": second.id, "second_roles": second.roles}
        who |= {"second": "", "second_roles": frozenset[str]()} | both
    needed, why = NEEDED.get(name, ((), ""))
    if not all(getattr(wanted, one) for one in needed):
        raise ValueError(why)
    kind = KINDS[name]
    said = {one.name for one in msgspec.structs.fields(kind)} - who.keys()
    return kind(**who, **{one: getattr(wanted, one) for one in said})
