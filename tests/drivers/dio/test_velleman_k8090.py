"""The K8090 driver against its dialogues and the simulated board; frames against those of the manual."""

import asyncio

import pytest

from drivers.dio import velleman_k8090
from drivers.dio.velleman_k8090 import VellemanK8090, VellemanK8090Options
from drivers.errors import EquipmentError, ProtocolError, Silent
from drivers.protocols.k8090 import Code, Frame, Frames
from drivers.roles.dio import Levels, Wait
from drivers.transports.serial import SerialStream
from sim.dio import velleman_k8090 as simulated
from sim.faults import Faults, parse
from sim.serial import machine as line_end
from sim.serial import protocol_hardbin
from sim.time import VirtualLoop, new_loop
from tests.dialogue import find
from tests.replay import replayed_stream


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dialogue has no time of its own."""
    monkeypatch.setattr(velleman_k8090, "ANSWER_S", 0.05)


@pytest.mark.parametrize("chunk", [1, 4096])
async def test_relays_are_switched_and_read_back(chunk: int) -> None:
    with replayed_stream("velleman_k8090/switches", chunk=chunk) as line:
        board = VellemanK8090("relays", line, VellemanK8090Options())
        await board.connect()
        await board.write({"1": True, "3": True})
        assert (await board.read())["3"]
        await board.play((Wait(0.0), Levels({"3": False})))
        await board.aclose()
    assert (await board.identify()).firmware == "2010 week 1"


@pytest.mark.parametrize("name", ["connects", "button_pressed", "bad_checksum"])
async def test_connects_with_all_relays_off(name: str) -> None:
    with replayed_stream(f"velleman_k8090/{name}") as line:
        await VellemanK8090("relays", line, VellemanK8090Options()).connect()


async def test_a_relay_that_is_stuck_is_found() -> None:
    with replayed_stream("velleman_k8090/relay_stuck") as line:
        board = VellemanK8090("relays", line, VellemanK8090Options())
        await board.connect()
        with pytest.raises(EquipmentError, match="relays: relay 3 does not follow"):
            await board.write({"1": True, "3": True})


async def test_a_silent_board_is_no_board() -> None:
    with (
        replayed_stream("velleman_k8090/silent") as line,
        pytest.raises(Silent, match="no answer to 04 71 00 00 00 8b 0f in 3 tries"),
    ):
        await VellemanK8090("relays", line, VellemanK8090Options()).connect()


async def test_there_are_eight_relays() -> None:
    with replayed_stream("velleman_k8090/connects") as line:
        board = VellemanK8090("relays", line, VellemanK8090Options())
        await board.connect()
        with pytest.raises(EquipmentError, match="no relay 9; there are: 1, 2, .*nothing was switched"):
            await board.write({"9": True})
    with pytest.raises(ValueError, match="relays 1 to 8"):
        VellemanK8090Options(resting_on=frozenset({0}))


@pytest.mark.parametrize("name", ["manual_on", "manual_off", "manual_status"])
def test_frames_are_those_of_the_manual(name: str) -> None:
    for turn in find(f"velleman_k8090/{name}").turns:
        assert Frame.decode(turn.data).encode() == turn.data


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        ("04 71 FF 0A 01 82 0F", "checksum 82, 81 is right"),
        ("04 71 FF 0A 01 81 00", "no frame"),
        ("04", "no frame"),
    ],
)
def test_bad_frames_are_refused(raw: str, says: str) -> None:
    with pytest.raises(ProtocolError, match=says):
        Frame.decode(bytes.fromhex(raw))


def test_frames_are_found_between_noise() -> None:
    frames = Frames()
    data = b"\x04\x00" + Frame(Code.STATUS, 1, 2, 3).encode() + b"\xff"
    found = [one for byte in data for one in frames.feed(bytes((byte,)))]
    assert found == [Frame(Code.STATUS, 1, 2, 3)]
    assert frames.dropped == 2


# -- with the simulated board
def switched(fault: str, *, end: str) -> None:
    """Switch relay 2 of a simulated board on and off, again and again, and compare with its contacts."""

    async def life() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        faults = Faults("it", simulated.VellemanK8090.knobs, (parse(f"it.{fault}"),), "relays")
        machine = simulated.VellemanK8090(loop.clock, faults=faults)
        protocol_hardbin.known_to_pyserial()
        line_end.plug(end, machine)
        line = SerialStream("relays", f"hardbin://{end}", VellemanK8090.line)
        board = VellemanK8090("relays", line, VellemanK8090Options())
        try:
            await board.connect()
            for on in (True, False) * 4:
                await board.write({"2": on})
                assert machine.lines.high("2") is on
                assert (await board.read())["2"] is on
        finally:
            await board.aclose()
            line_end.unplug(end)

    with asyncio.Runner(loop_factory=lambda: new_loop(None)) as runner:
        runner.run(life())


@pytest.mark.parametrize(
    "fault",
    [
        "chunk=2",
        "noise@p=0.02",
        "drop_tx@every=5",
        "bad_checksum@every=4",
        "silent@every=6",
        "button=7@after=3@every=3",
    ],
)
def test_what_the_driver_makes_good_by_itself(fault: str) -> None:
    switched(fault, end="k8090-good")


@pytest.mark.parametrize(
    ("fault", "says"), [("stuck=2@after=4", "relay 2 does not follow"), ("silent@after=8", "no answer to")]
)
def test_a_simulated_board_that_does_not_follow(fault: str, says: str) -> None:
    with pytest.raises(EquipmentError, match=says):
        switched(fault, end="k8090-bad")
