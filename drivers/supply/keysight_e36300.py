"""Keysight E36311A, E36312A and E36313A triple-output supplies.

Ref: Keysight E36300 Series Programming Guide (E36311-90008), SCPI command reference.
"""

from typing import Annotated, ClassVar

from msgspec import Meta, Struct

from drivers.links.machine import PortMachine
from drivers.links.scpi import TIMEOUT_S, ScpiLink
from drivers.supply.listed import ListedChannel
from drivers.transports import Conversation, Port


class KeysightE36300Options(Struct, frozen=True, forbid_unknown_fields=True):
    """What a station file may say of an E36300."""

    rise_s: Annotated[float, Meta(gt=0, le=1)] = 0.1
    """Time within which an output must reach its set point, and fall below 0.5 V when made safe."""
    four_wire: bool = False
    min_gap_s: Annotated[float, Meta(ge=0, le=0.1)] = 0.0


class KeysightE36300(PortMachine):
    """An E36300 with its outputs `1`, `2` and `3`; over-current protection always on.

    A power that went while an output was off does no harm: all is set anew before it is switched on.
    """

    Options: ClassVar[type[KeysightE36300Options]] = KeysightE36300Options
    models = "E3631[123]A"

    def __init__(self, name: str, port: Port, options: KeysightE36300Options) -> None:
        super().__init__(name, port, min_gap_s=options.min_gap_s)
        self._options = options
        self._link = ScpiLink(options.min_gap_s)
        self.channels: dict[str, ListedChannel] = {
            str(number): ListedChannel(
                f"{name}.{number}",
                port,
                self._link,
                number,
                rise_s=options.rise_s,
                four_wire=options.four_wire,
            )
            for number in (1, 2, 3)
        }

    def _setting_up(self) -> Conversation[None]:
        sense = "EXT" if self._options.four_wire else "INT"
        yield from self._link.exchange("*RST", "*CLS", f":VOLT:SENS:SOUR {sense},(@1:3)", timeout_s=TIMEOUT_S)
