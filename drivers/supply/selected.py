"""Supplies whose outputs must be selected before they are spoken of: `INST OUT1`, then `VOLT 1.8`.

Each message selects first, since another one may have selected another output.
Ref: R&S HMP Series User Manual, remote control; R&S NGE100, NGL200, NGM200 User Manuals, remote control.
"""

from typing import Annotated, ClassVar, Literal

from msgspec import Meta, Struct

from drivers.links.machine import PortMachine
from drivers.links.scpi import SETTING_TIMEOUT_S, TIMEOUT_S, ScpiLink
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


class SelectedOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """What a station file may say of one."""

    outputs: Annotated[str, Meta(pattern="^12?3?4?$")] = "1234"
    """Those that the model has."""
    rise_s: Annotated[float, Meta(gt=0, le=1)] = 0.1
    """Time within which an output must reach its set point, and fall below 0.5 V when made safe."""
    min_gap_s: Annotated[float, Meta(ge=0, le=0.1)] = 0.0


class SelectedSupply(PortMachine):
    """One with outputs `1` to `4`, a switch for each and a master switch.

    A power that went leaves the master switch off until the machine is set up: an output that is switched on
    meanwhile does not come to its level, which is told. All else is set anew before it is switched on.
    """

    Options: ClassVar[type[SelectedOptions]] = SelectedOptions
    clear: ClassVar[tuple[str, ...]]
    """By which the model forgets trips."""

    def __init__(self, name: str, port: Port, options: SelectedOptions) -> None:
        super().__init__(name, port, min_gap_s=options.min_gap_s)
        self._options = options
        self._link = ScpiLink(options.min_gap_s)
        self.channels: dict[str, SelectedChannel] = {
            number: SelectedChannel(
                f"{name}.{number}",
                port,
                self._link,
                int(number),
                rise_s=options.rise_s,
                clear=self.clear,
            )
            for number in options.outputs
        }

    def _setting_up(self) -> Conversation[None]:
        """The master switch stays on from here: an output is on when its own switch is."""
        off = [unit for n in self._options.outputs for unit in (f":INST OUT{n}", ":OUTP:SEL 0")]
        yield from self._link.exchange("*RST", "*CLS", *off, ":OUTP:GEN 1", timeout_s=TIMEOUT_S)
