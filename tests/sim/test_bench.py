"""Devices on the load board: contacts, power, the card interface, and what is written down of it."""

import tracemalloc
from collections import Counter
from collections.abc import Callable
from threading import Condition

import pytest

from sim.bench import Bench, Landing, Socket
from sim.dut.device import Device
from sim.dut.lot import Lot
from sim.dut.population import IDEAL, TYPICAL, Defect
from sim.dut.wishes import Wishes, wishes
from sim.faults import FaultError, parse
from sim.sockets import voltage_at

ATR = bytes.fromhex("3B80800101")


class Silicon:
    """A chip that answers everything at once and remembers its supply."""

    def __init__(self, device: Device) -> None:
        self.uid = device.uid
        self.supply = list[float | None]()

    @property
    def life_cycle(self) -> int:
        return 0x0F if self.supply else 0x01

    def deactivate(self) -> None:
        pass

    def power(self, volts: float | None) -> None:
        self.supply.append(volts)

    def atr(self) -> bytes | None:
        return ATR

    def apdu(self, command: bytes) -> tuple[bytes | None, float]:
        return b"\x90\x00", 0.5


class Stopwatch:
    """A clock that a test sets."""

    now = 0.0

    def time(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        raise AssertionError("the bench never sleeps")

    def wait(self, condition: Condition, deadline: float | None) -> None:
        raise AssertionError("the bench never waits")

    def notify(self, condition: Condition) -> None:
        raise AssertionError("nobody waits for the bench")

    def call_later(self, seconds: float, function: Callable[..., None], *args: object) -> None:
        raise AssertionError("the bench plans nothing")


def bench(*faults: str, sites: int = 1, devices: int = 100, seed: int = 1) -> Bench:
    asked = wishes(tuple(parse(fault) for fault in ("dut.population=ideal", *faults)), seed)
    return Bench(tuple(range(1, sites + 1)), Lot("L1017", devices, seed, Silicon, asked), Stopwatch())


def landed(*faults: str, volts: float | None = None) -> Socket:
    board = bench(*faults)
    board.load()
    board.land()
    socket = board.sockets[1]
    socket.vdd.driven(volts)
    return socket


def drops(socket: Socket) -> dict[str, float]:
    return {pin: voltage_at(load, -100e-6, 2.0) for pin, load in socket.inputs.items()}


def leakage(socket: Socket) -> dict[str, float]:
    return {pin: load.current(3.6) for pin, load in socket.inputs.items()}


def defective(defect: Defect, pin: str, *, volts: float | None = None) -> Socket:
    """Land devices that have the defect until one has it at the pin."""
    board = bench(f"dut.{defect.value}")
    while board.load():
        board.land()
        socket = board.sockets[1]
        if socket.landed is not None and socket.landed.die.pin == pin:
            socket.vdd.driven(volts)
            return socket
        board.sort({1: 8})
    raise AssertionError(f"no device with {defect} at {pin}")


def test_a_good_device() -> None:
    socket = landed(volts=3.3)
    assert all(-0.65 < volts < -0.55 for volts in drops(socket).values())
    assert all(0 < amps < 100e-9 for amps in leakage(socket).values())
    assert 3e-3 < socket.vdd.current(3.3) < 7e-3
    assert socket.slot.present()
    assert socket.slot.activate() == ATR
    assert socket.slot.apdu(b"\x00\xa4\x04\x00") == (b"\x90\x00", 0.5)


def test_nothing_is_connected_before_the_contacts_close() -> None:
    board = bench()
    board.load()
    socket = board.sockets[1]
    socket.vdd.driven(3.3)
    assert drops(socket) == pytest.approx({"IO": -2.0, "CLK": -2.0, "RST": -2.0})
    assert socket.vdd.current(3.3) == 0.0
    assert not socket.slot.present()
    assert socket.slot.activate() is None
    assert socket.slot.apdu(b"\x00") == (None, 0.0)


@pytest.mark.parametrize("volts", [None, 0.0, 1.61])
def test_no_chip_without_its_supply(volts: float | None) -> None:
    socket = landed(volts=volts)
    assert socket.slot.present()
    assert socket.slot.activate() is None


def test_the_chip_loses_its_session_with_its_power() -> None:
    socket = landed(volts=3.3)
    socket.slot.activate()
    socket.vdd.driven(None)
    assert socket.slot.apdu(b"\x00") == (None, 0.0)
    socket.vdd.driven(3.3)
    assert socket.slot.apdu(b"\x00") == (None, 0.0)
    assert socket.slot.activate() == ATR
    assert socket.landed is not None and isinstance(socket.landed.chip, Silicon)
    assert socket.landed.chip.supply == [3.3, None, 3.3]


def test_an_smu_that_was_left_on_holds_the_line() -> None:
    socket = landed(volts=3.3)
    socket.inputs["CLK"].driven(0.0)
    assert socket.slot.present() and socket.slot.activate() is None
    socket.inputs["CLK"].driven(None)
    assert socket.slot.activate() == ATR
    socket.inputs["IO"].driven(3.6)
    assert socket.slot.apdu(b"\x00") == (None, 0.0)


def test_the_supply_shows_that_the_chip_works() -> None:
    socket = landed(volts=3.3)
    socket.slot.activate()
    idle = socket.vdd.current(3.3)
    socket.slot.apdu(b"\x00")
    assert socket.vdd.current(3.3) > idle + 5e-3
    assert isinstance(socket.clock, Stopwatch)
    socket.clock.now = 0.5
    assert socket.vdd.current(3.3) == idle


def test_open_input() -> None:
    socket = defective(Defect.OPEN_PIN, "CLK", volts=3.3)
    assert drops(socket)["CLK"] == pytest.approx(-2.0)
    assert drops(socket)["IO"] > -0.65
    assert socket.slot.activate() is None


def test_open_ground_opens_everything() -> None:
    socket = defective(Defect.OPEN_PIN, "GND", volts=3.3)
    assert drops(socket) == pytest.approx({"IO": -2.0, "CLK": -2.0, "RST": -2.0})
    assert socket.vdd.current(3.3) == 0.0


def test_open_supply() -> None:
    socket = defective(Defect.OPEN_PIN, "VDD", volts=3.3)
    assert all(volts > -0.65 for volts in drops(socket).values())
    assert socket.vdd.current(3.3) == 0.0
    assert socket.slot.activate() is None


def test_short_to_ground() -> None:
    socket = defective(Defect.SHORT_TO_GROUND, "IO", volts=3.3)
    assert -0.01 < drops(socket)["IO"] < 0.0
    assert leakage(socket)["IO"] > 50e-3
    assert socket.slot.activate() is None


def test_supply_shorted_to_ground() -> None:
    socket = defective(Defect.SHORT_TO_GROUND, "VDD", volts=3.3)
    assert socket.vdd.current(3.3) > 70e-3
    assert socket.slot.activate() is None


def test_short_to_supply_shows_in_leakage_whether_the_supply_is_on_or_off() -> None:
    socket = defective(Defect.SHORT_TO_VDD, "RST")
    assert leakage(socket)["RST"] > 1e-3
    socket.vdd.driven(0.0)
    assert leakage(socket)["RST"] > 50e-3
    socket.vdd.driven(3.3)
    assert socket.slot.activate() is None


def test_leaky_input() -> None:
    socket = defective(Defect.LEAKY_INPUT, "IO", volts=3.3)
    assert 1e-6 < leakage(socket)["IO"] < 10e-6
    assert leakage(socket)["CLK"] < 100e-9
    assert all(-0.65 < volts < -0.55 for volts in drops(socket).values())
    assert socket.slot.activate() == ATR


@pytest.mark.parametrize(
    ("defect", "low_a", "high_a", "boots"),
    [(Defect.IDD_HIGH, 9e-3, 30e-3, True), (Defect.DEAD_REGULATOR, 0.0, 1e-3, False)],
)
def test_supply_current_defects(defect: Defect, low_a: float, high_a: float, boots: bool) -> None:  # noqa: FBT001
    socket = landed(f"dut.{defect.value}", volts=3.3)
    assert low_a < socket.vdd.current(3.3) < high_a
    assert (socket.slot.activate() == ATR) is boots


def test_dead_and_mute() -> None:
    assert landed("dut.dead", volts=3.3).slot.activate() is None
    mute = landed("dut.mute", volts=3.3).slot
    assert mute.activate() == ATR
    assert mute.apdu(b"\x00") == (None, 0.0)


def test_dirt_opens_one_pin_for_one_landing() -> None:
    board = bench("socket.dirt=1@once", sites=2)
    board.load()
    board.land()
    board.land()
    first, second, again, _ = board.landings()
    assert (first.index, first.contact, second.open_pin) == (1, 1, "")
    assert first.open_pin and not again.open_pin
    assert (again.plunge, again.contact) == (2, 2)


def test_contact_faults_come_at_their_rate_and_mostly_recover() -> None:
    board = bench("socket.dirt@p=0.1", sites=4, devices=2000)
    while board.load():
        board.land()
        board.land()
        board.sort(dict.fromkeys(range(1, 5), 1))
    landings = list(board.landings())
    failed = {(x.index, x.contact) for x in landings if x.open_pin}
    assert 0.08 < len(failed) / len(landings) < 0.13
    twice = sum((index, 2) in failed for index, contact in failed if contact == 1)
    assert twice < 0.25 * sum(contact == 1 for _, contact in failed)


def run(sites: int, *, backwards: bool = False) -> tuple[Counter[tuple[int, int, str]], list[float]]:
    """Land 200 typical devices twice each; what was open at each contact, and what each drew at its last."""
    board = bench("dut.population=typical", "socket.dirt@p=0.1", sites=sites, devices=200)
    currents = dict[int, float]()
    while board.load():
        board.land()
        board.land()
        for socket in list(board.sockets.values())[:: -1 if backwards else 1]:
            socket.vdd.driven(3.3)
            if socket.landed is not None:
                currents[socket.landed.index] = socket.vdd.current(3.3)
            socket.vdd.driven(None)
        board.sort(dict.fromkeys(board.sockets, 1))
    seen = Counter((x.index, x.contact, x.open_pin) for x in board.landings())
    return seen, [currents[index] for index in sorted(currents)]


def test_devices_and_contacts_do_not_depend_on_sites_or_order() -> None:
    one = run(1)
    assert run(8) == one
    assert run(8, backwards=True) == one


def test_a_hot_landing_and_a_hot_lift_are_written_down() -> None:
    board = bench()
    board.load()
    board.sockets[1].vdd.driven(3.3)
    board.land()
    assert [landing.hot for landing in board.landings()] == [True]
    assert board.sockets[1].slot.activate() == ATR
    board.lift()
    assert board.lot.truth(1).good
    assert board.lot.truth(1).reasons == ("contact lost under power",)
    board.sockets[1].vdd.driven(None)
    board.land()
    assert board.lot.truth(1).reasons == ("contact lost under power",), "its verdict may be of before"


def test_heat_can_make_a_sound_device_bad() -> None:
    lot = Lot("L1", 200, 1, Silicon, wishes((parse("dut.population=ideal"), parse("dut.temperature=105")), 1))
    truths = [lot.truth(index) for index in range(1, 201)]
    assert {t.defect for t in truths if not t.good} == {f"leakage of {pin}" for pin in ("IO", "CLK", "RST")}
    assert all(t.good is not bool(t.defect) for t in truths)


def test_each_device_ends_in_one_bin_and_is_forgotten() -> None:
    board = bench(sites=4, devices=6)
    assert board.load() == {1, 2, 3, 4}
    board.land()
    board.sort({1: 1, 2: 1, 3: 5, 4: 1})
    assert all(socket.device is None for socket in board.sockets.values())
    assert board.load() == {1, 2}
    assert board.load() == set()
    assert [board.lot.truth(i).hard_bin for i in range(1, 7)] == [1, 1, 5, 1, None, None]
    assert [landing.index for landing in board.landings()] == [1, 2, 3, 4]


def test_landings_tell_where_each_device_was() -> None:
    board = bench(sites=2, devices=2)
    board.load()
    board.land()
    assert list(board.landings()) == [Landing(1, 1, 1, 1, "", False), Landing(1, 2, 2, 1, "", False)]


def test_what_is_kept_of_a_device_is_small() -> None:
    board = bench(sites=16, devices=40_000)
    for _ in range(50):
        _cycle(board)
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for _ in range(100):
        _cycle(board)
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (after - before) / 1600 < 120


def _cycle(board: Bench) -> None:
    board.load()
    board.land()
    board.sort(dict.fromkeys(board.sockets, 1))


def test_truth_names_the_defect_and_the_contact() -> None:
    board = bench("dut.kat=2", "socket.dirt=1@once", sites=2, devices=3)
    board.load()
    board.land()
    board.sort({1: 5, 2: 8})
    dirty, broken, waiting = (board.lot.truth(index) for index in (1, 2, 3))
    assert dirty.good and dirty.defect == "" and dirty.reasons[0].startswith("open contact at ")
    assert not broken.good and broken.defect == "kat" and broken.reasons == ("kat",)
    assert waiting.good and (waiting.contacts, waiting.hard_bin) == (0, None)


def test_a_landing_that_held_takes_the_reason_away() -> None:
    board = bench("socket.dirt=1@once")
    board.load()
    board.land()
    assert board.lot.truth(1).reasons
    board.land()
    assert not board.lot.truth(1).reasons


def test_uids_are_those_of_wafer_sort() -> None:
    lot = Lot("L1017", 5000, 1, Silicon, Wishes(population=IDEAL))
    uids = [lot.uid(index) for index in range(1, 5001)]
    assert len(set(uids)) == 5000 and {len(uid) for uid in uids} == {16}
    assert uids[0][:10] == bytes.fromhex("0a010001 0007 000003f9".replace(" ", ""))


def test_twins_share_a_uid() -> None:
    lot = Lot("L1", 10, 1, Silicon, wishes((parse("dut.twin_uid=4"),), 1))
    assert lot.uid(4) == lot.uid(3)
    assert lot.uid(5) != lot.uid(4)
    everybody = Lot("L1", 10, 1, Silicon, wishes((parse("dut.twin_uid"),), 1))
    assert len({everybody.uid(index) for index in range(1, 11)}) == 5
    truths = [lot.truth(index) for index in range(1, 11)]
    assert [t.index for t in truths if t.reasons == ("twin_uid",)] == [3, 4]


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("dut.nonsense", "it has: dead, "),
        ("socket.wet", "it has: dirt"),
        ("dut.population=best", "choose one of ideal, typical"),
        ("dut.temperature=hot", "from -55 to 150"),
        ("dut.population", "choose one of ideal, typical"),
        ("dut.dead=yes", "the value is a number"),
        ("dut.twin_uid=3", "an even number"),
        ("socket.dirt=0", "the value is a number, from 1"),
        ("chip.melt", "it has: check_value, .*life_cycle, .*power_cut"),
        ("chip.mute_after=-1", "0 or more"),
        ("chip.life_cycle=0x100", "a byte"),
        ("chip.power_cut=4:slow", "40:before, 40:torn or 40:after"),
    ],
)
def test_what_cannot_be_is_refused(fault: str, message: str) -> None:
    with pytest.raises(FaultError, match=message):
        wishes((parse(fault),), 1)


def test_typical_is_the_default() -> None:
    assert wishes((), 1).population is TYPICAL
