"""What bounds the stream of a die: places, silence, scripts, bytes; and a ledger that nobody witnesses."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest

from station.vault.configuration import Configuration, LimitsTable
from station.vault.die import stream
from station.vault.die.script import Script
from station.vault.die.stream import Context, StreamLink
from station.vault.faults import Code, DoubtError, GoneError
from station.vault.publisher import Publisher, Witnessed
from station.vault.service import Floor
from station.vault.stops import Stops
from station.vault.times import Times
from station.vault.wire import floor_pb2 as wire
from tests.station.vault.dies import FINGERPRINT, NOW
from tests.station.vault.vaults import Vault, opened_vault

PATIENCE_S = 30.0
GONE = wire.FromStation(gone=wire.Gone(reason="enough"))


def admit(unit: str) -> wire.FromStation:
    return wire.FromStation(
        admit=wire.Admit(
            session=bytes(16),
            unit=unit,
            lot="L1",
            purpose=wire.PERSONALISE,
            fingerprint=FINGERPRINT,
            site="1",
        )
    )


def result(number: int, data: bytes = b"") -> wire.FromStation:
    replies = [wire.StepReply(data=data, sw=0x9000)]
    return wire.FromStation(result=wire.ScriptResult(number=number, replies=replies))


@dataclass
class Line:
    """A stream by hand: what the station says next is put there, what the vault said is kept."""

    heard: list[wire.FromVault] = field(default_factory=list)
    _says: asyncio.Queue[wire.FromStation] = field(default_factory=asyncio.Queue)
    _arrived: asyncio.Event = field(default_factory=asyncio.Event)

    def say(self, *said: wire.FromStation) -> "Line":
        for one in said:
            self._says.put_nowait(one)
        return self

    async def read(self) -> wire.FromStation:
        return await self._says.get()

    async def write(self, one: wire.FromVault) -> None:
        self.heard.append(one)
        self._arrived.set()

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        return (("hardbin-station", "cell"), ("hardbin-time", repr(NOW)))

    @property
    def context(self) -> Context:
        return cast(Context, self)

    async def answered(self) -> wire.FromVault:
        async with asyncio.timeout(PATIENCE_S):
            while not self.heard:
                self._arrived.clear()
                await self._arrived.wait()
        return self.heard[-1]


@pytest.fixture
async def vault(tmp_path: Path) -> AsyncIterator[Vault]:
    async with opened_vault(tmp_path) as made:
        yield made


def floor_of(vault: Vault, folder: Path, *witnesses: Witnessed, places: int = 8) -> Floor:
    configuration = Configuration(limits=LimitsTable(sessions_max=places))
    publisher = Publisher(
        folder / "vault.sqlite", folder / "ledger", configuration.ledger, vault.means.store, witnesses
    )
    return Floor(vault.means, Times(development=True, epoch=NOW), configuration, publisher, Stops())


async def test_without_a_witness_s_word_nothing_is_admitted(vault: Vault, tmp_path: Path) -> None:
    floor, line = floor_of(vault, tmp_path, Witnessed("http://127.0.0.1:9", ())), Line()
    await floor.serve(None, line.say(admit("L1/1")).context)
    (said,) = line.heard
    assert (said.verdict.error, said.verdict.disposition) == (Code.LOG_UNSAFE, wire.UNTOUCHED)
    assert said.verdict.detail == "no witness has signed the ledger for 60 s"
    assert await vault.means.registry.unit("L1/1") is None, "nothing is consumed by what is refused"


async def test_who_finds_no_place_waits_with_the_die_untouched(vault: Vault, tmp_path: Path) -> None:
    floor, first, second = floor_of(vault, tmp_path, places=1), Line(), Line()
    async with asyncio.TaskGroup() as group:
        group.create_task(floor.serve(None, first.say(admit("L1/1")).context))
        assert (await first.answered()).HasField("script")
        group.create_task(floor.serve(None, second.say(admit("L1/2")).context))
        for _ in range(20):  # time enough for an admission and its script
            await vault.journal.commit(lambda db: None)
        assert second.heard == []
        assert await vault.means.registry.unit("L1/2") is None
        first.say(GONE)
        assert (await second.answered()).HasField("script")
        second.say(GONE)


async def test_a_station_that_leaves_is_noted_and_the_unit_may_come_again(
    vault: Vault, tmp_path: Path
) -> None:
    floor, line = floor_of(vault, tmp_path), Line()
    await floor.serve(None, line.say(admit("L1/1"), GONE).context)
    query = "SELECT detail FROM step WHERE unit = 'L1/1' AND phase = 'failed' AND name = 'relay_gone'"
    (noted,) = await vault.journal.commit(lambda db: db.execute(query).fetchall())
    assert "RETRY" in noted[0]
    again = Line()
    await floor.serve(None, again.say(admit("L1/1"), GONE).context)
    assert again.heard[0].HasField("script")


def script() -> Script:
    made = Script("S0")
    made.reset()
    return made


async def test_a_station_that_is_silent_loses_its_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "SILENCE_S", -3.0)  # a reset's own budget is three seconds
    with pytest.raises(GoneError, match="silent beyond the script's budget"):
        await StreamLink(Line().context).run(script())


@pytest.mark.parametrize(
    ("limit", "value", "says"),
    [
        ("SCRIPTS_MAX", 2, lambda number: result(number)),
        ("STREAM_BYTES_MAX", 600, lambda number: result(number, bytes(200))),
    ],
)
async def test_a_stream_has_an_end(
    monkeypatch: pytest.MonkeyPatch, limit: str, value: int, says: Callable[[int], wire.FromStation]
) -> None:
    monkeypatch.setattr(stream, limit, value)
    line = Line()
    link = StreamLink(line.context)
    for number in (1, 2):
        line.say(says(number))
        await link.run(script())
    line.say(says(3))
    with pytest.raises(DoubtError) as caught:
        await link.run(script())
    assert caught.value.code is Code.BUDGET


async def test_a_result_of_another_script_is_none() -> None:
    with pytest.raises(GoneError, match="out of order"):
        await StreamLink(Line().say(result(2)).context).run(script())
