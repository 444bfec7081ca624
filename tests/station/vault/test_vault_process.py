"""The vault as a process of its own, over its real socket."""

import asyncio
import os
import signal
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

import pytest

from drivers.errors import DutError, TransportError
from drivers.protocols.se1_table import LifeCycle
from drivers.roles.card import CardStep, ScriptReply
from drivers.uninterrupted import CUT
from sim.dut.chip import Chip
from sim.dut.transport import development_uid
from station.clock import RealClock
from station.custody.balance import Binned
from station.errors import CustodyError
from station.evidence.bundle import BUNDLE, TRUST
from station.evidence.trust import read as read_trust
from station.evidence.verification import verified
from station.io_thread import IoThread
from station.model import Disposition
from station.vault.client import LATENCY_S, Purpose, VaultClient, VaultProcess, VaultRefusedError
from station.vault.development import master
from station.vault.names import ISSUER_MASTER, TRANSPORT_MASTER
from station.vault_answers import LotClosing
from tests.station.vault.dies import NOW, ChipCard, die_of, sound_chip
from tests.station.vault.vaults import development_order_of

T = TypeVar("T")
SCRIPTS = 8


class At(RealClock):
    """The machine's clock that says it is another day, and notes the latencies it is asked for."""

    def __init__(self) -> None:
        self.latencies: list[float] = []

    def unix(self) -> float:
        return NOW

    async def answered(self, future: "Future[T]", *, latency_s: float) -> T:
        self.latencies.append(latency_s)
        return await super().answered(future, latency_s=latency_s)


class WatchedCard(ChipCard):
    """A card that does something at the end of one script."""

    def __init__(self, chip: Chip, number: int, act: Callable[[], None]) -> None:
        super().__init__(chip)
        self._number, self._act = number, act

    async def run(self, script: Sequence[CardStep]) -> ScriptReply:
        reply = await super().run(script)
        if len(self.scripts) == self._number:
            self._act()
        return reply


@pytest.fixture(scope="module")
def io() -> Iterator[IoThread]:
    thread = IoThread()
    thread.start()
    yield thread
    thread.stop()


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VaultProcess]:
    process = VaultProcess.start(tmp_path_factory.mktemp("shared") / "vault", seed=1)
    yield process
    process.stop()


def client_of(process: VaultProcess, io: IoThread) -> VaultClient:
    return VaultClient(process.socket, clock=At(), io=io, station="cell-1")


def certificates_in(folder: Path) -> list[bytes]:
    with closing(sqlite3.connect(folder / "vault.sqlite")) as db:
        return [der for (der,) in db.execute("SELECT der FROM cert WHERE der IS NOT NULL ORDER BY slot")]


async def ordered(process: VaultProcess, io: IoThread, lot: str, quantity: int) -> str:
    return await asyncio.wrap_future(io.submit(development_order_of(process.desk, lot, quantity)))


async def open_client(process: VaultProcess, io: IoThread, lot: str) -> VaultClient:
    client = client_of(process, io)
    await client.connect()
    client.order = await ordered(process, io, lot, 20)
    await client.open_lot(lot, product="se1", quantity=20)
    return client


async def test_a_die_is_sealed_over_the_socket(process: VaultProcess, io: IoThread) -> None:
    clock = At()
    client = VaultClient(process.socket, clock=clock, io=io, station="cell-1")
    assert await client.connect() == "development"
    client.order = await ordered(process, io, "L1", 2)
    await client.open_lot("L1", product="se1", quantity=2)
    await client.open_lot("L1", product="se1", quantity=2)
    clock.latencies.clear()
    card = ChipCard(sound_chip())
    outcome = await client.personalise(die_of("L1/1"), card)
    assert outcome.disposition is Disposition.SEALED
    assert len(card.scripts) == SCRIPTS
    assert clock.latencies == [LATENCY_S] * (SCRIPTS + 1), "one exchange for each script, one for the verdict"
    known = await client.ask_unit("L1/1")
    assert (known.standing, known.account, known.sealed) == ("REGISTERED", "SECURED", True)
    assert known.serial == outcome.serial
    assert "1 in WIP (1 never seen); 1 SECURED that no passing" in (await client.close_lot("L1")).open
    await client.claim("L1", [Binned("L1/1", 1, "pass"), Binned("L1/2", 4, "fail")])
    assert await client.close_lot("L1") == LotClosing({"SECURED": 1, "REJECT_HELD": 1})
    await client.aclose()


async def test_dies_are_loaded_at_wafer_sort_and_their_lot_is_proven(
    process: VaultProcess, io: IoThread, tmp_path: Path
) -> None:
    client = client_of(process, io)
    await client.connect()
    with pytest.raises(CustodyError, match="102: a lot that is to be personalised names its order"):
        await client.open_lot("W17", product="se1", quantity=2)
    await client.open_lot("W17", product="se1", quantity=3, sorts=True)
    units = [f"W17/1/0/{y}" for y in range(3)]
    for n, unit in enumerate(units[:2]):
        chip = Chip(40 + n, seed="wafer", latency="zero")
        chip.power(3.3)
        chip.atr()
        die, card = die_of(unit, lot="W17"), ChipCard(chip)
        assert await client.open_test(die, card)
        assert await client.load(die, card)
        assert chip.life_cycle is LifeCycle.TEST_LOCKED
    with pytest.raises(VaultRefusedError, match="102"):
        await client.personalise(die, card)
    with pytest.raises(DutError, match="out of test"):
        await client.load(die_of(units[2], lot="W17"), ChipCard(sound_chip(50)))
    await client.claim("W17", [Binned(unit, 1, "pass") for unit in units[:2]] + [Binned(units[2], 4, "fail")])
    assert await client.close_lot("W17") == LotClosing({"PASSED": 2, "REJECT_HELD": 1})
    await client.export("W17", tmp_path)
    verdict = verified(tmp_path / BUNDLE, read_trust(tmp_path / TRUST))
    assert verdict.findings == ()
    await client.aclose()


async def test_dies_side_by_side_are_sealed(process: VaultProcess, io: IoThread) -> None:
    client = await open_client(process, io, "L2")
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(
                client.personalise(die_of(f"L2/{n}", lot="L2"), ChipCard(sound_chip(20 + n, payload=4096)))
            )
            for n in range(4)
        ]
    assert {task.result().disposition for task in tasks} == {Disposition.SEALED}
    assert len({task.result().serial for task in tasks}) == 4
    await client.aclose()


async def test_refusals_keep_what_became_of_the_die(process: VaultProcess, io: IoThread) -> None:
    client = await open_client(process, io, "L3")
    with pytest.raises(VaultRefusedError, match="101: lot L99 is not open") as caught:
        await client.personalise(die_of("L99/1", lot="L99"), ChipCard(sound_chip()))
    assert caught.value.personalisation.disposition is Disposition.UNTOUCHED
    with pytest.raises(CustodyError, match="product 'other' is none of se1"):
        await client.open_lot("L98", product="other", quantity=1)
    with pytest.raises(CustodyError, match="lot L97 is not known"):
        await client.close_lot("L97")
    assert (await client.ask_unit("L96/1")).standing == ""
    await client.aclose()


async def test_a_bad_die_is_a_disposition_and_not_an_error(process: VaultProcess, io: IoThread) -> None:
    client = await open_client(process, io, "L4")
    first = sound_chip(40)
    await client.personalise(die_of("L4/1", lot="L4"), ChipCard(first))
    twin = sound_chip(41, uid=development_uid(40))
    outcome = await client.personalise(die_of("L4/2", lot="L4"), ChipCard(twin))
    assert (outcome.disposition, outcome.error) == (Disposition.QUARANTINE, 202)
    card = ChipCard(sound_chip(42))
    card.stop_at = lambda _script, step: step == 0
    outcome = await client.personalise(die_of("L4/3", lot="L4"), card)
    assert (outcome.disposition, outcome.error) == (Disposition.RETRY, 401)
    await client.claim("L4", [Binned(f"L4/{n}", 4, "fail") for n in range(1, 21)])
    closing = await client.close_lot("L4")
    assert closing.open == "lot L4 stays open: 2 in QUARANTINE (L4/1, L4/2)"
    await client.aclose()


async def test_a_cancelled_relay_ends_its_script_and_says_gone(process: VaultProcess, io: IoThread) -> None:
    client = await open_client(process, io, "L5")
    task: asyncio.Task[object]

    def cancel() -> None:
        task.cancel()

    card = WatchedCard(sound_chip(50), 3, cancel)
    task = asyncio.create_task(client.personalise(die_of("L5/1", lot="L5"), card))
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(card.scripts) == 3
    assert len(card.scripts[2]) > 3, "the script under way was done to its end"
    known = await client.ask_unit("L5/1")
    assert (known.standing, known.intent) == ("SCREENED", "keys")
    with pytest.raises(CustodyError, match="1 units in work: L5/1"):
        await client.close_lot("L5")
    with pytest.raises(VaultRefusedError, match="only by purpose RESUME"):
        await client.personalise(die_of("L5/1", lot="L5", contact=2), card)
    again = ChipCard(card.chip)
    resumed = await client.personalise(die_of("L5/1", lot="L5", contact=3), again, purpose=Purpose.RESUME)
    assert resumed.disposition is Disposition.SEALED
    await client.aclose()


class StuckCard(ChipCard):
    """A card whose third script does not end."""

    def __init__(self, chip: Chip) -> None:
        super().__init__(chip)
        self.stuck, self.cut = asyncio.Event(), False

    async def run(self, script: Sequence[CardStep]) -> ScriptReply:
        if len(self.scripts) < 2:
            return await super().run(script)
        self.stuck.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cut = True
            raise
        raise AssertionError("it waits for ever")


async def test_a_relay_that_is_cut_off_does_not_wait_for_its_script(
    process: VaultProcess, io: IoThread
) -> None:
    client = await open_client(process, io, "L9")
    card = StuckCard(sound_chip(90))
    task = asyncio.create_task(client.personalise(die_of("L9/1", lot="L9"), card))
    async with asyncio.timeout(30):
        await card.stuck.wait()
        task.cancel()
        await asyncio.sleep(0)
        assert not card.cut, "a script is done to its end"
        task.cancel(CUT)
        with pytest.raises(asyncio.CancelledError):
            await task
    assert card.cut
    known = await client.ask_unit("L9/1")
    assert (known.standing, known.intent) == ("SCREENED", "keys")
    with pytest.raises(VaultRefusedError, match="only by purpose RESUME"):
        await client.personalise(die_of("L9/1", lot="L9", contact=2), ChipCard(card.chip))
    await client.aclose()


async def test_a_sealed_device_is_verified_and_another_in_its_place_is_not(
    process: VaultProcess, io: IoThread
) -> None:
    client = await open_client(process, io, "L7")
    card = ChipCard(sound_chip(70))
    sealed = await client.personalise(die_of("L7/1", lot="L7"), card)
    other = ChipCard(sound_chip(71))
    await client.personalise(die_of("L7/2", lot="L7"), other)
    await client.claim("L7", [Binned(f"L7/{n}", 1, "pass" if n < 3 else "fail") for n in range(1, 21)])
    assert (await client.close_lot("L7")).open == ""
    again = await client.personalise(die_of("L7/1", lot="L7", contact=2), card, purpose=Purpose.VERIFY)
    assert again == sealed
    wrong = await client.personalise(die_of("L7/1", lot="L7", contact=3), other, purpose=Purpose.VERIFY)
    assert (wrong.disposition, wrong.error) == (Disposition.QUARANTINE, 201)
    with pytest.raises(VaultRefusedError, match="nothing to verify"):
        await client.personalise(die_of("L7/3", lot="L7"), card, purpose=Purpose.VERIFY)
    await client.aclose()


async def test_the_log_names_dies_and_shows_no_key(process: VaultProcess, io: IoThread) -> None:
    client = await open_client(process, io, "L8")
    card = ChipCard(sound_chip(80))
    card.stop_at = lambda script, step: script == 3 and step == 1
    await client.personalise(die_of("L8/1", lot="L8"), card)
    await client.aclose()
    log = (process.folder / "vault.log").read_text()
    assert '"unit": "L8/1"' in log
    for name in (TRANSPORT_MASTER, ISSUER_MASTER):
        key = master(name, None).hex()
        assert key[:32] not in log
        assert key[-32:] not in log


async def test_a_failing_reader_is_an_error_of_equipment(process: VaultProcess, io: IoThread) -> None:
    client = await open_client(process, io, "L6")

    def broken() -> None:
        raise TransportError("reader unplugged")

    with pytest.raises(TransportError, match="unplugged"):
        await client.personalise(die_of("L6/1", lot="L6"), WatchedCard(sound_chip(60), 2, broken))
    assert (await client.ask_unit("L6/1")).intent == ""
    await client.aclose()


@pytest.mark.parametrize(("script", "intent"), [(2, ""), (3, "keys"), (5, "write"), (7, "lock")])
async def test_a_killed_vault_goes_forward_with_the_same_certificate(
    tmp_path: Path, io: IoThread, script: int, intent: str
) -> None:
    folder = tmp_path / "vault"
    first = VaultProcess.start(folder, seed=1)
    client = await open_client(first, io, "L1")
    chip = sound_chip()
    with pytest.raises(CustodyError):
        await client.personalise(
            die_of("L1/1"), WatchedCard(chip, script, lambda: os.kill(first.pid, signal.SIGKILL))
        )
    await client.aclose()
    assert first.stop() == -signal.SIGKILL
    issued = certificates_in(folder)
    second = VaultProcess.start(folder, seed=1)
    client = await open_client(second, io, "L1")
    known = await client.ask_unit("L1/1")
    assert known.intent == intent
    purpose = Purpose.RESUME if known.intent else Purpose.PERSONALISE
    outcome = await client.personalise(die_of("L1/1", contact=2), ChipCard(chip), purpose=purpose)
    assert outcome.disposition is Disposition.SEALED
    await client.aclose()
    second.stop()
    certificates = certificates_in(folder)
    assert outcome.certificates == tuple(sha256(der).digest() for der in certificates)
    assert issued in ([], certificates), "what was issued before the kill is what is in the die"


async def test_a_vault_that_is_not_there_is_an_error_of_custody(tmp_path: Path, io: IoThread) -> None:
    client = VaultClient(tmp_path / "nothing", clock=At(), io=io, station="cell-1")
    with pytest.raises(CustodyError) as error:
        await client.connect()
    assert str(error.value) == "the vault does not serve: unavailable: No such file or directory"
    await client.aclose()
