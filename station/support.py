"""What is sent to somebody who is to help a station: what it is, what happened; no secret and no result."""

import re
from collections.abc import Iterator, Sequence
from importlib.metadata import distributions
from pathlib import Path

import msgspec

from station import config as station_config
from station.backup import Copied, Member, copied, written
from station.config_keys import shown
from station.doctor import Finding
from station.errors import ConfigError, CustodyError
from station.open_lot import JOURNAL

OF_LOT = (JOURNAL, "report.json")
"""What of a lot goes along: what happened, and what it came to; no measurement, nothing of the vault."""
PRIVATE = re.compile(rb"PRIVATE KEY-----")
_ENCODER = msgspec.json.Encoder(order="sorted")


def bundle(
    out: Path, findings: Sequence[Finding], station: Path | None, lots: Sequence[Path]
) -> tuple[Member, ...]:
    """Write a new file that `hardbin service restore` opens anywhere; ConfigError, CustodyError."""
    return written(_harmless(_files(findings, station, lots)), out)


def _files(findings: Sequence[Finding], station: Path | None, lots: Sequence[Path]) -> Iterator[Copied]:
    yield _told("machine.json", findings)
    yield _told("packages.json", {one.name: one.version for one in distributions()})
    if station is not None:
        loaded = msgspec.to_builtins(station_config.load(station), enc_hook=str)
        yield _told("station.json", shown({name: one for name, one in loaded.items() if one is not None}))
    for lot in lots:
        yield from _of_lot(lot)


def _of_lot(lot: Path) -> Iterator[Copied]:
    found = [lot / name for name in OF_LOT if (lot / name).is_file()]
    if not found:
        raise ConfigError(f"{lot}: is no folder of a lot: it has neither {' nor '.join(OF_LOT)}")
    for path in found:
        yield copied(f"{lot.resolve().name}/{path.name}", path.read_bytes())


def _told(name: str, what: object) -> Copied:
    return copied(name, _ENCODER.encode(what))


def _harmless(files: Iterator[Copied]) -> Iterator[Copied]:
    """Let nothing go that has a private key in it, whoever put it there."""
    for one in files:
        if PRIVATE.search(one.data):
            raise CustodyError(f"{one.member.path} holds a private key: nothing is written")
        yield one
