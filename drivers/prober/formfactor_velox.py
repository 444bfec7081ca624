"""FormFactor (Cascade, SUSS) probe stations under Velox, over TCP or GPIB.

Ref: FormFactor Velox Python SDK 2025; over GPIB: public code for SUSS PA300 and Cascade CM300.

Over TCP several clients share the server, so an answer is known by the number of its command. Bins are
written die by die with `BinMapDie`, never with a step: its answer at the end says nothing of the bin.
"""

from collections.abc import Mapping
from contextlib import suppress

from drivers.errors import EquipmentError, InstrumentError
from drivers.links.prober_options import ProberOptions
from drivers.links.wire import wire
from drivers.links.wired_prober import WiredProber
from drivers.protocols import velox
from drivers.protocols.velox import Command, Reply, integers, numbers, slots, values
from drivers.roles.happening import AlarmRaised, VacuumLost
from drivers.roles.prober import Die, LotData, StepMode
from drivers.roles.resource import Identity
from drivers.transports import Port, Stream

QUERY_S, MAP_S, HEAT_S, MOVE_S, MOVE_Z_S, ALIGN_S, LOAD_S, UNLOAD_S, STEP_S = (
    *(5.0, 10.0, 60.0, 30.0, 60.0, 120.0),
    *(600.0, 1800.0, 6000.0),
)
"""The server's own time-outs."""
UNENDED_S = 0.5
VACUUM_FIELD = 5
PRESENT = "Present"


class VeloxOptions(ProberOptions, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a station file may say of a Velox."""

    bins: int = 256
    """How many bins the prober's map has, from 0."""
    angle: float = 0.0
    """Orientation of the wafer on the chuck, degrees."""
    cleaning: str = ""
    """Name of the cleaning sequence; empty: there is none, and no cleaning."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.bins < 1:
            raise ValueError(f"bins {self.bins}: 1 or more is allowed")


class FormFactorVelox(WiredProber):
    """One probe station."""

    Options = VeloxOptions
    port = Port | Stream
    modes: frozenset[StepMode] = frozenset({"prober_master", "tester_master"})

    def __init__(self, name: str, port: Port | Stream, options: VeloxOptions) -> None:
        super().__init__(name, wire(port, unended_s=UNENDED_S), options)
        self._options = options
        self._enveloped = isinstance(port, Stream)
        self._id = 1
        self._greeted = False
        self.can_clean = bool(options.cleaning)
        self.hard_bins = frozenset(range(options.bins))

    # -- the machine
    async def connect(self) -> None:
        """Register, take it into remote mode, look for its wafer map. Nothing moves."""
        self._forget_lot()
        await self.begin()
        (registered,) = integers(await self._command("IsAppRegistered", "WaferMap"), 1)
        if not registered:
            raise EquipmentError(f"{self.name}: the WaferMap application does not run")

    async def greet(self) -> None:
        self._id = 1
        if self._enveloped:
            await self._wire.ask("FCN=1:RegisterProberApp:hardbin hardbin 0", timeout_s=QUERY_S)
        await self._command("SetExternalMode", "R")
        self._greeted = True

    async def identify(self) -> Identity:
        version, text = (*values(await self._command("ReportKernelVersion", "K")), "", "")[:2]
        return Identity("FormFactor", text, firmware=version)

    async def raw(self, command: str) -> str:
        """Send an engineer's command, `Name parameters`; return the values of its reply."""
        name, _, parameters = command.partition(" ")
        return await self._command(name, parameters, timeout_s=MOVE_S)

    async def aclose(self) -> None:
        """Give it back to its operator, as far as it listens."""
        if self._greeted and not self._wire.broken:
            self._greeted = False
            with suppress(EquipmentError):
                await self._command("SetExternalMode", "L")
        await super().aclose()

    async def abort(self) -> None:
        await self._command("StopAllMovements")
        await self.separate()

    # -- wafers
    async def slots(self, cassette: int) -> tuple[int, ...]:
        found = slots(await self._command("GetCassetteStatus", str(cassette), timeout_s=MOVE_S))
        if not found:
            raise EquipmentError(f"{self.name}: there is no cassette {cassette}")
        return tuple(entry.slot for entry in found if entry.status == PRESENT)

    async def load(self, cassette: int, slot: int) -> None:
        self.wafer_changed()
        await self._command("LoadWafer", f"{cassette} {slot} {self._options.angle:g}", timeout_s=LOAD_S)
        status = values(await self._command("ReadChuckStatus"))
        if not integers(" ".join(status[VACUUM_FIELD:]), 1)[0]:
            self.heard(VacuumLost())
            raise EquipmentError(f"{self.name}: the wafer of slot {slot} is on the chuck without vacuum")

    async def unload(self) -> None:
        await self._command("UnloadWafer", timeout_s=UNLOAD_S)
        self._separated = False

    async def occupied(self) -> bool:
        return bool(integers(await self._command("ReadWaferStatus"), 1)[0])

    async def align(self) -> None:
        """Run the station's recipe for the wafer; for one that was put there by hand, align it."""
        if self._options.loader:
            await self._command("ProcessWafer", "Prober", timeout_s=ALIGN_S)
        else:
            await self._command("AlignWafer", timeout_s=ALIGN_S)

    async def wafer_id(self) -> str:
        return " ".join(values(await self._command("GetWaferID", timeout_s=MAP_S)))

    async def lot_info(self) -> LotData:
        _, _, _, lot, product = (*values(await self._command("QueryWaferInfo")), "", "", "", "", "")[:5]
        return LotData(lot=lot, product=product)

    # -- moving
    async def make_safe(self) -> None:
        """Separate; with an empty chuck, where that is refused, the height is read only."""
        if self._wire.broken:
            await self.begin()
        if await self.occupied():
            await super().make_safe()
        elif not await self._below_contact(await self._height()):
            raise EquipmentError(f"{self.name}: the chuck is empty, and as high as in contact")

    async def drive(self, *, up: bool) -> float:
        await self._command("MoveChuckContact" if up else "MoveChuckSeparation", timeout_s=MOVE_Z_S)
        return await self._height()

    async def _height(self) -> float:
        _, _, z = numbers(await self._command("ReadChuckPosition", "Y Z"), 3)
        return z

    async def ask_contact_height(self) -> float:
        (height,) = numbers(await self._command("ReadChuckHeights", "Y"), 1)
        if height == -1:
            raise EquipmentError(f"{self.name}: the contact height is not set")
        return height

    async def step_to(self, x: int, y: int, subsite: int = 0) -> None:
        await self.apart()
        await self._step("StepNextDie", f"{x} {y} {subsite}")
        if (found := await self.position()) != (wanted := Die(x, y, subsite)):
            raise EquipmentError(f"{self.name}: sent to {wanted}, stands on {found}: no test")

    async def step_first(self) -> Die | None:
        await self.apart()
        return await self._step("StepFirstDie", "1 1")

    async def step_next(self) -> Die | None:
        await self.apart()
        return await self._step("StepNextDie")

    async def _step(self, name: str, parameters: str = "") -> Die | None:
        reply = await self._exchange(name, parameters, STEP_S, velox.END_OF_WAFER)
        if reply.code:
            return None
        x, y, subsite = integers(reply.text, 3)
        return Die(x, y, max(subsite, 0))

    async def position(self) -> Die:
        x, y, _, _, subsite = integers(await self._command("ReadMapPosition2", "0 R", timeout_s=MAP_S), 5)
        return Die(x, y, max(subsite, 0))

    async def clean_needles(self) -> None:
        if not self._options.cleaning:
            raise EquipmentError(f"{self.name}: no cleaning sequence is named in its options")
        name = f'"{self._options.cleaning}"'
        await self._command("ExecuteCleaningSequence", name, timeout_s=UNLOAD_S)

    # -- the map
    async def dies(self) -> tuple[Die, ...]:
        (count,) = integers(await self._command("GetNumSelectedDies", timeout_s=MAP_S), 1)
        places = [
            await self._command("GetSelectedDieCoords", str(number), timeout_s=MAP_S)
            for number in range(1, count + 1)
        ]
        return tuple(Die(*integers(place, 2)) for place in places)

    async def mark(self, bins: Mapping[Die, int]) -> None:
        for die, number in bins.items():
            name, site = ("BinSubDie", f" {die.subsite}") if die.subsite else ("BinMapDie", "")
            await self._command(name, f"{number} {die.x} {die.y}{site}", timeout_s=MOVE_S)

    async def load_map(self, name: str) -> None:
        await self._command("OpenWaferMap", name, timeout_s=240.0)

    async def read_map(self) -> Mapping[Die, int | None]:
        found = dict[Die, int | None]()
        (count,) = integers(await self._command("GetNumSelectedDies", timeout_s=MAP_S), 1)
        for number in range(1, count + 1):
            data = await self._command("GetDieDataAsNum", str(number), timeout_s=MAP_S)
            _, x, y, bin_ = integers(data, 4)
            found[Die(x, y)] = bin_ if bin_ >= 0 else None
        return found

    # -- temperature
    async def start_heater(self, celsius: float) -> None:
        await self._command("SetHeaterTemp", f"{celsius:.2f} C", timeout_s=HEAT_S)

    async def temperature(self) -> float:
        return numbers(await self._command("GetHeaterTemp", "C", timeout_s=HEAT_S), 1)[0]

    async def soaked(self) -> bool:
        """Tell whether no soak time is left."""
        status = values(await self._command("ReadTemperatureChuckStatus", timeout_s=HEAT_S))
        return numbers(" ".join(status[2:]), 1)[0] == 0

    # -- one command
    async def _command(self, name: str, parameters: str = "", *, timeout_s: float = QUERY_S) -> str:
        return (await self._exchange(name, parameters, timeout_s)).text

    async def _exchange(self, name: str, parameters: str, timeout_s: float, *expected: int) -> Reply:
        """Return the reply; InstrumentError unless it is ok, or one of the errors that are expected."""
        self._id = self._id % velox.MOST_IDS + 1
        command = Command(self._id, name, parameters)
        if self._enveloped:
            mine = f"Rsp={command.id}:"
            line = await self._wire.ask(
                command.encode(), timeout_s=timeout_s, mine=lambda line: line.startswith(mine)
            )
            reply = Reply.decode(line)
        else:
            reply = Reply.decode_bare(await self._wire.ask(command.bare(), timeout_s=timeout_s))
        if reply.code and reply.code not in expected:
            self.heard(AlarmRaised(str(reply.code), reply.text))
            raise InstrumentError(reply.code, f"{self.name}: {command.bare()}: {reply.text or 'no text'}")
        return reply
