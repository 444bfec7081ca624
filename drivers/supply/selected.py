"""One output of a supply that must be selected before it is spoken of: `INST OUT1`, then `VOLT 1.8`.

Each message selects first, since another one may have selected another output.
Ref: R&S HMP Series User Manual, remote control; R&S NGE100, NGL200, NGM200 User Manuals, remote control.
"""

from typing import Literal

from drivers.links.scpi import SETTING_TIMEOUT_S, ScpiLink
from drivers.protocols.scpi import write_number
from drivers.supply.channel import SupplyChannel
from drivers.transports import Conversation, Port


class SelectedChannel(SupplyChannel):
    """The output of that number; its electronic fuse is always on."""

    def __init__(
        self, name: str, port: Port, link: ScpiLink, number: int, *, rise_s: float, clear: tuple[str, ...]
    ) -> None:
        """Take `clear`, by which the model forgets trips."""
        super().__init__(name, port, link, rise_s=rise_s)
        self._select = f":INST OUT{number}"
        self._clear = clear

    def _exchange(self, *units: str, timeout_s: float = SETTING_TIMEOUT_S) -> Conversation[list[str]]:
        return self._link.exchange(self._select, *units, timeout_s=timeout_s)

    def _clearing(self) -> tuple[str, ...]:
        return self._switch(on=False), *self._clear

    def _level(self, volts: float) -> str:
        return f":VOLT {write_number(volts)}"

    def _protection(self, ovp_v: float) -> str:
        return f":VOLT:PROT {write_number(ovp_v)}"

    def _limit(self, limit_a: float) -> tuple[str, ...]:
        return f":CURR {write_number(limit_a)}", ":FUSE 1"

    def _switch(self, *, on: bool) -> str:
        return f":OUTP:SEL {int(on)}"

    def _is_on(self) -> str:
        return ":OUTP:SEL?"

    def _measure(self, quantity: Literal["VOLT", "CURR"]) -> str:
        return f":MEAS:{quantity}?"

    def _trips(self) -> tuple[str, str]:
        return ":VOLT:PROT:TRIP?", ":FUSE:TRIP?"
