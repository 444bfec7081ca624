"""The vault's time: the machine's clock, or in development the time that the station tells."""

from collections.abc import Callable, Iterable

from station.clock import RealClock
from station.vault.faults import Code, FaultError
from station.vault.pki.authorities import AUTHORITIES_FROM

TIME_KEY = "hardbin-time"
STEP_S = 1.0
"""How far a clock may lag behind what it told before, without having been set back."""


class Times:
    """Where times come from. `epoch` is the time of a simulated vault until a station tells one."""

    def __init__(self, *, development: bool, epoch: float | None = None) -> None:
        self._development, self._epoch, self._clock = development, epoch, RealClock()
        self.unsafe: Callable[[], str] = str
        """Says why the machine's clock is not to be believed; empty if nothing is known against it."""

    def now(self, metadata: Iterable[tuple[str, str | bytes]] | None) -> float:
        """Unix seconds for a call; FaultError if they lie before the vault's own certificates."""
        now = self._told(metadata or ()) if self._development else None
        if now is None:
            now = self._clock.unix() if self._epoch is None else self._epoch
        if not AUTHORITIES_FROM.timestamp() <= now < 1e11:
            raise FaultError(Code.CLOCK_UNSAFE, f"{now:.0f} is no time to issue certificates at")
        return now

    def admitting(self, now: float, checkpoint: float) -> float:
        """The time of an admission, never before the last checkpoint: nothing is dated back.

        FaultError if the clock lies more than a second behind it, or is off. A station's time is not the key
        store's, so in development it is taken as it is told.
        """
        if self._development:
            return now
        if why := self.unsafe():
            raise FaultError(Code.CLOCK_UNSAFE, why)
        if now < checkpoint - STEP_S:
            behind = f"{checkpoint - now:.0f} s behind the last checkpoint"
            raise FaultError(Code.CLOCK_UNSAFE, f"the clock is {behind}; it was set back")
        return max(now, checkpoint)

    @staticmethod
    def _told(metadata: Iterable[tuple[str, str | bytes]]) -> float | None:
        for key, value in metadata:
            if key == TIME_KEY:
                try:
                    return float(value)
                except ValueError as error:
                    raise FaultError(Code.CLOCK_UNSAFE, "the station tells no time") from error
        return None
