"""The tower's driver against its dialogues, and against a connection that breaks."""

import asyncio

import pytest

from drivers.errors import EquipmentError, InstrumentError, ProtocolError, Silent
from drivers.protocols.patlite import Request, answered, taken
from drivers.tower import patlite
from drivers.tower.patlite import Patlite, PatliteOptions
from drivers.transports import Stream
from drivers.transports.tcp import TcpStream
from sim.faults import Faults, parse
from sim.time import VirtualLoop, new_loop
from sim.tower import patlite as simulated
from tests.replay import replayed_stream


def made(port: Stream, **options: object) -> Patlite:
    return Patlite("tower", port, PatliteOptions(**options))  # type: ignore[arg-type]


@pytest.mark.parametrize("chunk", [1, 4096])
async def test_lamps_are_shown_and_read_back(chunk: int) -> None:
    with replayed_stream("patlite/shows", chunk=chunk) as line:
        tower = made(line)
        await tower.connect()
        await tower.show({"amber": "blink", "green": "on"}, buzzer=True)
        assert (await tower.shown())["amber"] == "blink"
        await tower.make_safe()
        await tower.aclose()
    assert (await tower.identify()).model == "LR5-LAN"


async def test_the_stages_of_an_la6_have_their_own_order() -> None:
    with replayed_stream("patlite/la6_three_stages") as line:
        tower = made(line, model="la6", stages=("green", "amber", "red"))
        await tower.connect()
        await tower.show({"green": "blink", "red": "on"})
    assert (await tower.identify()).model == "LA6-POE"


async def test_a_status_may_look_like_taken() -> None:
    with replayed_stream("patlite/status_that_looks_like_taken") as line:
        await made(line).connect()


async def test_older_towers_have_another_prefix() -> None:
    with replayed_stream("patlite/older_tower") as line:
        await made(line, prefix="XX").connect()


async def test_a_lamp_that_does_not_follow() -> None:
    with replayed_stream("patlite/lamp_stuck") as line:
        tower = made(line)
        await tower.connect()
        with pytest.raises(EquipmentError, match="was told 01 00 .* and shows 00 00"):
            await tower.show({"red": "on"})


@pytest.mark.parametrize("name", ["refuses", "not_understood"])
async def test_a_tower_that_refuses(name: str) -> None:
    with (
        replayed_stream(f"patlite/{name}") as line,
        pytest.raises(InstrumentError, match="refuses command G"),
    ):
        await made(line).connect()


async def test_a_silent_tower(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patlite, "ANSWER_S", 0.02)
    with replayed_stream("patlite/silent") as line, pytest.raises(Silent, match="no answer to command G"):
        await made(line).connect()


async def test_lamps_that_it_does_not_have() -> None:
    with replayed_stream("patlite/older_tower") as line:
        tower = made(line, prefix="XX", stages=("red",))
        await tower.connect()
        with pytest.raises(EquipmentError, match="no lamp green; there are: red"):
            await tower.show({"green": "on"})
    with pytest.raises(ValueError, match="one to five colours"):
        PatliteOptions(stages=("red", "red"))


def test_answers_that_mean_nothing() -> None:
    with pytest.raises(ProtocolError, match="no answer to command S"):
        answered("S", b"\x99", "lr5")
    with pytest.raises(ProtocolError, match="no request of PNS"):
        taken(bytearray(Request("S", bytes(6)).encode("XX")), "AB")


def test_a_late_answer_is_not_taken_for_that_to_the_next_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers do not say to what they belong, so after a silence the connection is made anew."""

    async def life() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        machine = simulated.Patlite(loop.clock)
        loop.hosts.plug("tower", 10000, machine)
        tower = made(TcpStream("tower", "tower", 10000))
        await tower.connect()
        await tower.show({"red": "on"})
        with monkeypatch.context() as patch:
            patch.setattr(patlite, "ANSWER_S", 0.0)
            with pytest.raises(Silent):
                await tower.shown()
        await tower.show({"green": "on"})
        assert (await tower.shown())["red"] == "off"
        await tower.aclose()

    with asyncio.Runner(loop_factory=lambda: new_loop(None)) as runner:
        runner.run(life())


def test_a_connection_that_breaks_is_opened_anew() -> None:
    async def life() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        faults = Faults("it", simulated.Patlite.knobs, (parse("it.rst@every=5"),), "tower")
        machine = simulated.Patlite(loop.clock, faults=faults)
        loop.hosts.plug("tower", 10000, machine)
        tower = made(TcpStream("tower", "tower", 10000))
        await tower.connect()
        for _ in range(5):
            await tower.show({"green": "on"})
            assert bytes(machine.states) == bytes((0, 0, 1, 0, 0, 0))
        await tower.aclose()

    with asyncio.Runner(loop_factory=lambda: new_loop(None)) as runner:
        runner.run(life())


@pytest.mark.parametrize(
    ("fault", "says"), [("nak@after=4", "does not|refuse|NAK"), ("stuck=3", "was told .* and shows")]
)
def test_a_simulated_tower_that_does_not_follow(fault: str, says: str) -> None:
    async def life() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        faults = Faults("it", simulated.Patlite.knobs, (parse(f"it.{fault}"),), "tower")
        loop.hosts.plug("tower", 10000, simulated.Patlite(loop.clock, faults=faults))
        tower = made(TcpStream("tower", "tower", 10000))
        await tower.connect()
        with pytest.raises(EquipmentError, match=says):
            for _ in range(3):
                await tower.show({"green": "on"})
        await tower.aclose()

    with asyncio.Runner(loop_factory=lambda: new_loop(None)) as runner:
        runner.run(life())


@pytest.mark.parametrize("fault", ["chunk=1", "coalesce@p=0.3"])
def test_answers_may_come_as_they_like(fault: str) -> None:
    async def life() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        faults = Faults("it", simulated.Patlite.knobs, (parse(f"it.{fault}"),), "tower")
        loop.hosts.plug("tower", 10000, simulated.Patlite(loop.clock, faults=faults))
        tower = made(TcpStream("tower", "tower", 10000))
        await tower.connect()
        for lamp in ("on", "off", "blink") * 3:
            await tower.show({"green": lamp})
            assert (await tower.shown())["green"] == lamp
        await tower.aclose()

    with asyncio.Runner(loop_factory=lambda: new_loop(None)) as runner:
        runner.run(life())


async def test_after_silence_or_a_break_the_connection_is_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patlite, "ANSWER_S", 0.02)
    with replayed_stream("patlite/silent_once") as line:
        tower = made(line)
        with pytest.raises(Silent):
            await tower.connect()
        assert (await tower.shown())["red"] == "off"
        assert (line.opened, line.closed) == (2, 1)
        line.breaks = 1
        assert (await tower.shown())["red"] == "off"
    assert (line.opened, line.closed) == (3, 2)
