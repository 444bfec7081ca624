"""Keysight N6700 modular supplies and the N6705 analyser, whose outputs are the modules in their slots.

Ref: Keysight N6700 Modular Power System Family, Programmer's Reference Guide (N6700-90902).
"""

from typing import Annotated, ClassVar

from msgspec import Meta, Struct

from drivers.links.machine import PortMachine
from drivers.links.scpi import TIMEOUT_S, ScpiLink, parsed
from drivers.protocols.scpi import read_whole
from drivers.supply.listed import ListedChannel
from drivers.transports import Conversation, Port

TRIPS = {0x01: "over-voltage", 0x02: "over-current", 0x10: "over-temperature"}
"""Bits of the questionable condition that say why an output is off."""


class KeysightN6700Options(Struct, frozen=True, forbid_unknown_fields=True):
    """What a station file may say of an N6700."""

    outputs: Annotated[str, Meta(pattern="^1?2?3?4?$", min_length=1)] = "1234"
    """The slots that hold a module."""
    rise_s: Annotated[float, Meta(gt=0, le=1)] = 0.1
    """Time within which an output must reach its set point, and fall below 0.5 V when made safe."""
    four_wire: bool = False
    min_gap_s: Annotated[float, Meta(ge=0, le=0.1)] = 0.0


class KeysightN6700Channel(ListedChannel):
    """One module."""

    def _asking_for_trip(self) -> Conversation[str | None]:
        query = f":STAT:QUES:COND? {self._at}"
        (answer,) = yield from self._link.exchange(query)
        condition = parsed(read_whole, query, answer)
        return next((why for bit, why in TRIPS.items() if condition & bit), None)


class KeysightN6700(PortMachine):
    """An N6700 or N6705 with its outputs `1` to `4`; over-current protection always on.

    A power that went while an output was off does no harm: all is set anew before it is switched on.
    """

    Options: ClassVar[type[KeysightN6700Options]] = KeysightN6700Options
    models = "N670[0-5][ABC]"

    def __init__(self, name: str, port: Port, options: KeysightN6700Options) -> None:
        super().__init__(name, port, min_gap_s=options.min_gap_s)
        self._options = options
        self._link = ScpiLink(options.min_gap_s)
        self.channels: dict[str, KeysightN6700Channel] = {
            number: KeysightN6700Channel(
                f"{name}.{number}",
                port,
                self._link,
                int(number),
                rise_s=options.rise_s,
                four_wire=options.four_wire,
            )
            for number in options.outputs
        }

    def _setting_up(self) -> Conversation[None]:
        sense = "EXT" if self._options.four_wire else "INT"
        outputs = ",".join(self._options.outputs)
        yield from self._link.exchange(
            "*RST", "*CLS", f":VOLT:SENS:SOUR {sense},(@{outputs})", timeout_s=TIMEOUT_S
        )
