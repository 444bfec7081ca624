"""The trigger model of a simulated 2600B, as far as a sweep of one channel needs it.

Ref: Series 2600B Reference Manual 2600BS-901-01, section 4 (remote triggering) and 9 (smuX.trigger, digio).
"""

from collections.abc import Callable
from typing import Literal

from sim.faults import Faults
from sim.smu.climb import climb, line
from sim.smu.output import Output, Quantity
from sim.tsp import TspInstrument, Value, Values, number, runtime_error

MAX: dict[Quantity, float] = {"v": 200.0, "i": 1.5}
LINES = range(1, 15)
FALLING = 1.0
DISABLE, ENABLE = 0.0, 1.0
IDLE, HOLD = 0.0, 1.0
MEASURE_COMPLETE = 4.0
EDGE_OF_FIRST_LINE = 40.0
"""Numbers of events; a chunk knows them by their names."""
QUANTITIES: tuple[Quantity, Quantity] = ("v", "i")
Setting = Literal["source.action", "measure.action", "endpulse.action", "endsweep.action"]
SETTINGS: tuple[Setting, ...] = ("source.action", "measure.action", "endpulse.action", "endsweep.action")


class TriggerModel:
    """What a channel does at `trigger.initiate()`; the sweep is over when the chunk goes on."""

    def __init__(
        self,
        machine: TspInstrument,
        smu: str,
        output: Output,
        faults: Faults,
        take: Callable[[str, Quantity], None],
    ) -> None:
        """`take` puts one reading of the output into a buffer."""
        self._machine, self._smu, self._output, self._faults, self._take = machine, smu, output, faults, take
        self._levels: tuple[float, ...] = ()
        self._swept: Quantity = "v"
        self._buffer = ""
        self._count = 1.0
        self._stimulus = 0.0
        self._chosen: dict[Setting, float] = dict.fromkeys(SETTINGS, 0.0)
        self._add()

    def reset(self) -> None:
        """Forget everything."""
        self._levels, self._buffer, self._count, self._stimulus = (), "", 1.0, 0.0
        self._chosen = dict.fromkeys(SETTINGS, 0.0)

    def _add(self) -> None:
        machine, trigger = self._machine, f"{self._smu}.trigger"
        constants = {"ENABLE": ENABLE, "DISABLE": DISABLE, "SOURCE_HOLD": HOLD, "SOURCE_IDLE": IDLE}
        for name, value in constants.items():
            machine.gets[f"{self._smu}.{name}"] = lambda value=value: value  # type: ignore[misc]
        machine.gets[f"{trigger}.MEASURE_COMPLETE_EVENT_ID"] = lambda: MEASURE_COMPLETE
        for setting in SETTINGS:
            machine.sets[f"{trigger}.{setting}"] = self._choosing(setting)
        machine.sets[f"{trigger}.count"] = self._set_count
        machine.sets[f"{trigger}.source.stimulus"] = self._set_stimulus
        for quantity in QUANTITIES:
            machine.functions[f"{trigger}.source.list{quantity}"] = self._listing(quantity)
            machine.functions[f"{trigger}.source.linear{quantity}"] = self._lining(quantity)
            machine.functions[f"{trigger}.measure.{quantity}"] = self._set_buffer
        machine.calls[f"{trigger}.initiate"] = self._initiate
        machine.calls[f"{self._smu}.abort"] = self._abort

    def _choosing(self, setting: Setting) -> Callable[[Value], None]:
        def put(value: Value) -> None:
            self._chosen[setting] = number(value, low=0.0, high=1.0)

        return put

    def _set_count(self, value: Value) -> None:
        self._count = number(value, low=1, high=60000)

    def _set_stimulus(self, value: Value) -> None:
        self._stimulus = number(value, low=0, high=EDGE_OF_FIRST_LINE + len(LINES))

    def _listing(self, quantity: Quantity) -> Callable[[Values], Values]:
        def put(arguments: Values) -> Values:
            if len(arguments) != 1 or not isinstance(arguments[0], tuple):
                raise runtime_error("table expected")
            self._swept, self._levels = quantity, self._checked(quantity, arguments[0])
            return []

        return put

    def _lining(self, quantity: Quantity) -> Callable[[Values], Values]:
        def put(arguments: Values) -> Values:
            start, stop, points = (number(value, low=-1e5, high=1e5) for value in arguments)
            self._swept = quantity
            self._levels = self._checked(quantity, line(start, stop, int(points)))
            return []

        return put

    def _checked(self, quantity: Quantity, levels: tuple[float, ...]) -> tuple[float, ...]:
        return tuple(number(level, low=-MAX[quantity], high=MAX[quantity]) for level in levels)

    def _set_buffer(self, arguments: Values) -> Values:
        self._buffer = str(arguments[0])
        return []

    def _abort(self) -> Values:
        self._machine.cleared()
        return []

    def _initiate(self) -> Values:
        levels = self._levels[: int(self._count)] if self._chosen["source.action"] == ENABLE else ()
        if self._swept != self._output.forces:
            levels = ()
        before = self._output.level[self._swept]
        edge = self._stimulus > EDGE_OF_FIRST_LINE
        for measured in climb(self._output, levels, self._faults, self._machine.spend, triggered=edge):
            self._take(self._buffer, measured)
        if self._chosen["endsweep.action"] == IDLE:
            self._output.set_level(self._swept, before)
        return []


def add_lines(machine: TspInstrument) -> None:
    """Let a machine know its digital lines, whose edges start the steps of a sweep."""
    machine.gets["digio.TRIG_FALLING"] = lambda: FALLING
    for at in LINES:
        trigger = f"digio.trigger[{at}]"
        event = EDGE_OF_FIRST_LINE + at
        machine.gets[f"{trigger}.EVENT_ID"] = lambda event=event: event  # type: ignore[misc]
        machine.sets[f"{trigger}.mode"] = _set_mode
        machine.sets[f"{trigger}.stimulus"] = _set_mode
        machine.calls[f"{trigger}.clear"] = lambda: []


def _set_mode(value: Value) -> None:
    number(value, low=0, high=EDGE_OF_FIRST_LINE + len(LINES))
