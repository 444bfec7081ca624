"""A simulated probe station under Velox: the commands of the table of its page, over TCP and GPIB.

Follows the FormFactor Velox Python SDK 2025; codes from 9001 and their texts are of this simulator alone.
"""

from collections.abc import Callable, Mapping
from typing import TypeAlias

from drivers.errors import ProtocolError
from drivers.protocols import velox
from drivers.protocols.velox import Command, Reply, SlotStatus
from sim.lines import Talker
from sim.prober.stage import LOADER_KNOBS, SLOTS, STAGE_KNOBS, Move, Reason, RefusedMove, Spot, Stage, State

CONTACT_UM, GAP_UM, SHORT_UM = 10000.0, 300.0, 50.0
UNKNOWN = 9001
TEXTS: Mapping[Reason, tuple[int, str]] = {
    Reason.NO_WAFER: (9002, "the chuck does not have a wafer"),
    Reason.CHUCK_OCCUPIED: (9003, "there is a wafer on the chuck"),
    Reason.IN_CONTACT: (9004, "the chuck is in contact"),
    Reason.SLOT_EMPTY: (9005, "the slot is empty"),
    Reason.SLOT_OCCUPIED: (9006, "the slot is occupied"),
    Reason.NO_CASSETTE: (9007, "no cassette"),
    Reason.BAD_SLOT: (9008, "no such slot"),
    Reason.OUTSIDE: (9009, "outside of the probing area"),
    Reason.END_OF_ROUTE: (velox.END_OF_WAFER, "End of wafer"),
    Reason.DOOR_OPEN: (9010, "a door is open"),
    Reason.VACUUM: (9011, "Vacuum time-out"),
    Reason.NO_CONTACT_HEIGHT: (9012, "the contact height is not set"),
    Reason.LOADER: (9013, "the loader has lost the wafer"),
}
Ends: TypeAlias = tuple[float, float]
Handle: TypeAlias = Callable[[list[str]], str]


class Failure(Exception):  # noqa: N818 - what it is
    """An error reply."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


class FormFactorVelox(Talker):
    """One probe station with its cassettes; `enveloped` over TCP, bare over GPIB."""

    knobs = Talker.knobs | STAGE_KNOBS | LOADER_KNOBS | {"alarm", "other_client"}

    def __init__(self, stage: Stage, *, enveloped: bool = True, wafer_map: bool = True) -> None:
        super().__init__(stage.clock, stage.faults)
        self.stage = stage
        self.enveloped = enveloped
        self.wafer_map = wafer_map
        """Whether the WaferMap application runs."""
        self.remote = False
        self._unloaded = False
        t = stage.timing
        self._table: dict[str, tuple[Ends, Handle]] = {
            "StepFirstDie": (t.index_s, lambda _: self._first()),
            "StepNextDie": (t.index_s, self._next),
            "BinStepDie": (t.index_s, self._bin_step),
            "StepToDie": (t.index_s, lambda a: self._stepped(stage.step_to_number(_int(a, 0) - 1))),
            "MoveChuckContact": (t.contact_s, lambda _: self._raise()),
            "MoveChuckSeparation": (t.contact_s, lambda _: self._lower()),
            "LoadWafer": (t.exchange_s, self._load),
            "UnloadWafer": (t.exchange_s, lambda _: self._unload()),
            "ProcessWafer": (t.align_s, lambda _: self._align()),
            "AlignWafer": (t.align_s, lambda _: self._align() + "0.0"),
            "ExecuteCleaningSequence": (t.clean_s, lambda _: ""),
        }
        self._queries: dict[str, Handle] = {
            "SetExternalMode": self._external,
            "StopAllMovements": lambda _: "",
            "EchoData": lambda a: " ".join(a),
            "ReportKernelVersion": lambda _: '3.4 "Velox 3.4.5"',
            "IsAppRegistered": lambda a: str(int(a[:1] == ["WaferMap"] and self.wafer_map)),
            "ReadChuckStatus": lambda _: f"15 16 0 0 0 {int(stage.vacuum)} 0 0 0 0 0",
            "ReadChuckPosition": lambda _: f"0.0 0.0 {self._z():.1f}",
            "ReadChuckHeights": lambda _: self._heights(),
            "ReadWaferStatus": lambda _: str(int(stage.state is not State.EMPTY)),
            "ReadContactCount": lambda _: str(stage.contacts),
            "ReadMapPosition2": lambda _: self._position(),
            "GetNumSelectedDies": lambda _: str(len(stage.dies())),
            "GetSelectedDieCoords": lambda a: "{} {}".format(*self._die(a)),
            "GetDieDataAsNum": self._die_data,
            "BinMapDie": self._bin,
            "BinSubDie": lambda a: self._bin(a) + " 0 0",
            "ClearAllBins": lambda _: self._clear(),
            "OpenWaferMap": lambda _: "",
            "GetWaferID": lambda _: self._wafer_id(),
            "QueryWaferInfo": lambda _: f'200 0 "{self._wafer_id()}" "LOT 1" se1',
            "GetCassetteStatus": self._cassette,
            "SetHeaterTemp": self._heat,
            "GetHeaterTemp": lambda _: f"{stage.heater.told():.1f} C 0",
            "ReadTemperatureChuckStatus": lambda _: f"0 0 {0 if self._soaked() else 60} 0",
        }

    # -- one line
    def seconds(self, line: str) -> float:
        name = line.split(":")[1] if self.enveloped and line.count(":") > 1 else line.partition(" ")[0]
        ends, _ = self._table.get(name, (self.stage.timing.query_s, None))
        return self.stage.between(ends)

    def done(self, line: str) -> str | None:
        if line.startswith("FCN=1:RegisterProberApp:"):
            return "FCN=1:RegisterProberApp:1"
        if not self.enveloped:
            name, _, parameters = line.partition(" ")
            return self._answer(Command(0, name, parameters)).bare()
        try:
            command = Command.decode(line)
        except ProtocolError:
            return None
        answer = self._answer(command).encode()
        if self.faults.strikes("other_client") is not None:
            return f"Rsp={command.id % velox.MOST_IDS + 1}:0:7\n{answer}"
        return answer

    def _answer(self, command: Command) -> Reply:
        _, handle = self._table.get(command.name, (None, self._queries.get(command.name)))
        try:
            if (code := self.faults.strikes("alarm")) is not None:
                raise Failure(int(code or 9099), "alarm")
            if handle is None:
                raise Failure(UNKNOWN, f"{command.name} is not known")
            return Reply(command.id, 0, handle(command.parameters.split()))
        except Failure as failure:
            return Reply(command.id, failure.code, str(failure))
        except RefusedMove as refused:
            number, text = TEXTS[refused.reason]
            return Reply(command.id, int(refused.code or number), text)

    def _external(self, args: list[str]) -> str:
        self.remote = args == ["R"]
        return ""

    # -- stepping
    def _map(self) -> None:
        if not self.wafer_map:
            raise Failure(velox.NO_WAFER_MAP, "WaferMap is not registered")

    def _clear(self) -> str:
        self.stage.bins.clear()
        return ""

    def _first(self) -> str:
        self._clear()
        return self._stepped(self.stage.step_to_number(0))

    def _next(self, args: list[str]) -> str:
        self._map()
        if not args or _int(args, 2) == -1:
            return self._stepped(self.stage.step_to_number(self.stage.index + 1))
        return self._stepped(self.stage.step(_int(args, 0), _int(args, 1), _int(args, 2)))

    def _bin_step(self, args: list[str]) -> str:
        """Bin the die under the card, then step; at the end of the wafer the bin is kept (assumed)."""
        self.stage.mark(self.stage.told.x, self.stage.told.y, _int(args, 0))
        return self._next(args[1:])

    def _stepped(self, spot: Spot) -> str:
        self._map()
        return f"{spot.x} {spot.y} {spot.subsite} 0"

    def _position(self) -> str:
        spot, places = self.stage.spot, self.stage.dies()
        return f"{spot.x} {spot.y} 0 0 {spot.subsite} 0 {self.stage.index + 1} {len(places)} 1 1"

    # -- height
    def _z(self) -> float:
        if self.stage.state is not State.UP:
            return CONTACT_UM - GAP_UM
        return CONTACT_UM if self.stage.touches else CONTACT_UM - SHORT_UM

    def _heights(self) -> str:
        contact = CONTACT_UM if self.stage.contact_height else -1
        return f"{contact:.0f} 0 {GAP_UM:.0f} {GAP_UM:.0f} {GAP_UM:.0f}"

    def _raise(self) -> str:
        self.stage.raise_chuck()
        return ""

    def _lower(self) -> str:
        """Right after an unload it is an error."""
        if self._unloaded or not self.stage.contact_height:
            raise Failure(*TEXTS[Reason.NO_WAFER if self._unloaded else Reason.NO_CONTACT_HEIGHT])
        self.stage.lower_chuck()
        return ""

    # -- the map
    def _die(self, args: list[str]) -> tuple[int, int]:
        places, number = self.stage.dies(), _int(args, 0)
        if not 1 <= number <= len(places):
            raise Failure(*TEXTS[Reason.OUTSIDE])
        return places[number - 1]

    def _die_data(self, args: list[str]) -> str:
        x, y = self._die(args)
        return f'{args[0]} {x} {y} {self.stage.bins.get((x, y), -1)} ""'

    def _bin(self, args: list[str]) -> str:
        place = (_int(args, 1), _int(args, 2)) if len(args) > 1 else self.stage.told[:2]
        if place not in self.stage.dies():
            raise Failure(*TEXTS[Reason.OUTSIDE])
        self.stage.mark(*place, _int(args, 0))
        return f"{place[0]} {place[1]}"

    # -- wafers
    def _load(self, args: list[str]) -> str:
        place = _int(args, 0), _int(args, 1)
        self.stage.load(*(min(self.stage.slots, default=(1, 1)) if place == (-1, -1) else place))
        self._unloaded = False
        return ""

    def _unload(self) -> str:
        self.stage.unload()
        self._unloaded = True
        return ""

    def _align(self) -> str:
        self.stage.move(Move.ALIGN)
        return ""

    def _wafer_id(self) -> str:
        if self.stage.state is State.EMPTY:
            raise Failure(*TEXTS[Reason.NO_WAFER])
        return self.stage.name()

    def _cassette(self, args: list[str]) -> str:
        ports = [_int(args, 0)] if args else [1, 2]
        entries = list[str]()
        for port in ports:
            for slot in range(1, SLOTS + 1) if self.stage.has_cassette(port) else ():
                there = (port, slot) in self.stage.slots
                wafer = self.stage.wafers.name(self.stage.slots[port, slot]) if there else ""
                status = SlotStatus(
                    port, slot, "Present" if there else "Empty", "Read" if wafer else "", wafer
                )
                entries.append(status.encode() + ";")
        return "".join(entries)

    # -- temperature
    def _heat(self, args: list[str]) -> str:
        try:
            self.stage.heater.aim(float(args[0]))
        except (ValueError, IndexError):
            raise Failure(UNKNOWN, "no temperature") from None
        return f"{self.stage.heater.target_c:.1f} C"

    def _soaked(self) -> bool:
        return self.stage.heater.soaked()


def _int(args: list[str], at: int) -> int:
    try:
        return int(float(args[at]))
    except (IndexError, ValueError):
        raise Failure(UNKNOWN, f"parameter {at + 1}") from None
