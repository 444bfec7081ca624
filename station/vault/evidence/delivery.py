"""A lot's evidence on its way from the vault: files in pieces, put down whole or not at all."""

import os
from collections.abc import AsyncIterable, AsyncIterator, Collection
from pathlib import Path
from typing import BinaryIO

from station.custody import durable_file
from station.vault.wire import floor_pb2 as wire

PIECE = 512 * 1024


class DeliveryError(Exception):
    """What came are not the files that were asked for."""


async def pieces(folder: Path, names: Collection[str]) -> AsyncIterator[wire.ExportPart]:
    """Send files, in this order."""
    for name in names:
        with (folder / name).open("rb") as file:
            yield wire.ExportPart(file=name, data=file.read(PIECE))
            while data := file.read(PIECE):
                yield wire.ExportPart(data=data)


async def received(parts: AsyncIterable[wire.ExportPart], folder: Path, names: Collection[str]) -> None:
    """Put files down, in place of those that may be there; DeliveryError, OSError."""
    new = {name: folder / (name + durable_file.NEW) for name in names}
    done: list[str] = []
    out: BinaryIO | None = None
    try:
        async for part in parts:
            if part.file:
                if part.file not in new or part.file in done:
                    raise DeliveryError(f"the vault sends a file {part.file[:40]!r}")
                _finish(out)
                out = new[part.file].open("wb")
                done.append(part.file)
            if out is None:
                raise DeliveryError("the vault sends a file without its name")
            out.write(part.data)
        if set(done) != set(names):
            raise DeliveryError(f"the vault sent {', '.join(done) or 'nothing'}")
        _finish(out)
        for name in done:
            new[name].replace(folder / name)
        durable_file.sync(folder)
    finally:
        if out is not None:
            out.close()
        for path in new.values():
            path.unlink(missing_ok=True)


def _finish(out: BinaryIO | None) -> None:
    if out is not None:
        out.flush()
        os.fsync(out.fileno())
        out.close()
