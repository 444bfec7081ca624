"""The change from one release to another: between lots, and back by itself if the engine does not come up."""

import logging
import socket
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from station.console import wire
from station.engine.states import State
from station.errors import ConfigError
from station.release.places import CURRENT, PREVIOUS, Releases

BETWEEN_LOTS = frozenset({State.EMPTY.value, State.CLOSED.value})
ANSWER_S = 5.0
TRY_S = 0.5
_DECODER: msgspec.json.Decoder[wire.FromEngine] = msgspec.json.Decoder(wire.FromEngine)

log = logging.getLogger(__name__)


class MidLotError(Exception):
    """There is a lot in the cell: nothing is changed."""


class UnhealthyError(Exception):
    """The new release did not come up; the one before runs again, if it does."""


def standing(engine: Path) -> str | None:
    """Return the state of the cell behind an engine's socket; None if there is no engine."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
            link.settimeout(ANSWER_S)
            link.connect(wire.checked(str(engine)))
            return next((said.state for said in _said(link) if isinstance(said, wire.Beat)), None)
    except (FileNotFoundError, ConnectionRefusedError):
        return None
    except (OSError, msgspec.DecodeError) as error:
        raise ConfigError(f"{engine}: who is there does not say how its cell stands: {error}") from error


def _said(link: socket.socket) -> Iterator[wire.FromEngine]:
    with link.makefile("rb") as lines:
        for line in lines:
            yield _DECODER.decode(line)


@dataclass(frozen=True)
class Change:
    """How a station changes its release."""

    releases: Releases
    engine: Path
    restart: tuple[str, ...]
    """The command that starts engine and console anew; empty: nothing runs."""
    within_s: float
    pause: Callable[[float], None]

    def to(self, version: str) -> None:
        """Change; MidLotError, UnhealthyError, ConfigError."""
        before, previous = self.releases.named(CURRENT), self.releases.named(PREVIOUS)
        self._between_lots()
        self.releases.switch(version)
        if self._comes_up():
            return
        if before is None or before == version:
            raise UnhealthyError(f"{version} does not come up, and there is no release before it")
        self.releases.back(before, previous)
        well = "runs again" if self._comes_up() else "does not come up either"
        raise UnhealthyError(f"{version} does not come up within {self.within_s:g} s; {before} {well}")

    def _between_lots(self) -> None:
        state = standing(self.engine)
        if state is not None and state not in BETWEEN_LOTS:
            raise MidLotError(f"a lot is in the cell ({state}): a release is changed between lots")

    def _comes_up(self) -> bool:
        if not self.restart:
            return True
        done = subprocess.run(self.restart, check=False)  # noqa: S603 - as the station's administrator says
        if done.returncode:
            log.error("%s: exit %s", " ".join(self.restart), done.returncode)
            return False
        tries = max(1, round(self.within_s / TRY_S))
        return any(self._answers() for _ in range(tries))

    def _answers(self) -> bool:
        try:
            if standing(self.engine) is not None:
                return True
        except ConfigError as error:
            log.warning("%s", error)
        self.pause(TRY_S)
        return False
