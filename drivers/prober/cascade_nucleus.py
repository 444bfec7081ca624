"""Cascade probe stations under Nucleus, command set "Summit", on GPIB: no loader, no bins.

Ref: SweepMe instrument-drivers, Cascade Nucleus; chuck temperature, load position: public code for the S300.

A wafer is put onto the chuck by a person, and its probe plan is loaded at the station. Bins stay in hardbin's
own map. Whether a move is done is not believed from its answer alone: contact and die are read back.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import TypeVar

from drivers.errors import EquipmentError, InstrumentError, ProtocolError, Silent
from drivers.links.messages import clear_after
from drivers.links.prober_options import ProberOptions
from drivers.links.probing import ProbingMachine
from drivers.links.wire import PortWire
from drivers.protocols import nucleus
from drivers.protocols.nucleus import CHUCK, boolean, completed, integers, number
from drivers.roles.happening import AlarmRaised
from drivers.roles.prober import Die, LotData, StepMode
from drivers.roles.resource import Identity
from drivers.transports import Clear, Conversation, Port, Read

T = TypeVar("T")
log = logging.getLogger(__name__)
QUERY_S, MOVE_S, GLIMPSE_S, RETRY_S = 5.0, 10.0, 0.5, 1.0
ASK_TRIES = 4
"""How often a query is put before its answer is given up."""
MOST_BINS = 32768


class NucleusOptions(ProberOptions, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a station file may say of a Nucleus."""

    loader: bool = False
    align: bool = False
    mark: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.mode != "tester_master":
            raise ValueError(f"mode {self.mode!r}: tester_master is allowed, the prober has no route")
        for field in ("loader", "align", "mark"):
            if getattr(self, field):
                raise ValueError(f"{field}: not on this prober; false is allowed")


class CascadeNucleus(ProbingMachine):
    """One probe station with the wafer that is on its chuck."""

    Options = NucleusOptions
    port = Port
    modes: frozenset[StepMode] = frozenset({"tester_master"})
    can_clean = False

    def __init__(self, name: str, port: Port, options: NucleusOptions) -> None:
        super().__init__(name, options)
        self._port = port
        self._raised = False
        """Whether it was told to raise the chuck, and has not lowered it since."""
        self._wire = PortWire(port, sends=b"\n")
        self.hard_bins = frozenset(range(MOST_BINS))

    # -- the machine
    async def connect(self) -> None:
        """Choose command set and answers. Nothing moves."""
        self._forget_lot()
        await self._wire.open()
        await self._wire.say(nucleus.MODE)
        await self._wire.say(nucleus.RESPOND)
        await self._port.run(_drained())
        await self._in_contact_now()

    async def identify(self) -> Identity:
        return Identity("Cascade", await self._query("*idn?", str))

    async def make_safe(self) -> None:
        await self.separate()

    async def raw(self, command: str) -> str:
        """Send an engineer's command and return its answer."""
        return await self._wire.ask(command, timeout_s=MOVE_S)

    async def aclose(self) -> None:
        await self._wire.aclose()

    # -- wafers
    async def slots(self, cassette: int) -> tuple[int, ...]:
        raise EquipmentError(f"{self.name}: has no cassette {cassette}; set loader = false")

    async def load(self, cassette: int, slot: int) -> None:
        raise EquipmentError(f"{self.name}: has no loader; put the wafer onto the chuck by hand")

    async def unload(self) -> None:
        """Bring the chuck to where a person can take the wafer."""
        await self.separate()
        await self._move(f":mov:load {CHUCK}")

    async def occupied(self) -> bool:
        """Believe that there is a wafer: the station does not tell."""
        return True

    async def align(self) -> None:
        raise EquipmentError(f"{self.name}: aligns at the station only")

    async def wafer_id(self) -> str:
        return ""

    async def lot_info(self) -> LotData:
        return LotData()

    # -- moving
    async def _in_contact_now(self) -> bool:
        return await self._query(f":mov:cont? {CHUCK}", boolean)

    async def contact(self) -> bool:
        self._raised = True
        await self._move(f":mov:cont {CHUCK}")
        return await self._in_contact_now()

    async def separate(self) -> None:
        """Lower the chuck if it is in contact, or was raised without."""
        if not await self._in_contact_now() and not self._raised:
            return
        await self._move(f":mov:sep {CHUCK}")
        if await self._in_contact_now():
            raise EquipmentError(f"{self.name}: told to separate, and still in contact")
        self._raised = False

    async def step_to(self, x: int, y: int, subsite: int = 0) -> None:
        await self.separate()
        await self._move(f":mov:prob:abs:loc {x} {y} {subsite}")
        if (found := await self.position()) != (wanted := Die(x, y, subsite)):
            raise EquipmentError(f"{self.name}: sent to {wanted}, stands on {found}: no test")

    async def step_first(self) -> Die | None:
        raise EquipmentError(f"{self.name}: has no route of its own")

    async def step_next(self) -> Die | None:
        return await self.step_first()

    async def position(self) -> Die:
        x, y = await self._query(":mov:prob:abs:die?", lambda text: integers(text, 2))
        (subsite,) = await self._query(":mov:prob:abs:subs?", lambda text: integers(text, 1))
        return Die(x, y, subsite)

    async def clean_needles(self) -> None:
        raise EquipmentError(f"{self.name}: no command is known that cleans the needles")

    # -- the map
    async def dies(self) -> tuple[Die, ...]:
        """Return the dies of the probe plan that are marked for test; EquipmentError without a plan."""
        try:
            (count,) = await self._query(f":prob:ntes? {CHUCK}", lambda text: integers(text, 1))
        except ProtocolError as error:
            raise EquipmentError(f"{self.name}: is a probe plan loaded at the station? {error}") from error
        found = list[Die]()
        for index in range(1, count + 1):
            x, y = await self._query(f":prob:die:loc? {index}", lambda text: integers(text, 2))
            found.append(Die(x, y))
        return tuple(found)

    async def mark(self, bins: Mapping[Die, int]) -> None:
        del bins
        raise EquipmentError(f"{self.name}: has no bins; they stand in hardbin's own map")

    async def load_map(self, name: str) -> None:
        raise EquipmentError(f"{self.name}: load the plan {name!r} at the station")

    async def read_map(self) -> Mapping[Die, int | None]:
        return dict.fromkeys(await self.dies())

    # -- temperature
    async def start_heater(self, celsius: float) -> None:
        await self._move(f":ther:temp:sett {celsius:g}")
        await self._move(":ther:acti")

    async def temperature(self) -> float:
        return await self._query(":ther:temp:curr?", number)

    async def soaked(self) -> bool:
        """Tell that it may be: the station says nothing of a soak."""
        return True

    # -- one line
    async def _move(self, command: str) -> None:
        """Send a command; InstrumentError if what comes back is the text of an error.

        A completion that is cut short, empty or lost is no error: contact, die or temperature are asked next.
        """
        try:
            reply = await self._wire.ask(command, timeout_s=MOVE_S)
        except Silent as silence:
            log.warning("%s: %s", self.name, silence)
            return
        if not completed(reply):
            raise self._refused(command, reply)

    def _refused(self, command: str, reply: str) -> InstrumentError:
        self.heard(AlarmRaised("", reply))
        return InstrumentError(1, f"{self.name}: {command}: {reply}")

    async def _query(self, query: str, read: Callable[[str], T]) -> T:
        """Ask until the answer can be read: one that is empty or cut short says "not ready"."""
        fault: EquipmentError | None = None
        for attempt in range(ASK_TRIES):
            if attempt:
                await asyncio.sleep(RETRY_S)
                await self._port.run(_cleared())
            reply = ""
            try:
                reply = await self._wire.ask(query, timeout_s=QUERY_S)
                return read(reply)
            except (Silent, ProtocolError) as error:
                fault = error
            if nucleus.is_error(reply):
                raise self._refused(query, reply)
        raise ProtocolError(f"{self.name}: no answer to {query} in {ASK_TRIES} tries: {fault}")


def _drained() -> Conversation[None]:
    """Take the answer to the choice of answers, if it has one: that is not known."""
    try:
        yield Read(GLIMPSE_S)
    except Silent as silence:
        yield from clear_after(silence)


def _cleared() -> Conversation[None]:
    yield Clear()
