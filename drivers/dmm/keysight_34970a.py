"""Keysight (Agilent, HP) 34970A, 34972A, DAQ970A and DAQ973A: a scanning multimeter and its switch modules.

Ref: 34970A/34972A Command Reference Help (34972-90001); DAQ970A/DAQ973A Programming Guide (DAQ970-90027).
"""

import re
from collections.abc import Collection, Mapping
from typing import Annotated, ClassVar

from msgspec import Meta, Struct

from drivers.dmm.keysight_34465a import INTEGRATED, WORDS
from drivers.errors import EquipmentError, ProtocolError
from drivers.links.machine import PortMachine
from drivers.links.messages import insisting
from drivers.links.readings import longest_reading
from drivers.links.readout import read_out
from drivers.links.scpi import OFF_TIMEOUT_S, TIMEOUT_S, ScpiLink, parsed
from drivers.links.srq import ENABLE
from drivers.protocols.scpi import read_boolean, write_number
from drivers.roles import DmmFunction, Relays, Resource, Scanner
from drivers.transports import Conversation, Pause, Port

CHANNEL = re.compile(r"[123]\d\d")
RELAY_S = 0.02
"""What closing and opening its relays adds to the reading of a channel, at most."""


class Keysight34970AOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """What a station file may say of a 34970A."""

    cards: dict[str, str] = {}
    """What must be in a slot, as `{1 = "34901A"}`: a part of what the module says of itself."""
    switches: frozenset[str] = frozenset()
    """The channels of switch modules that are the station's to close, as `["201", "202"]`."""
    delay_s: Annotated[float, Meta(ge=0, le=60)] = 0.0
    """Rest between closing a channel and reading it."""
    settle_s: Annotated[float, Meta(ge=0, le=1)] = 0.005
    """Time after which the contacts of a switch no longer bounce."""
    min_gap_s: Annotated[float, Meta(ge=0, le=0.1)] = 0.0

    def __post_init__(self) -> None:
        if self.switches:
            listed(self.switches)
        for slot in self.cards:
            if slot not in ("1", "2", "3"):
                raise ValueError(f"slot {slot!r}: slots are 1, 2 and 3")


def listed(channels: Collection[str]) -> str:
    """Write a channel list, in the order in which a machine scans; ValueError if one is no channel."""
    for channel in channels:
        if not CHANNEL.fullmatch(channel):
            raise ValueError(f"{channel!r} is no channel: write slot and number, as 101")
    if not channels:
        raise ValueError("a scan needs a channel")
    return f"(@{','.join(sorted(channels))})"


class Keysight34970AScanner(Scanner):
    """The multimeter and its multiplexers."""

    def __init__(self, name: str, port: Port, link: ScpiLink, *, delay_s: float) -> None:
        super().__init__(name)
        self._port = port
        self._link = link
        self._delay_s = delay_s

    async def scan(
        self,
        function: DmmFunction,
        channels: Collection[str],
        *,
        full_scale: float | None = None,
        nplc: float = 1.0,
        timeout_s: float = 10.0,
    ) -> Mapping[str, float]:
        channels = frozenset(channels)
        at, word = listed(channels), WORDS[function]
        scale = "AUTO" if full_scale is None else write_number(full_scale)
        integration = (f":SENS:{word}:NPLC {write_number(nplc)},{at}",) if function in INTEGRATED else ()
        each_s = longest_reading(2 * nplc) + self._delay_s + RELAY_S
        readings = await read_out(
            self._port,
            self._link,
            f":CONF:{word} {scale},{at}",
            *integration,
            f":ROUT:SCAN {at}",
            f":ROUT:CHAN:DEL {write_number(self._delay_s)},{at}",
            ":TRIG:SOUR IMM",
            ":TRIG:COUN 1",
            count=len(channels),
            timeout_s=timeout_s + len(channels) * each_s,
        )
        return dict(zip(sorted(channels), readings, strict=True))

    async def make_safe(self) -> None:
        await self._port.run(insisting(lambda: self._link.exchange(":ABOR", timeout_s=OFF_TIMEOUT_S)))


class Keysight34970ASwitches(Relays):
    """The channels of its switch modules that the station file names."""

    def __init__(self, name: str, port: Port, link: ScpiLink, options: Keysight34970AOptions) -> None:
        super().__init__(name)
        self.settle_s = options.settle_s
        self._port = port
        self._link = link
        self._all = options.switches

    async def close(self, paths: Collection[str]) -> None:
        if paths:
            self._check(paths)
            await self._port.run(self._moving(f":ROUT:CLOS {listed(paths)}", closed=frozenset(paths)))

    async def open(self, paths: Collection[str]) -> None:
        if paths:
            self._check(paths)
            await self._port.run(self._moving(f":ROUT:OPEN {listed(paths)}", opened=frozenset(paths)))

    async def close_only(self, paths: Collection[str]) -> None:
        self._check(paths)
        if others := self._all - frozenset(paths):
            await self.open(others)
        await self.close(paths)

    async def state(self) -> frozenset[str]:
        return await self._port.run(self._reading_back()) if self._all else frozenset()

    async def make_safe(self) -> None:
        if self._all:
            opening = f":ROUT:OPEN {listed(self._all)}"
            await self._port.run(insisting(lambda: self._moving(opening, opened=self._all)))

    def _check(self, paths: Collection[str]) -> None:
        if foreign := frozenset(paths) - self._all:
            known = ", ".join(sorted(self._all)) or "none"
            raise ValueError(f"{min(foreign)!r} is no switch of {self.name}; its switches are: {known}")

    def _moving(
        self, unit: str, *, closed: frozenset[str] = frozenset(), opened: frozenset[str] = frozenset()
    ) -> Conversation[None]:
        yield from self._link.exchange(unit, "*OPC?", timeout_s=OFF_TIMEOUT_S)
        yield Pause(self.settle_s)
        found = yield from self._reading_back()
        if wrong := closed - found:
            raise EquipmentError(f"{self.name}: {','.join(sorted(wrong))} was closed and is open")
        if wrong := opened & found:
            raise EquipmentError(f"{self.name}: {','.join(sorted(wrong))} was opened and is closed")

    def _reading_back(self) -> Conversation[frozenset[str]]:
        query = f":ROUT:CLOS? {listed(self._all)}"
        (answer,) = yield from self._link.exchange(query, timeout_s=OFF_TIMEOUT_S)
        states = [parsed(read_boolean, query, state) for state in answer.split(",")]
        if len(states) != len(self._all):
            raise ProtocolError(f"{query} answered {answer!r}")
        return frozenset(name for name, closed in zip(sorted(self._all), states, strict=True) if closed)


class Keysight34970A(PortMachine):
    """A 34970A, 34972A, DAQ970A or DAQ973A: `scan` is its scanning multimeter, `switch` its relays."""

    Options: ClassVar[type[Keysight34970AOptions]] = Keysight34970AOptions
    models = "3497[02]A|DAQ97[03]A"

    def __init__(self, name: str, port: Port, options: Keysight34970AOptions) -> None:
        super().__init__(name, port, min_gap_s=options.min_gap_s)
        self._options = options
        self._link = ScpiLink(options.min_gap_s)
        self.channels: dict[str, Resource] = {
            "scan": Keysight34970AScanner(f"{name}.scan", port, self._link, delay_s=options.delay_s),
            "switch": Keysight34970ASwitches(f"{name}.switch", port, self._link, options),
        }

    def _setting_up(self) -> Conversation[None]:
        yield from self._link.exchange("*RST", "*CLS", *ENABLE, timeout_s=TIMEOUT_S)
        for slot, card in sorted(self._options.cards.items()):
            (found,) = yield from self._link.exchange(f":SYST:CTYP? {slot}00")
            if card not in found:
                raise EquipmentError(f"{self.name}: slot {slot} holds {found!r}, not a {card}")
