"""Whatever reads datalogs, maps, messages of machines and commands takes them or refuses them in one way.

As `test_parsers.py`, over true specimens of the formats of the floor.
"""

from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drivers.errors import ProtocolError
from drivers.protocols import hsms, secs
from station.datalog.maps import e142, g85
from station.datalog.stdf import atdf
from station.datalog.stdf.lint import lint
from station.datalog.stdf.reader import read, read_bytes
from station.errors import MapError, StorageError
from station.remote.messages import Body
from station.vault.desk.statement import StatementError, opened, signed
from tests.crash.test_parsers import (
    DEEP,
    Reader,
    changed,
    refused_or_taken,
)
from tests.station.datalog.lots import lot
from tests.station.datalog.maps.test_maps import wafer
from tests.station.datalog.test_intake import on_wafers, written
from tests.station.remote.floor import keys


class NeverError(Exception):
    """What a reader raises that may not raise at all."""


def of_file(path: Path, name: str, read_: Callable[[Path], object], error: type[Exception]) -> Reader:
    """A reader of a file, which is there already."""
    own = path.with_name(f"read-{name}")

    def of_bytes(data: bytes) -> object:
        own.write_bytes(data)
        return read_(own)

    return Reader(name, of_bytes, path.read_bytes(), error)


def maps(folder: Path) -> Iterator[Reader]:
    e142.write(wafer(), folder / "e142.xml")
    yield of_file(folder / "e142.xml", "E142", e142.read, MapError)
    g85.write(wafer(), folder / "g85.xml", created=0.0)
    yield of_file(folder / "g85.xml", "G85", g85.read, MapError)


def datalogs(folder: Path) -> Iterator[Reader]:
    path = written(folder / "lot", lot(), on_wafers())

    def stdf(data: bytes) -> object:
        return [*lint(BytesIO(data))], read_bytes(data)

    yield Reader("STDF", stdf, path.read_bytes(), NeverError)
    text = "".join(f"{line}\n" for line in atdf.lines(read(path))).encode("latin-1")
    yield Reader(
        "ATDF", lambda data: [*atdf.records(data.decode("latin-1").splitlines(True))], text, StorageError
    )


def machines() -> Iterator[Reader]:
    item = secs.array(secs.text("W07"), secs.u4(1, 2, 3), secs.array(secs.binary(1), secs.boolean(True)))
    yield Reader("SECS-II", secs.decode, item.encode(), ProtocolError)
    frame = hsms.Message(6, 11, item, wait=True).frame(1, 7).encode()
    yield Reader("HSMS", lambda data: [*map(hsms.Message.of, hsms.Frames().feed(data))], frame, ProtocolError)


def commands() -> Iterator[Reader]:
    body = Body(id="1", aud="t", cmd="lot.start", args={"lot": "L1"}, epoch=1, seq=1, iat=1.5, exp=2.5)
    envelope = signed(body, keys("mes-gw#1", both=True))
    yield Reader("command", lambda data: opened(data).read(Body), envelope, StatementError)


@pytest.fixture(scope="module")
def readers(tmp_path_factory: pytest.TempPathFactory) -> list[Reader]:
    folder = tmp_path_factory.mktemp("formats")
    return [*maps(folder), *datalogs(folder), *machines(), *commands()]


def test_each_reader_takes_its_specimen(readers: list[Reader]) -> None:
    for reader in readers:
        reader.read(reader.good)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_what_is_not_taken_is_refused_by_one_error(readers: list[Reader], data: st.DataObject) -> None:
    reader = data.draw(st.sampled_from(readers).map(lambda one: one))
    refused_or_taken(reader, data.draw(changed(reader.good)))


@pytest.mark.parametrize("nest", [b"[", b'{"a":', b"<a>", b"\x01\x01", b"\x01\x02"])
def test_deep_nests_are_refused(readers: list[Reader], nest: bytes) -> None:
    for reader in readers:
        refused_or_taken(reader, nest * DEEP)
        refused_or_taken(reader, b'{"payload":' + nest * DEEP)
