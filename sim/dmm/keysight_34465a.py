"""A simulated Keysight 34465A: a reading memory that a trigger fills, and service requests at its end.

Ref: Keysight Truevolt Series Operating and Service Guide (34460-90901), SCPI programming reference.
"""

from collections.abc import Mapping
from functools import partial
from math import inf
from random import Random

from drivers.protocols.scpi import ErrorEntry, write_block
from sim.clock import Clock
from sim.dmm.input import OVERLOAD, DmmQuantity, seen
from sim.faults import NO_FAULTS, Faults
from sim.messages import BLOCK_KNOBS, MESSAGE_KNOBS, CommandError
from sim.scpi import Action, boolean, choice, number
from sim.scpi_status import POWER_KNOBS, SRQ_KNOBS, StatusInstrument
from sim.sockets import Load, OpenCircuit

DMM_KNOBS = frozenset({"overrange", "no_trigger"})
"""`overrange`: a reading is beyond its range; `no_trigger`: what begins a measurement never comes."""

LONG: dict[DmmQuantity, str] = {
    "VOLT:DC": "VOLTage[:DC]",
    "VOLT:AC": "VOLTage:AC",
    "CURR:DC": "CURRent[:DC]",
    "CURR:AC": "CURRent:AC",
    "RES": "RESistance",
    "FRES": "FRESistance",
}
RANGES: dict[DmmQuantity, tuple[float, ...]] = {
    "VOLT:DC": (0.1, 1.0, 10.0, 100.0, 1000.0),
    "VOLT:AC": (0.1, 1.0, 10.0, 100.0, 750.0),
    "CURR:DC": (1e-4, 1e-3, 1e-2, 0.1, 1.0, 3.0),
    "CURR:AC": (1e-4, 1e-3, 1e-2, 0.1, 1.0, 3.0),
    "RES": (100.0, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8),
    "FRES": (100.0, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8),
}
OVER = 1.2
"""How far beyond its range a reading may go."""
NPLCS = (0.02, 0.2, 1.0, 10.0, 100.0)
LINE_HZ = 50.0
OVERHEAD_S = 2e-3
PULSE_S = 0.05
"""When a pulse comes to the trigger input after somebody has begun to wait for it."""
MEMORY = 50000
NOISE = 1e-6


class Keysight34465A(StatusInstrument):
    """The box; its inputs are at `loads[""]`."""

    knobs = MESSAGE_KNOBS | DMM_KNOBS | SRQ_KNOBS | POWER_KNOBS | BLOCK_KNOBS
    told_by_status = True

    def __init__(
        self, clock: Clock, loads: Mapping[str, Load], faults: Faults = NO_FAULTS, *, seed: str | None = None
    ) -> None:
        self.load = loads.get("", OpenCircuit())
        self.idn = "Keysight Technologies,34465A,MY54502854,A.02.17-02.40-02.17-00.52-04-01"
        self.memory = list[float]()
        self._random = Random(seed) if seed is not None else None
        self._deaf = False
        self._settle()
        super().__init__(clock, faults)

    def _settle(self) -> None:
        self._quantity: DmmQuantity = "VOLT:DC"
        self._full_scale: float | None = None
        self._nplc, self._zero = 10.0, True
        self._source, self._delay_s, self._samples, self._triggers = "IMM", 0.0, 1, 1

    def commands(self) -> Mapping[str, Action]:
        return {
            "*IDN?": lambda _: self.idn,
            "*RST": self._reset,
            "*TRG": self._trigger,
            ":ABORt": lambda _: self.give_up(),
            ":INITiate[:IMMediate]": self._initiate,
            ":READ?": self._read,
            ":FETCh?": lambda _: self._fetch(),
            ":R?": self._take,
            ":DATA:POINts?": lambda _: f"{len(self.memory):+d}",
            ":SAMPle:COUNt": self._set_samples,
            ":TRIGger:COUNt": self._set_triggers,
            ":TRIGger:DELay": self._set_delay,
            ":TRIGger:SOURce": self._set_source,
            "[:SENSe]:FUNCtion[:ON]?": lambda _: f'"{self._quantity.removesuffix(":DC")}"',
            **self._table_of_functions(),
        }

    def _table_of_functions(self) -> Mapping[str, Action]:
        table = dict[str, Action]()
        for quantity, long in LONG.items():
            table[f":CONFigure:{long}"] = partial(self._configure, quantity)
            if not quantity.endswith("AC"):
                table[f"[:SENSe]:{long}:NPLCycles"] = self._set_nplc
                table[f"[:SENSe]:{long}:ZERO:AUTO"] = self._set_zero
        return table

    def write_error(self, entry: ErrorEntry | None) -> str:
        return '+0,"No error"' if entry is None else entry.encode()

    # -- settings
    def _reset(self, _: str) -> None:
        self.give_up()
        self.memory.clear()
        self._settle()

    def _configure(self, quantity: DmmQuantity, argument: str) -> None:
        """Choose what is measured; all else is as after a reset."""
        wanted = argument.partition(",")[0].strip().upper()
        full_scale = None
        if wanted not in ("", "AUTO", "DEF", "DEFAULT"):
            asked = number(wanted, low=0.0, high=RANGES[quantity][-1])
            full_scale = next(scale for scale in RANGES[quantity] if asked <= scale)
        self._settle()
        self.memory.clear()
        self._quantity, self._full_scale = quantity, full_scale

    def _set_nplc(self, argument: str) -> None:
        asked = number(argument, low=0.0, high=NPLCS[-1])
        self._nplc = next(nplc for nplc in NPLCS if asked <= nplc)

    def _set_zero(self, argument: str) -> None:
        self._zero = boolean(argument)

    def _set_samples(self, argument: str) -> None:
        self._samples = int(number(argument, low=1, high=MEMORY))

    def _set_triggers(self, argument: str) -> None:
        self._triggers = int(number(argument, low=1, high=MEMORY))

    def _set_delay(self, argument: str) -> None:
        self._delay_s = number(argument, low=0.0, high=3600.0)

    def _set_source(self, argument: str) -> None:
        self._source = choice(argument, IMMediate="IMM", EXTernal="EXT", BUS="BUS")

    # -- measurements
    def _busy_s(self) -> float:
        each = self._nplc / LINE_HZ * (2 if self._zero else 1) + OVERHEAD_S
        return self._triggers * (self._delay_s + self._samples * each)

    def _initiate(self, _: str) -> None:
        if self.under_way:
            raise CommandError(-213)
        self.memory.clear()
        lost = self.faults.strikes("no_trigger") is not None
        match self._source:
            case "IMM":
                self.begin(inf if lost else self._busy_s())
            case "EXT":
                self.begin(inf if lost else PULSE_S + self._busy_s())
            case _:
                self._deaf = lost
                self.begin(inf)

    def _trigger(self, _: str) -> None:
        if self._source != "BUS" or not self.under_way:
            raise CommandError(-211)
        if not self._deaf:
            self.begin(self._busy_s())

    def triggered(self) -> None:
        self._trigger("")

    def ended(self) -> None:
        self._fill()

    def _fill(self) -> None:
        self.memory[:] = [self._reading() for _ in range(self._samples * self._triggers)]

    def _reading(self) -> float:
        value = seen(self.load, self._quantity)
        scale = self._full_scale or RANGES[self._quantity][-1]
        if abs(value) > scale * OVER or self.faults.strikes("overrange") is not None:
            return OVERLOAD if value >= 0 else -OVERLOAD
        if self._random is not None:
            value += self._random.gauss(0.0, NOISE * max(abs(value), 1e-3 * scale))
        return value

    def _read(self, _: str) -> str:
        """INIT and FETCH? in one: it is busy until the readings are there."""
        self.spend(self._busy_s())
        self._fill()
        return self._fetch()

    def _fetch(self) -> str:
        if not self.memory:
            raise CommandError(-230)
        return ",".join(f"{value:+.8E}" for value in self.memory)

    def _take(self, argument: str) -> str:
        """Read and erase the oldest ones, as a block of text."""
        count = int(number(argument, low=1, high=MEMORY)) if argument else MEMORY
        taken, self.memory = self.memory[:count], self.memory[count:]
        text = ",".join(f"{value:+.8E}" for value in taken)
        return self.shortened(write_block(text.encode("ascii"))).decode("latin-1")
