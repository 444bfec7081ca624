"""A simulated Keysight E36312A: constant voltage until the limit, then constant current, and trips that stay.

Ref: Keysight E36300 Series Programming Guide (E36311-90008).
"""

from collections.abc import Callable, Mapping
from typing import ClassVar

from drivers.protocols.scpi import ErrorEntry
from sim.channels import cut
from sim.messages import CommandError
from sim.scpi import Action
from sim.supply.instrument import SupplyInstrument
from sim.supply.output import QUERY_S, Output


class KeysightE36300(SupplyInstrument):
    """The box; its outputs hang on `loads["1"]` to `loads["3"]`."""

    idn = "Keysight Technologies,E36312A,MY59002318,2.1.1-1.0.4-1.12"
    ranges: ClassVar[Mapping[int, tuple[float, float]]] = {
        1: (6.18, 5.15),
        2: (25.75, 1.03),
        3: (25.75, 1.03),
    }

    def table(self) -> Mapping[str, Action]:
        volt, curr = "[:SOURce]:VOLTage", "[:SOURce]:CURRent"
        level = "[:LEVel][:IMMediate][:AMPLitude]"
        return {
            "*IDN?": lambda _: self.idn,
            "*RST": self._reset,
            "*CLS": lambda _: self.errors.clear(),
            "*OPC?": lambda _: "1",
            ":SYSTem:ERRor[:NEXT]?": self.read_error,
            volt + level: self._each(self._set_volts),
            volt + level + "?": self._ask(lambda output: f"{output.volts:+.8E}"),
            curr + level: self._each(self._set_limit),
            curr + level + "?": self._ask(lambda output: f"{output.limit:+.8E}"),
            volt + ":PROTection[:LEVel]": self._each(self._set_ovp),
            volt + ":PROTection[:LEVel]?": self._ask(lambda output: f"{output.ovp:+.8E}"),
            volt + ":PROTection:TRIPped?": self._ask(lambda output: self._trip(output, "VOLT")),
            volt + ":SENSe:SOURce": self._each(self._set_sense),
            curr + ":PROTection:STATe": self._each(self._set_ocp),
            curr + ":PROTection:STATe?": self._ask(lambda output: str(int(output.ocp))),
            curr + ":PROTection:TRIPped?": self._ask(lambda output: self._trip(output, "CURR")),
            ":OUTPut[:STATe]": self._each(self._switch),
            ":OUTPut[:STATe]?": self._ask(self._is_on),
            ":OUTPut:PROTection:CLEar": self._each(self._clear_protection),
            ":STATus:QUEStionable:CONDition?": self._ask(self._condition),
            ":MEASure[:SCALar]:VOLTage[:DC]?": self._ask(lambda output: self._measure(output, "VOLT")),
            ":MEASure[:SCALar]:CURRent[:DC]?": self._ask(lambda output: self._measure(output, "CURR")),
        }

    def write_error(self, entry: ErrorEntry | None) -> str:
        return '+0,"No error"' if entry is None else entry.encode()

    # -- channel lists
    def _each(self, action: Callable[[Output, str], None]) -> Action:
        def each(argument: str) -> None:
            text, found = self._at(argument)
            for output in found:
                action(output, text)

        return each

    def _ask(self, query: Callable[[Output], str]) -> Action:
        def ask(argument: str) -> str:
            self.spend(QUERY_S)
            return ",".join(query(output) for output in self._at(argument)[1])

        return ask

    def _at(self, argument: str) -> tuple[str, list[Output]]:
        """Cut `3.3,(@1,2)` or `(@1:3)` into parameter and outputs; CommandError if there is no list."""
        text, numbers = cut(argument)
        if not numbers or not set(numbers) <= set(self.outputs):
            raise CommandError(-222)
        return text, [self.outputs[n] for n in numbers]
