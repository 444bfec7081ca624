"""Rohde & Schwarz (Hameg) HMP2020 to HMP4040 supplies.

Ref: R&S HMP Series User Manual, remote control.
"""

from typing import Annotated, ClassVar

from msgspec import Meta, Struct

from drivers.links.machine import PortMachine
from drivers.links.scpi import TIMEOUT_S, ScpiLink
from drivers.supply.selected import SelectedChannel
from drivers.transports import Conversation, Port


class RohdeSchwarzHmpOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """What a station file may say of an HMP."""

    outputs: Annotated[str, Meta(pattern="^12?3?4?$")] = "1234"
    """`12` for an HMP2020, `123` for an HMP2030 or HMP4030."""
    rise_s: Annotated[float, Meta(gt=0, le=1)] = 0.1
    """Time within which an output must reach its set point, and fall below 0.5 V when made safe."""
    min_gap_s: Annotated[float, Meta(ge=0, le=0.1)] = 0.0


class RohdeSchwarzHmp(PortMachine):
    """An HMP with its outputs `1` to `4`; their electronic fuses are always on."""

    Options: ClassVar[type[RohdeSchwarzHmpOptions]] = RohdeSchwarzHmpOptions
    models = "HMP[24]0[234]0"

    def __init__(self, name: str, port: Port, options: RohdeSchwarzHmpOptions) -> None:
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
                clear=(":VOLT:PROT:CLE",),
            )
            for number in options.outputs
        }

    def _setting_up(self) -> Conversation[None]:
        """The master switch stays on from here: an output is on when its own switch is."""
        off = [unit for n in self._options.outputs for unit in (f":INST OUT{n}", ":OUTP:SEL 0")]
        yield from self._link.exchange("*RST", "*CLS", *off, ":OUTP:GEN 1", timeout_s=TIMEOUT_S)
