"""A simulated Keysight 53230A that sees a frequency and an interval; without them it waits for ever.

Ref: Keysight 53220A/53230A Programmer's Reference (53220-90001).
"""

from collections.abc import Callable, Mapping
from functools import partial
from math import inf

from drivers.protocols.scpi import ErrorEntry, write_block
from sim.channels import lists
from sim.clock import Clock
from sim.dmm.input import OVERLOAD
from sim.faults import NO_FAULTS, Faults
from sim.messages import BLOCK_KNOBS, MESSAGE_KNOBS, CommandError
from sim.scpi import Action, boolean, choice, number
from sim.scpi_status import POWER_KNOBS, SRQ_KNOBS, StatusInstrument

COUNTER_KNOBS = frozenset({"no_trigger", "overrange"})
"""`no_trigger`: no edge comes; `overrange`: a reading is beyond what it can measure."""

OVERHEAD_S = 2e-3
MEMORY = 1_000_000


class Keysight53230A(StatusInstrument):
    """The box; nothing is wired to it but the edges that it is told of."""

    knobs = MESSAGE_KNOBS | BLOCK_KNOBS | SRQ_KNOBS | POWER_KNOBS | COUNTER_KNOBS
    told_by_status = True

    def __init__(
        self,
        clock: Clock,
        faults: Faults = NO_FAULTS,
        *,
        frequency_hz: float | None = None,
        interval_s: float | None = None,
    ) -> None:
        self.frequency_hz = frequency_hz
        self.interval_s = interval_s
        self.source: Callable[[], float | None] | None = None
        """What is at input 1, if it is not `frequency_hz`: asked when it is measured."""
        self.idn = "Agilent Technologies,53230A,MY50000123,02.05-1519.666-1.19-4.15-127-159-35"
        self.memory = list[float]()
        self._settle()
        super().__init__(clock, faults)

    def _settle(self) -> None:
        self._times, self._gate_s, self._samples = False, 0.1, 1

    def commands(self) -> Mapping[str, Action]:
        table: dict[str, Action] = {
            "*IDN?": lambda _: self.idn,
            "*RST": self._reset,
            ":ABORt": lambda _: self.give_up(),
            ":INITiate[:IMMediate]": self._initiate,
            ":READ?": self._read,
            ":R?": self._take,
            ":CONFigure:FREQuency": partial(self._configure, 1),
            ":CONFigure:TINTerval": partial(self._configure, 2),
            "[:SENSe]:FREQuency:GATE:TIME": self._set_gate,
            ":SAMPle:COUNt": self._set_samples,
            ":TRIGger:COUNt": lambda text: self._check(text, 1, MEMORY),
            ":SYSTem:TIMeout": lambda text: self._check(text, 1e-2, 2000.0),
        }
        for n in ("1", "2"):
            table |= self._table_of(f":INPut{n}")
        return table

    def _table_of(self, at: str) -> Mapping[str, Action]:
        return {
            f"{at}:IMPedance": lambda text: self._check(text, 50, 1e6),
            f"{at}:COUPling": lambda text: self._choose(text, DC="", AC=""),
            f"{at}:LEVel:AUTO": lambda text: self._switch(text),
            f"{at}:LEVel[1]": lambda text: self._check(text, -50.0, 50.0),
            f"{at}:SLOPe": lambda text: self._choose(text, POSitive="", NEGative=""),
        }

    def write_error(self, entry: ErrorEntry | None) -> str:
        return '+0,"No error"' if entry is None else entry.encode()

    # -- settings
    def _reset(self, _: str) -> None:
        self.give_up()
        self.memory.clear()
        self._settle()

    def _choose(self, argument: str, **words: str) -> None:
        choice(argument, **words)

    def _check(self, argument: str, low: float, high: float) -> None:
        number(argument, low=low, high=high)

    def _switch(self, argument: str) -> None:
        boolean(argument)

    def _configure(self, channels: int, argument: str) -> None:
        _, found = lists(argument)
        if len(found) != channels or any(n not in (1, 2) for chosen in found for n in chosen):
            raise CommandError(-222)
        self._settle()
        self.memory.clear()
        self._times = channels > 1

    def _set_gate(self, argument: str) -> None:
        self._gate_s = number(argument, low=1e-6, high=1000.0)

    def _set_samples(self, argument: str) -> None:
        self._samples = int(number(argument, low=1, high=MEMORY))

    # -- measurements
    def _initiate(self, _: str) -> None:
        if self.under_way:
            raise CommandError(-213)
        self.memory.clear()
        seen = self._seen()
        if seen is None or self.faults.strikes("no_trigger") is not None:
            self.begin(inf)
            return
        self.begin(self._busy_s(seen))

    def _seen(self) -> float | None:
        if self._times:
            return self.interval_s
        return self.frequency_hz if self.source is None else self.source()

    def _busy_s(self, seen: float) -> float:
        return self._samples * ((seen if self._times else self._gate_s) + OVERHEAD_S)

    def ended(self) -> None:
        seen = self._seen()
        self.memory[:] = [self._reading(seen or 0.0) for _ in range(self._samples)]

    def _reading(self, seen: float) -> float:
        return OVERLOAD if self.faults.strikes("overrange") is not None else seen

    def _read(self, _: str) -> str:
        seen = self._seen()
        if seen is None:
            raise CommandError(-230)
        self.spend(self._busy_s(seen))
        self.ended()
        return ",".join(f"{value:+.14E}" for value in self.memory)

    def _take(self, argument: str) -> str:
        count = int(number(argument, low=1, high=MEMORY)) if argument else MEMORY
        taken, self.memory = self.memory[:count], self.memory[count:]
        text = ",".join(f"{value:+.14E}" for value in taken)
        return self.shortened(write_block(text.encode("ascii"))).decode("latin-1")
