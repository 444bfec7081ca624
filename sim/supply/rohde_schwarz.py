"""Simulated R&S supplies whose outputs are selected before they are spoken of: HMP4040 and NGE103B.

Ref: R&S HMP Series User Manual and R&S NGE100 User Manual, remote control.
"""

from collections.abc import Callable, Mapping
from typing import ClassVar

from drivers.protocols.scpi import ErrorEntry
from sim.messages import CommandError
from sim.scpi import Action, boolean
from sim.supply.instrument import SupplyInstrument
from sim.supply.output import QUERY_S, RISE_S, Output


class SelectingSupply(SupplyInstrument):
    """What HMP and NGx have in common; nothing comes out before the master switch is on."""

    _selected = 1
    _master = False

    def table(self) -> Mapping[str, Action]:
        level = "[:LEVel][:IMMediate][:AMPLitude]"
        return {
            "*IDN?": lambda _: self.idn,
            "*RST": self._reset_all,
            "*CLS": lambda _: self.errors.clear(),
            "*OPC?": lambda _: "1",
            ":SYSTem:ERRor[:NEXT]?": self.read_error,
            ":INSTrument[:SELect]": self._select,
            ":INSTrument:NSELect": self._select,
            f"[:SOURce]:VOLTage{level}": self._tell(self._set_volts),
            f"[:SOURce]:VOLTage{level}?": self._ask(lambda output: f"{output.volts:.4f}"),
            f"[:SOURce]:CURRent{level}": self._tell(self._set_limit),
            f"[:SOURce]:CURRent{level}?": self._ask(lambda output: f"{output.limit:.4f}"),
            "[:SOURce]:VOLTage:PROTection[:LEVel]": self._tell(self._set_ovp),
            "[:SOURce]:VOLTage:PROTection:TRIPped?": self._ask(lambda output: self._trip(output, "VOLT")),
            "[:SOURce]:VOLTage:PROTection:CLEar": self._tell(lambda output, _: self._forget(output, "VOLT")),
            "[:SOURce]:APPLy": self._tell(self._apply),
            ":APPLy": self._tell(self._apply),
            ":FUSE[:STATe]": self._tell(self._set_ocp),
            ":FUSE:TRIPped?": self._ask(lambda output: self._trip(output, "CURR")),
            ":OUTPut:SELect": self._tell(self._switch_selected),
            ":OUTPut:SELect?": self._ask(self._is_on),
            ":OUTPut:GENeral": self._set_master,
            ":OUTPut:GENeral?": lambda _: str(int(self._master)),
            ":MEASure[:SCALar][:VOLTage][:DC]?": self._ask(lambda output: self._measure(output, "VOLT")),
            ":MEASure[:SCALar]:CURRent[:DC]?": self._ask(lambda output: self._measure(output, "CURR")),
        }

    def write_error(self, entry: ErrorEntry | None) -> str:
        return (entry or ErrorEntry(0, "No error")).encode()

    @property
    def output(self) -> Output:
        """The one that is selected."""
        return self.outputs[self._selected]

    def _tell(self, action: Callable[[Output, str], None]) -> Action:
        return lambda argument: action(self.output, argument)

    def _ask(self, query: Callable[[Output], str]) -> Action:
        def ask(_: str) -> str:
            self.spend(QUERY_S)
            return query(self.output)

        return ask

    def _select(self, argument: str) -> None:
        number = argument.strip().upper().removeprefix("OUT").removeprefix("PUT")
        if not number.isdigit() or int(number) not in self.outputs:
            raise CommandError(-222)
        self._selected = int(number)

    def _apply(self, output: Output, argument: str) -> None:
        volts, _, amps = argument.partition(",")
        self._set_volts(output, volts)
        self._set_limit(output, amps)

    def _reset_all(self, argument: str) -> None:
        self._selected, self._master = 1, False
        self._reset(argument)

    def lose_power(self) -> None:
        self._reset_all("")

    def _switch_selected(self, output: Output, argument: str) -> None:
        """A new start ends what the fuse has done."""
        if boolean(argument):
            self._forget(output, "CURR")
            if not self._master:
                output.says_on = True
                return
        self._switch(output, argument)

    def _forget(self, output: Output, which: str) -> None:
        if output.tripped == which:
            output.switch(on=False, rise_s=RISE_S)
            output.tripped = ""
            output.work()

    def _set_master(self, argument: str) -> None:
        self._master = boolean(argument)
        for output in self.outputs.values():
            wanted = self._master and output.says_on
            if wanted is not output.on:
                output.switch(on=wanted, rise_s=self._rise_s() if wanted else RISE_S)


class HmpSupply(SelectingSupply):
    """An HMP4040."""

    idn = "ROHDE&SCHWARZ,HMP4040,107623,HW50020003/SW2.62"
    ranges: ClassVar[Mapping[int, tuple[float, float]]] = dict.fromkeys(range(1, 5), (32.05, 10.0))


class NgxSupply(SelectingSupply):
    """An NGE103B: its fuse is cleared by a command too, and it has safety limits for what may be set."""

    idn = "Rohde&Schwarz,NGE103B,5601.3800k03/101863,1.54"
    ranges: ClassVar[Mapping[int, tuple[float, float]]] = dict.fromkeys(range(1, 4), (32.05, 3.01))

    def table(self) -> Mapping[str, Action]:
        return {
            **super().table(),
            ":FUSE:TRIPped:CLEar": self._tell(lambda output, _: self._forget(output, "CURR")),
            ":OUTPut[:STATe]": self._tell(self._switch_selected),
            ":OUTPut[:STATe]?": self._ask(self._is_on),
            ":READ?": self._ask(
                lambda output: f"{self._measure(output, 'VOLT')},{self._measure(output, 'CURR')}"
            ),
        }

    def write_error(self, entry: ErrorEntry | None) -> str:
        entry = entry or ErrorEntry(0, "No error")
        return f"{entry.code}, '{entry.text}'"
