"""The source of the modules that something rests on: what a fingerprint is taken of."""

import inspect
import sys
from collections.abc import Iterable, Iterator
from types import ModuleType


def of_modules(names: Iterable[str]) -> Iterator[bytes]:
    """Yield the source of these modules and of those they use from the same packages, by name."""
    wanted = list(names)
    found: dict[str, ModuleType] = {}
    packages = {name.partition(".")[0] for name in wanted}
    while wanted:
        name = wanted.pop()
        if name in found or name.partition(".")[0] not in packages or name not in sys.modules:
            continue
        found[name] = sys.modules[name]
        wanted += [getattr(value, "__module__", None) or "" for value in vars(found[name]).values()]
        wanted += [value.__name__ for value in vars(found[name]).values() if isinstance(value, ModuleType)]
    for name in sorted(found):
        yield _source(found[name])


def _source(module: ModuleType) -> bytes:
    try:
        return inspect.getsource(module).encode()
    except (OSError, TypeError):
        return module.__name__.encode()
