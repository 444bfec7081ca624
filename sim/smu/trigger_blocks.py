"""The trigger model of a simulated Keithley 2450: numbered blocks, which somebody puts there one by one.

Ref: Model 2450 Reference Manual 2450-901-01 Rev. B, 6-128 to 6-149, as far as sweeps at a line need it.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from math import inf

from sim.faults import Faults
from sim.messages import CommandError
from sim.scpi import Action, number
from sim.smu.climb import TRIGGER_S
from sim.smu.output import SETTLING_S, Output, Quantity

LISTS: Mapping[str, Quantity] = {'"VOLTCUSTOMSWEEPLIST"': "v", '"CURRCUSTOMSWEEPLIST"': "i"}
LINES = range(1, 7)
MOST_BLOCKS = 255


@dataclass(frozen=True)
class Block:
    """What it does, and with what."""

    kind: str
    arguments: tuple[str, ...]


class TriggerBlocks:
    """The blocks, and the digital lines that they may wait for or tell."""

    def __init__(self) -> None:
        self.blocks: dict[int, Block] = {}
        self.told = 0
        """How often an output line was pulsed."""
        self.reset()

    def reset(self) -> None:
        """No blocks, and lines that trigger nothing."""
        self.blocks.clear()
        self.lines: dict[int, str] = {}
        self._stimulus: dict[int, str] = {}

    def table(self) -> Mapping[str, Action]:
        """Return the commands."""
        block = ":TRIGger:BLOCk"
        return {
            ":TRIGger:LOAD": self._load,
            f"{block}:WAIT": partial(self._put, "wait"),
            f"{block}:CONFig:RECall": partial(self._put, "recall"),
            f"{block}:CONFig:NEXT": partial(self._put, "next"),
            f"{block}:MEASure": partial(self._put, "measure"),
            f"{block}:NOTify": partial(self._put, "notify"),
            f"{block}:BRANch:ALWays": partial(self._put, "always"),
            f"{block}:BRANch:COUNter": partial(self._put, "count"),
            **{f":DIGital:LINE{line}:MODE": partial(self._mode, line) for line in LINES},
            **{f":TRIGger:DIGital{line}:IN:EDGE": self._edge for line in LINES},
            **{f":TRIGger:DIGital{line}:OUT:STIMulus": partial(self._stimulate, line) for line in LINES},
        }

    # -- commands
    def _load(self, argument: str) -> None:
        if argument.upper() != '"EMPTY"':
            raise CommandError(-224)
        self.blocks.clear()

    def _put(self, kind: str, text: str) -> None:
        where, *arguments = text.replace(" ", "").upper().split(",")
        self.blocks[int(number(where, low=1, high=MOST_BLOCKS))] = Block(kind, tuple(arguments))

    def _mode(self, line: int, argument: str) -> None:
        mode = argument.replace(" ", "").upper()
        if mode not in ("TRIG,IN", "TRIG,OUT"):
            raise CommandError(-224)
        self.lines[line] = mode

    @staticmethod
    def _edge(argument: str) -> None:
        if argument.upper() not in ("FALL", "RIS", "EITH"):
            raise CommandError(-224)

    def _stimulate(self, line: int, argument: str) -> None:
        self._stimulus[line] = argument.upper()

    # -- running
    def run(
        self,
        output: Output,
        lists: Mapping[Quantity, tuple[float, ...]],
        faults: Faults,
        spend: Callable[[float], None],
    ) -> Iterator[None]:
        """Go through the blocks, and let the caller read at each that measures; a wait may never end."""
        at, index, counted = 1, 0, dict[int, int]()
        while (block := self.blocks.get(at)) is not None:
            match block:
                case Block("wait", (event,)):
                    if not self._comes(event, faults):
                        spend(inf)
                        return
                    spend(TRIGGER_S)
                case Block("recall" | "next", (name, *_)):
                    index = 0 if block.kind == "recall" else (index + 1) % len(lists[LISTS[name]])
                    output.set_level(LISTS[name], lists[LISTS[name]][index])
                    spend(SETTLING_S)
                case Block("measure", _):
                    spend(output.reading_s())
                    yield
                case Block("notify", (number_,)):
                    self.told += f"NOT{number_}" in self._stimulus.values()
                case Block("always", (to,)):
                    at = int(to)
                    continue
                case Block("count", (times, to)):
                    counted[at] = counted.get(at, 0) + 1
                    if counted[at] < int(times):
                        at = int(to)
                        continue
            at += 1

    def _comes(self, event: str, faults: Faults) -> bool:
        """Whether there is an edge; at a line that was not told to look for one there is none."""
        line = int(event.removeprefix("DIG"))
        return self.lines.get(line) == "TRIG,IN" and faults.strikes("no_trigger") is None
