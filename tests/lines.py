"""A pytest plugin: which lines of the drivers' models the dialogues alone lead through.

Of the tests that are collected it runs those that replay a dialogue, and counts what they did in the models,
but for tests in which a simulated machine took part. It has a tracer of its own: before Python 3.12 the one
of `coverage` loses its place at a coroutine that an exception is thrown into, as each time-out does.
"""

import sys
import threading
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FrameType, FunctionType
from typing import Any

import pytest
from msgspec import json

from tests import replay

ROOT = Path(__file__).parents[1]
ROLES = (
    *("card", "counter", "dio", "dmm", "generator", "handler", "idreader", "interlock", "prober"),
    *("relays", "scope", "smu", "supply", "thermal", "tower"),
)
LOOP = {"affinity", "baton", "clock", "hosts", "time", "timeserver"}
"""Modules of `sim` that are the loop of a test, and no machine."""


def models() -> Iterator[Path]:
    """Yield the files of all models."""
    for role in ROLES:
        yield from sorted((ROOT / "drivers" / role).glob("*.py"))


def lines_of(path: Path) -> set[int]:
    """Return the numbers of the lines that hold code, but of what checks the options of a station file.

    No dialogue leads there: a wrong option is refused before anything is said.
    """
    waiting = [compile(path.read_bytes(), path, "exec", optimize=0)]
    found = set[int]()
    while waiting:
        code = waiting.pop()
        found |= {line for _, _, line in code.co_lines() if line}
        nested = [const for const in code.co_consts if isinstance(const, CodeType)]
        waiting += [each for each in nested if each.co_name != "__post_init__"]
    return found


class Lines:
    """What is traced, and the hooks that pytest calls."""

    def __init__(self, told: Path) -> None:
        self._told = told
        self._of_models = {str(path) for path in models()}
        self._now = defaultdict[str, set[int]](set)
        self._done = defaultdict[str, set[int]](set)
        self._machines = False

    def start(self) -> None:
        """Trace from here on, whatever thread it is."""
        threading.settrace(self._called)
        sys.settrace(self._called)

    def _called(self, frame: FrameType, event: str, _: object) -> Any:  # noqa: ANN401 - as sys.settrace has it
        name = frame.f_code.co_filename
        if name in self._of_models:
            frame.f_trace = self._moved
            return self._moved(frame, event, None)
        if not self._machines and f"{ROOT}/sim/" in name and Path(name).stem not in LOOP:
            self._machines = True
        return None

    def _moved(self, frame: FrameType, _event: str, _: object) -> Any:  # noqa: ANN401
        self._now[frame.f_code.co_filename].add(frame.f_lineno)
        return self._moved

    def _keep(self) -> None:
        if not self._machines:
            for name, lines in self._now.items():
                self._done[name] |= lines
        self._now.clear()
        self._machines = False

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Keep the tests that replay a dialogue; importing them has run no machine."""
        self._machines = False
        self._keep()
        wanted = [item for item in items if isinstance(item, pytest.Function) and replays(item.function)]
        config.hook.pytest_deselected(items=[item for item in items if item not in wanted])
        items[:] = wanted

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self) -> Iterator[None]:
        """Count what one test does, with its fixtures."""
        yield
        self._keep()

    def pytest_sessionfinish(self) -> None:
        """Write which lines of which model nobody reached."""
        missing = {
            str(path.relative_to(ROOT)): sorted(lines_of(path) - self._done[str(path)]) for path in models()
        }
        self._told.write_bytes(json.encode(missing))


def replays(test: object) -> bool:
    """Whether a test, or a function of its files that it calls, takes something of `tests.replay`."""
    waiting, seen = [test], set[object]()
    while waiting:
        function = waiting.pop()
        if getattr(function, "__module__", None) == replay.__name__:
            return True
        function = getattr(function, "__wrapped__", function)
        if isinstance(function, FunctionType) and function not in seen:
            seen.add(function)
            used = map(function.__globals__.get, names_of(function.__code__))
            waiting += [each for each in used if getattr(each, "__module__", "").startswith("tests.")]
    return False


def names_of(code: CodeType) -> set[str]:
    """Return all names that a function uses, also in what is nested in it."""
    nested = [const for const in code.co_consts if isinstance(const, CodeType)]
    return set(code.co_names).union(*map(names_of, nested))


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take where to write what is missing."""
    parser.addoption("--lines", type=Path, help="file for the lines that no dialogue reaches, as JSON")


def pytest_configure(config: pytest.Config) -> None:
    """Begin to trace."""
    lines = Lines(config.getoption("--lines"))
    config.pluginmanager.register(lines)
    lines.start()
