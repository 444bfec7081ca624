"""One output of a supply that takes channel lists, as in `VOLT 1.8,(@1)`: what E36300 and N6700 share.

Ref: Keysight E36300 Programming Guide (E36311-90008); N6700 Programmer's Reference Guide (N6700-90902).
"""

from typing import Literal

from drivers.links.scpi import ScpiLink
from drivers.protocols.scpi import write_number
from drivers.supply.channel import SupplyChannel
from drivers.transports import Port


class ListedChannel(SupplyChannel):
    """The output of that number."""

    def __init__(
        self, name: str, port: Port, link: ScpiLink, number: int, *, rise_s: float, four_wire: bool
    ) -> None:
        super().__init__(name, port, link, rise_s=rise_s)
        self._at = f"(@{number})"
        self._four_wire = four_wire

    def _wiring(self) -> tuple[str, ...]:
        """Two wires are what it comes back with."""
        return (f":VOLT:SENS:SOUR EXT,{self._at}",) if self._four_wire else ()

    def _clearing(self) -> tuple[str, ...]:
        return self._switch(on=False), f":OUTP:PROT:CLE {self._at}"

    def _level(self, volts: float) -> str:
        return f":VOLT {write_number(volts)},{self._at}"

    def _protection(self, ovp_v: float) -> str:
        return f":VOLT:PROT {write_number(ovp_v)},{self._at}"

    def _limit(self, limit_a: float) -> tuple[str, ...]:
        return f":CURR {write_number(limit_a)},{self._at}", f":CURR:PROT:STAT ON,{self._at}"

    def _switch(self, *, on: bool) -> str:
        return f":OUTP {'ON' if on else 'OFF'},{self._at}"

    def _is_on(self) -> str:
        return f":OUTP? {self._at}"

    def _measure(self, quantity: Literal["VOLT", "CURR"]) -> str:
        return f":MEAS:{quantity}? {self._at}"

    def _trips(self) -> tuple[str, str]:
        return f":VOLT:PROT:TRIP? {self._at}", f":CURR:PROT:TRIP? {self._at}"
