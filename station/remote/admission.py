"""Whether a command from afar is believed: what is verified, in order; the first failure is its code."""

from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256

import msgspec

from station.authority import REMOTE, RIGHTS, Action, Remote, denied, misplaced
from station.engine.states import State
from station.remote.control import Control, Mode
from station.remote.link import Message
from station.remote.memory import Asked, Remembered, Standing
from station.remote.messages import LIFE_MAX_S, Body
from station.remote.topics import Tree
from station.remote.trust import TrustedKey
from station.vault.desk.statement import Opened, StatementError, opened

SIZE_MAX = 16 * 1024
EARLY_S = 2.0
"""How far a client's clock may be ahead of ours."""
RATE = 5
"""Commands a second of one key."""
BURST = 16
STOPPING = frozenset({Action.PAUSE, Action.ABORT})
"""Taken however fast they come."""


class RefusedError(Exception):
    """A command that has no effect: its code, why, and whom to tell if that is known."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
        self.key: TrustedKey | None = None
        self.body: Body | None = None
        self.reply: bytes | None = None
        """The receipt of the command before it under the same id."""
        self.alarm = ""
        """What is wrong with the station, or with whoever sends such a thing."""


@dataclass(frozen=True)
class Admitted:
    """A command that is believed, remembered and allowed."""

    body: Body
    key: TrustedKey
    action: Action
    asked: Asked
    reply: bytes | None = None
    """Its receipt, if it was taken before: it must not have its effect twice."""
    again: bool = False


@dataclass(frozen=True)
class Station:
    """What admission asks of the station it stands before."""

    tree: Tree
    epoch: int
    keys: Mapping[str, TrustedKey]
    control: Control
    state: Callable[[], State]
    now: Callable[[], float]
    take: Callable[[Asked], Awaitable[Remembered]]
    doubt: Callable[[], str] = lambda: ""
    """Why the time is not believed; empty if it is."""
    rate: float = RATE


class Admission:
    """Stands before one station."""

    def __init__(self, station: Station) -> None:
        self._station = station
        self._recent: dict[str, deque[float]] = {}

    @property
    def epoch(self) -> int:
        """Which start of the station this is."""
        return self._station.epoch

    async def admit(self, message: Message) -> Admitted:
        """Return a command that may have its effect; RefusedError."""
        refused: RefusedError
        body = key = None
        try:
            found = self._read(message)
            key = self._signed(found)
            body = _body(found)
            self._meant(message, body)
            return await self._allowed(found, key, body)
        except RefusedError as error:
            refused = error
        except StatementError as error:
            refused = RefusedError(error.code, str(error))
        refused.key, refused.body = key, body
        raise refused

    def _read(self, message: Message) -> Opened:
        if message.retain:
            error = RefusedError("malformed", "a retained command is never taken")
            error.alarm = "retained-command"
            raise error
        if len(message.payload) > SIZE_MAX:
            reason = f"{len(message.payload)} bytes, at most {SIZE_MAX} are allowed"
            raise RefusedError("malformed", reason)
        return opened(message.payload)

    def _signed(self, found: Opened) -> TrustedKey:
        kids = {kid for kid, _, _ in found.signatures}
        if len(kids) > 1:
            raise RefusedError("malformed", "one key signs a command, and no other")
        keys = self._station.keys
        policy = frozenset().union(*(keys[kid].public for kid in kids if kid in keys))
        found.signed_by(lambda kid: keys[kid].public if kid in keys else None, policy)
        return keys[kids.pop()]

    def _meant(self, message: Message, body: Body) -> None:
        """For this station, for this topic, now, since this start."""
        station = self._station
        if body.aud != message.topic or message.topic != station.tree.cmd(body.cmd) or body.cmd not in REMOTE:
            reason = f"it says {body.cmd[:64]!r} for {body.aud[:200]!r}, and came on {message.topic!r}"
            raise RefusedError("wrong_audience", reason)
        if Action(body.cmd) not in STOPPING and (why := station.doubt()):
            error = RefusedError("expired", f"nobody can tell whether it is still good: {why}")
            error.alarm = "clock"
            raise error
        now = station.now()
        if not body.iat - EARLY_S <= now <= body.exp or body.exp - body.iat > LIFE_MAX_S:
            reason = f"it is for {body.iat:.3f} to {body.exp:.3f}, at most {LIFE_MAX_S:g} s; it is {now:.3f}"
            raise RefusedError("expired", reason)
        if body.epoch != station.epoch:
            raise RefusedError("wrong_epoch", f"it is for epoch {body.epoch}, this is {station.epoch}")

    async def _allowed(self, found: Opened, key: TrustedKey, body: Body) -> Admitted:
        action = Action(body.cmd)
        asked = Asked(key.kid, body.id, sha256(found.payload).digest(), _asked(body), body.seq)
        known = await self._station.take(asked)
        if known.standing is Standing.STALE:
            raise RefusedError("stale_sequence", f"seq {body.seq}: the last one was {known.last}")
        if known.standing is Standing.REPLAYED:
            error = RefusedError("replayed", f"a command of {key.kid} with id {body.id} was taken before")
            error.reply = known.reply
            raise error
        if known.standing is Standing.AGAIN:
            return Admitted(body, key, action, asked, known.reply, again=True)
        if objection := self._objection(action, key, body):
            raise RefusedError(*objection)
        return Admitted(body, key, action, asked)

    def _objection(self, action: Action, key: TrustedKey, body: Body) -> tuple[str, str] | None:
        station = self._station
        if reason := denied(action, key.roles):
            return "denied", reason
        if RIGHTS[action].remote is Remote.LEASED:
            if station.control.mode is not Mode.REMOTE:
                return "not_remote", "the operator at the station is in command"
            if not station.control.commands(key.client, body.lease):
                holder = station.control.holder
                return "no_lease", f"in command is {holder or 'nobody: ask for control.acquire'}"
        if reason := misplaced(action, station.state()):
            return "wrong_state", reason
        if action not in STOPPING and self._too_many(key.kid):
            return "busy", f"more than {station.rate:g} commands a second"
        return None

    def _too_many(self, kid: str) -> bool:
        """Whether a key asks faster than it may, after a burst."""
        now = self._station.now()
        recent = self._recent.setdefault(kid, deque(maxlen=BURST))
        full = len(recent) == BURST and now - recent[0] < BURST / self._station.rate
        if not full:
            recent.append(now)
        return full


def _body(found: Opened) -> Body:
    return found.read(Body)


def _asked(body: Body) -> bytes:
    return sha256(msgspec.json.encode([body.cmd, body.args, body.reason], order="sorted")).digest()
