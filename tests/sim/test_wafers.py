"""The dies of a lot under the card: who lies where, and what is known of it afterwards."""

import pytest

from sim.bench import Bench
from sim.dut.chips import Chips
from sim.dut.lot import Lot
from sim.dut.wishes import Wishes
from sim.wafers import MOST_WAFERS, PLACES, LotWafers, disc
from tests.stepclock import StepClock

CARD = {1: (0, 0), 2: (1, 0)}


def wafers(devices: int) -> tuple[Bench, LotWafers]:
    lot = Lot("L7", devices, 1, Chips(1, "zero", Wishes()))
    bench = Bench((1, 2), lot, StepClock())
    return bench, LotWafers(bench, CARD)


def test_wafers_of_a_lot() -> None:
    _, stack = wafers(200)
    assert (stack.count, stack.name(2)) == (2, "L7-02")
    assert (len(PLACES), len(stack.dies(1)), len(stack.dies(2)), len(stack.dies(3))) == (197, 197, 3, 0)
    assert wafers(0)[1].count == 0


@pytest.mark.parametrize("devices", [9850, 9851, 100_000])
def test_a_large_lot_has_large_wafers(devices: int) -> None:
    _, stack = wafers(devices)
    assert stack.count <= MOST_WAFERS
    assert sum(len(stack.dies(wafer)) for wafer in range(1, stack.count + 1)) == devices
    assert len(disc(9)) == 253


def test_devices_are_numbered_as_they_are_landed() -> None:
    bench, stack = wafers(200)
    stack.land(1, 0, 0)
    assert {site: socket.device.index for site, socket in bench.sockets.items() if socket.device} == {
        1: 1,
        2: 2,
    }
    stack.lift()
    stack.land(1, 1, 0)
    stack.lift()
    stack.mark(1, 0, 0, 5)
    stack.mark(1, 5, 5, 5)
    indices = [(landing.site, landing.index, landing.contact) for landing in bench.landings()]
    assert indices == [(1, 1, 1), (2, 2, 1), (1, 2, 2), (2, 3, 1)]
    assert [bench.lot.fates.hard_bin(index) for index in (1, 2, 3)] == [5, None, None]


def test_beside_the_wafer_there_is_no_device() -> None:
    bench, stack = wafers(200)
    stack.land(1, 8, 0)
    assert bench.sockets[1].device is not None
    assert bench.sockets[2].device is None
    with pytest.raises(ValueError, match="the lot has no device 201"):
        bench.put({1: 201})
