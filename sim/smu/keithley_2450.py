"""A simulated Keithley 2450, 2460 or 2470 in its SCPI command set.

Ref: Model 2450 Reference Manual 2450-901-01, section 6. After *RST: voltage forced, current measured, limits
1.05e-4 A and 0.21 V, output off, front terminals.
"""

from collections.abc import Mapping

from drivers.protocols.scpi import ErrorEntry
from sim.clock import Clock
from sim.faults import NO_FAULTS, Faults
from sim.messages import MESSAGE_KNOBS, CommandError
from sim.scpi import Action, boolean, choice, number
from sim.scpi_status import StatusInstrument
from sim.smu.climb import TRIGGER_KNOBS, climb, line
from sim.smu.output import SETTLING_S, SMU_KNOBS, Output, Quantity, outputs
from sim.smu.trigger_blocks import TriggerBlocks
from sim.sockets import Load

RANGES: Mapping[str, Mapping[Quantity, float]] = {
    "2450": {"v": 210.0, "i": 1.05},
    "2460": {"v": 105.0, "i": 7.35},
    "2470": {"v": 1100.0, "i": 1.05},
}
BUFFER_LENGTH = 100000
LIST_PART = 100
LONGEST_LIST = 2500
STATUS_HOT, STATUS_LIMIT, STATUS_SENSE, STATUS_OUTPUT = 0x10, 0x20, 0x40, 0x80
RESET_LIMIT_A = 1.05e-4
RESET_LIMIT_V = 0.21
LONG: dict[Quantity, str] = {"v": "VOLTage", "i": "CURRent"}
LIMIT: dict[Quantity, str] = {"v": "ILIMit", "i": "VLIMit"}
OTHER: dict[Quantity, Quantity] = {"v": "i", "i": "v"}


def quantity(argument: str) -> Quantity:
    """Read the name of a function; CommandError for all but voltage and current."""
    return "v" if choice(argument, VOLTage="v", CURRent="i") == "v" else "i"


class Keithley2450(StatusInstrument):
    """The box and its one output, which hangs on `loads[""]`."""

    knobs = MESSAGE_KNOBS | SMU_KNOBS | TRIGGER_KNOBS
    told_by_status = True

    def __init__(
        self,
        clock: Clock,
        loads: Mapping[str, Load],
        faults: Faults = NO_FAULTS,
        *,
        seed: str | None = None,
        model: str = "2450",
    ) -> None:
        self.output: Output = outputs(loads, ("",), seed, limit_v=RESET_LIMIT_V, limit_a=RESET_LIMIT_A)[""]
        self.language = "SCPI"
        self.idn = f"KEITHLEY INSTRUMENTS,MODEL {model},04461802,1.7.12b"
        self.buffer = list[tuple[float, int]]()
        self.trigger = TriggerBlocks()
        self._lists: dict[Quantity, tuple[float, ...]] = {"v": (), "i": ()}
        self._swept: tuple[Quantity, tuple[float, ...]] = ("v", ())
        self._max = RANGES[model]
        self._senses: Quantity = "i"
        self._rear = False
        super().__init__(clock, faults)

    def commands(self) -> Mapping[str, Action]:
        return {
            "*IDN?": lambda _: self.idn,
            "*LANG?": lambda _: self.language,
            "*RST": self._reset,
            ":STATus:PRESet": lambda _: None,
            ":OUTPut[1][:STATe]": self._switch,
            ":OUTPut[1][:STATe]?": lambda _: str(int(self.output.on)),
            ":ROUTe:TERMinals": self._route,
            ":ROUTe:TERMinals?": lambda _: "REAR" if self._rear else "FRON",
            ":SOURce[1]:FUNCtion[:MODE]": self._set_function,
            ":SOURce[1]:FUNCtion[:MODE]?": lambda _: LONG[self.output.forces][:4].upper(),
            ":SENSe[1]:FUNCtion[:ON]": self._sense,
            ":READ?": lambda _: self._read(),
            ":SENSe[1]:COUNt": self._set_count,
            ":SOURce[1]:LIST:VOLTage": lambda text: self._list("v", text),
            ":SOURce[1]:LIST:CURRent": lambda text: self._list("i", text),
            ":SOURce[1]:LIST:VOLTage:APPend": lambda text: self._append("v", text),
            ":SOURce[1]:LIST:CURRent:APPend": lambda text: self._append("i", text),
            ":SOURce[1]:SWEep:VOLTage:LIST": lambda text: self._sweep_list("v", text),
            ":SOURce[1]:SWEep:CURRent:LIST": lambda text: self._sweep_list("i", text),
            ":SOURce[1]:SWEep:VOLTage:LINear": lambda text: self._sweep_line("v", text),
            ":SOURce[1]:SWEep:CURRent:LINear": lambda text: self._sweep_line("i", text),
            ":INITiate[:IMMediate]": lambda _: self._initiate(),
            ":ABORt": lambda _: self.cleared(),
            ":TRACe:CLEar": lambda _: self.buffer.clear(),
            ":TRACe:ACTual?": lambda _: str(len(self.buffer)),
            ":TRACe:DATA?": self._fetch,
            **self.trigger.table(),
            **self._table_of("v"),
            **self._table_of("i"),
        }

    def _table_of(self, quantity: Quantity) -> Mapping[str, Action]:
        source, sense = f":SOURce[1]:{LONG[quantity]}", f":SENSe[1]:{LONG[quantity]}"
        limit, limited = f"{source}:{LIMIT[quantity]}[:LEVel]", OTHER[quantity]
        level = f"{source}[:LEVel][:IMMediate][:AMPLitude]"
        return {
            level: lambda text: self._set_level(quantity, text),
            f"{level}?": lambda _: f"{self.output.level[quantity]:.6E}",
            limit: lambda text: self._set_limit(limited, text),
            f"{limit}?": lambda _: f"{self.output.limit[limited]:.6E}",
            f"{limit}:TRIPped?": lambda _: str(int(self.output.forces == quantity and self.output.at_limit)),
            f":OUTPut[1]:{LONG[quantity]}:SMODe": self._set_off_mode,
            f"{source}:RANGe:AUTO": self._autorange,
            f"{sense}:RANGe:AUTO": self._autorange,
            f"{sense}:NPLCycles": self._set_nplc,
            f"{sense}:RSENse": self._set_sense,
            f":MEASure:{LONG[quantity]}?": lambda _: self._measure(quantity),
        }

    def write_error(self, entry: ErrorEntry | None) -> str:
        if entry is None:
            return ErrorEntry(0, "No error;0;0 0").encode()
        return ErrorEntry(entry.code, f"{entry.text};1;0 0").encode()

    # -- what commands do
    def _reset(self, _: str) -> None:
        self._senses, self._rear = "i", False
        self._lists, self._swept = {"v": (), "i": ()}, ("v", ())
        self.trigger.reset()
        self.buffer.clear()
        self.output.reset()

    def _switch(self, argument: str) -> None:
        self.output.switch(self.faults, on=boolean(argument))
        self._spend_settling()

    def _set_function(self, argument: str) -> None:
        self.output.set_function(quantity(argument))

    def _set_level(self, quantity: Quantity, argument: str) -> None:
        self.output.set_level(quantity, number(argument, low=-self._max[quantity], high=self._max[quantity]))
        self._spend_settling()

    def _set_limit(self, limited: Quantity, argument: str) -> None:
        self.output.set_limit(limited, number(argument, low=1e-9, high=self._max[limited]))
        self._spend_settling()

    def _spend_settling(self) -> None:
        if self.output.on:
            self.spend(SETTLING_S)

    def _sense(self, argument: str) -> None:
        self._senses = quantity(argument)

    def _set_nplc(self, argument: str) -> None:
        self.output.set_nplc(number(argument, low=0.01, high=10.0))

    def _set_sense(self, argument: str) -> None:
        self.output.set_four_wire(boolean(argument))

    def _set_off_mode(self, argument: str) -> None:
        mode = choice(argument, NORMal="0", ZERO="1", HIMPedance="2", GUARd="3")
        self.output.set_off_mode(float(mode))

    def _autorange(self, argument: str) -> None:
        if not boolean(argument):
            raise CommandError(-224)

    def _route(self, argument: str) -> None:
        self._rear = choice(argument, FRONt="", REAR="r") == "r"

    def _set_count(self, argument: str) -> None:
        self.output.set_count(number(argument, low=1, high=BUFFER_LENGTH))

    def _read(self) -> str:
        """As many readings as the count says, all into the buffer; the answer is the last one."""
        for _ in range(int(self.output.count)):
            self.spend(self.output.reading_s())
            self._keep(self._senses)
        return f"{self.buffer[-1][0]:+.6E}"

    def _keep(self, quantity: Quantity) -> None:
        """Put a reading into the buffer, with what the source was like."""
        value, output = self.output.reading(quantity, self.faults), self.output
        status = STATUS_LIMIT * output.at_limit + STATUS_SENSE * output.four_wire + STATUS_OUTPUT * output.on
        status += STATUS_HOT * output.hot
        self.buffer.append((value, status))

    def _fetch(self, argument: str) -> str:
        """`1,n,"defbuffer1",READ,SOURSTAT`: the elements that are asked for, of each reading."""
        first, last, name, *elements = (part.strip().upper() for part in f"{argument},".split(",")[:-1])
        if name != '"DEFBUFFER1"' or not set(elements) <= {"READ", "SOURSTAT"}:
            raise CommandError(-224)
        high = len(self.buffer)
        begin, end = (int(number(text, low=1, high=high)) for text in (first, last))
        end -= self.faults.strikes("lost_reading") is not None
        return ",".join(
            f"{value:+.6E}" if element == "READ" else str(status)
            for value, status in self.buffer[begin - 1 : end]
            for element in elements or ("READ",)
        )

    def _list(self, quantity: Quantity, argument: str) -> None:
        self._lists[quantity] = ()
        self._append(quantity, argument)

    def _append(self, quantity: Quantity, argument: str) -> None:
        top, parts = self._max[quantity], argument.split(",")
        if len(parts) > LIST_PART or len(parts) + len(self._lists[quantity]) > LONGEST_LIST:
            raise CommandError(-223)
        self._lists[quantity] += tuple(number(part.strip(), low=-top, high=top) for part in parts)

    def _sweep_list(self, quantity: Quantity, argument: str) -> None:
        """`start index, delay, count, abort at a limit, "buffer"`."""
        if argument.replace(" ", "").upper() != '1,0,1,OFF,"DEFBUFFER1"':
            raise CommandError(-224)
        self.trigger.blocks.clear()
        self._swept = quantity, self._lists[quantity]

    def _sweep_line(self, quantity: Quantity, argument: str) -> None:
        """`start, stop, points, delay, count, range, abort at a limit, dual, "buffer"`."""
        start, stop, points, *rest = argument.replace(" ", "").upper().split(",")
        if rest != ["0", "1", "AUTO", "OFF", "OFF", '"DEFBUFFER1"']:
            raise CommandError(-224)
        self.trigger.blocks.clear()
        top = self._max[quantity]
        first, last = number(start, low=-top, high=top), number(stop, low=-top, high=top)
        self._swept = quantity, line(first, last, int(number(points, low=2, high=BUFFER_LENGTH)))

    def _initiate(self) -> None:
        """Run what was put there last: the blocks, or a sweep."""
        self.buffer.clear()
        if self.trigger.blocks:
            for _ in self.trigger.run(self.output, self._lists, self.faults, self.spend):
                self._keep(self._senses)
        else:
            self._sweep()

    def _sweep(self) -> None:
        """The output is on while it lasts, and off after it."""
        quantity, levels = self._swept
        if quantity != self.output.forces:
            raise CommandError(-221)
        self.output.switch(self.faults, on=True)
        for _ in climb(self.output, levels, self.faults, self.spend, triggered=False):
            self._keep(self._senses)
        self.output.switch(self.faults, on=False)

    def _measure(self, quantity: Quantity) -> str:
        self.spend(self.output.reading_s())
        return f"{self.output.reading(quantity, self.faults):+.6E}"
