"""A handler on digital lines: dialogues, then whole lots on the simulated chip, and what goes wrong."""

import asyncio
import itertools
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest

from drivers.dio.ftdi_mpsse import FtdiMpsse, FtdiMpsseOptions
from drivers.errors import EquipmentError
from drivers.handler.ttl import TtlHandler, TtlOptions
from drivers.protocols.ttl import Sensing, Signals, Spurious, Started, StartLine, Stuck
from drivers.roles import Touchdown
from drivers.roles.dio import Dio, DioStep, Levels
from drivers.transports.usb import UsbPort
from sim.dio import ftdi_mpsse
from sim.handler import ttl
from sim.time import VirtualLoop
from sim.usb.backend import SimUsbBackend, UsbBus
from tests.drivers.handler.test_lots import Run, clock, faults_of, virtually
from tests.replay import replayed_lines
from tests.simulated.ttl import signals
from tests.trays import Trays, full

ONE = Touchdown(frozenset({1}))
FAST = {"debounce_s": 1e-9, "gather_s": 1e-9, "sample_s": 1e-9, "rest_s": 1e-9}
"""A dialogue has no time of its own: a level lasts for a few looks."""
LONG = Stuck("active for more than 1 s")
EARLY = Spurious("active already when the station began to look")


def wires(lines: dict[int, Signals]) -> dict[str, Signals]:
    return {str(site): one for site, one in lines.items()}


def made(dio: Dio, sites: int = 1, **options: Any) -> TtlHandler:
    return TtlHandler("handler", dio, TtlOptions(lines=wires(signals(sites)), **(FAST | options)))


@asynccontextmanager
async def listening(handler: TtlHandler) -> AsyncGenerator[AsyncGenerator[Touchdown, None], None]:
    await handler.connect()
    try:
        async with aclosing(handler.touchdowns()) as touchdowns:
            yield touchdowns
    finally:
        await handler.aclose()


async def test_one_contact() -> None:
    with replayed_lines("ttl/one_contact", signals(1)) as dio:
        handler = made(dio)
        async with listening(handler) as touchdowns:
            await handler.start_lot("L1")
            assert await anext(touchdowns) == ONE
            await handler.make_safe()
            await handler.sort({1: 1})
    assert handler.hard_bins == {1, 2, 3}
    assert (await handler.identify()).model.startswith("handler on the lines of replay")


async def test_devices_that_nobody_opened_are_there_after_a_hold() -> None:
    with replayed_lines("ttl/one_contact", signals(1)) as dio:
        handler = made(dio)
        async with listening(handler) as touchdowns:
            await anext(touchdowns)
            await touchdowns.aclose()
            async with aclosing(handler.touchdowns()) as after:
                assert await anext(after) == ONE
                await handler.sort({1: 1})


async def test_a_level_must_go_before_it_counts_again() -> None:
    with replayed_lines("ttl/level", signals(1)) as dio:
        handler = made(dio, sensing="level")
        async with listening(handler) as touchdowns:
            for number in (2, 1):
                await anext(touchdowns)
                await handler.sort({1: number})


async def test_sites_that_start_together_are_one_contact() -> None:
    with replayed_lines("ttl/two_sites", signals(2)) as dio:
        handler = made(dio, 2, gather_s=0.1)
        async with listening(handler) as touchdowns:
            assert (await anext(touchdowns)).sites == {1, 2}
            await handler.sort({1: 1, 2: 3})


async def test_the_devices_are_plunged_again() -> None:
    with replayed_lines("ttl/plunged_again", signals(1)) as dio:
        handler = made(dio)
        async with listening(handler) as touchdowns:
            await anext(touchdowns)
            await handler.replunge()
            await anext(touchdowns)
            await handler.sort({1: 3})


async def test_bins_as_numbers() -> None:
    with replayed_lines("ttl/binary", signals(1)) as dio:
        handler = made(dio, coding="binary", outputs_active="high")
        async with listening(handler) as touchdowns:
            await anext(touchdowns)
            await handler.sort({1: 6})
    assert handler.hard_bins == frozenset(range(1, 8))


async def test_an_error_of_the_handler_is_an_alarm() -> None:
    with replayed_lines("ttl/error", signals(1)) as dio:
        async with listening(made(dio)) as touchdowns:
            with pytest.raises(EquipmentError, match="signals an error at site 1"):
                await anext(touchdowns)


async def test_a_start_in_the_test_is_ignored_and_counted() -> None:
    with replayed_lines("ttl/start_in_the_test", signals(1)) as dio:
        handler = made(dio)
        async with listening(handler) as touchdowns:
            await anext(touchdowns)
            while dio.script.next_is("hear") or not handler.ignored:
                await dio.read()
                await asyncio.sleep(0)
            await handler.sort({1: 1})
    assert handler.ignored == 1


async def test_a_start_line_that_is_stuck_is_an_alarm() -> None:
    with replayed_lines("ttl/start_line_stuck", signals(1)) as dio:
        async with listening(made(dio, longest_s=0.001)) as touchdowns:
            with pytest.raises(EquipmentError, match="more than 0.001 s: the line is stuck"):
                await asyncio.sleep(0.01)
                await anext(touchdowns)


async def test_no_start_may_be_an_alarm() -> None:
    with replayed_lines("ttl/no_start", signals(1)) as dio:
        async with listening(made(dio, quiet_s=0.01)) as touchdowns:
            with pytest.raises(EquipmentError, match="no start of test for 0.01 s; is the input empty"):
                await anext(touchdowns)


async def test_a_pulse_that_is_too_short_starts_nothing() -> None:
    with replayed_lines("ttl/too_short", signals(1)) as dio:
        handler = made(dio, quiet_s=0.05, debounce_s=0.1)
        async with listening(handler) as touchdowns:
            with pytest.raises(EquipmentError, match="no start of test for 0.05 s"):
                await anext(touchdowns)
    assert handler.ignored == 1


async def test_what_cannot_be_right_is_not_said() -> None:
    with replayed_lines("ttl/one_contact", signals(1)) as dio:
        handler = made(dio, bin_timeout_s=1e-6)
        async with listening(handler) as touchdowns:
            with pytest.raises(EquipmentError, match="no devices in contact"):
                await handler.sort({1: 1})
            await anext(touchdowns)
            with pytest.raises(EquipmentError, match=r"bins for sites \[2\], in contact are \[1\]"):
                await handler.sort({2: 1})
            with pytest.raises(EquipmentError, match=r"no hard bin \[4\]; 1, 2, 3 are"):
                await handler.sort({1: 4})
            with pytest.raises(EquipmentError, match="takes bins for 1e-06 s: nothing was said"):
                await handler.sort({1: 1})
        dio.script.left.clear()


async def test_devices_that_got_no_bin_stop_the_wait() -> None:
    with replayed_lines("ttl/one_contact", signals(1)) as dio:
        async with listening(made(dio)) as touchdowns:
            await anext(touchdowns)
            with pytest.raises(EquipmentError, match="neither sorted nor plunged again"):
                await anext(touchdowns)
        dio.script.left.clear()


async def test_lines_that_fail_in_the_middle_leave_bins_unknown() -> None:
    with replayed_lines("ttl/one_contact", signals(1)) as dio:
        handler = made(dio)
        async with listening(handler) as touchdowns:
            await anext(touchdowns)
            dio.play = broken  # type: ignore[method-assign]
            with pytest.raises(EquipmentError, match=r"bins of sites \[1\] unknown: BIN1.1 does not follow"):
                await handler.sort({1: 1})
        dio.script.left.clear()


async def broken(steps: Sequence[DioStep]) -> None:
    assert isinstance(steps[0], Levels)
    raise EquipmentError("BIN1.1 does not follow")


async def test_lines_that_cannot_be_read_stop_everything() -> None:
    with replayed_lines("ttl/one_contact", signals(1)) as dio:
        dio.read = blind  # type: ignore[method-assign]
        handler = made(dio)
        async with listening(handler) as touchdowns:
            with pytest.raises(EquipmentError, match="gone"):
                await anext(touchdowns)
            with pytest.raises(EquipmentError, match="gone"):
                await anext(handler.touchdowns())
        dio.script.left.clear()


async def blind() -> dict[str, bool]:
    raise EquipmentError("the chip is gone")


async def test_replunge_needs_its_line() -> None:
    bare = {1: Signals(sot="SOT1", bins=("BIN1.1", "BIN1.2", "BIN1.3"), eot="EOT1", busy="BUSY1")}
    with replayed_lines("ttl/one_contact", bare) as dio:
        handler = TtlHandler("handler", dio, TtlOptions(lines=wires(bare), gather_s=0.001))
        assert not handler.can_replunge
        async with listening(handler) as touchdowns:
            await anext(touchdowns)
            with pytest.raises(EquipmentError, match="only with a retest line"):
                await handler.replunge()
            await handler.sort({1: 1})


@pytest.mark.parametrize(
    ("ours", "says"),
    [
        (Signals(sot="X", bins=("BIN1.1",), eot="EOT1"), "has no input X"),
        (Signals(sot="SOT1", bins=("BIN1.1",), eot="X"), "has no output X"),
    ],
)
async def test_lines_that_the_io_does_not_have(ours: Signals, says: str) -> None:
    with replayed_lines("ttl/no_start", signals(1)) as dio, pytest.raises(EquipmentError, match=says):
        await TtlHandler("handler", dio, TtlOptions(lines={"1": ours})).connect()


async def test_outputs_must_rest_inactive() -> None:
    with (
        replayed_lines("ttl/no_start", signals(1)) as dio,
        pytest.raises(EquipmentError, match="BIN1.1, .* would be active in its safe state"),
    ):
        await made(dio, outputs_active="high").connect()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"lines": {}}, "one site or more"),
        ({"lines": {"1": signals(1)[1], "2": signals(1)[1]}}, "used twice"),
        ({"eot_s": 0.0}, "eot_s 0: more than 0, at most 1"),
        ({"quiet_s": -1.0}, "quiet_s -1: 0 .for ever. or more"),
    ],
)
def test_options_that_cannot_be_meant(change: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        TtlOptions(**({"lines": wires(signals(1))} | change))


def test_signals_that_cannot_be_meant() -> None:
    with pytest.raises(ValueError, match="at least one line"):
        Signals(sot="A", bins=(), eot="B")
    with pytest.raises(ValueError, match="line A has two signals"):
        Signals(sot="A", bins=("B",), eot="A")
    one = Signals(sot="A", bins=("B", "C"), eot="D")
    with pytest.raises(ValueError, match="2 of the bin lines are active"):
        one.decoded({"B": True, "C": True}, "one_hot")
    with pytest.raises(ValueError, match="0 of the bin lines"):
        one.decoded({"B": False, "C": False}, "binary")


# -- the start line by samples
def looked(samples: list[tuple[float, bool]], sensing: Sensing = "pulse") -> list[object]:
    line = StartLine(debounce_s=0.002, longest_s=1.0, sensing=sensing)
    return [one for at, active in samples if (one := line.sample(active=active, at=at)) is not None]


@pytest.mark.parametrize(
    ("samples", "seen"),
    [
        ([(0, False), (1, True), (1.001, True), (1.002, True), (1.003, True)], [Started(1)]),
        ([(0, False), (1, True), (1.001, False)], [Spurious("active for less than 0.002 s")]),
        (
            [(0, False), (1, True), (1.5, True), (2.1, True), (3, True)],
            [Started(1), LONG],
        ),
        ([(0, True), (1, True), (9, True)], [EARLY]),
        (
            [(0, True), (1, False), (2, True), (2.01, True)],
            [EARLY, Started(2)],
        ),
    ],
)
def test_a_pulse(samples: list[tuple[float, bool]], seen: list[object]) -> None:
    assert looked(samples) == seen


def test_a_level_may_be_there_already_and_stays_as_long_as_it_likes() -> None:
    assert looked([(0, True), (1, True), (9, True), (10, False), (11, True), (12, True)], "level") == [
        Started(0),
        Started(11),
    ]


# -- whole lots
SITES = 2
PINS = {
    site: Signals(
        sot=f"C{site - 1}",
        bins=tuple(f"D{4 * (site - 1) + bit}" for bit in range(3)),
        eot=f"D{4 * site - 1}",
        error=f"C{site + 3}",
    )
    for site in range(1, SITES + 1)
}
OUTPUTS = frozenset(f"D{bit}" for bit in range(8))
_numbers = itertools.count(1)


@asynccontextmanager
async def cell(
    trays: Trays, *faults: str, sensing: Sensing = "pulse", pins: str = "", **options: Any
) -> AsyncGenerator[TtlHandler, None]:
    """A handler on the lines of a simulated chip, which has the faults `pins`; connected and started."""
    bus = UsbBus(clock().clock)
    knobs = ftdi_mpsse.FtdiMpsse.knobs
    chip = ftdi_mpsse.FtdiMpsse(bus, faults=faults_of(knobs, *pins.split()), serial=f"T{next(_numbers)}")
    bus.attach(chip)
    machine = ttl.TtlHandler(
        clock().clock,
        trays,
        chip.lines,
        PINS,
        port=ttl.Port(coding="binary", sensing=sensing),
        faults=faults_of(ttl.TtlHandler.knobs, *faults),
        timing=ttl.Timing(operator_s=1.0),
    )
    port = UsbPort("usb:lines", 0x0403, 0x6014, chip.strings[2], backend=SimUsbBackend(bus))
    lines = FtdiMpsse("lines", port, FtdiMpsseOptions(outputs=OUTPUTS, resting_high=OUTPUTS))
    told = TtlOptions(lines=wires(PINS), coding="binary", sensing=sensing, **options)
    handler = TtlHandler("handler", lines, told)
    await lines.connect()
    await handler.connect()
    machine.start()
    try:
        yield handler
    finally:
        await handler.aclose()
        await lines.aclose()
    assert not machine.alarm, machine.alarm


def sorted_until_quiet(trays: Trays, *knobs: str, faults: int = 0, **options: Any) -> Run:
    """Run until no start comes any more: these lines do not tell that the input is empty."""
    run = Run(trays)

    async def life() -> None:
        assert isinstance(clock(), VirtualLoop)
        async with cell(trays, *knobs, quiet_s=4.0, **options) as handler:
            with pytest.raises(EquipmentError, match="no start of test for 4 s"):
                await run.live(handler, faults=faults)

    virtually(life())
    return run


@pytest.mark.parametrize("sensing", ["pulse", "level"])
def test_a_lot(sensing: Sensing) -> None:
    run = sorted_until_quiet(full(SITES, 8), sensing=sensing)
    assert run.trays.bins == run.expected
    assert len(run.expected) == 16
    assert len(run.tested) == 8


@pytest.mark.parametrize("fault", ["bounce=2@p=0.3", "early_sot@p=0.2"])
def test_what_is_ignored(fault: str) -> None:
    run = sorted_until_quiet(full(SITES, 8), fault)
    assert run.trays.bins == run.expected
    assert len(run.expected) == 16


@pytest.mark.parametrize("fault", ["no_sot@every=9", "short_sot=1@every=9"])
def test_a_start_that_is_missing_leaves_its_device_unsorted(fault: str) -> None:
    run = sorted_until_quiet(full(1, 12), fault)
    assert run.trays.bins == run.expected
    assert len(run.expected) == 8


def test_an_alarm_is_told_and_the_lot_goes_on() -> None:
    run = sorted_until_quiet(full(SITES, 10), "error@every=4", faults=2)
    assert {str(fault) for fault in run.faults[:-1]} == {"handler: the handler signals an error at site 2"}
    assert run.trays.bins == run.expected
    assert len(run.expected) == 20


def test_a_bin_line_that_is_stuck_is_found_before_the_device_moves() -> None:
    run = Run(full(SITES, 5))

    async def life() -> None:
        async with cell(run.trays, pins="stuck=D0") as handler:
            with pytest.raises(EquipmentError, match=r"sites \[1, 2\] unknown: lines: D0 does not follow"):
                await run.live(handler)

    virtually(life())
    assert run.trays.bins == run.expected
    assert run.trays.sockets, "the devices of that contact are where they were"
