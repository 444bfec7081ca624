"""MPI probe stations under SENTIO: one line for each command, one line back, over TCP or a bus.

Ref: sentio-prober-control 26.2, the maker's Python bindings and their tests.

Bins are written die by die with `set_bin`,
never with a step: what a step answers at the end of the route says nothing of the bin.
"""

import asyncio
import re
from collections.abc import Mapping

from drivers.errors import EquipmentError, InstrumentError, ProtocolError
from drivers.links.prober_options import ProberOptions
from drivers.links.wire import wire
from drivers.links.wired_prober import WiredProber
from drivers.protocols import sentio
from drivers.protocols.sentio import Reply, Version, integers, numbers
from drivers.roles.happening import AlarmRaised, VacuumLost
from drivers.roles.prober import Die, LotData, StepMode
from drivers.roles.resource import Identity
from drivers.transports import Port, Stream

QUERY_S, MOVE_S, LOAD_S, CLEAN_S, INITIALISE_S = 5.0, 30.0, 300.0, 120.0, 300.0
POLL_S = 1.0


class SentioOptions(ProberOptions, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a station file may say of a SENTIO."""

    angle: float | None = None
    """Orientation of the wafer on the chuck, degrees; none: as the project has it."""


class MpiSentio(WiredProber):
    """One probe station."""

    Options = SentioOptions
    port = Port | Stream
    modes: frozenset[StepMode] = frozenset({"prober_master", "tester_master"})

    def __init__(self, name: str, port: Port | Stream, options: SentioOptions) -> None:
        super().__init__(name, wire(port), options)
        self._options = options
        self._version = Version(0, 0)
        self._last = False

    # -- the machine
    async def connect(self) -> None:
        """Open it, choose the native commands, learn release and bins. Nothing moves."""
        self._forget_lot()
        await self.begin()
        status = await self._command("status:get_machine_status")
        if "Ready" not in status.split(","):
            raise EquipmentError(f"{self.name}: says {status!r}; it must be ready")
        (bins,) = integers(await self._command("map:bins:get_num_bins"), 1)
        self.hard_bins = frozenset(range(bins))

    async def greet(self) -> None:
        await self._wire.say("*RCS 1")
        text = await self._command("status:get_version")
        if (found := re.search(r"Version:\s*(\d+)\.(\d+)(?:\.(\d+))?", text)) is None:
            raise ProtocolError(f"{self.name}: {text!r} names no version")
        self._version = Version(*(int(part) for part in found.groups(default="0")))
        await self._command("set_stepping_contact_mode StepToSeparation")

    async def identify(self) -> Identity:
        fields = (await self._wire.ask("*IDN?", timeout_s=QUERY_S)).split(",")
        maker, model, serial, firmware = (*(field.strip() for field in fields), "", "", "", "")[:4]
        return Identity(maker, model, "" if serial == "0" else serial, firmware)

    async def reset(self) -> None:
        """Initialise all axes; wait for the end, and abort it when it takes too long."""
        reply = await self._exchange("start_initialization", QUERY_S)
        for _ in range(int(INITIALISE_S / POLL_S)):
            status = await self._exchange(f"query_command_status {reply.id}", QUERY_S, sentio.PENDING)
            if status.error != sentio.PENDING:
                return
            await asyncio.sleep(POLL_S)
        await self._command(f"abort_command {reply.id}")
        raise EquipmentError(f"{self.name}: not initialised within {INITIALISE_S:g} s; it was aborted")

    async def raw(self, command: str) -> str:
        """Send an engineer's command and return its line; those with `*` but without `?` have none."""
        if command.startswith("*") and "?" not in command:
            await self._wire.say(command)
            return ""
        return await self._wire.ask(command, timeout_s=MOVE_S)

    # -- wafers
    async def slots(self, cassette: int) -> tuple[int, ...]:
        station = sentio.cassette(cassette)
        present, _ = integers(await self._command(f"loader:has_cassette {station}"), 2)
        if not present:
            raise EquipmentError(f"{self.name}: there is no cassette {cassette}")
        found = await self._command(f"loader:scan_station {station}", LOAD_S)
        if not set(found) <= {"0", "1"}:
            raise ProtocolError(f"{self.name}: {found!r} is no list of slots")
        return tuple(slot for slot, there in enumerate(found, start=1) if there == "1")

    async def load(self, cassette: int, slot: int) -> None:
        angle = "" if self._options.angle is None else f", {self._options.angle:g}"
        self.wafer_changed()
        await self._command(f"loader:load_wafer {sentio.cassette(cassette)}, {slot}{angle}", LOAD_S)
        (vacuum,) = integers(await self._command("get_vacuum_status Wafer"), 1)
        if not vacuum:
            self.heard(VacuumLost())
            raise EquipmentError(f"{self.name}: the wafer of slot {slot} is on the chuck without vacuum")

    async def unload(self) -> None:
        await self._command("loader:unload_wafer", LOAD_S)

    async def occupied(self) -> bool:
        status = await self._exchange("loader:query_wafer_status chuck, 1", QUERY_S, sentio.SLOT_EMPTY)
        return status.error == 0

    async def align(self) -> None:
        await self._command("vis:align_wafer", LOAD_S)

    async def wafer_id(self) -> str:
        return await self._command("loader:query_wafer_id chuck, 1")

    async def lot_info(self) -> LotData:
        return LotData(product=await self._command("get_project Name"))

    # -- moving
    async def drive(self, *, up: bool) -> float:
        command = "move_chuck_contact" if up else "move_chuck_separation "
        return numbers(await self._command(command, MOVE_S), 1)[0]

    async def ask_contact_height(self) -> float:
        return numbers(await self._command("get_chuck_site_heights Wafer"), 1)[0]

    async def step_to(self, x: int, y: int, subsite: int = 0) -> None:
        await self.apart()
        await self._step(f"map:step_die {x}, {y}, {subsite}")
        if (found := await self.position()) != (wanted := Die(x, y, subsite)):
            raise EquipmentError(f"{self.name}: sent to {wanted}, stands on {found}: no test")

    async def step_first(self) -> Die | None:
        self._last = False
        await self.apart()
        return await self._step("map:step_first_die 0")

    async def step_next(self) -> Die | None:
        if self._last:
            return None
        await self.apart()
        return await self._step("map:step_next_die")

    async def _step(self, command: str) -> Die | None:
        reply = await self._exchange(command, MOVE_S, sentio.END_OF_ROUTE_PASSED)
        if reply.error:
            return None
        self._last = bool(reply.status & sentio.END_OF_ROUTE)
        return Die(*integers(reply.text, 3))

    async def position(self) -> Die:
        _, x, y = integers(await self._command("map:die:get_current_index"), 3)
        (subsite,) = integers(await self._command("map:die:get_current_subsite"), 1)
        return Die(x, y, subsite)

    async def clean_needles(self) -> None:
        await self._command("aux:cleaning:start", CLEAN_S)

    # -- the map
    async def dies(self) -> tuple[Die, ...]:
        (count,) = integers(await self._command("map:get_num_dies Selected"), 1)
        places = [await self._command(f"map:path:get_die {number}") for number in range(count)]
        return tuple(Die(*integers(place, 2)) for place in places)

    async def mark(self, bins: Mapping[Die, int]) -> None:
        for die, number in bins.items():
            subsite = f", {die.subsite}" if die.subsite else ""
            await self._command(f"map:bins:set_bin {number}, {die.x}, {die.y}{subsite}")

    async def load_map(self, name: str) -> None:
        await self._command(f"map:open {name}", MOVE_S)

    async def read_map(self) -> Mapping[Die, int | None]:
        found = dict[Die, int | None]()
        for die in await self.dies():
            (number,) = integers(await self._command(f"map:bins:get_bin {die.x}, {die.y}"), 1)
            found[die] = number if number >= 0 else None
        return found

    # -- temperature
    async def start_heater(self, celsius: float) -> None:
        await self._command(f"status:set_chuck_temp {celsius:.2f}, False")

    async def temperature(self) -> float:
        return numbers(await self._command("status:get_chuck_temp"), 1)[0]

    async def soaked(self) -> bool:
        state = (await self._command("status:get_chuck_thermo_state")).split(",")[0].strip().lower()
        if state in ("error", "uncontrolled"):
            raise EquipmentError(f"{self.name}: the chuck's temperature is in state {state!r}")
        return state == "controlling"

    # -- one command
    async def _command(self, text: str, timeout_s: float = QUERY_S) -> str:
        return (await self._exchange(text, timeout_s)).text

    async def _exchange(self, text: str, timeout_s: float, *expected: int) -> Reply:
        """Return the reply; InstrumentError unless it is ok, or one of the errors that are expected."""
        reply = Reply.decode(await self._wire.ask(text, timeout_s=timeout_s))
        if reply.error and reply.error not in expected:
            raise self._refused(text, reply)
        return reply

    def _refused(self, command: str, reply: Reply) -> InstrumentError:
        meaning = sentio.ERRORS.get(reply.error, "not named in the bindings")
        self.heard(VacuumLost() if reply.error == sentio.VACUUM else AlarmRaised(str(reply.error), meaning))
        return InstrumentError(reply.error, f"{self.name}: {command.strip()}: {meaning} ({reply.text})")
