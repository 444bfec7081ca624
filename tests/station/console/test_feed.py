"""Engine and console over a real socket: what happens arrives whole and in order, whatever is lost."""

import asyncio
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from station import commands, events
from station.console import outlet, wire
from station.console.engine_link import AwayError, EngineLink
from station.engine.bus import Subscription
from station.engine.states import State
from station.errors import BusyError, ConfigError
from tests.station.console.lots import HELLO, SOME, journalled


class Ear:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.lines: list[int] = []
        self.states: list[str] = []
        self.greetings = 0
        self.said: list[events.Any] = []
        self._news = asyncio.Event()

    def greeted(self, hello: wire.Hello) -> None:
        self.greetings += hello == HELLO
        self._news.set()

    def begun(self, journal: Path) -> None:
        self.lines.clear()

    def happened(self, line: int, event: events.Any) -> None:
        self.lines.append(line)
        self._news.set()

    def noted(self, event: events.Any) -> None:
        self.said.append(event)
        self._news.set()

    def caught_up(self) -> None:
        self._news.set()

    def stands(self, state: str) -> None:
        self.states.append(state)

    def left(self) -> None:
        self._news.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until it holds; it can have changed with whatever is told."""
        async with asyncio.timeout(20):
            while not condition():
                self._news.clear()
                await self._news.wait()

    async def has(self, count: int) -> None:
        """Wait until so many lines are there."""
        await self.until(lambda: len(self.lines) >= count)


async def _taken(command: commands.Any) -> commands.Receipt:
    return commands.Receipt(True, "ok", f"{command.actor} {command.__struct_config__.tag}")


INSIDE = outlet.Inside(_taken, lambda: State.RUNNING)


@asynccontextmanager
async def linked(path: Path, ear: Ear) -> AsyncGenerator[EngineLink, None]:
    """A console that follows."""
    link = EngineLink(path, ear)
    running = asyncio.get_running_loop().create_task(link.run())
    try:
        yield link
    finally:
        running.cancel()
        await asyncio.wait([running])


def told(happened: list[events.Any]) -> Subscription:
    subscription = Subscription(live=False)
    for event in happened:
        subscription.offer(event)
    subscription.close()
    return subscription


async def test_a_console_that_is_there_hears_every_event(tmp_path: Path) -> None:
    journal, ear = await journalled(tmp_path, SOME), Ear()
    async with outlet.offered(tmp_path / "s", HELLO, INSIDE) as offered, linked(tmp_path / "s", ear):
        await ear.until(lambda: ear.greetings > 0)
        await offered.follow(journal, 0, told(SOME))
        await ear.has(len(SOME))
    assert ear.lines == list(range(1, len(SOME) + 1))


async def test_a_console_that_comes_later_reads_what_it_has_missed(tmp_path: Path) -> None:
    journal, ear = await journalled(tmp_path, SOME), Ear()
    async with outlet.offered(tmp_path / "s", HELLO, INSIDE) as offered:
        await offered.follow(journal, 0, told(SOME))
        async with linked(tmp_path / "s", ear):
            await ear.has(len(SOME))
    assert ear.lines == list(range(1, len(SOME) + 1))


async def test_a_console_of_a_lot_that_is_taken_up_reads_what_was_before(tmp_path: Path) -> None:
    journal, ear = await journalled(tmp_path, SOME), Ear()
    async with outlet.offered(tmp_path / "s", HELLO, INSIDE) as offered, linked(tmp_path / "s", ear):
        await ear.until(lambda: ear.greetings > 0)
        await offered.follow(journal, 5, told(SOME[5:]))
        await ear.has(len(SOME))
    assert ear.lines == list(range(1, len(SOME) + 1))


async def test_events_that_the_bus_has_lost_come_from_the_journal(tmp_path: Path) -> None:
    journal, ear = await journalled(tmp_path, SOME), Ear()
    late = told(SOME[5:])
    late.lost = 5
    async with outlet.offered(tmp_path / "s", HELLO, INSIDE) as offered, linked(tmp_path / "s", ear):
        await offered.follow(journal, 0, late)
        await ear.has(len(SOME))
    assert ear.lines == list(range(1, len(SOME) + 1))


async def test_a_console_that_lags_begins_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outlet, "QUEUE", 4)
    journal, ear = await journalled(tmp_path, SOME), Ear()
    async with outlet.offered(tmp_path / "s", HELLO, INSIDE) as offered, linked(tmp_path / "s", ear):
        await ear.until(lambda: ear.greetings > 0)
        await offered.follow(journal, 0, told(SOME))
        await ear.has(len(SOME))
    assert ear.lines == list(range(1, len(SOME) + 1))


async def test_an_engine_that_comes_again_is_found_again(tmp_path: Path) -> None:
    ear = Ear()
    async with linked(tmp_path / "s", ear) as link:
        for _ in range(2):
            ear.greetings = 0
            async with outlet.offered(tmp_path / "s", HELLO, INSIDE):
                await ear.until(lambda: ear.greetings == 1)
        await ear.until(lambda: not link.there)
        with pytest.raises(AwayError):
            await link.ask(commands.Pause(id="1", actor="p"))


async def test_a_command_comes_back_with_its_receipt(tmp_path: Path) -> None:
    ear = Ear()
    async with outlet.offered(tmp_path / "s", HELLO, INSIDE), linked(tmp_path / "s", ear) as link:
        await ear.until(lambda: link.there)
        receipt = await link.ask(commands.Pause(id="1", actor="p-7"))
    assert receipt == commands.Receipt(True, "ok", "p-7 lot.pause")


async def test_whoever_speaks_another_language_is_not_served(tmp_path: Path) -> None:
    async with outlet.offered(tmp_path / "s", HELLO, INSIDE), asyncio.timeout(20):
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / "s"))
        writer.write(b'{"said":"ask","number":1,"command":{"command":"cell.explode"}}\n')
        said = await reader.read()
        assert msgspec.json.decode(said.split(b"\n")[0], type=wire.FromEngine) == HELLO
        assert b"answer" not in said
        writer.close()


async def test_the_socket_is_ours_alone(tmp_path: Path) -> None:
    path = tmp_path / "s"
    async with outlet.offered(path, HELLO, INSIDE):
        assert path.stat().st_mode & 0o777 == 0o600
        with pytest.raises(BusyError, match="another engine"):
            async with outlet.offered(path, HELLO, INSIDE):
                pass
    assert not path.exists()


async def test_a_socket_that_nobody_serves_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "s"
    server = await asyncio.start_unix_server(lambda _, writer: writer.close(), str(path))
    server.close()
    await server.wait_closed()
    assert path.is_socket()
    async with outlet.offered(path, HELLO, INSIDE):
        assert path.is_socket()


async def test_a_path_that_cannot_be_a_socket_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a socket")
    for path, why in ((tmp_path / "file", "in use"), (tmp_path / ("x" * 120), "at most 107 bytes")):
        with pytest.raises(ConfigError, match=why):
            async with outlet.offered(path, HELLO, INSIDE):
                pass


async def test_a_station_that_ends_waits_for_no_answer_to_a_console_that_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outlet, "CLOSE_S", 0.01)
    asked = asyncio.Event()

    async def unanswered(command: commands.Any) -> commands.Receipt:
        asked.set()
        await asyncio.Event().wait()
        return commands.Receipt(True, command.id)

    inside = outlet.Inside(unanswered, lambda: State.RUNNING)
    async with outlet.offered(tmp_path / "s", HELLO, inside):
        with socket.socket(socket.AF_UNIX) as console:
            console.connect(str(tmp_path / "s"))
            pause = commands.Pause(id="1", actor="anna", roles=frozenset())
            console.sendall(wire.line(wire.Ask(number=1, command=pause)))
            await asked.wait()
    assert asyncio.all_tasks() == {asyncio.current_task()}


def test_what_is_said_when_no_console_is_served_any_more_is_let_go() -> None:
    async def made() -> outlet.Outlet:
        return outlet.Outlet(HELLO, INSIDE)

    asyncio.run(made()).noted(1, SOME[0])


async def test_what_cannot_be_read_is_logged_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    came, again = list[None](), asyncio.Event()

    async def babble(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.append(None)
        if len(came) > 2:
            again.set()
        writer.write(b"no JSON\n")
        writer.close()

    async with await asyncio.start_unix_server(babble, tmp_path / "s"), linked(tmp_path / "s", Ear()):
        async with asyncio.timeout(20):
            await again.wait()
    (told,) = [one.getMessage() for one in caplog.records if one.levelname == "WARNING"]
    assert told.startswith("what the engine says cannot be read, it is asked anew: ")
