"""A simulated Keysight B2912A: two channels, and a buffer of each that a trigger fills.

Ref: Keysight B2900 Series SCPI Command Reference. After *RST: voltage forced, limits 100 uA and 2 V, output
off.
"""

from collections.abc import Mapping
from struct import pack

from drivers.protocols.scpi import ErrorEntry, write_block
from sim.channels import cut
from sim.clock import Clock
from sim.faults import NO_FAULTS, Faults
from sim.messages import BLOCK_KNOBS, MESSAGE_KNOBS, CommandError
from sim.scpi import Action, boolean, choice, number
from sim.scpi_status import StatusInstrument
from sim.smu.b2900_sweep import Sweep, set_pin
from sim.smu.climb import TRIGGER_KNOBS
from sim.smu.output import SETTLING_S, SMU_KNOBS, Output, Quantity, outputs
from sim.sockets import Load

MAX: dict[Quantity, float] = {"v": 210.0, "i": 3.03}
RESET_LIMIT_V = 2.0
RESET_LIMIT_A = 1e-4
BUFFER_LENGTH = 100000
LONG: dict[Quantity, str] = {"v": "VOLTage", "i": "CURRent"}
OTHER: dict[Quantity, Quantity] = {"v": "i", "i": "v"}


PINS = range(1, 15)
LIMITED, HOT = 0x02, 0x20


class KeysightB2900(StatusInstrument):
    """The box; its channels hang on `loads["1"]` and `loads["2"]`."""

    knobs = MESSAGE_KNOBS | SMU_KNOBS | BLOCK_KNOBS | TRIGGER_KNOBS
    told_by_status = True

    def __init__(
        self, clock: Clock, loads: Mapping[str, Load], faults: Faults = NO_FAULTS, *, seed: str | None = None
    ) -> None:
        self.outputs = outputs(loads, ("1", "2"), seed, limit_v=RESET_LIMIT_V, limit_a=RESET_LIMIT_A)
        self.buffers: dict[str, list[tuple[float, float, int]]] = {name: [] for name in self.outputs}
        self.sweeps = {name: Sweep(output) for name, output in self.outputs.items()}
        self._binary = False
        self.idn = "Keysight Technologies,B2912A,MY51140000,3.4.2011.5100"
        super().__init__(clock, faults)

    def commands(self) -> Mapping[str, Action]:
        table: dict[str, Action] = {
            "*IDN?": lambda _: self.idn,
            "*RST": self._reset,
            ":FORMat:ELEMents:SENSe": self._set_elements,
            ":MEASure:VOLTage?": lambda text: self._measure(text, "v"),
            ":MEASure:CURRent?": lambda text: self._measure(text, "i"),
            ":INITiate[:IMMediate][:ALL]": self._initiate,
            ":ABORt:ALL": self._stop,
            ":FETCh:ARRay?": self._fetch,
            ":FORMat[:DATA]": self._set_format,
            **{f":SOURce:DIGital:EXTernal{pin}:FUNCtion": self._set_pin for pin in PINS},
        }
        for name, output in self.outputs.items():
            table |= self._table_of(name, output)
        return table

    def _table_of(self, name: str, output: Output) -> Mapping[str, Action]:
        source, on = f":SOURce{name}", f":OUTPut{name}[:STATe]"
        return {
            on: lambda text: self._switch(output, text),
            f"{on}?": lambda _: str(int(output.on)),
            f":OUTPut{name}:LOW": lambda text: self._choose(text, GROund="", FLOat=""),
            f":OUTPut{name}:PROTection": lambda text: self._choose(text, ON="", OFF=""),
            f"{source}:FUNCtion:MODE": lambda text: output.set_function(quantity(text)),
            f":SENSe{name}:REMote": lambda text: output.set_four_wire(boolean(text)),
            f":TRIGger{name}:ALL:SOURce": self.sweeps[name].set_source,
            f":TRIGger{name}:ACQuire:TOUTput:SIGNal": set_pin,
            f":TRIGger{name}:ACQuire:TOUTput[:STATe]": lambda text: self._choose(text, ON="", OFF=""),
            f":TRIGger{name}:ALL:COUNt": lambda text: output.set_count(
                number(text, low=1, high=BUFFER_LENGTH)
            ),
            **self.sweeps[name].commands(name),
            **self._table_of_quantity(name, output, "v"),
            **self._table_of_quantity(name, output, "i"),
        }

    def _table_of_quantity(self, name: str, output: Output, quantity: Quantity) -> Mapping[str, Action]:
        source, sense = f":SOURce{name}:{LONG[quantity]}", f":SENSe{name}:{LONG[quantity]}"
        level, limit = f"{source}[:LEVel][:IMMediate][:AMPLitude]", f"{sense}:PROTection[:LEVel]"
        return {
            level: lambda text: self._set_level(output, quantity, text),
            f"{level}?": lambda _: f"{output.level[quantity]:+.6E}",
            limit: lambda text: self._set_limit(output, quantity, text),
            f"{limit}?": lambda _: f"{output.limit[quantity]:+.6E}",
            f"{sense}:PROTection:TRIPped?": lambda _: self._trip(output, quantity),
            f"{sense}:NPLCycles": lambda text: output.set_nplc(number(text, low=4e-4, high=100)),
            f"{sense}:RANGe:AUTO": lambda text: self._choose(text, ON=""),
        }

    def write_error(self, entry: ErrorEntry | None) -> str:
        return '+0,"No error"' if entry is None else entry.encode()

    # -- what commands do
    def _choose(self, argument: str, **words: str) -> None:
        choice(argument, **words)

    def _set_count(self, output: Output, argument: str) -> None:
        output.set_count(number(argument, low=1, high=BUFFER_LENGTH))

    def _set_elements(self, argument: str) -> None:
        if argument.replace(" ", "").upper() not in ("VOLT,CURR,STAT", "VOLTAGE,CURRENT,STATUS"):
            raise CommandError(-224)

    def _reset(self, _: str) -> None:
        for name, output in self.outputs.items():
            output.reset()
            self.buffers[name].clear()
            self.sweeps[name].reset()
        self._binary = False

    def _switch(self, output: Output, argument: str) -> None:
        output.switch(self.faults, on=boolean(argument))
        self._spend_settling(output)

    def _set_level(self, output: Output, quantity: Quantity, argument: str) -> None:
        output.set_level(quantity, number(argument, low=-MAX[quantity], high=MAX[quantity]))
        self._spend_settling(output)

    def _set_limit(self, output: Output, limited: Quantity, argument: str) -> None:
        output.set_limit(limited, number(argument, low=1e-9, high=MAX[limited]))
        self._spend_settling(output)

    def _spend_settling(self, output: Output) -> None:
        if output.on:
            self.spend(SETTLING_S)

    def _trip(self, output: Output, limited: Quantity) -> str:
        return str(int(output.forces == OTHER[limited] and output.at_limit))

    def _at(self, argument: str) -> list[str]:
        names = [str(found) for found in cut(argument)[1]]
        if not names or not set(names) <= set(self.outputs):
            raise CommandError(-222)
        return names

    def _measure(self, argument: str, measured: Quantity) -> str:
        return ",".join(f"{self._reading(self.outputs[n], measured):+.6E}" for n in self._at(argument))

    def _reading(self, output: Output, measured: Quantity) -> float:
        self.spend(output.reading_s())
        return output.reading(measured, self.faults)

    def _initiate(self, argument: str) -> None:
        """Take as many readings as the trigger counts; volts, amps and status of each."""
        for name in self._at(argument):
            sweep, buffer = self.sweeps[name], list[tuple[float, float, int]]()
            self.buffers[name] = buffer
            busy = list[float]()
            for _ in sweep.steps(self.faults, busy.append):
                buffer.append(self._entry(sweep.output))
            self.begin(sum(busy))

    def _entry(self, output: Output) -> tuple[float, float, int]:
        volts, amps = output.reading("v", self.faults), output.reading("i", self.faults)
        return volts, amps, int(output.forces == "i") + LIMITED * output.at_limit + HOT * output.hot

    def _stop(self, argument: str) -> None:
        self._at(argument)
        self.give_up()
        self.cleared()

    def _set_format(self, argument: str) -> None:
        words = argument.replace(" ", "").upper()
        if words not in ("ASC", "ASCII", "REAL,32"):
            raise CommandError(-224)
        self._binary = words == "REAL,32"

    def _set_pin(self, argument: str) -> None:
        self._choose(argument, TINP="", TOUT="", DIO="")

    def _fetch(self, argument: str) -> str:
        entries = [value for name in self._at(argument) for entry in self.buffers[name] for value in entry]
        if not entries:
            raise CommandError(-230)
        if self.faults.strikes("lost_reading") is not None:
            del entries[-3:]
        if not self._binary:
            return ",".join(f"{value:+.6E}" for value in entries)
        block = write_block(pack(f">{len(entries)}f", *entries))
        return self.shortened(block).decode("latin-1")


def quantity(argument: str) -> Quantity:
    """Read the name of a function; CommandError for all but voltage and current."""
    return "v" if choice(argument, VOLTage="v", CURRent="i") == "v" else "i"
