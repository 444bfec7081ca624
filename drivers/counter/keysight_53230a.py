"""Keysight 53220A and 53230A counters.

Ref: Keysight 53220A/53230A Programmer's Reference (53220-90001).
"""

from typing import Annotated, ClassVar, Literal

from msgspec import Meta, Struct

from drivers.links.machine import PortMachine
from drivers.links.messages import insisting
from drivers.links.readout import read_out
from drivers.links.scpi import OFF_TIMEOUT_S, TIMEOUT_S, ScpiLink
from drivers.links.srq import ENABLE
from drivers.protocols.scpi import write_number
from drivers.roles import Counter
from drivers.transports import Conversation, Port

CHANNELS = (1, 2)
IMPEDANCES = {"50_ohm": "50", "1_megohm": "1000000"}


class Keysight53230AOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """What a station file may say of a 53230A."""

    min_gap_s: Annotated[float, Meta(ge=0, le=0.1)] = 0.0


class Keysight53230AInputs(Counter):
    """Both channels with their one measurement."""

    def __init__(self, name: str, port: Port, link: ScpiLink) -> None:
        super().__init__(name)
        self._port = port
        self._link = link

    async def set_input(
        self,
        channel: int,
        *,
        level_v: float,
        slope: Literal["rising", "falling"] = "rising",
        coupling: Literal["dc", "ac"] = "dc",
        impedance: Literal["50_ohm", "1_megohm"] = "1_megohm",
    ) -> None:
        at = f":INP{self._checked(channel)}"
        await self._port.run(
            self._link.exchange(
                f"{at}:IMP {IMPEDANCES[impedance]}",
                f"{at}:COUP {coupling.upper()}",
                f"{at}:LEV:AUTO OFF",
                f"{at}:LEV1 {write_number(level_v)}",
                f"{at}:SLOP {'POS' if slope == 'rising' else 'NEG'}",
            )
        )

    async def frequency(
        self, channel: int = 1, *, count: int = 1, gate_s: float = 0.1, timeout_s: float = 10.0
    ) -> tuple[float, ...]:
        at = f"(@{self._checked(channel)})"
        settings = (f":CONF:FREQ {at}", f":FREQ:GATE:TIME {write_number(gate_s)}")
        return await self._read(*settings, count=count, timeout_s=timeout_s + count * gate_s)

    async def interval(
        self, start: int = 1, stop: int = 2, *, count: int = 1, timeout_s: float = 10.0
    ) -> tuple[float, ...]:
        setting = f":CONF:TINT (@{self._checked(start)}),(@{self._checked(stop)})"
        return await self._read(setting, count=count, timeout_s=timeout_s)

    async def make_safe(self) -> None:
        await self._port.run(insisting(lambda: self._link.exchange(":ABOR", timeout_s=OFF_TIMEOUT_S)))

    async def _read(self, *settings: str, count: int, timeout_s: float) -> tuple[float, ...]:
        units = (*settings, ":TRIG:COUN 1", f":SAMP:COUN {count}")
        return await read_out(self._port, self._link, *units, count=count, timeout_s=timeout_s)

    def _checked(self, channel: int) -> int:
        if channel not in CHANNELS:
            raise ValueError(f"channel {channel}: {self.name} has channels 1 and 2")
        return channel


class Keysight53230A(PortMachine):
    """A 53220A or 53230A; its measurements end by service request and come back as a block."""

    Options: ClassVar[type[Keysight53230AOptions]] = Keysight53230AOptions
    models = "532[23]0A"

    def __init__(self, name: str, port: Port, options: Keysight53230AOptions) -> None:
        super().__init__(name, port, min_gap_s=options.min_gap_s)
        self._link = ScpiLink(options.min_gap_s)
        self.channels: dict[str, Keysight53230AInputs] = {"": Keysight53230AInputs(name, port, self._link)}

    def _setting_up(self) -> Conversation[None]:
        yield from self._link.exchange("*RST", "*CLS", *ENABLE, timeout_s=TIMEOUT_S)
