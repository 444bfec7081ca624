"""A simulated Keithley 2636B: two channels that speak TSP.

Ref: Series 2600B Reference Manual 2600BS-901-01, sections 2, 7 and 9.
"""

from collections.abc import Callable, Mapping
from struct import pack

from sim.clock import Clock
from sim.faults import NO_FAULTS, Faults
from sim.messages import BLOCK_KNOBS, MESSAGE_KNOBS
from sim.smu.climb import TRIGGER_KNOBS
from sim.smu.output import SETTLING_S, SMU_KNOBS, Output, Quantity, outputs
from sim.smu.tsp_trigger import MAX, TriggerModel, add_lines
from sim.sockets import Load
from sim.tsp import TspInstrument, Value, Values, number, runtime_error

MIN_LIMIT: dict[Quantity, float] = {"v": 1e-2, "i": 1e-10}
BUFFER_LENGTH = 60000
ASCII, REAL32 = 1.0, 2.0
HOT, FOUR_WIRE, COMPLIANCE = 0x02, 0x10, 0x40
RESET_LIMIT_V = 20.0
RESET_LIMIT_A = 0.1


class Keithley2600B(TspInstrument):
    """The box; its channels hang on `loads["a"]` and `loads["b"]`."""

    knobs = MESSAGE_KNOBS | SMU_KNOBS | BLOCK_KNOBS | TRIGGER_KNOBS

    def __init__(
        self, clock: Clock, loads: Mapping[str, Load], faults: Faults = NO_FAULTS, *, seed: str | None = None
    ) -> None:
        super().__init__(clock, faults)
        self.outputs = outputs(loads, ("a", "b"), seed, limit_v=RESET_LIMIT_V, limit_a=RESET_LIMIT_A)
        self.idn = "Keithley Instruments Inc., Model 2636B, 4046723, 3.2.2"
        self.common["*IDN?"] = lambda: self.idn
        self.calls["reset"] = self._reset_all
        self.buffers: dict[str, list[float]] = {}
        self._format, self._big_endian = ASCII, False
        self._add("format.data", lambda: self._format, self._set_format, low=ASCII, high=REAL32)
        self._add("format.byteorder", lambda: float(not self._big_endian), self._set_byteorder)
        self.gets.update({"format.ASCII": lambda: ASCII, "format.REAL32": lambda: REAL32})
        self.gets.update({"format.BIGENDIAN": lambda: 0.0, "format.LITTLEENDIAN": lambda: 1.0})
        self.functions["printbuffer"] = self._print_buffer
        add_lines(self)
        self.triggers = dict[str, TriggerModel]()
        for letter, output in self.outputs.items():
            self._add_channel(f"smu{letter}", output)

    def _add_channel(self, smu: str, output: Output) -> None:
        source, measure = f"{smu}.source", f"{smu}.measure"
        self._add(f"{source}.func", lambda: float(output.forces == "v"), self._setting_function(output))
        self._add(f"{source}.output", lambda: float(output.on), self._switching(output))
        self._add(f"{source}.offmode", lambda: output.off_mode, output.set_off_mode, high=2)
        self._add(f"{smu}.sense", lambda: float(output.four_wire), output.set_four_wire)
        self._add(f"{measure}.nplc", lambda: output.nplc, output.set_nplc, low=0.001, high=25)
        self.gets[f"{source}.compliance"] = lambda: output.at_limit
        self.gets[f"status.measurement.instrument.{smu}.condition"] = lambda: self._condition(output)
        self.gets.update({f"{smu}.OUTPUT_OFF": lambda: 0.0, f"{smu}.OUTPUT_ON": lambda: 1.0})
        self.gets.update({f"{smu}.OUTPUT_DCAMPS": lambda: 0.0, f"{smu}.OUTPUT_DCVOLTS": lambda: 1.0})
        self.calls[f"{smu}.reset"] = lambda: self._reset(output)
        self.calls[f"{measure}.iv"] = lambda: self._measure(output, "i", "v")
        self._add_buffer(smu, output)
        self._add_quantity(smu, output, "v")
        self._add_quantity(smu, output, "i")

    def _add_buffer(self, smu: str, output: Output) -> None:
        buffer = f"{smu}.nvbuffer1"
        readings = self.buffers[f"{buffer}.readings"] = []
        statuses = self.buffers[f"{buffer}.statuses"] = []
        self.gets[buffer] = lambda: buffer
        self.gets[f"{buffer}.readings"] = lambda: f"{buffer}.readings"
        self.gets[f"{buffer}.statuses"] = lambda: f"{buffer}.statuses"
        self.gets[f"{buffer}.n"] = lambda: float(len(readings) - self._lost())
        self._add(f"{buffer}.appendmode", lambda: 0.0, lambda _: None)
        self.calls[f"{buffer}.clear"] = lambda: self._clear(readings, statuses)
        self.triggers[smu] = TriggerModel(
            self, smu, output, self.faults, lambda name, measured: self._keep(output, name, measured)
        )
        count = f"{smu}.measure.count"
        self._add(count, lambda: output.count, output.set_count, low=1.0, high=BUFFER_LENGTH)

    def _add_quantity(self, smu: str, output: Output, quantity: Quantity) -> None:
        top = MAX[quantity]
        level, limit = f"{smu}.source.level{quantity}", f"{smu}.source.limit{quantity}"
        put = self._leveling(output, quantity)
        self._add(level, lambda: output.level[quantity], put, low=-top, high=top)
        put = self._limiting(output, quantity)
        self._add(limit, lambda: output.limit[quantity], put, low=MIN_LIMIT[quantity], high=top)
        self.functions[f"{smu}.measure.{quantity}"] = lambda buffer: self._take(output, quantity, buffer)

    def _add(
        self,
        name: str,
        get: Callable[[], Value],
        put: Callable[[float], None],
        *,
        low: float = 0.0,
        high: float = 1.0,
    ) -> None:
        self.gets[name] = get
        self.sets[name] = lambda value: put(number(value, low=low, high=high))

    def lose_power(self) -> None:
        super().lose_power()
        self._reset_all()

    # -- what settings do
    def _reset_all(self) -> Values:
        return self._reset(*self.outputs.values())

    def _reset(self, *outputs: Output) -> Values:
        for output in outputs:
            output.reset()
        for trigger in self.triggers.values():
            trigger.reset()
        return []

    def _switching(self, output: Output) -> Callable[[float], None]:
        def put(value: float) -> None:
            output.switch(self.faults, on=value == 1.0)
            self._spend_settling(output)

        return put

    def _setting_function(self, output: Output) -> Callable[[float], None]:
        return lambda value: output.set_function("v" if value == 1.0 else "i")

    def _leveling(self, output: Output, quantity: Quantity) -> Callable[[float], None]:
        def put(value: float) -> None:
            output.set_level(quantity, value)
            self._spend_settling(output)

        return put

    def _limiting(self, output: Output, quantity: Quantity) -> Callable[[float], None]:
        def put(value: float) -> None:
            output.set_limit(quantity, value)
            self._spend_settling(output)

        return put

    def _spend_settling(self, output: Output) -> None:
        if output.on:
            self.spend(SETTLING_S)

    def _take(self, output: Output, quantity: Quantity, buffer: Values) -> Values:
        """Take one reading, or into a buffer as many as `measure.count` says; the last one is returned."""
        if not buffer:
            return self._measure(output, quantity)
        readings = self.buffers.get(f"{buffer[0]}.readings")
        if readings is None:
            raise runtime_error("reading buffer expected")
        self._clear(readings, self.buffers[f"{buffer[0]}.statuses"])
        for _ in range(int(output.count)):
            self.spend(output.reading_s())
            self._keep(output, str(buffer[0]), quantity)
        return [readings[-1]]

    def _keep(self, output: Output, buffer: str, quantity: Quantity) -> None:
        """Put a reading into a buffer, and beside it how it was taken."""
        value = output.reading(quantity, self.faults)
        status = FOUR_WIRE * output.four_wire + COMPLIANCE * output.at_limit + HOT * output.hot
        self.buffers[f"{buffer}.readings"].append(value)
        self.buffers[f"{buffer}.statuses"].append(float(status))

    def _lost(self) -> int:
        return int(self.faults.strikes("lost_reading") is not None)

    @staticmethod
    def _clear(*kept: list[float]) -> Values:
        for values in kept:
            values.clear()
        return []

    def _set_format(self, value: float) -> None:
        self._format = value

    def _set_byteorder(self, value: float) -> None:
        self._big_endian = value == 0.0

    def _print_buffer(self, arguments: Values) -> Values:
        first, last, *names = arguments
        kept = [self.buffers.get(str(name)) for name in names]
        if not kept or not isinstance(first, float) or not isinstance(last, float):
            raise runtime_error("reading buffer expected")
        columns = list[list[float]]()
        for values in kept:
            if values is None:
                raise runtime_error("reading buffer expected")
            if last > len(values):
                raise runtime_error("index beyond the buffer's end")
            columns.append(values[int(first) - 1 : int(last)])
        wanted = [value for row in zip(*columns, strict=True) for value in row]
        if self._format == ASCII:
            return self.print([", ".join(f"{value:.5e}" for value in wanted)])
        block = b"#0" + pack(f"{'>' if self._big_endian else '<'}{len(wanted)}f", *wanted)
        return self.print([self.shortened(block).decode("latin-1")])

    def _measure(self, output: Output, *quantities: Quantity) -> Values:
        self.spend(output.reading_s())
        return [output.reading(quantity, self.faults) for quantity in quantities]

    def _condition(self, output: Output) -> float:
        """Bit 0: voltage limit, bit 1: current limit."""
        if not output.at_limit:
            return 0.0
        return 2.0 if output.forces == "v" else 1.0
