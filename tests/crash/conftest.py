"""A yard for each module."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.crash.yard import Yard

MEMORY = Path("/dev/shm")  # noqa: S108 - where a sync costs nothing


@pytest.fixture(scope="module")
def yard() -> Iterator[Yard]:
    with (
        pytest.MonkeyPatch.context() as patch,
        TemporaryDirectory(prefix="hardbin-crash-", dir=MEMORY if MEMORY.is_dir() else None) as folder,
    ):
        yard = Yard(Path(folder), patch)
        asyncio.run(yard.build())
        yield yard
