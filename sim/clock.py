"""The time of the simulated machines: the real clock, or the virtual one of `sim.time`."""

from collections.abc import Callable
from threading import Condition
from typing import Protocol


class Clock(Protocol):
    """What machine models and simulated ports block and plan by; no other time exists for them."""

    def time(self) -> float:
        """Seconds, monotonic."""

    def sleep(self, seconds: float) -> None:
        """Block the calling port thread."""

    def wait(self, condition: Condition, deadline: float | None) -> None:
        """Block until `notify(condition)` or `deadline`; the caller holds the condition. None waits for ever."""

    def notify(self, condition: Condition) -> None:
        """Wake all who wait for the condition; the caller holds it."""

    def call_later(self, seconds: float, function: Callable[..., None], *args: object) -> None:
        """Plan what a machine does next; it runs on the loop's thread."""
