"""Accretech (TSK) UF200, UF3000 and AP probers on GPIB: the prober speaks first, by service request.

Ref: SweepMe instrument-drivers, UF series; the widths of coordinates: QCoDeS driver of the UF200R.

Each command that moves ends with a status byte that says what has happened; when it does not come, the prober
is asked where it is, and nothing is sent twice. How bins are coded is a profile that the user fills in.
"""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Literal

from drivers.errors import EquipmentError, InstrumentError, ProtocolError
from drivers.links.prober_options import ProberOptions
from drivers.links.probing import ProbingMachine
from drivers.links.requests import Noticed, Requests
from drivers.protocols import accretech
from drivers.protocols.accretech import BinProfile, ChuckState, Place, Stb, place, temperatures
from drivers.roles.happening import AlarmRaised, CassetteEnded, Paused, Resumed, StartedByOperator
from drivers.roles.probe_card import Landing
from drivers.roles.prober import Die, LotData, StepMode
from drivers.roles.resource import Identity
from drivers.transports import Port

QUERY_S, Z_S, MOVE_S, SENSE_S, ALIGN_S, END_S, LOAD_S = 5.0, 5.0, 30.0, 30.0, 60.0, 180.0, 300.0
MOST_BINS = 32768
ON_WAFER_SLOT = "1"
"""State of a slot whose wafer waits for its test."""


class AccretechOptions(ProberOptions, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a station file may say of a UF or AP."""

    coordinates: Literal[3, 4] = 3
    """Characters of a coordinate, a setting of the prober; another one is refused at connect."""
    control_map: str = ""
    """File of the dies to be probed (`.MDF`); `tester_master` needs one."""
    bin_profile: BinProfile | None = None
    """How bins are coded; without it the prober gets none, and `prober_master` is not possible."""
    mark: bool = False
    align: bool = False
    """A load aligns by itself."""
    wafer_id_query: str = "b"
    clean_command: str = ""
    """What cleans the needles; empty: nothing does."""
    ask_again_s: float = 5.0
    """How often the prober is asked where it is, for a service request that was lost."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.bin_profile is None and (self.mark or self.mode == "prober_master"):
            raise ValueError("mark and prober_master need bin_profile: how this prober codes bins")
        if self.mode == "tester_master" and not self.control_map:
            raise ValueError("tester_master needs control_map: the file that names the dies")
        if self.ask_again_s <= 0:
            raise ValueError(f"ask_again_s {self.ask_again_s:g}: more than 0 is allowed")


class AccretechUf(ProbingMachine):
    """One prober. It is asked whether it is in contact, and listened to before each move."""

    Options = AccretechOptions
    port = Port
    modes: frozenset[StepMode] = frozenset({"prober_master", "tester_master"})

    def __init__(self, name: str, port: Port, options: AccretechOptions) -> None:
        super().__init__(name, options)
        self._options = options
        self.requests = Requests(port, sends=accretech.ENDS, ask_again_s=options.ask_again_s)
        self._port = port
        self._map: tuple[Die, ...] = ()
        self._subsite = 0
        self._raised = False
        """Whether it was told to raise the chuck, and has not lowered it since."""
        self._stepped_already: int | None = None
        profile = options.bin_profile
        self.hard_bins = frozenset(range(MOST_BINS)) if profile is None else profile.bins
        self.knows_dies = bool(options.control_map)
        self.can_clean = bool(options.clean_command)

    # -- the machine
    async def connect(self) -> None:
        """Open it, try its service requests, learn how wide coordinates are. Nothing moves."""
        self._forget_lot()
        self._map = self._read_control_map()
        await self._port.open()
        await self._do(f"STB{Stb.LOOP_BACK:03d}", {Stb.LOOP_BACK}, QUERY_S)
        if (await self._ask("ms", "ms")) == "E":
            raise await self._alarm()
        await self._place("Q")

    def _read_control_map(self) -> tuple[Die, ...]:
        if not (path := self._options.control_map):
            return ()
        try:
            text = Path(path).read_text("latin-1")
            return tuple(Die(x, y) for x, y in accretech.control_map(text))
        except (OSError, ProtocolError) as error:
            raise EquipmentError(f"{self.name}: control_map {path}: {error}") from error

    async def identify(self) -> Identity:
        version = await self._ask("PV", "PV")
        return Identity("Accretech", version[:6].strip(), await self._ask("B", "B"), version[6:].strip())

    async def make_safe(self) -> None:
        """Lower the chuck, whatever the prober has said meanwhile."""
        await self._lower(self._overheard)

    async def reset(self) -> None:
        """Clear an alarm."""
        await self._do("es", {Stb.ALARM_RESET}, QUERY_S)

    async def raw(self, command: str) -> str:
        """Send an engineer's query and return its answer."""
        return await self.requests.wire.ask(command, timeout_s=QUERY_S)

    async def aclose(self) -> None:
        await self._port.aclose()

    # -- wafers
    async def slots(self, cassette: int) -> tuple[int, ...]:
        await self._do("jw", {Stb.NORMAL}, SENSE_S)
        found = accretech.slots(await self.requests.wire.ask("w", timeout_s=QUERY_S))[cassette]
        if not found:
            raise EquipmentError(f"{self.name}: there is no cassette {cassette}")
        return tuple(slot for slot, state in enumerate(found, start=1) if state == ON_WAFER_SLOT)

    async def load(self, cassette: int, slot: int) -> None:
        ended = await self._do(f"j2{cassette}{slot:02d}", {Stb.FIRST_DIE, Stb.LOT_END}, LOAD_S)
        if ended == Stb.LOT_END:
            raise EquipmentError(f"{self.name}: no wafer in slot {slot} of cassette {cassette}")

    async def unload(self) -> None:
        await self._do("U", {Stb.UNLOADED}, LOAD_S)

    async def end_lot(self) -> None:
        """End the lot at once: the prober brings the wafer back."""
        if self._place_of_wafer is not None:
            await self._do("jv", {Stb.LOT_END}, END_S)
            self._forget_lot()

    async def align(self) -> None:
        await self._do("N1", {Stb.ALIGNED}, ALIGN_S)

    async def occupied(self) -> bool:
        return (await self._chuck()).occupied

    async def wafer_id(self) -> str:
        query = self._options.wafer_id_query
        return await self._ask(query, query)

    async def lot_info(self) -> LotData:
        return LotData(product=await self._ask("ku", "ku"), operator=await self._ask("OP", "OP"))

    # -- moving
    async def _chuck(self) -> ChuckState:
        return ChuckState.decode(await self.requests.wire.ask("S1", timeout_s=QUERY_S))

    async def contact(self) -> bool:
        await self.requests.drain(self._noticed)
        self._raised = True
        await self._do("Z", {Stb.UP}, Z_S, self._is_up)
        return (await self._chuck()).in_contact

    async def separate(self) -> None:
        """Lower the chuck if it was raised or says that it is up: without contact it says no, and is up."""
        await self._lower(self._noticed)

    async def _lower(self, noticed: Noticed) -> None:
        if not (await self._chuck()).in_contact and not self._raised:
            return
        await self.requests.done("D", {Stb.DOWN}, timeout_s=Z_S, noticed=noticed, check=self._is_down)
        if (await self._chuck()).in_contact:
            raise EquipmentError(f"{self.name}: told to separate, and still in contact")
        self._raised = False

    async def _is_up(self) -> int | None:
        return Stb.UP if (await self._chuck()).in_contact else None

    async def _is_down(self) -> int | None:
        return None if (await self._chuck()).in_contact else Stb.DOWN

    async def step_to(self, x: int, y: int, subsite: int = 0) -> None:
        await self.separate()
        try:
            where = place(x, y, self._options.coordinates)
        except ValueError as error:
            raise EquipmentError(f"{self.name}: {error}") from None
        self._subsite = subsite
        command = f"JS{where}S{subsite:03d}" if subsite else f"J{where}"
        wanted = Die(x, y, subsite)

        async def there() -> int | None:
            return Stb.DIE_DONE if await self.position() == wanted else None

        if await self._do(command, {Stb.DIE_DONE, Stb.OUTSIDE}, MOVE_S, there) == Stb.OUTSIDE:
            raise EquipmentError(f"{self.name}: {wanted} is outside of the probing area: no test")
        if (found := await self.position()) != wanted:
            raise EquipmentError(f"{self.name}: sent to {wanted}, stands on {found}: no test")

    async def step_first(self) -> Die | None:
        """The prober stands on its first die after a load; otherwise it is sent there."""
        await self.separate()
        self._subsite = 0
        first = await self._place("q")
        if Die(first.x, first.y) != await self.position():
            await self._do("G", {Stb.FIRST_DIE}, MOVE_S)
        return await self.position()

    async def step_next(self) -> Die | None:
        ended, self._stepped_already = self._stepped_already, None
        if ended is None:
            await self.separate()
            ended = await self._do("J", {Stb.DIE_DONE, Stb.WAFER_END}, MOVE_S, await self._moved_on())
        return None if ended == Stb.WAFER_END else await self.position()

    async def _moved_on(self) -> Callable[[], Awaitable[int | None]]:
        """Return how to ask whether it has left this die."""
        before = await self.position()

        async def elsewhere() -> int | None:
            return Stb.DIE_DONE if await self.position() != before else None

        return elsewhere

    async def position(self) -> Die:
        found = await self._place("QS" if self._subsite else "Q")
        return Die(found.x, found.y, found.subsite)

    async def sites_on_wafer(self) -> frozenset[int]:
        found = accretech.on_wafer(await self.requests.wire.ask("O", timeout_s=QUERY_S))
        if strange := found - self._settings.sites:
            raise EquipmentError(
                f"{self.name}: names sites {sorted(strange)}, which the card does not have: no test"
            )
        return found

    async def clean_needles(self) -> None:
        if not self._options.clean_command:
            raise EquipmentError(f"{self.name}: no clean_command is named in its options")
        await self._do(self._options.clean_command, {Stb.CLEANED}, ALIGN_S)

    # -- bins and maps
    async def finish(self, landing: Landing, bins: Mapping[int, int]) -> None:
        """Tell the bins of all sites in one command, with the chuck where the profile wants it."""
        profile = self._options.bin_profile
        if profile is None or not self._options.mark:
            await self.separate()
            return
        if profile.chuck == "down":
            await self.separate()
        await self._do(profile.encode(bins, len(self._settings.sites)), profile.done_stb, MOVE_S)
        if profile.counts_for_next:
            ends = {Stb.DIE_DONE, Stb.WAFER_END}
            self._stepped_already = await self.requests.ended(
                profile.command, ends, timeout_s=MOVE_S, noticed=self._noticed
            )
        if profile.chuck == "up":
            await self.separate()

    async def dies(self) -> tuple[Die, ...]:
        return self._map

    async def mark(self, bins: Mapping[Die, int]) -> None:
        del bins
        raise EquipmentError(f"{self.name}: bins are told for the dies in contact only, by sort")

    async def load_map(self, name: str) -> None:
        raise EquipmentError(f"{self.name}: no command is known that takes map {name!r}")

    async def read_map(self) -> Mapping[Die, int | None]:
        raise EquipmentError(f"{self.name}: no command is known that tells the bins of its map")

    # -- temperature
    async def start_heater(self, celsius: float) -> None:
        try:
            command = accretech.temperature(celsius)
        except ValueError as error:
            raise EquipmentError(f"{self.name}: {error}") from None
        await self._do(command, {Stb.TEMPERATURE_TAKEN}, QUERY_S)

    async def temperature(self) -> float:
        return temperatures(await self.requests.wire.ask("f", timeout_s=QUERY_S))[0]

    async def soaked(self) -> bool:
        """The prober does not tell; the soak of `set_temperature` is all there is."""
        return True

    # -- one command
    async def _do(
        self,
        command: str,
        ends: set[Stb] | tuple[int, ...],
        timeout_s: float,
        check: Callable[[], Awaitable[int | None]] | None = None,
    ) -> int:
        return await self.requests.done(
            command, ends, timeout_s=timeout_s, noticed=self._noticed, check=check
        )

    async def _ask(self, query: str, letters: str) -> str:
        reply = await self.requests.wire.ask(query, timeout_s=QUERY_S)
        if not reply.startswith(letters):
            raise ProtocolError(f"{self.name}: {reply!r} is no answer to {query}")
        return reply[len(letters) :]

    async def _place(self, query: str) -> Place:
        found = Place.decode(await self.requests.wire.ask(query, timeout_s=QUERY_S), query)
        if query != "QS" and found.width != self._options.coordinates:
            raise EquipmentError(
                f"{self.name}: writes coordinates with {found.width} characters, configured are "
                f"{self._options.coordinates}"
            )
        return found

    # -- what nobody waited for
    async def _noticed(self, status: int) -> None:
        """Deal with a status byte that no command waits for; raise if nothing may be tested after it."""
        match status:
            case Stb.ERROR:
                raise await self._alarm()
            case Stb.ABNORMAL | Stb.REJECTED | Stb.CONTINUOUS_FAIL:
                name = Stb(status).name.lower().replace("_", " ")
                self.heard(AlarmRaised(str(status), name))
                raise InstrumentError(status, f"{self.name}: {name}")
            case Stb.UP if not self._raised and (await self._chuck()).in_contact:
                self.heard(StartedByOperator())
                found = await self.position()
                raise EquipmentError(f"{self.name}: somebody has raised the chuck, on {found}: no test")
            case Stb.WARNING:
                self.heard(AlarmRaised(*await self._trouble()))
            case Stb.CASSETTE_END:
                self.heard(CassetteEnded(self._place_of_wafer[0] if self._place_of_wafer else 0))
            case Stb.STOPPED:
                self.heard(Paused())
                if self.requests.deadline is not None:
                    self.requests.deadline.stop()
            case Stb.STARTED:
                self.heard(Resumed())
                if self.requests.deadline is not None:
                    self.requests.deadline.restart()

    async def _overheard(self, status: int) -> None:
        with suppress(EquipmentError):
            await self._noticed(status)

    async def _trouble(self) -> tuple[str, str]:
        """Ask for code and text of what is wrong."""
        return await self._ask("E", "E"), (await self._ask("e", "e")).strip()

    async def _alarm(self) -> InstrumentError:
        code, text = await self._trouble()
        meaning = accretech.ERRORS.get(code, text)
        self.heard(AlarmRaised(code, meaning))
        return InstrumentError(Stb.ERROR, f"{self.name}: {code} {meaning}")
