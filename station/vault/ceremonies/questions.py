"""What a ceremony asks of persons; a terminal answers it, or a descriptor."""

import os
from typing import Protocol

from station.errors import ConfigError, StoppedError
from station.vault.keys.frames import wipe

LINE_MAX = 4096


class Questions(Protocol):
    """Asks persons. StoppedError if nobody answers any more."""

    def word(self, about: str) -> str:
        """Ask for a word, for example a name."""

    def secret(self, about: str, *, new: bool) -> bytearray:
        """Ask for a passphrase, twice if it is a new one; whoever asked wipes it."""

    def yes(self, about: str) -> bool:
        """Ask for a confirmation."""

    def say(self, text: str) -> None:
        """Show something to all who are there."""


class Answers:
    """Answers from a descriptor: a line each, `question = answer`, in the order of the questions.

    The question is named so that no answer, a passphrase say, goes to another question than its own.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._held = bytearray()

    def word(self, about: str) -> str:
        answer = self._answer(about)
        return answer.decode(errors="replace")

    def secret(self, about: str, *, new: bool) -> bytearray:
        del new
        return self._answer(about)

    def yes(self, about: str) -> bool:
        return self._answer(about) == b"yes"

    def say(self, text: str) -> None:
        """Nobody listens."""

    def _answer(self, about: str) -> bytearray:
        line = self._line()
        asked, parted, answer = line.partition(b" = ")
        if not parted or asked.decode(errors="replace") != about:
            wipe(line)
            raise ConfigError(f"the next line of the answers must begin with {about + ' = '!r}")
        wipe(line)
        return answer

    def _line(self) -> bytearray:
        while b"\n" not in self._held:
            try:
                part = os.read(self._fd, LINE_MAX)
            except OSError as error:
                raise ConfigError(f"descriptor {self._fd}: {error.strerror}") from error
            if not part or len(self._held) > LINE_MAX:
                raise StoppedError("the answers end here; `hardbin key ceremony resume` goes on")
            self._held += part
        end = self._held.index(b"\n")
        line = self._held[:end]
        self._held[: end + 1] = bytes(end + 1)
        del self._held[: end + 1]
        return line
