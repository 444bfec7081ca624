"""Evidence on its way: whole files or none, and only those that were asked for."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from station.vault.evidence import delivery
from station.vault.evidence.delivery import DeliveryError, pieces, received
from station.vault.wire import floor_pb2 as wire

NAMES = ("a", "b")


def there(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


async def of(*parts: tuple[str, bytes]) -> AsyncIterator[wire.ExportPart]:
    for file, data in parts:
        yield wire.ExportPart(file=file, data=data)


async def test_files_arrive_as_they_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "PIECE", 3)
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    target.mkdir()
    contents = {"a": b"0123456789", "b": b""}
    for name, content in contents.items():
        (source / name).write_bytes(content)
    await received(pieces(source, NAMES), target, NAMES)
    assert there(target) == contents


@pytest.mark.parametrize(
    "parts",
    [
        [],
        [("a", b"1")],
        [("", b"1")],
        [("a", b"1"), ("c", b"1")],
        [("a", b"1"), ("../b", b"1")],
        [("a", b"1"), ("b", b"1"), ("a", b"2")],
    ],
)
async def test_anything_else_leaves_what_was_there(tmp_path: Path, parts: list[tuple[str, bytes]]) -> None:
    (tmp_path / "a").write_bytes(b"old")
    with pytest.raises(DeliveryError):
        await received(of(*parts), tmp_path, NAMES)
    assert there(tmp_path) == {"a": b"old"}


async def test_a_vault_that_ends_in_the_middle_leaves_nothing(tmp_path: Path) -> None:
    async def broken() -> AsyncIterator[wire.ExportPart]:
        yield wire.ExportPart(file="a", data=b"1")
        raise ConnectionError

    with pytest.raises(ConnectionError):
        await received(broken(), tmp_path, NAMES)
    assert there(tmp_path) == {}
