"""Of two dies that claim one UID at once, the one that spoke first gets it, in every run."""

import asyncio
from pathlib import Path

from sim.dut.chip import Chip
from sim.dut.transport import development_uid
from station.vault.process import VaultProcess
from station.vault.relay import DieStream, Relay
from station.vault.wire import floor_pb2 as wire
from tests.station.vault.dies import FINGERPRINT, NOW, answer_of, sound_chip
from tests.station.vault.vaults import development_order_of

TRIALS = 6
RIVALS = 3
"""One more, and three devices of a lot with a known UID would stop the line."""


def admission(lot: str, rival: int) -> wire.FromStation:
    admit = wire.Admit(session=bytes(16), lot=lot, purpose=wire.PERSONALISE, fingerprint=FINGERPRINT)
    admit.unit = f"{lot}/{rival}"
    return wire.FromStation(admit=admit)


def result(chip: Chip, said: wire.FromVault) -> wire.FromStation:
    replies = []
    for step in said.script.steps:
        answer = answer_of(chip, step.apdu)
        assert answer is not None
        replies.append(wire.StepReply(data=answer.data, sw=answer.sw))
    return wire.FromStation(result=wire.ScriptResult(number=said.script.number, replies=replies))


async def said_to(streams: list[DieStream], messages: list[wire.FromStation]) -> list[wire.FromVault]:
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(stream.exchange(message))
            for stream, message in zip(streams, messages, strict=True)
        ]
    return [task.result() for task in tasks]


async def trial(relay: Relay, number: int) -> list[str]:
    """What the vault says to each rival after the result that makes it claim the UID."""
    uid = development_uid(1000 + number)
    chips = [sound_chip(100 * number + rival, uid=uid) for rival in range(RIVALS)]
    streams = [relay.stream(NOW) for _ in chips]
    said = await said_to(streams, [admission(f"L{number}", rival) for rival in range(RIVALS)])
    for _ in ("S0", "S1"):
        said = await said_to(streams, [result(chip, word) for chip, word in zip(chips, said, strict=True)])
    for stream in streams:
        await stream.leave("enough")
    return [word.script.label or str(word.verdict.error) for word in said]


async def test_who_speaks_first_has_the_uid(tmp_path: Path) -> None:
    process = VaultProcess.start(tmp_path / "vault", seed=1)
    relay = Relay(process.socket, "cell-1", in_order=True)
    for number in range(TRIALS):
        lot = f"L{number}"
        order = await development_order_of(process.desk, lot, RIVALS)
        await relay.open_lot(wire.OpenLotRequest(lot=lot, order=order, product="se1", count=RIVALS), NOW)
    found = [await trial(relay, number) for number in range(TRIALS)]
    await relay.aclose()
    process.stop()
    assert found == [["S2 keys"] + ["202"] * (RIVALS - 1)] * TRIALS
