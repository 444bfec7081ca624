"""`hardbin equip`: what is connected, what it says, and whether it says what its driver expects."""

import asyncio
import functools
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import click
from msgspec import json

from drivers.errors import EquipmentError
from station import config as station_config
from station.cli.codes import Exit
from station.cli.equip_new import new
from station.cli.equip_sim import sim
from station.clock import RealClock
from station.equip import cycle as cycling
from station.equip import dialogue, found, origins, talk
from station.equip.comparison import Comparison
from station.equip.place import Bench, Reach, is_port, reach, runner
from station.errors import ConfigError

T = TypeVar("T")
Command = Callable[..., object]


@click.group()
def equip() -> None:
    """Find the machines of a cell, talk to them, cycle them, and record what they say."""


equip.add_command(new)
equip.add_command(sim)


def _benched(command: Command) -> Command:
    """Give a command the options of a bench, and the bench."""

    @click.option("--station", type=click.Path(dir_okay=False, path_type=Path), help="Station file.")
    @click.option("--hardware", is_flag=True, help="Its machines are real; else they are simulated.")
    @click.option("--fault", "faults", multiple=True, help="Of simulated machines; repeatable.")
    @click.option(
        "--baud", type=click.IntRange(50), default=9600, show_default=True, help="Of serial:... ports."
    )
    @click.option("--visa", "visa_library", default="", help="VISA library; by default the station's.")
    @functools.wraps(command)
    def benched(
        station: Path | None,
        hardware: bool,
        faults: tuple[str, ...],
        baud: int,
        visa_library: str,
        **rest: object,
    ) -> object:
        if hardware and station is None:
            raise click.UsageError("--hardware is for the machines of a --station FILE")
        config = None if station is None else station_config.load(station)
        return command(bench=Bench(config, hardware, faults, baud, visa_library), **rest)

    return benched


def _on(bench: Bench, work: Callable[[Reach], Awaitable[T]]) -> T:
    surroundings = bench.surroundings()

    async def main() -> T:
        async with reach(bench, surroundings) as reached:
            return await work(reached)

    with runner(surroundings) as running:
        return running.run(main())


@equip.command("list")
@_benched
@click.option("--json", "as_json", is_flag=True, help="Print one list.")
def list_(bench: Bench, as_json: bool) -> None:
    """What is connected to this computer; with --station, its machines and what their drivers rest on.

    Nothing is opened.
    """
    if bench.config is None:
        rows: list[tuple[str, ...]] = [
            (one.port, one.what) for one in found.everything(bench.surroundings().visa_library)
        ]
        keys: tuple[str, ...] = ("port", "what")
    else:
        machines = bench.config.equipment
        rows = [(one.name, one.driver, one.port, str(origins.basis(one.driver))) for one in machines]
        keys = ("name", "driver", "port", "basis")
    _printed(rows, keys, as_json=as_json, none="nothing is connected")


@equip.command()
@click.argument("places", nargs=-1, metavar="[PLACE]...")
@_benched
@click.option("--health", is_flag=True, help="Connect them, which makes them safe, and ask how they are.")
@click.option("--json", "as_json", is_flag=True, help="Print one list.")
def probe(places: tuple[str, ...], bench: Bench, health: bool, as_json: bool) -> int:
    """Ask who is there: machines of the station by their drivers, ports by *IDN?; nothing is set.

    Without a PLACE: all machines of the station, or every serial port and VISA resource that is found.
    With --health machines are connected as for a lot: errors, trips, open interlocks are told.
    """
    wanted = places or _usual_places(bench)
    if health and (bench.config is None or any(map(is_port, wanted))):
        raise click.UsageError("--health is for the machines of a --station FILE")
    asked = _well if health else _identified

    async def probed(reached: Reach) -> list[found.Answered]:
        return [await asked(reached, place) for place in wanted]

    answers = _on(bench, probed)
    rows = [(one.place, one.error or str(one), ", ".join(one.drivers)) for one in answers]
    if as_json:
        click.echo(json.encode(answers))
    else:
        _printed(rows, ("place", "is", "drivers"), as_json=False, none="nothing to ask")
    if any(one.error for one in answers):
        return Exit.EQUIPMENT if health else Exit.LINK
    return Exit.OK


def _usual_places(bench: Bench) -> tuple[str, ...]:
    if bench.config is not None:
        return tuple(placed.name for placed in bench.config.equipment)
    return tuple(
        one.port
        for one in found.everything(bench.surroundings().visa_library)
        if not one.port.startswith("usb:")
    )


async def _identified(reached: Reach, place: str) -> found.Answered:
    try:
        async with reached.port(place) as port:
            if is_port(place):
                return await found.identified(place, port)
            async with asyncio.timeout(found.IDENTIFY_S * 5):
                return found.answered(place, await reached.machine(place).identify())
    except EquipmentError as error:
        return found.Answered(place, error=str(error))
    except TimeoutError:
        return found.Answered(place, error="it does not say who it is")


async def _well(reached: Reach, place: str) -> found.Answered:
    """Ask a machine how it is; it is left in its safe state."""
    try:
        async with asyncio.timeout(found.CONNECT_S), reached.connected(place) as machine:
            return await found.well(place, machine)
    except EquipmentError as error:
        return found.Answered(place, error=str(error))
    except TimeoutError:
        return found.Answered(place, error=f"it does not tell within {found.CONNECT_S:g} s")


@equip.command()
@click.argument("place")
@click.argument("texts", nargs=-1, required=True, metavar="TEXT...")
@_benched
@click.option("--hex", "as_hex", is_flag=True, help="TEXTs and answers are bytes in hexadecimal.")
@click.option("--ends", default="\\n", show_default=True, help="What ends each text; may be empty.")
@click.option("--hear", is_flag=True, help="Wait for an answer to texts without a question mark, too.")
@click.option("--status", is_flag=True, help="Poll the status byte at the end.")
@click.option("--clear", is_flag=True, help="Clear the device first.")
@click.option("--timeout", "timeout_s", type=click.FloatRange(0.01), default=5.0, show_default=True, help="s")
@click.option("--record", type=click.Path(dir_okay=False, path_type=Path), help="New file for the dialogue.")
@click.option("--model", default="", help="With --record: who answered, as `2450, 1.7.12b`.")
@click.option("--json", "as_json", is_flag=True, help="Print one list.")
def send(
    place: str,
    texts: tuple[str, ...],
    bench: Bench,
    as_hex: bool,
    ends: str,
    hear: bool,
    status: bool,
    clear: bool,
    timeout_s: float,
    record: Path | None,
    model: str,
    as_json: bool,
) -> None:
    """Say TEXTs at a PLACE, a machine of the station or a port, and print what it answers.

    No driver is between: nothing is checked, and what the text does, it does.
    """
    origin = _origin(bench, record, model)
    messages = [_message(text, ends, as_hex=as_hex) for text in texts]

    async def sent(reached: Reach) -> list[tuple[str, str]]:
        async with reached.port(place) as port:
            try:
                if clear:
                    await talk.clear(port)
                answers = list[tuple[str, str]]()
                for text, message in zip(texts, messages, strict=True):
                    if hear or as_hex or b"?" in message:
                        answer = await talk.ask(port, message, timeout_s=timeout_s)
                        answers.append((text, answer.hex(" ") if as_hex else _shown(answer)))
                    else:
                        await talk.say(port, message)
                if status:
                    answers.append(("status", f"0x{await talk.status(port):02X}"))
                return answers
            finally:
                if record is not None:
                    _recorded(record, talk.trace_of(port).to_dialogue(origin))

    answers = _on(bench, sent)
    if as_json:
        click.echo(json.encode([{"said": said, "heard": heard} for said, heard in answers]))
        return
    for _, heard in answers:
        click.echo(heard)


def _message(text: str, ends: str, *, as_hex: bool) -> bytes:
    try:
        if as_hex:
            return bytes.fromhex(text)
        return (text + dialogue.unescaped(ends)).encode("latin-1")
    except ValueError as error:
        raise click.UsageError(f"TEXT {text!r}: {error}") from None


def _shown(answer: bytes) -> str:
    return answer.decode("latin-1").rstrip("\r\n")


def _origin(bench: Bench, record: Path | None, model: str) -> str:
    """Return the first line of what is recorded; a dialogue never comes from a simulator."""
    if record is None:
        return ""
    if not bench.real:
        raise click.UsageError("--record is for real machines: a dialogue never comes from the simulator")
    if not model:
        raise click.UsageError("--record needs --model: who answered, with its firmware")
    if record.exists():
        raise ConfigError(f"{record} exists: a dialogue is never overwritten")
    day = datetime.fromtimestamp(RealClock().unix(), UTC).date()
    return f"captured {day.isoformat()}, {model}"


def _recorded(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error


@equip.command()
@click.argument("machine")
@_benched
@click.option(
    "--touchdowns", "times", type=click.IntRange(1), default=10, show_default=True, help="Or cycles."
)
@click.option(
    "--bin", "hard_bin", type=click.IntRange(0), default=1, show_default=True, help="For all devices."
)
@click.option("--json", "as_json", is_flag=True, help="Print one object.")
def cycle(machine: str, bench: Bench, times: int, hard_bin: int, as_json: bool) -> int:
    """Use a MACHINE of the station again and again, as a lot does, and time it.

    A handler or prober: touchdowns, all devices into one bin. A reader: power on and off. Others: identity
    and safe state. Real machines move.
    """
    if bench.config is None:
        raise click.UsageError("cycle needs --station FILE, for a machine's driver and options")

    async def cycled(reached: Reach) -> cycling.Cycled:
        async with reached.connected(machine) as connected:
            return await cycling.cycled(connected, times, hard_bin, lambda number: _ticked(number, times))

    result = _on(bench, cycled)
    if as_json:
        click.echo(json.encode(result))
    else:
        click.echo(f"{result.cycles} of {times} cycles ({result.what})")
        click.echo(f"median {result.median_s:g} s, worst {result.worst_s:g} s")
    if result.error:
        raise EquipmentError(
            result.error if result.error.startswith(machine) else f"{machine}: {result.error}"
        )
    return Exit.OK


def _ticked(number: int, times: int) -> None:
    if number == times or number % max(1, times // 10) == 0:
        click.echo(f"... {number} of {times}", err=True)


@equip.command()
@click.argument("place")
@click.argument("dialogues", nargs=-1, required=True, metavar="DIALOGUE...")
@_benched
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Folder for what was met.")
@click.option("--model", default="", help="With --out: who answered, as `2450, 1.7.12b`.")
@click.option("--json", "as_json", is_flag=True, help="Print one list.")
def trace(
    place: str, dialogues: tuple[str, ...], bench: Bench, out: Path | None, model: str, as_json: bool
) -> int:
    """Say shipped DIALOGUEs, as keithley_2450/leakage, or files, to a PLACE, and compare what it answers.

    With --out, what was met is written beside it as a dialogue of its own, `origin captured`. What the
    dialogue says is done: outputs may be switched on.
    """
    scripts = [_dialogue(name) for name in dialogues]
    origins_ = {str(script): _origin(bench, _file(out, script), model) for script in scripts}

    async def compared(reached: Reach) -> list[dict[str, object]]:
        results = list[dict[str, object]]()
        for script in scripts:
            async with reached.port(place) as port:
                differences = await Comparison(port, script).run()
                if (path := _file(out, script)) is not None:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    _recorded(path, talk.trace_of(port).to_dialogue(origins_[str(script)]))
            results.append({"dialogue": str(script), "differences": [str(one) for one in differences]})
        return results

    results = _on(bench, compared)
    if as_json:
        click.echo(json.encode(results))
    else:
        _compared(results)
    return Exit.EQUIPMENT if any(result["differences"] for result in results) else Exit.OK


def _compared(results: Sequence[dict[str, object]]) -> None:
    for result in results:
        differences = result["differences"]
        lines = differences if isinstance(differences, list) else []
        click.echo(f"{result['dialogue']}: {'as written' if not lines else f'{len(lines)} differences'}")
        for line in lines:
            click.echo(f"  {line}")


def _file(out: Path | None, script: dialogue.Dialogue) -> Path | None:
    return None if out is None else out / script.model / f"{script.name}.txt"


def _dialogue(name: str) -> dialogue.Dialogue:
    path = Path(name) if name.endswith(".txt") else dialogue.folder() / f"{name}.txt"
    try:
        return dialogue.load(path)
    except OSError as error:
        raise ConfigError(f"dialogue {name!r}: {path}: {error.strerror}") from None
    except ValueError as error:
        raise ConfigError(str(error)) from None


def _printed(rows: Sequence[Sequence[str]], keys: Sequence[str], *, as_json: bool, none: str) -> None:
    if as_json:
        click.echo(json.encode([dict(zip(keys, row, strict=True)) for row in rows]))
        return
    if not rows:
        click.echo(none)
    widths = [max(len(row[column]) for row in rows) for column in range(len(keys))] if rows else []
    for row in rows:
        click.echo("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())
