"""The process of the page ends when what it shows stands still."""

from pathlib import Path
from typing import Any

import pytest

from station.console import server
from station.console.engine_link import EngineLink
from station.console.listening import Listen


async def test_a_page_does_not_go_on_without_its_engine_s_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def failing(link: EngineLink) -> None:
        raise KeyError(str(link))

    monkeypatch.setattr(EngineLink, "run", failing)
    monkeypatch.setattr(server, "page_files", dict)
    nobody: Any = object()
    ready = list[str]()
    with pytest.raises(ExceptionGroup):
        await server._serve(tmp_path / "s", Listen("127.0.0.1", 0), nobody, ready.append)  # noqa: SLF001
