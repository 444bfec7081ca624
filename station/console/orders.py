"""Commands that the page posts: once a key, as a command of the cell, answered with its receipt."""

import asyncio
import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from station import commands
from station.authority import Action
from station.console.engine_link import AwayError
from station.console.identity import Person
from station.model import Whereabouts

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


KINDS: Mapping[str, type[commands.Any]] = {
    Action.START: commands.Start,
    Action.PAUSE: commands.Pause,
    Action.RESUME: commands.Resume,
    Action.END: commands.End,
    Action.ABORT: commands.Abort,
    Action.RELEASE: commands.Release,
}
"""Commands that take nothing but a reason."""
NAMES = frozenset({*KINDS, Action.LOAD.value, Action.REASON.value, Action.RECOVER.value})
_WANTED = msgspec.json.Decoder(Wanted)


class Orders:
    """Asks the cell, each key once."""

    def __init__(self, ask: Callable[[commands.Any], Awaitable[commands.Receipt]]) -> None:
        self._ask = ask
        self._taken: OrderedDict[str, asyncio.Task[commands.Receipt]] = OrderedDict()

    async def take(self, name: str, key: str, person: Person | None, body: bytes) -> commands.Receipt:
        """Return the receipt of a command; the same key again is the same command."""
        if not KEY.fullmatch(key):
            return commands.Receipt(False, "malformed", "Idempotency-Key: 8 to 64 letters, digits, _ and -")
        try:
            command = _command(name, key, person, _WANTED.decode(body or b"{}"))
        except (msgspec.DecodeError, ValueError) as error:
            return commands.Receipt(False, "bad_arguments", f"{name}: {error}")
        if (task := self._taken.get(key)) is None:
            task = self._taken[key] = asyncio.get_running_loop().create_task(self._asked(command))
            while len(self._taken) > KEPT:
                self._taken.popitem(last=False)
        return await asyncio.shield(task)

    async def _asked(self, command: commands.Any) -> commands.Receipt:
        try:
            return await self._ask(command)
        except AwayError:
            return commands.Receipt(False, "engine_away", "the engine is not reached: stop at the machine")


def _command(name: str, key: str, person: Person | None, wanted: Wanted) -> commands.Any:
    who: dict[str, Any] = {
        "id": f"{SOURCE}:{key}",
        "actor": NOBODY if person is None else person.id,
        "roles": frozenset() if person is None else person.roles,
        "source": SOURCE,
        "reason": wanted.reason,
    }
    if name == Action.REASON:
        return commands.Reason(**who, state=wanted.state)
    if name == Action.RECOVER:
        return commands.Recover(**who, found=wanted.found, cleared=wanted.cleared)
    if name != Action.LOAD:
        return KINDS[name](**who)
    if not wanted.lot or not wanted.quantity:
        raise ValueError("a lot has a name and at least one device")
    return commands.Load(**who, lot=wanted.lot, quantity=wanted.quantity, sublot=wanted.sublot)
