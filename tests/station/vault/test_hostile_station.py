"""A station that does not keep to the contract: it loses its stream, and no die is sealed by it."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest

from sim.dut.chip import Chip
from station.io_thread import IoThread
from station.vault.faults import Code
from station.vault.process import VaultProcess
from station.vault.wire import floor_pb2 as wire
from station.vault.wire import floor_pb2_grpc as wire_grpc
from tests.station.vault.dies import FINGERPRINT, NOW, answer_of, sound_chip
from tests.station.vault.vaults import development_order_of

UNIT = "L1/1"
ORIGIN = "hardbin.example/development"
TOLD = (("hardbin-station", "cell-1"), ("hardbin-time", repr(NOW)))
ADMIT = wire.Admit(
    session=bytes(16), unit=UNIT, lot="L1", purpose=wire.PERSONALISE, fingerprint=FINGERPRINT, site="1"
)


@pytest.fixture(scope="module")
def io() -> Iterator[IoThread]:
    thread = IoThread()
    thread.start()
    yield thread
    thread.stop()


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory, io: IoThread) -> Iterator[VaultProcess]:
    process = VaultProcess.start(tmp_path_factory.mktemp("hostile") / "vault")
    io.submit(development_order_of(process.desk, "L1", 100)).result()
    yield process
    process.stop()


def honest(chip: Chip, script: wire.Script) -> wire.ScriptResult:
    result = wire.ScriptResult(number=script.number)
    for step in script.steps:
        answer = answer_of(chip, step.apdu)
        assert answer is not None
        result.replies.append(wire.StepReply(data=answer.data, sw=answer.sw))
        if step.apdu and answer.sw not in (list(step.expect) or [0x9000]):
            result.stopped = wire.STATUS_WORD
            return result
    return result


async def conversation(
    socket: Path, first: wire.FromStation, lie: Callable[[wire.ScriptResult], None], chip: Chip
) -> wire.Verdict | None:
    """Relay with every result passed through `lie`; None if the vault ends the stream without a verdict."""
    async with grpc.aio.insecure_channel(f"unix:{socket}") as channel:
        stub: wire_grpc.FloorAsyncStub = wire_grpc.FloorStub(channel)
        await stub.OpenLot(
            wire.OpenLotRequest(lot="L1", order="DEV-L1", product="se1", count=100), metadata=TOLD
        )
        call = stub.Serve(None, metadata=TOLD)
        await call.write(first)
        said = await call.read()
        while isinstance(said, wire.FromVault) and said.HasField("script"):
            result = honest(chip, said.script)
            lie(result)
            await call.write(wire.FromStation(result=result))
            said = await call.read()
        return said.verdict if isinstance(said, wire.FromVault) else None


def admission(unit: str, **changed: int) -> wire.FromStation:
    admit = wire.Admit()
    admit.CopyFrom(ADMIT)
    admit.unit = unit
    if "purpose" in changed:
        admit.purpose = wire.Purpose.ValueType(changed["purpose"])
    return wire.FromStation(admit=admit)


def wrong_number(result: wire.ScriptResult) -> None:
    result.number += 1


def test_a_result_out_of_order_ends_the_stream(process: VaultProcess, io: IoThread) -> None:
    verdict = io.submit(conversation(process.socket, admission("L1/1"), wrong_number, sound_chip(1))).result()
    assert verdict is None


@pytest.mark.parametrize(
    ("first", "code"),
    [
        (wire.FromStation(gone=wire.Gone()), grpc.StatusCode.INVALID_ARGUMENT),
        (wire.FromStation(admit=wire.Admit(unit="x")), grpc.StatusCode.INVALID_ARGUMENT),
        (admission("x" * 200), grpc.StatusCode.INVALID_ARGUMENT),
        (admission("L1/2", purpose=99), grpc.StatusCode.UNIMPLEMENTED),
    ],
)
def test_a_stream_that_begins_wrongly_is_refused(
    process: VaultProcess, io: IoThread, first: wire.FromStation, code: grpc.StatusCode
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        io.submit(conversation(process.socket, first, lambda _: None, sound_chip(2))).result()
    assert caught.value.code() is code


def test_a_unit_that_was_never_here_does_not_come_back_and_stops_nothing(
    process: VaultProcess, io: IoThread
) -> None:
    first = admission("L1/never", purpose=wire.RMA_OPEN)
    verdict = io.submit(conversation(process.socket, first, lambda _: None, sound_chip(2))).result()
    assert verdict is not None
    assert (verdict.error, verdict.detail) == (
        Code.UNIT_SPOILED,
        "unit L1/never was never here, so it does not come back",
    )


def swapped(result: wire.ScriptResult) -> None:
    """Give two protected replies in each other's place."""
    if result.number == 2:
        first, second = result.replies[1].data, result.replies[2].data
        result.replies[1].data, result.replies[2].data = second, first


def all_well(result: wire.ScriptResult) -> None:
    """Tell that everything worked, whatever the die said."""
    result.stopped = wire.END
    if result.number >= 2:
        for reply in result.replies:
            reply.data = b""
            reply.sw = 0x9000


def too_many(result: wire.ScriptResult) -> None:
    result.replies.add(sw=0x9000)


def too_long(result: wire.ScriptResult) -> None:
    result.replies[-1].data += bytes(5000)


@pytest.mark.parametrize("lie", [all_well, too_many, too_long])
def test_lies_never_seal_and_leave_the_die_untouched(
    process: VaultProcess, io: IoThread, lie: Callable[[wire.ScriptResult], None]
) -> None:
    chip = sound_chip(3)
    unit = f"L1/{lie.__name__}"
    verdict = io.submit(conversation(process.socket, admission(unit), lie, chip)).result()
    assert verdict is not None
    assert verdict.disposition == wire.RETRY
    assert verdict.error in (401, 402, 403)


def test_swapped_replies_cost_a_session_and_nothing_else(process: VaultProcess, io: IoThread) -> None:
    verdict = io.submit(conversation(process.socket, admission("L1/swap"), swapped, sound_chip(4))).result()
    assert verdict is not None
    assert verdict.disposition == wire.SEALED


async def _watched(socket: Path, twin: str, chip: int) -> list[wire.Notice]:
    """What a station is told until a UID was found twice, and the checkpoint that covers it."""
    told: list[wire.Notice] = []
    async with grpc.aio.insecure_channel(f"unix:{socket}") as channel, asyncio.timeout(60):
        stub: wire_grpc.FloorAsyncStub = wire_grpc.FloorStub(channel)
        call = stub.Watch(wire.WatchRequest(), metadata=TOLD)
        await call.initial_metadata()
        for unit in (f"L1/{twin}-1", f"L1/{twin}-2"):
            await conversation(socket, admission(unit), lambda _: None, sound_chip(chip))
        notices = aiter(call)
        while not any(notice.kind == "hold" for notice in told):
            told.append(await anext(notices))
        while told[-1].kind != "checkpoint":
            told.append(await anext(notices))
    return told


def test_a_station_is_told_of_holds_and_checkpoints(process: VaultProcess, io: IoThread) -> None:
    told = io.submit(_watched(process.socket, "twin", 700)).result()
    (hold,) = (notice for notice in told if notice.kind == "hold")
    assert (hold.scope, hold.detail) == ("L1/twin-1", "UID_DUPLICATE")
    assert hold.leaf < told[-1].leaf
    assert told[-1].scope == ORIGIN
    assert len(bytes.fromhex(told[-1].detail)) == 32
    assert "uid.duplicate" in [one.event for one in told if one.kind == "alarm"]


async def _again(socket: Path, after: int, station: str, origin: str = ORIGIN) -> list[wire.Notice]:
    """What a station is told at once that names the entry which it heard of last."""
    told: list[wire.Notice] = []
    async with grpc.aio.insecure_channel(f"unix:{socket}") as channel, asyncio.timeout(60):
        stub: wire_grpc.FloorAsyncStub = wire_grpc.FloorStub(channel)
        who = (("hardbin-station", station), ("hardbin-time", repr(NOW)))
        notices = aiter(stub.Watch(wire.WatchRequest(origin=origin, after=after), metadata=who))
        while not told or told[-1].kind != "checkpoint":
            told.append(await anext(notices))
    return told


def test_a_station_that_was_away_is_told_what_it_missed(process: VaultProcess, io: IoThread) -> None:
    told = io.submit(_watched(process.socket, "double", 701)).result()
    missed = [one for one in told if one.kind != "checkpoint"]
    again = io.submit(_again(process.socket, missed[0].leaf - 1, "cell-1")).result()
    assert missed == again[:-1]
    assert again[0].at_ms == round(NOW * 1000)
    assert io.submit(_again(process.socket, told[-1].leaf, "cell-1")).result() == [again[-1]]
    assert io.submit(_again(process.socket, missed[0].leaf - 1, "cell-1", "other")).result() == [again[-1]]
    assert io.submit(_again(process.socket, missed[0].leaf - 1, "cell-2")).result() == [again[-1]], (
        "the lot is another station's"
    )
    assert io.submit(_again(process.socket, 1 << 40, "cell-1")).result() == [again[-1]]
