"""The driver against the dialogues of the family: what it says, and what it makes of the answers."""

from collections import deque
from contextlib import aclosing
from typing import Any

import pytest

from drivers.errors import EquipmentError, InstrumentError, ProtocolError
from drivers.handler.binon import BinonHandler, BinonOptions
from drivers.roles import Touchdown
from tests.dialogue import find
from tests.replay import ReplayPort, replayed

LOT = {"lot_query": "SRQKIND?", "lot_running": "SRQKIND 2", "lot_ended": "SRQKIND 8"}
IDS = {"ids_query": "QRC?", "ids_prefix": "QRC:"}
CHECK = {"empty_check_stb": 0x44, "empty_check_text": "CHECKEMPTY", "empty_check_answer": "ECHOOK"}
SOON = {"srq_poll_s": 0.01}


def made(
    port: ReplayPort,
    profile: str = "",
    *,
    sites: int = 4,
    fields: dict[str, Any] | None = None,
    **options: Any,
) -> BinonHandler:
    numbers = frozenset(range(1, sites + 1))
    return BinonHandler(
        "handler", port, BinonOptions(sites=numbers, profile=profile, fields=fields or {}, **options)
    )


async def first(handler: BinonHandler) -> Touchdown:
    """The next contact; then the listener is gone."""
    async with aclosing(handler.touchdowns()) as touchdowns:
        return await anext(touchdowns)


async def lots(handler: BinonHandler, *orders: dict[int, int]) -> list[Touchdown]:
    """Sort one contact after another."""
    seen = []
    async with aclosing(handler.touchdowns()) as touchdowns:
        for bins in orders:
            seen.append(await anext(touchdowns))
            await handler.sort(bins)
    return seen


async def test_parts_are_announced_and_sorted() -> None:
    with replayed("binon/one_touchdown") as port:
        handler = made(port, "so1000")
        await handler.connect()
        assert (await lots(handler, {1: 1, 2: 2}))[0].sites == {1, 2}
        await handler.aclose()
    assert (port.opened, port.closed) == (1, 1)
    assert port.hops == 3, "clear, ask, order: one hop each"


async def test_a_dialect_that_wants_configuring() -> None:
    async def empty() -> bool:
        return True

    with replayed("binon/configured_lot") as port:
        handler = made(port, "configure", sites=1, fields=SOON, ask_again_s=0.001)
        handler.sockets_empty = empty
        await handler.connect()
        async with aclosing(handler.touchdowns()) as touchdowns:
            assert await anext(touchdowns) == Touchdown(frozenset({1}), {1: "P000001"})
            await handler.sort({1: 1})
            with pytest.raises(AssertionError, match="end"):  # the dialogue is over, the wait is not
                await anext(touchdowns)
    assert port.paused_s > 0.3 * 9


async def test_a_person_may_vouch_for_empty_sockets_at_connect() -> None:
    with replayed("binon/configured_connect") as port:
        await made(port, "configure", sites=1, empty_check="looked").connect()


@pytest.mark.parametrize("measured", [None, False])
async def test_sockets_that_are_not_known_to_be_empty_stop_the_connect(measured: bool | None) -> None:
    async def not_empty() -> bool:
        return False

    with replayed("binon/configured_not_empty") as port:
        handler = made(port, "configure", sites=1)
        handler.sockets_empty = None if measured is None else not_empty
        with pytest.raises(EquipmentError, match="empty"):
            await handler.connect()


async def test_connect_refuses_another_answer() -> None:
    refused = pytest.raises(ProtocolError, match=r"b'CONFIGURE,SRQ=Y:NG\\r\\n', expected was")
    with replayed("binon/configure_refused") as port, refused:
        await made(port, "configure", sites=1).connect()


@pytest.mark.parametrize(
    ("happens", "error", "says"),
    [
        ("connect_without_request", ProtocolError, "no service request 0x44"),
        ("connect_with_alarm", InstrumentError, "0x48"),
    ],
)
async def test_connect_needs_the_empty_check(happens: str, error: type[Exception], says: str) -> None:
    with replayed(f"binon/{happens}") as port:
        handler = made(port, sites=1, fields={"startup": [STEP], "reply_timeout_s": 0.02})
        with pytest.raises(error, match=says):
            await handler.connect()


STEP = {"send": "REQUEST,CHECKEMPTY", "stb": 0x44, "read": "CHECKEMPTY", "answer": "ECHOOK"}


async def test_line_ends_differ() -> None:
    with replayed("binon/four_sites_with_run_query") as port:
        handler = made(port, "slt4")
        await handler.connect()
        seen = await lots(handler, {1: 1, 2: 5, 3: 1, 4: 1}, {2: 2, 4: 1})
    assert [touchdown.sites for touchdown in seen] == [{1, 2, 3, 4}, {2, 4}]


async def test_a_mask_cut_short_is_asked_for_again() -> None:
    with replayed("binon/mask_cut_short") as port:
        handler = made(port, "so1000")
        await handler.connect()
        await lots(handler, {1: 1})
    assert port.paused_s >= 1.0


async def test_a_mask_that_never_comes_is_given_up() -> None:
    with replayed("binon/mask_never_readable") as port:
        handler = made(port, "so1000")
        await handler.connect()
        with pytest.raises(ProtocolError, match="FULLSITES. in 4 tries"):
            await first(handler)
    assert port.paused_s >= 3.0


async def test_a_wrong_echo_is_refused_and_sent_again() -> None:
    with replayed("binon/echo_wrong_once") as port:
        handler = made(port)
        await handler.connect()
        await lots(handler, {1: 1, 2: 2})


async def test_bins_are_unknown_when_the_echo_stays_wrong() -> None:
    with replayed("binon/echo_always_wrong") as port:
        handler = made(port)
        await handler.connect()
        with pytest.raises(EquipmentError, match="bins of sites 1 unknown: .* other bins 3 times"):
            await lots(handler, {1: 1})
        with pytest.raises(EquipmentError, match="nothing was sent"):
            await handler.sort({1: 1})


async def test_bins_of_devices_that_an_operator_took_away_go_nowhere() -> None:
    with replayed("binon/skipped_by_the_operator") as port:
        handler = made(port)
        await handler.connect()
        with pytest.raises(EquipmentError, match="bins of sites 1, 2 unknown: no echo, .* 0x48"):
            await lots(handler, {1: 1, 2: 1})
    assert handler.stale == 1


async def test_a_lost_service_request_is_made_good() -> None:
    with replayed("binon/lost_service_request") as port:
        handler = made(port, fields=SOON, ask_again_s=0.001)
        await handler.connect()
        assert (await lots(handler, {1: 1, 3: 2}))[0].sites == {1, 3}


async def test_what_is_no_touchdown() -> None:
    with replayed("binon/not_ready") as port:
        lot = {"lot_query": "LOT?", "lot_running": "1", "lot_ended": "0"}
        handler = made(port, sites=2, fields=SOON | lot, ask_again_s=0.001)
        await handler.connect()
        assert (await first(handler)).sites == {1, 2}


async def test_a_start_without_parts_is_no_touchdown() -> None:
    with replayed("binon/started_by_hand") as port:
        handler = made(port)
        await handler.connect()
        assert (await first(handler)).sites == {1}


async def test_the_same_devices_land_again() -> None:
    with replayed("binon/plunged_again") as port:
        handler = made(port, fields={"retest_code": "R"})
        assert handler.can_replunge
        await handler.connect()
        async with aclosing(handler.touchdowns()) as touchdowns:
            landed = await anext(touchdowns)
            await handler.replunge()
            assert await anext(touchdowns) == landed
            await handler.sort({1: 1, 2: 1})


async def test_other_sites_than_those_plunged_again_are_an_alarm() -> None:
    with replayed("binon/plunged_again_others") as port:
        handler = made(port, fields={"retest_code": "R"})
        await handler.connect()
        async with aclosing(handler.touchdowns()) as touchdowns:
            await anext(touchdowns)
            await handler.replunge()
            with pytest.raises(EquipmentError, match="plunged sites 1, 2 again, but sites 1 came"):
                await anext(touchdowns)


async def test_a_site_that_is_not_configured_stops_everything() -> None:
    with replayed("binon/site_too_many") as port:
        handler = made(port, sites=2)
        await handler.connect()
        with pytest.raises(EquipmentError, match="parts at sites 3, configured are sites 1, 2"):
            await first(handler)


@pytest.mark.parametrize(("happens", "fields"), [("jam", {}), ("jam_in_a_lot", LOT)])
async def test_an_unknown_status_byte_is_an_alarm(happens: str, fields: dict[str, Any]) -> None:
    with replayed(f"binon/{happens}") as port:
        handler = made(port, fields=fields)
        await handler.connect()
        with pytest.raises(InstrumentError, match="0x50") as alarm:
            await first(handler)
    assert alarm.value.code == 0x50


async def test_an_alarm_during_the_test_stops_the_sort() -> None:
    with replayed("binon/alarm_during_the_test") as port:
        handler = made(port)
        await handler.connect()
        with pytest.raises(InstrumentError, match="0x50"):
            await lots(handler, {1: 1})


@pytest.mark.parametrize("empty", [True, False])
async def test_the_empty_check_between_parts_is_measured(empty: bool) -> None:
    async def measured() -> bool:
        return empty

    with replayed(f"binon/empty_check_{'between_parts' if empty else 'refused'}") as port:
        handler = made(port, fields=CHECK, empty_check="looked")
        handler.sockets_empty = measured
        await handler.connect()
        if empty:
            await lots(handler, {1: 1})
            return
        with pytest.raises(EquipmentError, match="a socket is not empty"):
            await first(handler)


async def test_a_dialect_without_echo() -> None:
    with replayed("binon/no_echo_dialect") as port:
        fields = {"echo": "none", "bin_width": 2, "bin_filler": "00", "bin_positions": 5, "bin_group": 0}
        handler = made(port, fields=fields)
        assert handler.hard_bins == set(range(1, 100))
        await handler.connect()
        await lots(handler, {1: 1, 3: 12})


async def test_repeated_requests_are_dropped_and_counted() -> None:
    with replayed("binon/same_request_four_times") as port:
        handler = made(port, fields=IDS)
        await handler.connect()
        await lots(handler, {1: 1, 2: 1})
    assert handler.stale == 3


class Restless(ReplayPort):
    """A line that is pulled for ever."""

    async def service_request(self) -> int:
        return 0x41


async def test_a_line_that_never_rests_does_not_keep_the_bins_back() -> None:
    port = Restless(find("binon/one_touchdown"))
    port.script.left = deque(turn for turn in port.script.left if turn.kind != "request")
    handler = made(port, "so1000")
    await handler.connect()
    await lots(handler, {1: 1, 2: 2})
    port.script.assert_finished()
    assert handler.stale == 64


async def test_bins_of_other_devices_are_not_sent() -> None:
    with replayed("binon/other_devices_meanwhile") as port:
        handler = made(port, fields=IDS)
        await handler.connect()
        with pytest.raises(EquipmentError, match="other devices than were tested: no bin was sent"):
            await lots(handler, {1: 1})
        with pytest.raises(EquipmentError, match="nothing was sent"):
            await handler.sort({1: 1})


async def test_ids_that_fit_no_part_are_refused() -> None:
    with replayed("binon/ids_of_nobody") as port:
        handler = made(port, fields=IDS)
        await handler.connect()
        with pytest.raises(ProtocolError, match="whose they are is unknown"):
            await first(handler)


@pytest.mark.parametrize("happens", ["lot_over", "lot_over_announced"])
async def test_the_lot_ends_when_the_handler_says_so(happens: str) -> None:
    with replayed(f"binon/{happens}") as port:
        handler = made(port, fields=SOON | LOT, ask_again_s=0.001)
        await handler.connect()
        await handler.start_lot("L1")
        assert [touchdown async for touchdown in handler.touchdowns()] == []


async def test_a_held_lot_is_taken_up_with_the_devices_in_contact() -> None:
    with replayed("binon/taken_up_again") as port:
        pause = {"pause": "PAUSE", "resume": "RESUME"}
        handler = made(port, fields=SOON | pause, ask_again_s=0.001)
        await handler.connect()
        assert (await first(handler)).sites == {1}
        await lots(handler, {1: 1})


async def test_make_safe_keeps_the_request_that_it_meets() -> None:
    with replayed("binon/idle_and_raw") as port:
        handler = made(port, "slt4")
        await handler.connect()
        await handler.make_safe()
        assert await handler.raw("FR?") == "1"
        assert (await first(handler)).sites == {1}
        assert (await handler.identify()).model == "BINON handler, profile slt4"


@pytest.mark.parametrize(
    ("bins", "says"),
    [
        ({1: 1}, "no bins for sites 2"),
        ({1: 1, 2: 1, 3: 1}, "bins for sites 3, where no device is"),
        ({1: 1, 2: 16}, r"no hard bin \[16\]; 1, 2, .*, 15 are"),
        ({1: 0, 2: 1}, r"no hard bin \[0\]"),
    ],
)
async def test_bins_that_cannot_be_right_are_not_sent(bins: dict[int, int], says: str) -> None:
    with replayed("binon/one_touchdown") as port:
        handler = made(port, "so1000")
        await handler.connect()
        async with aclosing(handler.touchdowns()) as touchdowns:
            await anext(touchdowns)
            with pytest.raises(EquipmentError, match=says):
                await handler.sort(bins)
            await handler.sort({1: 1, 2: 2})
            with pytest.raises(EquipmentError, match="nothing was sent"):
                await handler.sort({1: 1, 2: 2})


async def test_nothing_plunges_again_without_a_code() -> None:
    with replayed("binon/site_too_many") as port:
        handler = made(port)
        assert not handler.can_replunge
        with pytest.raises(EquipmentError, match="no retest_code"):
            await handler.replunge()
        port.script.left.clear()


async def test_the_next_contact_is_not_waited_for_while_this_one_has_no_bin() -> None:
    with replayed("binon/site_too_many") as port:
        handler = made(port)
        await handler.connect()
        async with aclosing(handler.touchdowns()) as touchdowns:
            await anext(touchdowns)
            with pytest.raises(EquipmentError, match="sites 1, 2, 3 were neither sorted nor plunged again"):
                await anext(touchdowns)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"sites": []}, r"sites \[\]: one or more of 1 to 32"),
        ({"sites": [1, 33]}, "1 to 32"),
        ({"sites": [1], "ask_again_s": -1.0}, "ask_again_s -1: 0 .never. or more"),
        ({"sites": [1], "profile": "so2000"}, "one of so1000, slt4, configure is allowed"),
    ],
)
def test_options_that_cannot_be_meant(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        BinonOptions(**options)
