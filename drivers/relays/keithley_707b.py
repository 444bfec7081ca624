"""Keithley 707B, 708B and 3706A switching mainframes in TSP.

Ref: Models 707B and 708B Reference Manual (707B-901-01); Series 3700A Reference Manual (3700AS-901-01).
"""

import re
from collections.abc import Collection
from typing import Annotated, ClassVar, Literal

from msgspec import Meta, Struct

from drivers.errors import EquipmentError
from drivers.links.machine import PortMachine
from drivers.links.messages import hear, insisting, say
from drivers.links.power import PowerWatch
from drivers.links.scpi import OFF_TIMEOUT_S, TIMEOUT_S
from drivers.links.tsp import EVENTS, READ_EVENTS, STILL_SET, TspLink
from drivers.roles import Relays
from drivers.transports import Conversation, Pause, Port

RULES = {"break_before_make": 1, "make_before_break": 2, "off": 0}
PATH = re.compile(r"[1-6]([A-H][0-9]{2}|[0-9]{3,4})")
"""Slot, row letter and column of a 707B or 708B; slot and digits of a 3706A."""
STATE = 'channel.getclose("allslots")'


class Keithley707BOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """What a station file may say of a 707B, 708B or 3706A."""

    settle_s: Annotated[float, Meta(ge=0, le=1)] = 0.005
    """Time after which contacts no longer bounce."""
    rule: Literal["break_before_make", "make_before_break", "off"] = "break_before_make"
    """Whether old paths open before new ones close, where both change at once."""
    cards: dict[str, str] = {}
    """What must be in a slot, as `{1 = "7174A"}`: a part of what the card says of itself."""
    interlocked: frozenset[str] = frozenset()
    """The slots whose interlock must be engaged whenever a path is closed."""
    forbidden: frozenset[str] = frozenset()
    """Paths that the machine itself shall refuse to close."""
    min_gap_s: Annotated[float, Meta(ge=0, le=0.1)] = 0.0

    def __post_init__(self) -> None:
        listed(self.forbidden)
        for slot in (*self.cards, *self.interlocked):
            if slot not in tuple("123456"):
                raise ValueError(f"slot {slot!r}: slots are 1 to 6")


def listed(paths: Collection[str]) -> str:
    """Write paths as the machine wants them, in order; ValueError if one is no path."""
    for path in paths:
        if not PATH.fullmatch(path):
            raise ValueError(f"{path!r} is no path: write 1A01 (707B, 708B) or 1101 (3706A)")
    return ",".join(sorted(paths))


class Keithley707BRelays(Relays):
    """All paths of the mainframe."""

    def __init__(
        self, name: str, port: Port, link: TspLink, power: PowerWatch, options: Keithley707BOptions
    ) -> None:
        super().__init__(name)
        self.settle_s = options.settle_s
        self._port = port
        self._link = link
        self._power = power
        self._min_gap_s = options.min_gap_s
        self._interlocked = sorted(options.interlocked)
        self._held = frozenset[str]()

    async def close(self, paths: Collection[str]) -> None:
        await self._port.run(self._closing(f'channel.close("{listed(paths)}")', paths))

    async def open(self, paths: Collection[str]) -> None:
        """Paths that are no longer closed were lost: EquipmentError, once the others are open."""
        if paths:
            await self._port.run(self._opening_held(listed(paths), frozenset(paths)))

    async def close_only(self, paths: Collection[str]) -> None:
        await self._port.run(self._closing(f'channel.exclusiveclose("{listed(paths)}")', paths, only=True))

    async def state(self) -> frozenset[str]:
        return await self._port.run(self._reading_back())

    async def make_safe(self) -> None:
        await self._port.run(insisting(lambda: self._opening("allslots", None)))

    def _closing(self, statement: str, paths: Collection[str], *, only: bool = False) -> Conversation[None]:
        yield from self._checking_interlocks()
        if only:
            yield from self._checking_held(self._held)
        yield from self._switching_as_set(statement)
        closed = yield from self._reading_back()
        if missing := frozenset(paths) - closed:
            raise EquipmentError(f"{self.name}: {listed(missing)} was closed and is open")
        if only and (others := closed - frozenset(paths)):
            raise EquipmentError(f"{self.name}: {listed(others)} was opened and is closed")
        self._held = frozenset(paths) if only else self._held | frozenset(paths)

    def _opening_held(self, names: str, paths: frozenset[str]) -> Conversation[None]:
        held = self._held & paths
        try:
            yield from self._checking_held(held)
        finally:
            yield from self._opening(names, paths)

    def _checking_held(self, held: frozenset[str]) -> Conversation[None]:
        """What was measured through paths that have opened meanwhile is no measurement."""
        if held and (lost := held - (yield from self._reading_back())):
            self._held -= lost
            raise EquipmentError(
                f"{self.name}: {listed(lost)} was closed and has opened by itself: its power may have gone"
            )

    def _opening(self, names: str, paths: Collection[str] | None) -> Conversation[None]:
        """Open the named paths; None are all."""
        self._held = self._held - frozenset(paths) if paths else frozenset()
        yield from self._switching(f'channel.open("{names}")')
        closed = yield from self._reading_back()
        if still := closed if paths is None else closed & frozenset(paths):
            raise EquipmentError(f"{self.name}: {','.join(sorted(still))} was opened and is closed")

    def _switching_as_set(self, statement: str) -> Conversation[None]:
        """A power that went took the rule and the forbidden paths along: the chunk closes nothing then."""
        self._power.check(self.name)
        guarded = f"if {STILL_SET} then {statement} end"
        (events,) = yield from self._switching(READ_EVENTS, guarded, values=(EVENTS,))
        self._power.heed(events, self.name)

    def _switching(self, *statements: str, values: tuple[str, ...] = ()) -> Conversation[list[str]]:
        """Switch, wait until the machine has done it, and until nothing bounces; return the values."""
        told = yield from self._link.exchange(*statements, values=values, timeout_s=OFF_TIMEOUT_S)
        yield from say("*OPC?", gap_s=self._min_gap_s)
        yield from hear(timeout_s=OFF_TIMEOUT_S)
        yield Pause(self.settle_s)
        return told

    def _reading_back(self) -> Conversation[frozenset[str]]:
        (closed,) = yield from self._link.exchange(values=(STATE,), timeout_s=OFF_TIMEOUT_S)
        return frozenset() if closed == "nil" else frozenset(closed.split(";"))

    def _checking_interlocks(self) -> Conversation[None]:
        """An interlock that is not engaged opens everything: only a person may go on from there."""
        if not self._interlocked:
            return
        states = tuple(f"slot[{slot}].interlock.state" for slot in self._interlocked)
        engaged = yield from self._link.exchange(values=states, timeout_s=OFF_TIMEOUT_S)
        for slot, state in zip(self._interlocked, engaged, strict=True):
            if state == "nil" or not float(state):
                yield from self._opening("allslots", None)
                raise EquipmentError(f"{self.name}: the interlock of slot {slot} is not engaged")


class Keithley707B(PortMachine):
    """A 707B, 708B or 3706A with its matrix or multiplexer cards; every verb reads the relays back."""

    Options: ClassVar[type[Keithley707BOptions]] = Keithley707BOptions
    models = "70[78]B|370[67]A"
    queue = TspLink

    def __init__(self, name: str, port: Port, options: Keithley707BOptions) -> None:
        super().__init__(name, port, min_gap_s=options.min_gap_s)
        self._options = options
        self._link = TspLink(options.min_gap_s)
        self._power = PowerWatch()
        self.channels: dict[str, Keithley707BRelays] = {
            "": Keithley707BRelays(name, port, self._link, self._power, options)
        }

    def _setting_up(self) -> Conversation[None]:
        options = self._options
        forbidden = (f'channel.setforbidden("{listed(options.forbidden)}")',) if options.forbidden else ()
        yield from self._link.exchange(
            'channel.reset("allslots")',
            "errorqueue.clear()",
            "status.reset()",
            f"channel.connectrule={RULES[options.rule]}",
            *forbidden,
            timeout_s=TIMEOUT_S,
        )
        self._power.renew()
        for slot, card in sorted(options.cards.items()):
            (found,) = yield from self._link.exchange(values=(f"slot[{slot}].idn",))
            if card not in found:
                raise EquipmentError(f"{self.name}: slot {slot} holds {found!r}, not a {card}")
