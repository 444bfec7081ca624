"""The driver against the dialogues of the manual, and against what a line does to them."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest

from drivers.errors import EquipmentError, ProtocolError
from drivers.handler.exatron import ExatronHandler, ExatronOptions
from drivers.roles import Touchdown
from drivers.transports import Stream
from tests.replay import replayed_stream

ONE = Touchdown(frozenset({1}))


class Script(Stream):
    """A line on which the handler says what it is told to, and the station's bytes are kept."""

    def __init__(self, *pieces: bytes) -> None:
        self.name = "script"
        self.said = b""
        self.waiting = 0
        """How often somebody waited for what it would say."""
        self._pieces = list(pieces)
        self._more = asyncio.Event()

    async def open(self) -> None:
        pass

    async def write(self, data: bytes) -> None:
        self.said += data

    async def receive(self) -> bytes:
        while not self._pieces:
            self.waiting += 1
            self._more.clear()
            await self._more.wait()
        return self._pieces.pop(0)

    def say(self, data: bytes) -> None:
        self._pieces.append(data)

    def answer(self, *pieces: bytes) -> None:
        """Go on while somebody waits."""
        self._pieces += pieces
        self._more.set()

    async def aclose(self) -> None:
        pass


def made(port: Stream, **options: Any) -> ExatronHandler:
    return ExatronHandler("handler", port, ExatronOptions(**options))


@asynccontextmanager
async def listening(handler: ExatronHandler) -> AsyncGenerator[AsyncGenerator[Touchdown, None], None]:
    await handler.connect()
    async with aclosing(handler.touchdowns()) as touchdowns:
        yield touchdowns
    await handler.aclose()


@pytest.mark.parametrize("chunk", [1, 4096])
async def test_replunge_then_sort(chunk: int) -> None:
    with replayed_stream("exatron/replunge_then_sort", chunk=chunk) as line:
        handler = made(line)
        async with listening(handler) as touchdowns:
            assert await anext(touchdowns) == ONE
            await handler.replunge()
            assert await anext(touchdowns) == ONE
            await handler.sort({1: 2})
    assert (line.opened, line.closed) == (1, 1)


async def test_a_device_that_nobody_opened_is_plunged_again_after_a_hold() -> None:
    with replayed_stream("exatron/replunge_then_sort") as line:
        handler = made(line)
        async with listening(handler) as touchdowns:
            await anext(touchdowns)
            await touchdowns.aclose()
            async with aclosing(handler.touchdowns()) as after:
                assert await anext(after) == ONE
                await handler.sort({1: 2})


async def test_super_mode_retests_when_asked() -> None:
    with replayed_stream("exatron/super_retest") as line:
        handler = made(line, mode="super", retest_sort=1)
        assert handler.hard_bins == {2, 3, 4, 5, 6, 7, 8}
        async with listening(handler) as touchdowns:
            await anext(touchdowns)
            await handler.replunge()
            await anext(touchdowns)
            await handler.sort({1: 1})


async def test_the_sort_that_plunges_again_is_no_bin_of_a_first_contact() -> None:
    with replayed_stream("exatron/super_retest") as line:
        handler = made(line, mode="super", retest_sort=1)
        async with listening(handler) as touchdowns:
            await anext(touchdowns)
            with pytest.raises(EquipmentError, match="no hard bin 1; allowed: .2, 3, 4, 5, 6, 7, 8."):
                await handler.sort({1: 1})
        line.script.left.clear()


async def test_the_part_after_a_replunge_may_take_its_time() -> None:
    line = Script(b"H\r", b"S\r")
    handler = made(line, close_s=0.01)
    async with listening(handler) as touchdowns:
        await anext(touchdowns)
        await handler.replunge()
        line.say(b"S\r")
        await anext(touchdowns)
        await handler.sort({1: 2})
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.03):
                await anext(touchdowns)
    assert line.said == b"R02"


async def test_a_retest_that_does_not_come_is_an_alarm() -> None:
    line = Script(b"TEST\rEND TEST\r")
    handler = made(line, mode="super", retest_sort=3, close_s=0.01, confirm_s=0.01)
    async with listening(handler) as touchdowns:
        await anext(touchdowns)
        await handler.replunge()
        with pytest.raises(EquipmentError, match="said None, expected was Word.RETEST"):
            await anext(touchdowns)
    assert line.said == b"3"


async def test_a_retest_that_nobody_asked_for_is_an_alarm() -> None:
    with replayed_stream("exatron/super_other_start") as line:
        handler = made(line, mode="super")
        async with listening(handler) as touchdowns:
            await anext(touchdowns)
            await handler.sort({1: 1})
            with pytest.raises(EquipmentError, match="said Word.RETEST, expected was Word.TEST"):
                await anext(touchdowns)


async def test_a_device_whose_start_was_garbled_is_plunged_again_when_the_lot_goes_on() -> None:
    with replayed_stream("exatron/super_start_garbled") as line:
        handler = made(line, mode="super", retest_sort=1)
        await handler.connect()
        async with aclosing(handler.touchdowns()) as touchdowns:
            with pytest.raises(EquipmentError, match="said Word.END_TEST, expected was Word.TEST"):
                await anext(touchdowns)
        async with aclosing(handler.touchdowns()) as touchdowns:
            assert await anext(touchdowns) == ONE
            await handler.sort({1: 2})
        await handler.aclose()


async def test_without_a_sort_that_plunges_again_nothing_is_said_after_a_garbled_start() -> None:
    line = Script(b"T?ST\r", b"END TEST\r", b"TEST\r", b"END TEST\r")
    handler = made(line, mode="super")
    await handler.connect()
    async with aclosing(handler.touchdowns()) as touchdowns:
        with pytest.raises(EquipmentError, match="said Word.END_TEST, expected was Word.TEST"):
            await anext(touchdowns)
    async with aclosing(handler.touchdowns()) as touchdowns:
        assert await anext(touchdowns) == ONE, "a person sorted the one before at the handler"
        await handler.sort({1: 2})
    assert line.said == b"2"


async def test_a_new_connection_knows_nothing_of_the_old_one() -> None:
    line = Script(b"H\r", b"S\rH", b"\rH\r", b"S\r")
    handler = made(line)
    async with listening(handler) as touchdowns:
        await anext(touchdowns)
    async with listening(handler) as touchdowns:
        assert await anext(touchdowns) == ONE
        await handler.sort({1: 1})
    assert line.said == b"RR1"


async def test_the_home_bin() -> None:
    with replayed_stream("exatron/abort_to_the_home_bin") as line:
        handler = made(line)
        async with listening(handler) as touchdowns:
            await anext(touchdowns)
            await handler.abort()
            with pytest.raises(EquipmentError, match="nothing was sent"):
                await handler.sort({1: 1})


async def test_information_needs_no_answer() -> None:
    with replayed_stream("exatron/hp_information") as line:
        handler = made(line, mode="hp", empty_ends_lot=True)
        async with listening(handler) as touchdowns:
            await handler.start_lot("L1")
            sorts = iter((3, 1))
            async for touchdown in touchdowns:
                assert touchdown == ONE
                await handler.sort({1: next(sorts)})


async def test_a_dropped_part_is_not_sorted() -> None:
    with replayed_stream("exatron/hp_part_dropped") as line:
        handler = made(line, mode="hp")
        async with listening(handler) as touchdowns:
            await anext(touchdowns)
            with pytest.raises(EquipmentError, match=r"alarm DROPPED: PART DROPPED \?"):
                await handler.sort({1: 1})
            with pytest.raises(EquipmentError, match="nothing was sent"):
                await handler.sort({1: 1})


async def test_a_jam_is_an_alarm() -> None:
    with replayed_stream("exatron/hp_jam") as line:
        async with listening(made(line, mode="hp")) as touchdowns:
            with pytest.raises(EquipmentError, match="alarm ERROR: JAM 7"):
                await anext(touchdowns)


async def test_the_handler_may_ask_again() -> None:
    with replayed_stream("exatron/asked_again") as line:
        handler = made(line)
        async with listening(handler) as touchdowns:
            await anext(touchdowns)
            await handler.sort({1: 1})


async def test_a_part_that_was_told_for_days_is_answered_once() -> None:
    line = Script(b"H\r" * 500, b"S\r")
    async with listening(made(line)) as touchdowns:
        assert await anext(touchdowns) == ONE
    assert line.said == b"R", "a sort would lie behind the others on the line, and be lost with the lot"


async def test_contacts_that_do_not_close() -> None:
    with replayed_stream("exatron/contacts_do_not_close") as line:
        async with listening(made(line, close_s=0.01)) as touchdowns:
            with pytest.raises(EquipmentError, match="contacts not closed within 0.01 s"):
                await anext(touchdowns)


async def test_a_new_part_during_the_test_stops_the_sort() -> None:
    with replayed_stream("exatron/power_lost_in_the_test") as line:
        handler = made(line)
        async with listening(handler) as touchdowns:
            await anext(touchdowns)
            with pytest.raises(EquipmentError, match="said 'H' during the test: no bin was sent"):
                await handler.sort({1: 1})


async def test_a_part_announced_during_the_test_is_the_next() -> None:
    line = Script(b"H\r", b"S\r", b"H\r", b"S\r")
    handler = made(line)
    async with listening(handler) as touchdowns:
        await anext(touchdowns)
        with pytest.raises(EquipmentError, match="no bin was sent"):
            await handler.sort({1: 1})
    async with aclosing(handler.touchdowns()) as touchdowns:
        assert await anext(touchdowns) == ONE
    assert line.said == b"RR"


async def test_a_start_that_nobody_asked_for_is_an_alarm() -> None:
    with replayed_stream("exatron/started_by_hand") as line:
        async with listening(made(line)) as touchdowns:
            with pytest.raises(EquipmentError, match="nobody asked for"):
                await anext(touchdowns)


async def test_a_device_that_somebody_plunged_is_plunged_again_when_the_lot_goes_on() -> None:
    with replayed_stream("exatron/plunged_again") as line:
        handler = made(line)
        await handler.connect()
        async with aclosing(handler.touchdowns()) as touchdowns:
            with pytest.raises(EquipmentError, match="nobody asked for"):
                await anext(touchdowns)
        async with aclosing(handler.touchdowns()) as touchdowns:
            assert await anext(touchdowns) == ONE
            await handler.sort({1: 1})
        await handler.aclose()


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ((b"S\r",), "nobody asked for"),
        ((b"H\r",), "contacts not closed"),
        ((b"H\r", b"?\r", b"?\r", b"?\r"), "unreadable lines"),
    ],
)
async def test_a_device_that_may_be_in_contact_is_plunged_again(said: tuple[bytes, ...], why: str) -> None:
    """A start that comes late is none of what was asked for since."""
    line = Script(*said)
    handler = made(line, close_s=0.01)
    async with listening(handler) as touchdowns:
        with pytest.raises(EquipmentError, match=why):
            await anext(touchdowns)
    line.say(b"S\r")
    line.said = b""
    handler._options = ExatronOptions()
    async with aclosing(handler.touchdowns()) as touchdowns:
        landing = asyncio.ensure_future(anext(touchdowns))
        async with asyncio.timeout(30):
            while not line.said:  # noqa: ASYNC110 - a script rings no bell
                await asyncio.sleep(0)
        assert line.said == b"0"
        assert not landing.done()
        line.answer(b"S\r")
        assert await landing == ONE


async def test_with_nothing_in_contact_the_next_part_is_waited_for() -> None:
    line = Script(b"S\r")
    handler = made(line, close_s=0.01)
    async with listening(handler) as touchdowns:
        with pytest.raises(EquipmentError, match="nobody asked for"):
            await anext(touchdowns)
    line.say(b"")
    async with aclosing(handler.touchdowns()) as touchdowns:
        landing = asyncio.ensure_future(anext(touchdowns))
        async with asyncio.timeout(30):
            while line.waiting < 2:  # noqa: ASYNC110, PLR2004 - a script rings no bell
                await asyncio.sleep(0)
        line.answer(b"H\r", b"S\r")
        assert await landing == ONE
    assert line.said == b"0R"


async def test_a_part_told_of_while_the_lot_was_held_is_answered_when_nothing_closes() -> None:
    with replayed_stream("exatron/told_while_held") as line:
        handler = made(line, close_s=0.01, quiet_s=30)
        async with listening(handler) as touchdowns:
            await anext(touchdowns)
            await touchdowns.aclose()
            async with aclosing(handler.touchdowns()) as after:
                assert await anext(after) == ONE
                await handler.sort({1: 1})


async def test_silence_may_be_bounded() -> None:
    with replayed_stream("exatron/silent") as line:
        async with listening(made(line, quiet_s=0.01)) as touchdowns:
            with pytest.raises(
                EquipmentError, match=r"silent for 0.01 s; is the input empty, or a sort lost\?"
            ):
                await anext(touchdowns)


async def test_three_unreadable_lines_are_too_many() -> None:
    with replayed_stream("exatron/noise") as line:
        async with listening(made(line)) as touchdowns:
            with pytest.raises(ProtocolError, match="3 unreadable lines in a row, the last b'H-H"):
                await anext(touchdowns)


async def test_unreadable_lines_with_good_ones_between_are_forgiven() -> None:
    line = Script(b"\xc8\r", b"TEST\r", b"H\r", b"S\r", b"x\r", b"y\r")
    handler = made(line)
    async with listening(handler) as touchdowns:
        await anext(touchdowns)
        await handler.sort({1: 4})
    assert line.said == b"R4"


async def test_a_sort_that_was_not_understood_is_sent_once_more() -> None:
    with replayed_stream("exatron/super_sort_not_understood") as line:
        handler = made(line, mode="super", confirm_s=0.01)
        async with listening(handler) as touchdowns:
            await anext(touchdowns)
            await handler.sort({1: 7})
            assert await anext(touchdowns) == ONE, "what came meanwhile is not lost"


async def test_a_sort_that_is_never_understood_leaves_the_bin_unknown() -> None:
    with replayed_stream("exatron/super_sort_never_understood") as line:
        handler = made(line, mode="super", confirm_s=0.01)
        async with listening(handler) as touchdowns:
            await anext(touchdowns)
            with pytest.raises(EquipmentError, match="twice: the bin is unknown"):
                await handler.sort({1: 7})


async def test_no_sort_before_it_is_asked_for() -> None:
    with replayed_stream("exatron/super_sort_not_asked_for") as line:
        handler = made(line, mode="super", sort_request_s=0.01)
        async with listening(handler) as touchdowns:
            await anext(touchdowns)
            with pytest.raises(EquipmentError, match="said None, not Word.END_TEST: no bin was sent"):
                await handler.sort({1: 7})


async def test_a_laser_is_not_waited_for() -> None:
    with replayed_stream("exatron/super_laser") as line:
        handler = made(line, mode="super")
        async with listening(handler) as touchdowns:
            await anext(touchdowns)
            await handler.sort({1: 2})
            with pytest.raises(EquipmentError, match="waits for a laser, and this station has none"):
                await anext(touchdowns)
        line.script.left.clear()  # the station never says that a mark is done


async def test_engineers_commands() -> None:
    with replayed_stream("exatron/super_read_memory") as line:
        handler = made(line, mode="super")
        assert await handler.raw("A90") == "90 ROM 01 RAM 01"
        assert (await handler.identify()).maker == "Exatron"
        await handler.make_safe()


async def test_engineers_commands_without_answer() -> None:
    with replayed_stream("exatron/super_no_answer") as line:
        assert await made(line, mode="super", confirm_s=0.01).raw("B") == ""


async def test_what_comes_instead_of_an_answer_is_kept() -> None:
    with replayed_stream("exatron/super_go") as line:
        handler = made(line, mode="super")
        assert await handler.raw("G") == ""
        async with aclosing(handler.touchdowns()) as touchdowns:
            assert await anext(touchdowns) == ONE


async def test_engineers_commands_need_the_attention_of_the_handler() -> None:
    unheard = pytest.raises(ProtocolError, match=r"answered None to '\+'")
    with replayed_stream("exatron/super_no_attention") as line, unheard:
        await made(line, mode="super", close_s=0.01).raw("G")


@pytest.mark.parametrize(("verb", "mode"), [("raw", "exatron"), ("replunge", "super"), ("abort", "super")])
async def test_verbs_that_a_mode_does_not_know(verb: str, mode: str) -> None:
    with replayed_stream(f"exatron/{'super_retest' if mode == 'super' else 'replunge_then_sort'}") as line:
        handler = made(line, mode=mode)
        async with listening(handler) as touchdowns:
            await anext(touchdowns)
            with pytest.raises(EquipmentError, match="Super mode"):
                await (handler.raw("A90") if verb == "raw" else getattr(handler, verb)())
        line.script.left.clear()  # nothing was said, else the replay would have refused it


@pytest.mark.parametrize(
    ("bins", "says"),
    [({}, r"bins for sites \[\], not 1"), ({1: 1, 2: 1}, r"sites \[1, 2\]"), ({1: 9}, "no hard bin 9")],
)
async def test_bins_that_cannot_be_right_are_not_sent(bins: dict[int, int], says: str) -> None:
    with replayed_stream("exatron/replunge_then_sort") as line:
        handler = made(line)
        async with listening(handler) as touchdowns:
            await anext(touchdowns)
            with pytest.raises(EquipmentError, match=says):
                await handler.sort(bins)
            with pytest.raises(EquipmentError, match="neither sorted nor plunged again"):
                await anext(touchdowns)
        line.script.left.clear()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"retest_sort": 1}, "retest_sort 1: 1 to 8 are allowed, in Super mode only"),
        ({"retest_sort": 9, "mode": "super"}, "retest_sort 9"),
        ({"empty_ends_lot": True}, "only the HP mode"),
        ({"close_s": 0.0}, "close_s 0: more than 0"),
        ({"quiet_s": -1.0}, "quiet_s -1: 0 .for ever. or more"),
    ],
)
def test_options_that_cannot_be_meant(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        ExatronOptions(**options)
