"""The wires between a simulated digital I/O and whatever else is at them."""

from collections.abc import Callable


class Lines:
    """Lines by name. One that nobody drives is pulled up."""

    def __init__(self) -> None:
        self._high: dict[str, bool] = {}
        self._watchers: list[Callable[[str, bool], None]] = []

    def high(self, line: str) -> bool:
        """Return a line's level."""
        return self._high.get(line, True)

    def drive(self, line: str, *, high: bool) -> None:
        """Drive a line; who watches is told of a change."""
        if self.high(line) is not high:
            self._high[line] = high
            for watcher in self._watchers:
                watcher(line, high)

    def watch(self, watcher: Callable[[str, bool], None]) -> None:
        """Be told of every change, with line and level, at the moment when it happens."""
        self._watchers.append(watcher)
