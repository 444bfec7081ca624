"""What one recipe says otherwise than another, line by line."""

from collections.abc import Iterator

import msgspec

from station.recipe.content import Recipe

LEFT_OUT = frozenset({"typ"})


def differences(old: Recipe, new: Recipe) -> list[str]:
    """Name each field that is not the same in both, with both values."""
    before, after = (dict(_flat(msgspec.to_builtins(recipe))) for recipe in (old, new))
    return [
        f"{name}: {before.get(name, 'not set')} -> {after.get(name, 'not set')}"
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    ]


def _flat(value: object, name: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if key not in LEFT_OUT and inner is not None:
                yield from _flat(inner, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list | tuple):
        yield name, ", ".join(map(str, value)) or "none"
    else:
        yield name, str(value)
