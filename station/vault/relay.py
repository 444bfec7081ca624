"""What the client does on the io thread: the gRPC calls, and scripts of the wire as steps of a card."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable
from contextlib import AbstractAsyncContextManager, nullcontext
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

import grpc

from drivers.roles.card import Apdu, CardReply, CardStep, Reset, ScriptReply, Stopped
from station.evidence.bundle import BUNDLE, TRUST
from station.vault.evidence import delivery
from station.vault.tls import ClientTls, channel
from station.vault.wire import floor_pb2 as wire
from station.vault.wire import floor_pb2_grpc as wire_grpc

T = TypeVar("T")

PROTOCOL = 1
CALL_S = 10.0
STREAM_S = 300.0
EXPORT_S = 900.0
EVIDENCE = (BUNDLE, TRUST)
"""The files of an export."""
LEAVE_S = 2.0
MESSAGE_MAX = 1 << 20
STEPS_MAX = 128
OK = 0x9000
LAST_ERROR = "error: "
"""Behind the last of these gRPC says why; before it, through which addresses it came."""
CLAIMING = range(1, 4)
"""The results after which the vault claims what no two dies may have: channel, UID, keys.

They are sent one after the other; the vault brings each to its journal before it looks at the next.
"""
CHANNEL = (
    ("grpc.max_receive_message_length", MESSAGE_MAX),
    ("grpc.max_send_message_length", MESSAGE_MAX),
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.use_local_subchannel_pool", 1),
)
STOPPED = {
    Stopped.END: wire.END,
    Stopped.STATUS_WORD: wire.STATUS_WORD,
    Stopped.LINK: wire.LINK,
    Stopped.TIME: wire.TIME,
}


class RelayError(Exception):
    """The vault is gone, or said what its contract does not allow."""


class Relay:
    """The connection; its coroutines run on the io thread."""

    def __init__(
        self, vault: Path | str, station: str, *, in_order: bool = False, tls: ClientTls | None = None
    ) -> None:
        """`vault` is a Unix socket, or `host:port` with `tls`."""
        self._target = vault if isinstance(vault, str) else f"unix:{vault.absolute()}"
        self._station, self._tls = station, tls
        self.turns: AbstractAsyncContextManager[None] = asyncio.Lock() if in_order else nullcontext()
        self._channel: grpc.aio.Channel | None = None

    async def hello(self, now: float) -> wire.HelloReply:
        """Say who we are."""
        request = wire.HelloRequest(station=self._station, version=version("hardbin"), protocol=PROTOCOL)
        return await _reply(self._stub().Hello(request, timeout=CALL_S, metadata=self._told(now)))

    async def open_lot(self, request: wire.OpenLotRequest, now: float) -> wire.LotReply:
        """Announce a lot."""
        return await _reply(self._stub().OpenLot(request, timeout=CALL_S, metadata=self._told(now)))

    async def close_lot(self, request: wire.CloseLotRequest, now: float) -> wire.LotReply:
        """Ask for the end of a lot."""
        return await _reply(self._stub().CloseLot(request, timeout=CALL_S, metadata=self._told(now)))

    async def release_keys(self, request: wire.ReleaseRequest, now: float) -> wire.LotReply:
        """Carry a key release that officers signed."""
        return await _reply(self._stub().ReleaseKeys(request, timeout=CALL_S, metadata=self._told(now)))

    async def record(self, request: wire.RecordRequest, now: float) -> wire.RecordReply:
        """Claim where devices went."""
        return await _reply(self._stub().Record(request, timeout=CALL_S, metadata=self._told(now)))

    async def ask_unit(self, request: wire.UnitRequest, now: float) -> wire.UnitReply:
        """Ask for the standing of a unit."""
        return await _reply(self._stub().AskUnit(request, timeout=CALL_S, metadata=self._told(now)))

    async def export(self, request: wire.ExportRequest, folder: Path, now: float) -> None:
        """Have a lot's evidence put into a folder."""
        parts = self._stub().Export(request, timeout=EXPORT_S, metadata=self._told(now))
        try:
            await delivery.received(parts, folder, EVIDENCE)
        except grpc.aio.AioRpcError as error:
            raise _fault(error) from error
        except (delivery.DeliveryError, OSError) as error:
            raise RelayError(f"{folder}: the evidence did not arrive: {error}") from error

    async def watch(self, origin: str, after: int, now: float) -> AsyncGenerator[wire.Notice, None]:
        """Yield what the vault tells without being asked, until it ends; behind an entry, if one is known."""
        request = wire.WatchRequest(origin=origin, after=max(after, 0))
        notices = self._stub().Watch(request, metadata=self._told(now))
        try:
            async for notice in notices:
                yield notice
        except grpc.aio.AioRpcError as error:
            raise _fault(error) from error
        finally:
            notices.cancel()

    def stream(self, now: float) -> "DieStream":
        """Prepare the stream of one die."""
        return DieStream(self, now)

    async def aclose(self) -> None:
        """Close the channel."""
        channel, self._channel = self._channel, None
        if channel is not None:
            await channel.close(None)

    def serve(self, now: float) -> "grpc.aio.StreamStreamCall[wire.FromStation, wire.FromVault]":
        """Begin the call that serves exactly one die."""
        return self._stub().Serve(None, timeout=STREAM_S, metadata=self._told(now))

    def _told(self, now: float) -> tuple[tuple[str, str], ...]:
        """Who we are, and our time, which a vault in development mode takes for its own."""
        return (("hardbin-station", self._station), ("hardbin-time", repr(now)))

    def _stub(self) -> "wire_grpc.FloorAsyncStub":
        if self._channel is None:
            self._channel = channel(self._target, self._tls, CHANNEL)
        return wire_grpc.FloorStub(self._channel)


class DieStream:
    """The stream of one die: what the station says, and the vault's next word."""

    def __init__(self, relay: Relay, now: float) -> None:
        self._relay, self._now = relay, now
        self._call: grpc.aio.StreamStreamCall[wire.FromStation, wire.FromVault] | None = None
        self._pending: asyncio.Task[wire.FromVault] | None = None
        self._scripts = self._results = 0

    async def exchange(self, message: wire.FromStation) -> wire.FromVault:
        """Say one thing and return the answer: a script to run, or the verdict."""
        self._pending = asyncio.get_running_loop().create_task(self._exchange(message))
        return await asyncio.shield(self._pending)

    async def leave(self, reason: str) -> None:
        """Say Gone after what is under way, and end the call; never raises."""
        if self._pending is not None:
            await asyncio.wait([self._pending], timeout=LEAVE_S)
            self._pending.cancel()
        if self._call is None or self._call.done():
            return
        try:
            async with asyncio.timeout(LEAVE_S):
                await self._call.write(wire.FromStation(gone=wire.Gone(reason=reason)))
                await self._call.done_writing()
                await self._call.read()
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError, TimeoutError):
            self._call.cancel()

    async def _exchange(self, message: wire.FromStation) -> wire.FromVault:
        self._results += message.HasField("result")
        try:
            async with self._relay.turns if self._results in CLAIMING else nullcontext():
                call = await self._say(message)
            said = await call.read()
        except grpc.aio.AioRpcError as error:
            raise _fault(error) from error
        except asyncio.InvalidStateError as error:
            raise RelayError("the vault ended the stream of a die") from error
        if not isinstance(said, wire.FromVault):
            raise RelayError("the vault ended the stream of a die without a verdict")
        return self._checked(said)

    async def _say(
        self, message: wire.FromStation
    ) -> "grpc.aio.StreamStreamCall[wire.FromStation, wire.FromVault]":
        """Return when it is on its way: what is said later arrives later."""
        if self._call is None:
            self._call = self._relay.serve(self._now)
        await self._call.write(message)
        return self._call

    def _checked(self, said: wire.FromVault) -> wire.FromVault:
        match said.WhichOneof("say"):
            case "verdict":
                return said
            case "script":
                self._scripts += 1
                if said.script.number != self._scripts or not 0 < len(said.script.steps) <= STEPS_MAX:
                    raise RelayError(f"script {said.script.number} of the vault is out of order or size")
                return said
            case _:
                raise RelayError("the vault said neither script nor verdict")


def steps_of(script: wire.Script) -> tuple[CardStep, ...]:
    """Return a script as steps for a reader; RelayError if a step is neither reset nor command."""
    return tuple(_step(step) for step in script.steps)


def result_of(script: wire.Script, answer: ScriptReply) -> wire.ScriptResult:
    """Return what the chip answered; a reply longer than the step allows ends the script there (SIZE)."""
    result = wire.ScriptResult(number=script.number, stopped=STOPPED[answer.stopped])
    for step, reply in zip(script.steps, answer.replies, strict=False):
        if step.reply_max and len(reply.data) > step.reply_max:
            result.stopped = wire.SIZE
            break
        result.replies.append(_reply_of(reply))
    return result


def _reply_of(reply: CardReply) -> wire.StepReply:
    return wire.StepReply(data=reply.data, sw=reply.status, elapsed_us=round(reply.elapsed_s * 1e6))


def _step(step: wire.Step) -> CardStep:
    budget_s = step.budget_ms / 1000
    match step.WhichOneof("act"):
        case "reset":
            return Reset(cold=step.reset.cold, budget_s=budget_s)
        case "apdu":
            return Apdu(step.apdu, tuple(step.expect) or (OK,), budget_s)
        case _:
            raise RelayError("a step of the vault is neither reset nor command")


async def _reply(call: Awaitable[T]) -> T:
    try:
        return await call
    except grpc.aio.AioRpcError as error:
        raise _fault(error) from error


def _fault(error: grpc.aio.AioRpcError) -> RelayError:
    why = (error.details() or "").rpartition(LAST_ERROR)[2]
    return RelayError(f"the vault does not serve: {error.code().name.lower()}: {why}")
