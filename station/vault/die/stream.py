"""The way to a die over its stream: scripts out, results in, within the limits of the contract."""

import asyncio
from typing import NoReturn, TypeAlias

import grpc

from drivers.protocols.se1_table import StatusWord
from station.vault.die.script import Answer, Script
from station.vault.faults import Code, DoubtError, GoneError
from station.vault.wire import floor_pb2 as wire

Context: TypeAlias = "grpc.aio.ServicerContext[wire.FromStation, wire.FromVault]"

SCRIPTS_MAX = 24
STREAM_BYTES_MAX = 4 << 20
OK = (StatusWord.OK,)
"""What a station expects where a step names nothing."""
SILENCE_S = 30.0
"""How long beyond a script's budget a station may say nothing."""

STOPPED = {
    wire.LINK: (Code.LINK, "the link failed"),
    wire.TIME: (Code.BUDGET, "the die took too long"),
    wire.SIZE: (Code.LINK, "a reply was longer than allowed"),
    wire.CONTACT: (Code.LINK, "the contact was lost"),
}


class StreamLink:
    """The stream of one die."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._scripts = self._bytes = 0

    async def run(self, script: Script) -> dict[str, bytes]:
        """Have a script relayed and return what came back, checked; DoubtError, GoneError."""
        self._scripts += 1
        message = _script(script, self._scripts)
        self._count(message.ByteSize())
        await self._context.write(message)
        result = await self._result(script.budget_ms / 1000 + SILENCE_S)
        answers = [Answer(reply.data, reply.sw) for reply in result.replies]
        stopped = STOPPED.get(result.stopped)
        if stopped is not None:
            code, why = stopped
            raise DoubtError(code, f"{script.label}, step {len(answers) + 1}: {why}")
        return script.opened(answers, ended=result.stopped == wire.END)

    async def _result(self, wait_s: float) -> wire.ScriptResult:
        try:
            async with asyncio.timeout(wait_s):
                said = await self._context.read()
        except TimeoutError as error:
            raise GoneError("silent beyond the script's budget") from error
        if not isinstance(said, wire.FromStation):
            raise GoneError("the stream ended")
        self._count(said.ByteSize())
        match said.WhichOneof("say"):
            case "gone":
                raise GoneError(said.gone.reason or "no reason")
            case "result" if said.result.number == self._scripts:
                return said.result
            case _:
                raise GoneError("out of order")

    def _count(self, size: int) -> None:
        self._bytes += size
        if self._scripts > SCRIPTS_MAX or self._bytes > STREAM_BYTES_MAX:
            raise DoubtError(Code.BUDGET, f"more than {SCRIPTS_MAX} scripts or {STREAM_BYTES_MAX} bytes")


async def nonsense(context: Context, why: str) -> NoReturn:
    """End a stream that does not keep to the contract."""
    await context.abort(grpc.StatusCode.INVALID_ARGUMENT, why)


def _script(script: Script, number: int) -> wire.FromVault:
    """Filled in place: a message that is made apart is copied where it goes."""
    message = wire.FromVault()
    told = message.script
    told.number, told.label, told.may_park = number, script.label, script.may_park
    told.budget_ms = script.budget_ms
    add = told.steps.add
    for step in script.steps:
        if not step.apdu:
            add(reset=wire.Reset(), budget_ms=step.budget_ms, reply_max=step.reply_max)
        elif step.expect == OK:
            add(apdu=step.apdu, budget_ms=step.budget_ms, reply_max=step.reply_max)
        else:
            add(apdu=step.apdu, expect=step.expect, budget_ms=step.budget_ms, reply_max=step.reply_max)
    return message
