"""Dialogues, as `station.equip.dialogue` reads them, for tests."""

from station.equip.dialogue import (
    Dialogue,
    DialogueError,
    Kind,
    Turn,
    all_dialogues,
    find,
    folder,
    load,
    read,
    unescaped,
)

__all__ = [
    "FOLDER",
    "Dialogue",
    "DialogueError",
    "Kind",
    "Turn",
    "all_dialogues",
    "find",
    "load",
    "read",
    "unescaped",
]

FOLDER = folder()
