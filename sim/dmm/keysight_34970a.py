"""A simulated Keysight 34970A: a multiplexer in slot 1, actuators in slot 2, slot 3 empty.

Ref: 34970A/34972A Command Reference Help (34972-90001).
"""

from collections.abc import Mapping
from functools import partial
from math import inf

from drivers.protocols.scpi import ErrorEntry, write_block
from sim.channels import cut
from sim.clock import Clock
from sim.dmm.input import OVERLOAD, DmmQuantity, seen
from sim.dmm.keysight_34465a import DMM_KNOBS, LINE_HZ, LONG, OVER, OVERHEAD_S, RANGES
from sim.faults import NO_FAULTS, Faults
from sim.messages import BLOCK_KNOBS, MESSAGE_KNOBS, CommandError
from sim.scpi import Action, choice, number
from sim.scpi_status import POWER_KNOBS, SRQ_KNOBS, StatusInstrument
from sim.sockets import Load, OpenCircuit

MULTIPLEXER = range(101, 121)
ACTUATORS = range(201, 221)
CARDS = {
    100: "HEWLETT-PACKARD,34901A,0,2.3",
    200: "HEWLETT-PACKARD,34903A,0,1.0",
    300: "HEWLETT-PACKARD,0,0,0",
}
RELAY_S = 0.004
MEMORY = 50000
OPEN = OpenCircuit()


class Keysight34970A(StatusInstrument):
    """The box; its multiplexer's channels are at `loads["101"]` and so on."""

    knobs = MESSAGE_KNOBS | DMM_KNOBS | SRQ_KNOBS | POWER_KNOBS | BLOCK_KNOBS | {"stuck"}
    told_by_status = True

    def __init__(
        self, clock: Clock, faults: Faults = NO_FAULTS, loads: Mapping[str, Load] | None = None
    ) -> None:
        self.loads = loads or {}
        self.closed = set[int]()
        self.memory = list[float]()
        self.idn = "HEWLETT-PACKARD,34970A,0,13-2-2"
        self._scan = list[int]()
        self._configured: dict[int, tuple[DmmQuantity, float]] = {}
        self._nplc = dict.fromkeys(MULTIPLEXER, 1.0)
        self._delay_s = dict.fromkeys(MULTIPLEXER, 0.0)
        super().__init__(clock, faults)

    def commands(self) -> Mapping[str, Action]:
        table: dict[str, Action] = {
            "*IDN?": lambda _: self.idn,
            "*RST": self._reset,
            ":ABORt": lambda _: self.give_up(),
            ":INITiate": self._initiate,
            ":R?": self._take,
            ":DATA:POINts?": lambda _: f"{len(self.memory):+d}",
            ":ROUTe:SCAN": self._set_scan,
            ":ROUTe:CHANnel:DELay": self._set_delay,
            ":ROUTe:CLOSe": lambda text: self._move(text, closing=True),
            ":ROUTe:CLOSe?": self._is_closed,
            ":ROUTe:OPEN": lambda text: self._move(text, closing=False),
            ":SYSTem:CTYPe?": self._card,
            ":TRIGger:SOURce": self._set_source,
            ":TRIGger:COUNt": self._set_count,
        }
        for quantity, long in LONG.items():
            table[f":CONFigure:{long}"] = partial(self._configure, quantity)
            table[f"[:SENSe]:{long}:NPLCycles"] = self._set_nplc
        return table

    def write_error(self, entry: ErrorEntry | None) -> str:
        return '+0,"No error"' if entry is None else entry.encode()

    # -- settings
    def _reset(self, _: str) -> None:
        self.give_up()
        self.closed.clear()
        self.memory.clear()
        self._scan.clear()
        self._configured.clear()

    def _configure(self, quantity: DmmQuantity, argument: str) -> None:
        """Choose what the channels are read for; they become the scan."""
        text, found = _within(argument, MULTIPLEXER)
        scale = RANGES[quantity][-1]
        if text.upper() not in ("", "AUTO", "DEF"):
            asked = number(text.partition(",")[0], low=0.0, high=scale)
            scale = next(size for size in RANGES[quantity] if asked <= size)
        self._configured |= dict.fromkeys(found, (quantity, scale))
        self._scan = sorted(found)

    def _set_scan(self, argument: str) -> None:
        _, found = _within(argument, MULTIPLEXER)
        if not set(found) <= set(self._configured):
            raise CommandError(-221)
        self._scan = sorted(found)

    def _set_nplc(self, argument: str) -> None:
        text, found = _within(argument, MULTIPLEXER)
        self._nplc |= dict.fromkeys(found, number(text, low=0.02, high=200.0))

    def _set_delay(self, argument: str) -> None:
        text, found = _within(argument, MULTIPLEXER)
        self._delay_s |= dict.fromkeys(found, number(text, low=0.0, high=60.0))

    def _set_source(self, argument: str) -> None:
        choice(argument, IMMediate="", TIMer="", BUS="", EXTernal="")

    def _set_count(self, argument: str) -> None:
        number(argument, low=1, high=MEMORY)

    # -- scans
    def _initiate(self, _: str) -> None:
        if self.under_way:
            raise CommandError(-213)
        if not self._scan:
            raise CommandError(-221)
        self.memory.clear()
        seconds = sum(self._busy_s(channel) for channel in self._scan)
        self.begin(inf if self.faults.strikes("no_trigger") is not None else seconds)

    def _busy_s(self, channel: int) -> float:
        return RELAY_S + self._delay_s[channel] + self._nplc[channel] / LINE_HZ + OVERHEAD_S

    def ended(self) -> None:
        self.memory[:] = [self._reading(channel) for channel in self._scan]

    def _reading(self, channel: int) -> float:
        quantity, scale = self._configured[channel]
        value = seen(self.loads.get(str(channel), OPEN), quantity)
        if abs(value) > scale * OVER or self.faults.strikes("overrange") is not None:
            return OVERLOAD if value >= 0 else -OVERLOAD
        return value

    def _take(self, argument: str) -> str:
        count = int(number(argument, low=1, high=MEMORY)) if argument else MEMORY
        taken, self.memory = self.memory[:count], self.memory[count:]
        text = ",".join(f"{value:+.8E}" for value in taken)
        return self.shortened(write_block(text.encode("ascii"))).decode("latin-1")

    # -- relays
    def _move(self, argument: str, *, closing: bool) -> None:
        _, found = _within(argument, ACTUATORS)
        stuck = self.faults.strikes("stuck")
        moving = {channel for channel in found if stuck not in ("", str(channel))}
        self.closed = self.closed | moving if closing else self.closed - moving
        self.spend(RELAY_S)

    def _is_closed(self, argument: str) -> str:
        return ",".join(str(int(channel in self.closed)) for channel in _within(argument, ACTUATORS)[1])

    def _card(self, argument: str) -> str:
        slot = int(number(argument, low=100, high=300))
        if slot not in CARDS:
            raise CommandError(-222)
        return CARDS[slot]


def _within(argument: str, channels: range) -> tuple[str, list[int]]:
    """Cut a channel list off; CommandError if it names a channel that is not there."""
    text, found = cut(argument)
    if not found or not set(found) <= set(channels):
        raise CommandError(-222)
    return text, found
