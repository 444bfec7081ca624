"""The card reader as the engine sees it, over PyUSB and the simulated reader, in virtual time."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.card.ccid import CcidOptions, CcidReader, CcidSlot
from drivers.errors import DeviceLost, DutError, EquipmentError, InstrumentError, ProtocolError
from drivers.protocols.ccid import Features, SlotChange
from drivers.roles import Apdu, Card, Identity, Reset, ScriptReply, Stopped
from drivers.transports.usb import UsbPort
from sim.card import ccid as model
from sim.clock import Clock, RealClock
from sim.faults import Faults, parse
from sim.time import VirtualLoop, new_loop
from sim.usb.backend import SimUsbBackend, UsbBus
from sim.usb.device import TRANSFER_S

T = TypeVar("T")
BOTH = bytes.fromhex("3B80800101")
FAST = bytes.fromhex("3B90188131FE4583")
SE1 = bytes.fromhex("3B9018800109")
T0_ALONE = bytes.fromhex("3B00")
ECHO, SLOW = 0x10, 0x46


class Chip:
    """Echoes what follows the header; INS 46 takes its P1 in seconds."""

    def __init__(self, atr: bytes | None = FAST) -> None:
        self.atr = atr
        self.here = True
        self.powered = False
        self.taken: list[bytes] = []

    def present(self) -> bool:
        return self.here

    def activate(self) -> bytes | None:
        self.powered = True
        return self.atr

    def deactivate(self) -> None:
        self.powered = False

    def apdu(self, command: bytes) -> tuple[bytes | None, float]:
        self.taken.append(command)
        if command[1] == SLOW:
            return b"\x90\x00", float(command[2])
        return command[4:] + (b"\x6a\x80" if command[2] else b"\x90\x00"), 0.001


class Bench:
    """A reader with its chips, and the driver that talks to it."""

    def __init__(
        self,
        *faults: str,
        chips: Sequence[Chip] = (),
        level: Features = Features.TPDU,
        longest: int | None = None,
    ) -> None:
        loop = asyncio.get_running_loop()
        self.chips = tuple(chips) or (Chip(),)
        self.bus = UsbBus(loop.clock if isinstance(loop, VirtualLoop) else RealClock(loop))
        self.device = model.CcidReader(self.bus, self.chips, level=level, longest=longest)
        self.breaks(*faults)
        self.bus.attach(self.device)
        backend = SimUsbBackend(self.bus)
        self.port = UsbPort("usb:1209:0001:R0001", 0x1209, 0x0001, "R0001", backend=backend)
        self.reader = CcidReader("reader", self.port, CcidOptions(slots=len(self.chips)))

    def breaks(self, *faults: str) -> None:
        """Turn knobs of the reader from now on."""
        known = tuple(parse(fault) for fault in faults)
        self.device.faults = Faults("r", model.CcidReader.knobs, known, "seed")

    @property
    def card(self) -> CcidSlot:
        return self.reader.channels["0"]


def run(
    main: Callable[[Bench], Coroutine[Any, Any, T]],
    *faults: str,
    chips: Sequence[Chip] = (),
    level: Features = Features.TPDU,
    longest: int | None = None,
    make: Callable[[], asyncio.AbstractEventLoop] = lambda: new_loop(None),
) -> T:
    async def whole() -> T:
        bench = Bench(*faults, chips=chips, level=level, longest=longest)
        await bench.reader.connect()
        try:
            return await main(bench)
        finally:
            await bench.reader.aclose()

    with asyncio.Runner(loop_factory=make) as runner:
        return runner.run(whole())


def echo(data: bytes, *, p1: int = 0) -> Apdu:
    return Apdu(bytes((0, ECHO, p1, 0)) + data, budget_s=60.0)


def slow(seconds: int, budget_s: float) -> Apdu:
    return Apdu(bytes((0, SLOW, seconds, 0)), budget_s=budget_s)


async def on(bench: Bench, script: Sequence[Apdu | Reset]) -> ScriptReply:
    await bench.card.power_on()
    return await bench.card.run(script)


def now() -> float:
    return asyncio.get_running_loop().time()


# -- what works
@settings(max_examples=15, deadline=None)
@given(
    atr=st.sampled_from([FAST, SE1, BOTH]),
    sizes=st.lists(st.integers(0, 1500), min_size=1, max_size=5),
    every=st.sampled_from([0, 3, 4, 7]),
)
def test_commands_of_any_length_come_back_though_blocks_are_bad(
    atr: bytes, sizes: list[int], every: int
) -> None:
    chip = Chip(atr)
    faults = (f"r.bad_edc@every={every}",) if every else ()
    result = run(lambda bench: on(bench, [echo(bytes(size)) for size in sizes]), *faults, chips=[chip])
    assert result.stopped is Stopped.END
    assert [len(reply.data) for reply in result.replies] == sizes
    assert len(chip.taken) == len(sizes), "no command ran twice"


def test_script_is_one_hop_and_stops_after_the_first_unexpected_status() -> None:
    async def main(bench: Bench) -> None:
        await bench.card.power_on()
        jobs = bench.port.load.jobs
        result = await bench.card.run((echo(b"a"), echo(b"b", p1=1), echo(b"c")))
        assert bench.port.load.jobs == jobs + 1
        assert [(reply.data, reply.status) for reply in result.replies] == [(b"a", 0x9000), (b"b", 0x6A80)]
        assert result.stopped is Stopped.STATUS_WORD
        assert (await bench.card.transmit(bytes((0, ECHO, 1, 0)))).status == 0x6A80

    run(main)


def test_time_of_each_reply_is_the_chips_and_the_links_at_the_rate_agreed_on() -> None:
    async def main(bench: Bench) -> float:
        (reply,) = (await on(bench, (echo(bytes(200)),))).replies
        return reply.elapsed_s

    fast, plain = run(main), run(main, chips=[Chip(BOTH)])
    bits = (204 + 4 + 202 + 4) * 12
    assert fast == pytest.approx(bits * 31 / 4e6 + 0.003, rel=0.05)
    assert plain > 10 * fast


def test_long_operation_asks_for_time_and_ends_within_its_budget() -> None:
    (reply,) = run(lambda bench: on(bench, (slow(20, 30.0),))).replies
    assert reply.status == 0x9000
    assert reply.elapsed_s == pytest.approx(20, abs=0.2)


class Thinker(Chip):
    """Takes `takes_s` for each command, and spends some of it before it says so."""

    def __init__(self, length: int, takes_s: float, spends_s: float) -> None:
        super().__init__(SE1)
        self.clock: Clock | None = None
        self._answer = bytes(length) + b"\x90\x00", takes_s
        self._spends_s = spends_s

    def apdu(self, command: bytes) -> tuple[bytes | None, float]:
        if self.clock is not None:
            self.clock.sleep(self._spends_s)
        return self._answer


@pytest.mark.parametrize("length", [0, 100, 3000])
@pytest.mark.parametrize("takes_s", [0.4, 5.0])
def test_chip_that_spends_some_of_its_time_at_once_takes_no_longer(length: int, takes_s: float) -> None:
    def taken(chip: Thinker) -> list[float]:
        async def main(bench: Bench) -> list[float]:
            chip.clock = bench.bus.clock
            result = await on(bench, [echo(b"1"), echo(b"2")])
            assert [len(reply.data) for reply in result.replies] == [length, length]
            return [*(reply.elapsed_s for reply in result.replies), now()]

        return run(main, chips=[chip])

    thinks, at_once = taken(Thinker(length, takes_s, 0.3)), taken(Thinker(length, takes_s, 0.0))
    assert thinks == pytest.approx(at_once) and thinks[0] > takes_s


def test_reset_in_a_script_warm_and_cold() -> None:
    result = run(lambda bench: on(bench, (Reset(), echo(b"a"), Reset(cold=True), echo(b"b"))))
    assert [reply.data for reply in result.replies] == [FAST, b"a", FAST, b"b"]
    assert {reply.status for reply in result.replies} == {0x9000}


def test_real_time_and_real_threads() -> None:
    script = (echo(bytes(300)), Reset(cold=True), echo(b"a"))
    result = run(lambda bench: on(bench, script), make=asyncio.new_event_loop)
    assert [reply.data for reply in result.replies] == [bytes(300), FAST, b"a"]


def test_two_slots_keep_apart() -> None:
    async def main(bench: Bench) -> None:
        first, second = bench.reader.channels["0"], bench.reader.channels["1"]
        assert await first.power_on() == FAST
        assert await second.power_on() == BOTH
        async with asyncio.TaskGroup() as group:
            a = group.create_task(first.run([echo(b"a" * 300)] * 3))
            b = group.create_task(second.run([echo(b"b" * 300)] * 3))
        assert {reply.data for reply in a.result().replies} == {b"a" * 300}
        assert {reply.data for reply in b.result().replies} == {b"b" * 300}
        await first.power_off()
        assert (bench.chips[0].powered, bench.chips[1].powered) == (False, True)

    run(main, chips=[Chip(FAST), Chip(BOTH)])


def test_identity_and_safe_state() -> None:
    async def main(bench: Bench) -> None:
        assert await bench.reader.identify() == Identity("hardbin", "simulated CCID reader", "R0001", "1.00")
        await bench.card.power_on()
        await bench.card.make_safe()
        assert not bench.chips[0].powered

    run(main)


@pytest.mark.parametrize("level", [Features.SHORT_APDU, Features.EXTENDED_APDU])
@pytest.mark.parametrize("atr", [FAST, T0_ALONE])
def test_reader_at_apdu_level(level: Features, atr: bytes) -> None:
    script = (echo(b"x" * 200), slow(12, 30.0))
    result = run(lambda bench: on(bench, script), chips=[Chip(atr)], level=level)
    assert [len(reply.data) for reply in result.replies] == [200, 0]
    assert result.stopped is Stopped.END
    assert (result.replies[0].elapsed_s < 0.1) is (atr is FAST), "the reader has agreed on the fast rate"


@pytest.mark.parametrize("longest", [271, None])
@pytest.mark.parametrize("size", [0, 256, 257, 258, 1000, 4000])
def test_extended_apdus_cross_whole_or_in_pieces(size: int, longest: int | None) -> None:
    data = bytes(n % 251 for n in range(size))
    result = run(lambda bench: on(bench, (echo(data),)), level=Features.EXTENDED_APDU, longest=longest)
    assert [reply.data for reply in result.replies] == [data]


@pytest.mark.parametrize("size", [100, 250, 1000, 4000])
def test_reader_that_speaks_t1_itself_saves_transfers_and_nothing_else(size: int) -> None:
    levels = (Features.TPDU, Features.EXTENDED_APDU)
    slow, fast = (
        run(lambda bench: on(bench, (echo(bytes(size)),)), level=level).replies[0].elapsed_s
        for level in levels
    )
    blocks = 2 * -(-(size + 4) // 254) - 1
    saved_s = (blocks - 1) * 2 * TRANSFER_S
    assert slow - fast == pytest.approx(saved_s, rel=0.15, abs=0.5e-3), "but for guard times, hidden by USB"


@pytest.mark.parametrize(
    ("level", "why"),
    [
        (Features.SHORT_APDU, "300 bytes; this reader takes short APDUs of at most 261"),
        (Features.TPDU, "300 bytes: T=0 carries short commands of at most 261"),
    ],
)
def test_long_command_is_refused_where_only_short_ones_pass(level: Features, why: str) -> None:
    async def main(bench: Bench) -> None:
        with pytest.raises(ValueError, match=why):
            await on(bench, (echo(b"\xff" + bytes(295)),))
        assert (await bench.card.run((echo(b""),))).stopped is Stopped.END, "the chip never saw it"

    run(main, level=level, chips=[Chip(T0_ALONE)])


def test_every_run_is_the_same() -> None:
    async def main(bench: Bench) -> tuple[ScriptReply, float]:
        return await on(bench, [echo(bytes(n)) for n in range(0, 900, 100)]), now()

    assert run(main, "r.bad_edc@p=0.2") == run(main, "r.bad_edc@p=0.2")


def test_nothing_of_a_script_enters_the_trace() -> None:
    async def main(bench: Bench) -> None:
        await bench.card.power_on()
        before = bench.port.trace.entries()
        await bench.card.run((echo(b"secret"),))
        assert bench.port.trace.entries() == before

    run(main)


@settings(max_examples=20, deadline=None)
@given(data=st.binary(min_size=1, max_size=254), le=st.booleans(), length=st.integers(0, 255))
def test_chip_that_speaks_t0_alone(data: bytes, le: bool, length: int) -> None:
    command = bytes((0, ECHO, 0, 0, len(data))) + data + (b"\0" if le else b"")
    read = bytes((0, ECHO, 0, 0, length))
    result = run(lambda bench: on(bench, (Apdu(command), Apdu(read))), chips=[Chip(T0_ALONE)])
    assert [reply.data for reply in result.replies] == [command[4 : 5 + len(data)], read[4:]]
    assert result.stopped is Stopped.END


def test_t0_chip_that_takes_long_and_one_that_is_mute() -> None:
    async def main(bench: Bench) -> None:
        result = await on(bench, (slow(12, 30.0), slow(12, 3.0)))
        assert ([reply.status for reply in result.replies], result.stopped) == ([0x9000], Stopped.TIME)
        await bench.card.power_on()
        bench.breaks("r.mute")
        assert (await bench.card.run((echo(b""),))).stopped is Stopped.LINK

    run(main, chips=[Chip(T0_ALONE)])


def test_reader_that_waits_itself_may_ask_for_time_as_often_as_the_budget_allows() -> None:
    result = run(lambda bench: on(bench, (slow(120, 200.0),)), level=Features.SHORT_APDU)
    assert result.replies[0].elapsed_s == pytest.approx(120, abs=1)


def test_interrupts_tell_of_cards_that_come_and_go_the_newest_alone() -> None:
    async def main(bench: Bench) -> list[SlotChange]:
        first = await bench.port.interrupt()
        for here in (False, True, False):
            bench.chips[1].here = here
            await bench.card.make_safe()
        return [SlotChange.decode(raw, 2) for raw in (first, await bench.port.interrupt())]

    assert run(main, chips=[Chip(), Chip()]) == [
        SlotChange(((True, True), (True, True))),
        SlotChange(((True, False), (False, True))),
    ]


# -- what the chip does wrong
def test_budget_that_is_used_up_stops_the_script_and_a_reset_brings_the_chip_back() -> None:
    async def main(bench: Bench) -> None:
        result = await on(bench, (echo(b"a"), slow(20, 3.0), echo(b"never")))
        assert ([reply.data for reply in result.replies], result.stopped) == ([b"a"], Stopped.TIME)
        assert now() == pytest.approx(3, abs=0.7)
        again = await bench.card.run((echo(b"never"),))
        assert (again.replies, again.stopped) == ((), Stopped.LINK)
        assert (await bench.card.run((Reset(), echo(b"b")))).stopped is Stopped.END

    run(main)


@pytest.mark.parametrize("level", [Features.TPDU, Features.EXTENDED_APDU])
def test_mute_chip_ends_the_script(level: Features) -> None:
    async def main(bench: Bench) -> None:
        await bench.card.power_on()
        bench.breaks("r.mute")
        result = await bench.card.run((echo(b"a"), echo(b"b")))
        assert (result.replies, result.stopped) == ((), Stopped.LINK)
        with pytest.raises(DutError, match="no answer to 00 10 00 00 .link.") as failed:
            await bench.card.transmit(echo(b"").command)
        assert failed.value.silent

    run(main, level=level)


def test_one_lost_block_is_repaired() -> None:
    async def main(bench: Bench) -> None:
        await bench.card.power_on()
        bench.breaks("r.mute@once")
        result = await bench.card.run((echo(b"a"), echo(b"b")))
        assert [reply.data for reply in result.replies] == [b"a", b"b"]

    run(main)


def test_chip_that_was_not_understood_is_reset_once_more() -> None:
    result = run(lambda bench: on(bench, (echo(b"a"),)), "r.bad_edc@once")
    assert [reply.data for reply in result.replies] == [b"a"]


@pytest.mark.parametrize(
    ("chip", "faults", "silent", "why"),
    [
        (Chip(None), (), True, "reader.0: card absent or mute"),
        (Chip(FAST), ("r.bad_tck",), False, "wrong TCK"),
        (Chip(b"\x3c\x00"), (), False, "begins with 3C"),
        (Chip(b""), (), True, "no answer to reset"),
        (Chip(bytes.fromhex("3B00" + "00")), (), False, "announces 2"),
    ],
)
def test_chip_that_cannot_be_activated_fails_its_test(
    chip: Chip, faults: tuple[str, ...], silent: bool, why: str
) -> None:
    async def main(bench: Bench) -> None:
        with pytest.raises(DutError, match=why) as failed:
            await bench.card.power_on()
        assert failed.value.silent is silent
        assert (await bench.card.run((Reset(), echo(b"")))).stopped is Stopped.LINK

    run(main, *faults, chips=[chip])


def test_empty_slot_is_told_and_safe() -> None:
    async def main(bench: Bench) -> None:
        bench.chips[0].here = False
        with pytest.raises(DutError, match="no card makes contact"):
            await bench.card.power_on()
        await bench.card.make_safe()
        bench.chips[0].here = True
        assert await bench.card.power_on() == FAST

    run(main)


def test_contact_lost_in_a_script() -> None:
    async def main(bench: Bench) -> None:
        await bench.card.power_on()
        bench.breaks("r.card_removed=100@once")
        result = await bench.card.run([echo(b"a")] * 3)
        assert (result.replies, result.stopped) == ((), Stopped.LINK)
        await asyncio.sleep(0.2)
        assert (await bench.card.run((Reset(), echo(b"b")))).stopped is Stopped.END

    run(main)


def test_reader_that_asks_for_more_time_is_waited_for() -> None:
    async def main(bench: Bench) -> float:
        assert (await on(bench, (echo(b"a"),))).stopped is Stopped.END
        return now()

    assert run(main, "r.slow_card=2@once") > 2.8


# -- what the reader does wrong
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("r.wrong_seq@once", EquipmentError),
        ("r.swap_answers@once", EquipmentError),
        ("r.truncate=12@once", ProtocolError),
    ],
)
def test_reader_that_answers_wrongly_is_blamed_and_usable_after_the_abort(
    fault: str, error: type[Exception]
) -> None:
    async def main(bench: Bench) -> None:
        with pytest.raises(error):
            await bench.card.power_on()
        assert (await bench.card.run((Reset(), echo(b"b")))).stopped is Stopped.END

    run(main, fault)


def test_unplugged_reader_is_lost_and_starts_anew_at_another_address() -> None:
    async def main(bench: Bench) -> None:
        with pytest.raises(DeviceLost):
            await bench.card.power_on()
        await bench.reader.aclose()
        with pytest.raises(EquipmentError, match="no USB device"):
            await bench.reader.connect()
        await asyncio.sleep(0.5)
        await bench.reader.connect()
        result = await bench.card.run((echo(b"a"),))
        assert result.stopped is Stopped.LINK, "all slots are without power"
        assert (await on(bench, (echo(b"a"),))).stopped is Stopped.END

    run(main, "r.usb_detach=400@once")


def test_cancelled_in_mid_exchange_the_next_command_aborts_it_first() -> None:
    async def main(bench: Bench) -> None:
        await bench.card.power_on()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(2.0):
                await bench.card.run((slow(20, 60.0),))
        assert now() < 3.0
        assert not bench.port.lost
        assert (await bench.card.run((echo(b"a"),))).stopped is Stopped.LINK
        assert (await bench.card.run((Reset(), echo(b"b")))).stopped is Stopped.END
        controls = [entry.data[:2] for entry in bench.port.trace.entries() if entry.mark == ">control"]
        assert b"\x21\x01" not in controls, "the abort itself belongs to the muted script"

    run(main)


def test_slot_that_does_not_exist_is_the_readers_refusal() -> None:
    async def main(bench: Bench) -> None:
        bench.reader.channels["0"].number = 7
        await bench.reader.aclose()
        with pytest.raises(InstrumentError, match="does not accept byte 5"):
            await bench.reader.connect()

    run(main)


def test_not_connected_and_bad_options() -> None:
    reader = CcidReader("reader", UsbPort("usb:x", 1, 1, None), CcidOptions())

    async def main() -> None:
        with pytest.raises(EquipmentError, match="reader.0 is not connected"):
            await reader.channels["0"].power_on()

    asyncio.run(main())
    assert isinstance(reader.channels["0"], Card)
    with pytest.raises(msgspec.ValidationError, match="slots = 0; allowed are 1 to 16"):
        msgspec.convert({"slots": 0}, CcidOptions)
    with pytest.raises(msgspec.ValidationError, match="voltage"):
        msgspec.convert({"voltage": "12 V"}, CcidOptions)
