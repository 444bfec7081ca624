"""`hardbin stdf`: look into a datalog, and check it."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

import click
import msgspec

from station.cli.codes import Exit
from station.cli.stdf_files import COMMANDS, must_exist
from station.datalog.stdf.fields import Bits, Item, Scalar, Value
from station.datalog.stdf.lint import Finding, check
from station.datalog.stdf.reader import Reader
from station.datalog.stdf.records import LAYOUTS, Field, Record

TIMES = frozenset({"SETUP_T", "START_T", "FINISH_T", "MOD_TIM"})
FLAGS = frozenset({"B1"})
SHOWN = 32
"""Bytes of undecoded content that a person is shown."""


@click.group()
def stdf() -> None:
    """Look into STDF files, check them, make one of others or of the store."""


for _command in COMMANDS:
    stdf.add_command(_command)


@stdf.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, with every field.")
@click.option(
    "--record",
    "only",
    multiple=True,
    type=click.Choice(list(LAYOUTS), case_sensitive=False),
    help="Only these records; may be given several times.",
)
def dump(file: Path, *, as_json: bool, only: tuple[str, ...]) -> None:
    """Print one record a line: its offset, its name and the fields that say something.

    A damaged file is printed as far as it goes; the exit code is then 13.
    """
    must_exist(file)
    show = _as_json if as_json else _as_text
    damaged = False
    with file.open("rb") as opened:
        reader = Reader(opened)
        for record in reader:
            damaged = damaged or bool(record.fault)
            if not only or record.name in only:
                click.echo(show(record))
    if reader.fault:
        _stop(Exit.INTEGRITY, f"{file}: {reader.fault}")
    if damaged:
        _stop(Exit.INTEGRITY, f"{file}: not every record could be decoded")


@stdf.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON object with all findings.")
def validate(file: Path, *, as_json: bool) -> None:
    """Check a file against the rules E01 to E15 and W01 to W05; the exit code is 13 if there is an error."""
    must_exist(file)
    report = check(file)
    errors = [finding for finding in report.findings if finding.error]
    warnings = len(report.findings) - len(errors)
    if as_json:
        click.echo(_report_json(file, report.records, report.findings))
    else:
        for finding in report.findings:
            click.echo(str(finding))
        click.echo(f"{file.name}: {report.records} records, errors: {len(errors)}, warnings: {warnings}")
    if errors:
        click.get_current_context().exit(Exit.INTEGRITY)


def _stop(code: Exit, message: str) -> NoReturn:
    click.echo(f"hardbin: {message}", err=True)
    click.get_current_context().exit(code)


stdf.add_command(validate, "lint")


def _report_json(file: Path, records: int, findings: tuple[Finding, ...]) -> str:
    errors = sum(finding.error for finding in findings)
    counts = {"file": str(file), "records": records, "errors": errors, "warnings": len(findings) - errors}
    return msgspec.json.encode(counts | {"findings": findings}).decode()


def _as_json(record: Record) -> str:
    fields = {name: _plain(value) for name, value in record.values.items()}
    fault = {"fault": record.fault} if record.fault else {}
    rest = {"rest": record.rest.hex()} if record.rest else {}
    line = {"offset": record.offset, "record": record.name, "fields": fields} | fault | rest
    return msgspec.json.encode(line).decode()


def _plain(value: Value) -> object:
    match value:
        case tuple():
            return [_plain(one) for one in value]
        case bytes():
            return value.hex()
        case Bits(count=count, data=data):
            return {"bits": count, "data": data.hex()}
        case Item(code=code, value=inner):
            return {"type": code, "value": _plain(inner)}
    return value


def _as_text(record: Record) -> str:
    parts = [f"{record.offset:>9} {record.name}", *_fields(record)]
    if record.fault:
        parts.append(f"!{record.fault}")
    if record.rest:
        parts.append(f"rest={_hex(record.rest)}")
    return " ".join(parts)


def _hex(data: bytes) -> str:
    return data.hex() if len(data) <= SHOWN else f"{data[:SHOWN].hex()}... ({len(data)} bytes)"


def _fields(record: Record) -> Iterator[str]:
    """Yield what is present, valid and not the value for missing."""
    for field in LAYOUTS[record.name].fields if record.name in LAYOUTS else ():
        value = record.values.get(field.name)
        if value is None or value == field.missing or not record.valid(field.name) or value == ():
            continue
        yield f"{field.name}={_shown(field, value)}"


def _shown(field: Field, value: Value) -> str:
    if isinstance(value, tuple):
        return "[" + ",".join(_one(field, one) for one in value) + "]"
    return _one(field, value)


def _one(field: Field, value: Scalar) -> str:
    match value:
        case int() if field.name in TIMES:
            return datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        case int() if field.kind in FLAGS:
            return f"{value:#04x}"
        case float():
            return f"{value:.7g}"
        case str():
            return repr(value) if not value or " " in value or not value.isprintable() else value
        case bytes():
            return value.hex()
        case Bits(count=count, data=data):
            return f"{count}:{data.hex()}"
        case Item(code=code, value=inner):
            return f"{code}:{_one(field, inner)}"
    return str(value)
