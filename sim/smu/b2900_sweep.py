"""What one channel of a simulated B2900 does at a trigger: read at one level, or climb a list or a line.

Ref: Keysight B2900 Series SCPI Command Reference, subsystems SOURce (LIST, SWEep) and TRIGger.
"""

from collections.abc import Callable, Iterator, Mapping

from sim.faults import Faults
from sim.messages import CommandError
from sim.scpi import Action, choice, number
from sim.smu.climb import climb, line
from sim.smu.output import Output, Quantity

MAX: dict[Quantity, float] = {"v": 210.0, "i": 3.03}
LONG: dict[Quantity, str] = {"v": "VOLTage", "i": "CURRent"}
LONGEST_LIST = 2500
MOST_PINS = 14


def set_pin(argument: str) -> None:
    """Take `EXT1` to `EXT14`; CommandError for all else."""
    pin = argument.strip().upper().removeprefix("EXT")
    if not pin.isdigit() or not 1 <= int(pin) <= MOST_PINS:
        raise CommandError(-224)


class Sweep:
    """Mode, list, line and trigger of a channel."""

    def __init__(self, output: Output) -> None:
        self.output = output
        self.reset()

    def reset(self) -> None:
        """One level, no list, its own trigger."""
        self._mode: dict[Quantity, str] = {"v": "FIX", "i": "FIX"}
        self._list: dict[Quantity, tuple[float, ...]] = {"v": (), "i": ()}
        self._start: dict[Quantity, float] = {"v": 0.0, "i": 0.0}
        self._stop: dict[Quantity, float] = {"v": 0.0, "i": 0.0}
        self._points: dict[Quantity, int] = {"v": 1, "i": 1}
        self._external = False

    def commands(self, name: str) -> Mapping[str, Action]:
        """Return the commands of channel `name`."""
        return {**self._commands_of(name, "v"), **self._commands_of(name, "i")}

    def _commands_of(self, name: str, quantity: Quantity) -> Mapping[str, Action]:
        source, levels = f":SOURce{name}:{LONG[quantity]}", f":SOURce{name}:LIST:{LONG[quantity]}"
        return {
            f"{source}:MODE": lambda text: self._set_mode(quantity, text),
            f"{source}:STARt": lambda text: self._set_end(self._start, quantity, text),
            f"{source}:STOP": lambda text: self._set_end(self._stop, quantity, text),
            f"{source}:POINts": lambda text: self._set_points(quantity, text),
            levels: lambda text: self._set_list(quantity, (), text),
            f"{levels}:APPend": lambda text: self._set_list(quantity, self._list[quantity], text),
        }

    def set_source(self, argument: str) -> None:
        """Take what a step waits for: AINT for nothing, or a pin."""
        if argument.strip().upper() == "AINT":
            self._external = False
            return
        set_pin(argument)
        self._external = True

    def _set_mode(self, quantity: Quantity, argument: str) -> None:
        self._mode[quantity] = choice(argument, FIXed="FIX", LIST="LIST", SWEep="SWE")

    @staticmethod
    def _set_end(end: dict[Quantity, float], quantity: Quantity, argument: str) -> None:
        end[quantity] = number(argument, low=-MAX[quantity], high=MAX[quantity])

    def _set_points(self, quantity: Quantity, argument: str) -> None:
        self._points[quantity] = int(number(argument, low=1, high=LONGEST_LIST))

    def _set_list(self, quantity: Quantity, before: tuple[float, ...], argument: str) -> None:
        top = MAX[quantity]
        levels = (*before, *(number(part.strip(), low=-top, high=top) for part in argument.split(",")))
        if len(levels) > LONGEST_LIST:
            raise CommandError(-223)
        self._list[quantity] = levels

    def steps(self, faults: Faults, spend: Callable[[float], None]) -> Iterator[Quantity]:
        """Go to the level of each trigger; after the last one the level is again the one that was set."""
        output, count = self.output, int(self.output.count)
        forced = output.forces
        fixed = output.level[forced]
        levels = self._levels(forced, count)
        yield from climb(output, levels, faults, spend, triggered=self._external)
        output.set_level(forced, fixed)

    def _levels(self, forced: Quantity, count: int) -> tuple[float, ...]:
        match self._mode[forced]:
            case "LIST" if self._list[forced]:
                return self._list[forced][:count]
            case "SWE":
                return line(self._start[forced], self._stop[forced], self._points[forced])[:count]
            case _:
                return (self.output.level[forced],) * count
