"""Checks of a lot that somebody answers for."""

from collections.abc import Callable, Iterable

from station import commands


class Waivers:
    """Of one lot; its datalog says each, as soon as there is one."""

    def __init__(self, checks: Iterable[str] = ()) -> None:
        self.checks = set(checks)
        self._early = list[str]()
        self._say = self._early.append

    def take(self, command: commands.Waive) -> None:
        """Somebody answers for a check."""
        self.checks.add(command.check)
        self._say(f"check {command.check} waived by {command.actor}: {command.reason}")

    def told_by(self, say: Callable[[str], None]) -> None:
        """Have the datalog say what was waived, before this and from here on."""
        self._say = say
        for text in self._early:
            say(text)
        self._early.clear()
