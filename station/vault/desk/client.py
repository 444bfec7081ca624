"""The desk from outside: requests are made, signed and sent, and the answers read."""

import secrets
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import grpc
import msgspec

from station.errors import CustodyError
from station.vault.desk.calls import CALLS
from station.vault.desk.documents import Approval, Request, digest_of
from station.vault.desk.roles import Action, Role
from station.vault.desk.signers import PersonSigner
from station.vault.desk.statement import signed
from station.vault.tls import ClientTls, channel
from station.vault.wire import desk_pb2 as wire
from station.vault.wire import desk_pb2_grpc as wire_grpc

T = TypeVar("T")

CALL_S = 10.0
VALID_S = 600
"""How long a request may wait for the second person."""


class DeskGoneError(CustodyError):
    """No vault answers at this desk."""


@dataclass(frozen=True)
class Asked:
    """What is asked for, without who asks and when."""

    action: Action
    target: str = ""
    parameters: Mapping[str, object] = field(default_factory=dict)
    document: bytes = b""


@dataclass(frozen=True)
class Answer:
    """What the vault said; `code` is `ok`, `dual_pending`, or why not."""

    code: str
    detail: str
    action_hash: str
    body: object


class DeskClient:
    """One connection to a vault's desk."""

    def __init__(
        self, desk: Path | str, *, told_time: float | None = None, tls: ClientTls | None = None
    ) -> None:
        """`desk` is a Unix socket, or `host:port` with `tls`."""
        self._target = desk if isinstance(desk, str) else f"unix:{desk.absolute()}"
        self._tls = tls
        self._metadata = () if told_time is None else (("hardbin-time", repr(told_time)),)
        self._channel: grpc.aio.Channel | None = None

    async def greet(self) -> wire.GreetReply:
        """Ask who the vault is; DeskGoneError if nobody answers."""
        stub = self._stub()
        return await _reply(stub.Greet(wire.GreetRequest(), timeout=CALL_S, metadata=self._metadata))

    async def ask(
        self, asked: Asked, signer: PersonSigner, approving: Sequence[tuple[PersonSigner, Role]] = ()
    ) -> Answer:
        """Ask for an action, with the approvals of those who approve it now."""
        greeting = await self.greet()
        request = requested(asked, signer.kid, greeting.vault, greeting.time)
        approvals = [approved(request, one, role, greeting.time) for one, role in approving]
        call = wire.Call(request=signed(request, [signer]), approvals=approvals, document=asked.document)
        return await self._answered(asked.action, call)

    async def approve(self, proposal: Request, signer: PersonSigner, role: Role) -> Answer:
        """Approve an action that waits; it is done if that was the last approval it needs."""
        greeting = await self.greet()
        asked = Asked(Action.APPROVE, proposal.action_hash())
        request = requested(asked, signer.kid, greeting.vault, greeting.time)
        approvals = [approved(proposal, signer, role, greeting.time)]
        return await self._answered(
            Action.APPROVE, wire.Call(request=signed(request, [signer]), approvals=approvals)
        )

    async def aclose(self) -> None:
        """Close the connection."""
        channel, self._channel = self._channel, None
        if channel is not None:
            await channel.close(None)

    async def _answered(self, action: Action, call: wire.Call) -> Answer:
        name = next(name for name, one in CALLS.items() if one is action)
        method = getattr(self._stub(), name)
        answer: wire.Answer = await _reply(method(call, timeout=CALL_S, metadata=self._metadata))
        body = msgspec.json.decode(answer.body) if answer.body else None
        return Answer(answer.code, answer.detail, answer.action_hash, body)

    def _stub(self) -> "wire_grpc.DeskAsyncStub":
        if self._channel is None:
            options = (("grpc.use_local_subchannel_pool", 1),)
            self._channel = channel(self._target, self._tls, options)
        return wire_grpc.DeskStub(self._channel)


async def _reply(call: Awaitable[T]) -> T:
    try:
        return await call
    except grpc.aio.AioRpcError as error:
        raise DeskGoneError(f"no vault answers ({error.code().name.lower()})") from None


def requested(asked: Asked, person: str, vault: str, now: int) -> Request:
    """Return a request of this moment."""
    parameters = dict(asked.parameters)
    if asked.document:
        parameters["document"] = digest_of(asked.document)
    return Request(
        action=asked.action,
        target=asked.target,
        parameters=parameters,
        station=vault,
        person=person,
        nonce=secrets.token_hex(16),
        issued_at=now,
        expires_at=now + VALID_S,
    )


def approved(request: Request, signer: PersonSigner, role: Role, now: int) -> bytes:
    """Return a person's signed approval of exactly this request."""
    approval = Approval(
        action=request.action,
        action_hash=request.action_hash(),
        person=signer.kid,
        role=role,
        nonce=secrets.token_hex(16),
        issued_at=now,
        expires_at=now + VALID_S,
    )
    return signed(approval, [signer])
