"""Commands from afar, from the message to the reply: admitted, audited, carried out, answered."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, get_args

import msgspec
from msgspec import Meta

from station import commands, events
from station.authority import Action
from station.custody.journal import Journal
from station.engine.states import State
from station.errors import CustodyError
from station.model import Axis
from station.remote.admission import Admission, Admitted, RefusedError
from station.remote.control import Control
from station.remote.herald import Herald
from station.remote.link import Message
from station.remote.memory import Memory
from station.remote.messages import Reply
from station.remote.projection import REMOTE_SOURCE, completed
from station.remote.topics import Tree
from station.writer import Writer

WAITING_MAX = 16
ANSWER_S = 60.0
"""A cell that has not taken a command by then will not be waited for; its receipt comes by the journal."""
UNKNOWN_PER_S = 5
"""Refusals a second of commands that nobody known has signed: more are counted, not told one by one."""


class LoadArgs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `lot.load` takes."""

    lot: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,30}\Z")]
    quantity: Annotated[int, Meta(ge=1, le=10_000_000)]
    sublot: Annotated[str, Meta(max_length=31)] = ""
    recipe: Annotated[str, Meta(pattern=r"^([0-9a-f]{8,64})?\Z")] = ""
    mode: Literal["", "P", "E"] = ""
    product: Annotated[str, Meta(max_length=64)] = ""
    card: Annotated[str, Meta(max_length=64)] = ""
    program: Annotated[str, Meta(max_length=64)] = ""


class LotArgs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the other commands of a lot take: which lot is meant, if one wants to be sure."""

    lot: str = ""


class ReasonArgs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `e10.set` takes, beside the reason that each command has: where standby is moved to."""

    state: Literal["", "SDT", "ENG"] = ""


class SiteArgs(LotArgs, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What `site.set` takes, beside the reason."""

    site: Annotated[int, Meta(ge=1, le=64)]
    on: bool


class RetestArgs(LotArgs, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What `retest.start` takes: soft bins, sites, area; what is left out is not chosen by."""

    bins: frozenset[int] = frozenset()
    sites: frozenset[int] = frozenset()
    area: Literal["", "edge", "centre"] = ""


class StepArgs(LotArgs, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What `lot.step` takes."""

    sites: frozenset[int] = frozenset()
    go: Literal["next", "to", "on"] = "next"
    row: Annotated[int, Meta(ge=0)] = 0
    bound_s: Annotated[float, Meta(ge=1, le=3600)] = 300.0


class ShmooArgs(LotArgs, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What `lot.shmoo` takes."""

    site: Annotated[int, Meta(ge=1, le=64)]
    row: Annotated[int, Meta(ge=1)]
    x: Axis
    y: Axis | None = None


class StageArgs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `recipe.stage` takes: SHA-256 of what was signed, or its beginning."""

    recipe: Annotated[str, Meta(pattern=r"^[0-9a-f]{8,64}\Z")]


class ApplyArgs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `config.apply` takes, beside the reason: SHA-256 of the station file, or its beginning."""

    config: Annotated[str, Meta(pattern=r"^[0-9a-f]{8,64}\Z")]


class ReleaseArgs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `key.release` takes: SHA-256 of the signed release, or its beginning."""

    release: Annotated[str, Meta(pattern=r"^[0-9a-f]{8,64}\Z")]


class AlarmArgs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `alarm.ack` takes."""

    alarm: Annotated[str, Meta(min_length=1, max_length=64)]


class NoArgs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Commands that take nothing."""


ARGS: Mapping[Action, type[msgspec.Struct]] = {
    Action.LOAD: LoadArgs,
    Action.UNLOAD: LotArgs,
    Action.CHECK: LotArgs,
    Action.START: LotArgs,
    Action.PAUSE: LotArgs,
    Action.RESUME: LotArgs,
    Action.END: LotArgs,
    Action.ABORT: LotArgs,
    Action.CLOSE: LotArgs,
    Action.REASON: ReasonArgs,
    Action.SET_SITE: SiteArgs,
    Action.CLEAN: LotArgs,
    Action.RETEST: RetestArgs,
    Action.STEP: StepArgs,
    Action.SHMOO: ShmooArgs,
    Action.STAGE: StageArgs,
    Action.APPLY: ApplyArgs,
    Action.TEST: NoArgs,
    Action.RELEASE_KEYS: ReleaseArgs,
    Action.ACKNOWLEDGE: AlarmArgs,
    Action.ACQUIRE: NoArgs,
    Action.GIVE_UP: NoArgs,
    Action.PING: NoArgs,
}
"""The arguments of each command that has a topic."""
SECOND = frozenset({"second", "second_roles", "line"})
"""Never from afar: a second person stands at the station, and both see how it stands."""
KINDS: Mapping[str, type[commands.Any]] = {
    str(kind.__struct_config__.tag): kind for kind in get_args(commands.Any)
}
"""Every command of the cell, by its name."""


@dataclass(frozen=True)
class Within:
    """What the reception works with inside the station."""

    tree: Tree
    memory: Memory
    writer: Writer
    audit: Journal
    herald: Herald
    control: Control
    request: Callable[[commands.Any], Awaitable[commands.Receipt]]
    state: Callable[[], State]
    now: Callable[[], float]


@dataclass(frozen=True)
class _Answer:
    ok: bool
    code: str
    reason: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)


class Reception:
    """Takes messages in their order; what it carries out, it carries out side by side."""

    def __init__(self, within: Within, admission: Admission) -> None:
        self._in = within
        self._admission = admission
        self._under_way = 0
        self._unknown = _Bucket(within.now)
        self._told = 0

    async def take(self, message: Message) -> Awaitable[Message | None]:
        """Admit a command; await what comes back for the reply."""
        try:
            admitted = await self._admission.admit(message)
        except RefusedError as refused:
            return self._refused(message, refused)
        if self._under_way >= WAITING_MAX and not admitted.again:
            return self._done(message, admitted, _Answer(False, "busy", "too many commands wait"))
        return self._carried_out(message, admitted)

    # -- refused
    async def _refused(self, message: Message, refused: RefusedError) -> Message | None:
        if refused.key is None and not self._unknown.take():
            return None
        name = message.topic.rpartition("/")[2][:64]
        body, key = refused.body, refused.key
        told = events.CommandRefused(
            at=self._in.now(),
            id="" if body is None else body.id,
            command=name,
            actor="" if key is None else key.kid,
            code=refused.code,
            reason=refused.reason,
            source=REMOTE_SOURCE,
            roles=() if key is None else tuple(sorted(key.roles)),
        )
        await self._in.audit.commit(told)
        lines = [self._event("command.completed", completed(told))]
        if refused.alarm:
            alarm = {"alarm": refused.alarm, "priority": "medium", "reason": refused.reason}
            lines.append(self._event("alarm.raised", alarm))
        await self._in.writer.run(self._in.memory.put, lines)
        self._in.herald.queued.set()
        if key is None or body is None:
            return None
        detail = {} if refused.reply is None else {"receipt": msgspec.Raw(refused.reply)}
        return self._reply(message, key.client, body.id, _Answer(False, refused.code, refused.reason, detail))

    # -- carried out
    async def _carried_out(self, message: Message, admitted: Admitted) -> Message:
        if admitted.again:
            return self._receipt_again(message, admitted)
        self._under_way += 1
        try:
            answer = await self._effect(admitted)
        finally:
            self._under_way -= 1
        return await self._done(message, admitted, answer)

    def _receipt_again(self, message: Message, admitted: Admitted) -> Message:
        if admitted.reply is not None:
            return _to(message, self._in.tree.rsp(admitted.key.client), admitted.reply)
        reason = "taken before, and its end is not known: look at the state"
        return self._reply(message, admitted.key.client, admitted.body.id, _Answer(False, "failed", reason))

    async def _effect(self, admitted: Admitted) -> _Answer:
        try:
            args: msgspec.Struct = msgspec.convert(admitted.body.args, ARGS[admitted.action])
        except msgspec.ValidationError as error:
            return _Answer(False, "bad_arguments", f"{admitted.action}: {error}")
        match admitted.action:
            case Action.ACQUIRE:
                return self._acquired(admitted)
            case Action.GIVE_UP:
                return self._given_up(admitted)
            case Action.PING:
                return _Answer(True, "ok")
            case _:
                return await self._asked(admitted, args)

    def _acquired(self, admitted: Admitted) -> _Answer:
        lease = self._in.control.acquire(admitted.key.client)
        if lease is None:
            return _Answer(False, "no_lease", f"in command is {self._in.control.holder}")
        self._in.herald.changed.set()
        return _Answer(True, "ok", detail={"lease": lease.token, "until": lease.until})

    def _given_up(self, admitted: Admitted) -> _Answer:
        if not self._in.control.commands(admitted.key.client, admitted.body.lease):
            return _Answer(False, "no_lease", f"in command is {self._in.control.holder or 'nobody'}")
        self._in.control.give_up()
        self._in.herald.changed.set()
        return _Answer(True, "ok")

    async def _asked(self, admitted: Admitted, args: msgspec.Struct) -> _Answer:
        """The one door: what comes in here is a command as from anywhere else."""
        info = self._in.herald.view.info
        if isinstance(args, LotArgs) and args.lot and (info is None or info.lot != args.lot):
            there = "no lot" if info is None else f"lot {info.lot}"
            return _Answer(False, "not_found", f"{admitted.action} of lot {args.lot}: in the cell is {there}")
        try:
            async with asyncio.timeout(ANSWER_S):
                receipt = await self._in.request(_command(admitted, args))
        except TimeoutError:
            return _Answer(False, "timeout", f"the cell has not taken it within {ANSWER_S:g} s")
        except CustodyError as error:
            return _Answer(False, "integrity", str(error))
        return _Answer(receipt.ok, receipt.code, receipt.reason)

    async def _done(self, message: Message, admitted: Admitted, answer: _Answer) -> Message:
        """Audit it, keep the receipt, and return the reply."""
        body, key = admitted.body, admitted.key
        reply = self._reply(message, key.client, body.id, answer)
        data = {"id": body.id, "command": body.cmd, "actor": key.kid}
        ended = {**data, "ok": answer.ok, "code": answer.code, "reason": answer.reason}
        lines = [self._event("command.accepted", data)] if answer.ok else []
        lines.append(self._event("command.completed", ended))
        async with asyncio.TaskGroup() as group:
            group.create_task(self._in.audit.commit(_audited(admitted, answer, self._in.now())))
            settling = self._in.writer.run(self._in.memory.settle, admitted.asked, reply.payload, lines)
            group.create_task(settling)
        self._in.herald.queued.set()
        return reply

    # -- told
    def _event(self, kind: str, data: Mapping[str, Any]) -> tuple[str, bytes]:
        self._told += 1
        name = f"{self._admission.epoch}-{self._told}"
        return self._in.herald.enveloped(name, (kind, dict(data)), at=self._in.now())

    def _reply(self, message: Message, client: str, name: str, answer: _Answer) -> Message:
        reply = Reply(
            id=name,
            ok=answer.ok,
            code=answer.code,
            reason=answer.reason,
            detail=dict(answer.detail),
            state=self._in.state().value,
        )
        return _to(message, self._in.tree.rsp(client), msgspec.json.encode(reply))


def _command(admitted: Admitted, args: msgspec.Struct) -> commands.Any:
    who: dict[str, Any] = {
        "id": f"{admitted.key.kid}:{admitted.body.id}",
        "actor": admitted.key.kid,
        "roles": admitted.key.roles,
        "source": REMOTE_SOURCE,
        "reason": admitted.body.reason,
    }
    kind = KINDS[admitted.action]
    taken = {one.name for one in msgspec.structs.fields(kind)} - who.keys() - SECOND
    return kind(**who, **{name: getattr(args, name) for name in taken})


def _audited(admitted: Admitted, answer: _Answer, at: float) -> events.Any:
    who: dict[str, Any] = {
        "at": at,
        "id": admitted.body.id,
        "command": admitted.body.cmd,
        "actor": admitted.key.kid,
        "source": REMOTE_SOURCE,
        "roles": tuple(sorted(admitted.key.roles)),
    }
    if answer.ok:
        return events.CommandAccepted(**who, reason=admitted.body.reason)
    return events.CommandRefused(**who, code=answer.code, reason=answer.reason)


def _to(asked: Message, topic: str, payload: bytes) -> Message:
    return Message(topic, payload, correlation=asked.correlation)


class _Bucket:
    """Lets so many a second through."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._second, self._left = 0, UNKNOWN_PER_S

    def take(self) -> bool:
        second = int(self._now())
        if second != self._second:
            self._second, self._left = second, UNKNOWN_PER_S
        self._left -= 1
        return self._left >= 0
