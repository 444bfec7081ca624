"""A simulated probe station under SENTIO: the commands of the table of its page, one reply for each.

Follows sentio-prober-control 26.2; what a refused command does, and all texts of errors, are assumed.
"""

from collections.abc import Callable, Mapping
from enum import Enum
from itertools import count
from typing import TypeAlias

from drivers.protocols import sentio
from drivers.protocols.sentio import OK, Reply
from sim.lines import Talker
from sim.prober.stage import LOADER_KNOBS, STAGE_KNOBS, Move, Reason, RefusedMove, Spot, Stage, State

CONTACT_UM, GAP_UM, HOVER_UM = 12000.0, 300.0, 50.0
LOAD_XY, HOME_XY = "0.0,-250000.0", "0.0,0.0"
INITIALISE_S = 20.0
MOST_BINS = 128

CODES: Mapping[Reason, int] = {
    Reason.NO_WAFER: sentio.NO_WAFER_ON_CHUCK,
    Reason.CHUCK_OCCUPIED: sentio.SLOT_OCCUPIED,
    Reason.IN_CONTACT: 38,
    Reason.SLOT_EMPTY: sentio.SLOT_EMPTY,
    Reason.SLOT_OCCUPIED: sentio.SLOT_OCCUPIED,
    Reason.NO_CASSETTE: sentio.NO_CASSETTE,
    Reason.BAD_SLOT: sentio.BAD_SLOT,
    Reason.OUTSIDE: 8,
    Reason.END_OF_ROUTE: sentio.END_OF_ROUTE_PASSED,
    Reason.DOOR_OPEN: sentio.FRONT_DOOR,
    Reason.VACUUM: sentio.VACUUM,
    Reason.NO_CONTACT_HEIGHT: sentio.CONTACT_NOT_SET,
    Reason.LOADER: sentio.WAFER_ON_FORK,
}


class SteppingMode(Enum):
    """What a step does with the contact."""

    BACK_TO_CONTACT = "BackToContact"
    TO_SEPARATION = "StepToSeparation"
    LOCKED = "LockContact"


class Failure(Exception):  # noqa: N818 - what it is
    """An error reply."""

    def __init__(self, code: int) -> None:
        super().__init__(sentio.ERRORS.get(code, "error"))
        self.code = code


Answer: TypeAlias = Reply | str
Handle: TypeAlias = Callable[[list[str]], Answer]


class MpiSentio(Talker):
    """One probe station with its cassettes."""

    knobs = Talker.knobs | STAGE_KNOBS | LOADER_KNOBS | {"alarm", "hang_async", "number_format"}

    def __init__(self, stage: Stage, *, version: str = "26.2.0") -> None:
        super().__init__(stage.clock, stage.faults)
        self.stage = stage
        self.version = version
        self.mode = SteppingMode.BACK_TO_CONTACT
        self._ids = count(1)
        self._running: dict[int, float] = {}
        """When each asynchronous command ends; never, if it hangs."""
        self._aborted: set[int] = set()
        t = stage.timing
        self._table: dict[str, tuple[tuple[float, float], Handle]] = {
            **dict.fromkeys(("*LOCAL", "*RCS"), (t.query_s, self._silent)),
            "*IDN?": (t.query_s, self._idn),
            "map:step_first_die": (t.index_s, lambda a: self._to(0, a)),
            "map:step_next_die": (t.index_s, lambda a: self._to(stage.index + 1, a)),
            "map:step_previous_die": (t.index_s, lambda a: self._to(stage.index - 1, a)),
            "map:step_die": (t.index_s, self._step_die),
            "map:step_die_seq": (t.index_s, lambda a: self._to(_int(a, 0), a[1:])),
            "map:bin_step_next_die": (t.index_s, self._bin_step),
            "move_chuck_contact": (t.contact_s, self._contact),
            "move_chuck_separation": (t.contact_s, self._separate),
            "loader:load_wafer": (t.exchange_s, self._load),
            "loader:unload_wafer": (t.exchange_s, self._unload),
            "loader:scan_station": (t.clean_s, self._slots),
            "vis:align_wafer": (t.align_s, self._align),
            "aux:cleaning:start": (t.clean_s, self._clean),
        }
        self._queries: dict[str, Handle] = {
            "status:get_version": lambda _: f"Version: {self.version}",
            "status:get_machine_status": lambda _: "Ready",
            "set_stepping_contact_mode": self._set_mode,
            "map:bins:get_num_bins": lambda _: str(MOST_BINS),
            "map:bins:set_bin": self._set_bin,
            "map:bins:get_bin": self._get_bin,
            "map:bins:clear_all": self._clear_bins,
            "map:get_num_dies": lambda _: str(len(stage.dies())),
            "map:path:get_die": self._path_die,
            "map:die:get_status": lambda a: "1" if (_int(a, 0), _int(a, 1)) in stage.dies() else "3",
            "map:die:get_current_index": lambda _: f"{stage.index},{stage.spot.x},{stage.spot.y}",
            "map:die:get_current_subsite": lambda _: str(stage.spot.subsite),
            "map:open": lambda _: OK,
            "get_chuck_site_heights": lambda _: self._heights(),
            "get_chuck_z": lambda _: f"{self._z():.1f}",
            "get_vacuum_status": lambda _: str(int(stage.vacuum)),
            "get_project": lambda _: "se1",
            "loader:has_cassette": self._has_cassette,
            "loader:query_station_status": self._slots,
            "loader:query_wafer_id": lambda _: self._wafer_id(),
            "loader:query_wafer_status": lambda _: self._wafer_status(),
            "status:get_chuck_temp": lambda _: self._number(stage.heater.told()),
            "status:get_chuck_temp_setpoint": lambda _: self._number(stage.heater.target_c),
            "status:set_chuck_temp": self._set_temperature,
            "status:get_chuck_thermo_state": lambda _: self._thermo_state(),
            "start_initialization": lambda _: self._started(INITIALISE_S),
            "query_command_status": self._status,
            "abort_command": self._abort,
            "setup:contact_counter:get": lambda _: str(stage.contacts),
        }

    # -- one line
    def seconds(self, line: str) -> float:
        name, _, _ = line.partition(" ")
        ends, _ = self._table.get(name, (self.stage.timing.query_s, None))
        return self.stage.between(ends)

    def done(self, line: str) -> str | None:
        name, _, rest = line.partition(" ")
        args = [arg.strip() for arg in rest.split(",")] if rest.strip() else []
        _, handle = self._table.get(name, ((0.0, 0.0), self._queries.get(name)))
        try:
            if (code := self.faults.strikes("alarm")) is not None:
                raise Failure(int(code or 2))
            if handle is None:
                raise Failure(4)
            answer = handle(args)
        except (Failure, RefusedMove) as refused:
            code_of = (
                int(refused.code or CODES[refused.reason])
                if isinstance(refused, RefusedMove)
                else refused.code
            )
            answer = Reply(code_of, text=sentio.ERRORS.get(code_of, "error"))
        if name.startswith("*"):
            return answer if isinstance(answer, str) and answer else None
        return (Reply(text=answer) if isinstance(answer, str) else answer).encode()

    def _silent(self, args: list[str]) -> Answer:
        del args
        return ""

    def _idn(self, args: list[str]) -> Answer:
        del args
        return f"MPI Corporation,Sentio - Probe System Software Suite,0,{self.version}.0"

    # -- stepping
    def _set_mode(self, args: list[str]) -> Answer:
        try:
            self.mode = SteppingMode(args[0])
        except (ValueError, IndexError):
            raise Failure(6) from None
        return OK

    def _to(self, index: int, args: list[str]) -> Answer:
        """Step to a die by number; the subsite is the first argument, if there is one."""
        del args
        return self._stepped(lambda: self.stage.step_to_number(index))

    def _step_die(self, args: list[str]) -> Answer:
        x, y, subsite = _int(args, 0), _int(args, 1), _int(args, 2)
        if (x, y) not in self.stage.dies() and not self._near(x, y):
            raise Failure(8)
        return self._stepped(lambda: self.stage.step(x, y, subsite))

    def _near(self, x: int, y: int) -> bool:
        """Cards with several sites stand beside the wafer's edge; far outside is out of bounds (assumed)."""
        places = self.stage.dies()
        return any(abs(x - px) <= 8 and abs(y - py) <= 8 for px, py in places)

    def _bin_step(self, args: list[str]) -> Answer:
        self.stage.mark(self.stage.told.x, self.stage.told.y, _int(args, 0))
        return self._to(self.stage.index + 1, args[1:])

    def _stepped(self, step: Callable[[], Spot]) -> Answer:
        up = self.stage.state is State.UP
        if up and self.mode is SteppingMode.LOCKED:
            raise Failure(38)
        if up:
            self.stage.lower_chuck()
        spot = step()
        if up and self.mode is SteppingMode.BACK_TO_CONTACT:
            self.stage.raise_chuck()
        status = sentio.END_OF_ROUTE if self.stage.at_last else 0
        return Reply(status=status, text=f"{spot.x},{spot.y},{spot.subsite}")

    # -- height
    def _z(self) -> float:
        if self.stage.state is not State.UP:
            return CONTACT_UM - GAP_UM
        return CONTACT_UM if self.stage.touches else CONTACT_UM - HOVER_UM

    def _contact(self, args: list[str]) -> Answer:
        del args
        self.stage.raise_chuck()
        return f"{self._z():.1f}"

    def _separate(self, args: list[str]) -> Answer:
        del args
        if not self.stage.contact_height:
            raise Failure(sentio.CONTACT_NOT_SET)
        self.stage.lower_chuck()
        return f"{self._z():.1f}"

    def _heights(self) -> Answer:
        return f"{CONTACT_UM:.1f},{CONTACT_UM - GAP_UM:.1f},0.0,{HOVER_UM:.1f}"

    def _clean(self, args: list[str]) -> Answer:
        del args
        if self.stage.state is State.UP:
            raise Failure(38)
        return OK

    # -- bins
    def _set_bin(self, args: list[str]) -> Answer:
        number = _int(args, 0)
        place = (_int(args, 1), _int(args, 2)) if len(args) > 1 else self.stage.told[:2]
        if not 0 <= number < MOST_BINS or place not in self.stage.dies():
            raise Failure(8)
        self.stage.mark(*place, number)
        return OK

    def _get_bin(self, args: list[str]) -> Answer:
        place = (_int(args, 0), _int(args, 1)) if args else self.stage.told[:2]
        return str(self.stage.bins.get(place, -1))

    def _clear_bins(self, args: list[str]) -> Answer:
        del args
        self.stage.bins.clear()
        return OK

    def _path_die(self, args: list[str]) -> Answer:
        places, number = self.stage.dies(), _int(args, 0)
        if not 0 <= number < len(places):
            raise Failure(8)
        x, y = places[number]
        return f"{x},{y}"

    # -- wafers
    def _load(self, args: list[str]) -> Answer:
        self.stage.load(_cassette(args), _int(args, 1))
        return self.stage.name() or "ok"

    def _unload(self, args: list[str]) -> Answer:
        if self.stage.state is State.UP:
            self.stage.lower_chuck()
        self.stage.unload((_cassette(args), _int(args, 1)) if args else None)
        return OK

    def _align(self, args: list[str]) -> Answer:
        del args
        self.stage.move(Move.ALIGN)
        return OK

    def _has_cassette(self, args: list[str]) -> Answer:
        return "1,200" if self.stage.has_cassette(_cassette(args)) else "0,0"

    def _slots(self, args: list[str]) -> Answer:
        cassette = _cassette(args)
        if not self.stage.has_cassette(cassette):
            raise Failure(sentio.NO_CASSETTE)
        return "".join(str(int((cassette, slot) in self.stage.slots)) for slot in range(1, 26))

    def _wafer_id(self) -> Answer:
        if self.stage.state is State.EMPTY:
            raise Failure(sentio.SLOT_EMPTY)
        return self.stage.name()

    def _wafer_status(self) -> Answer:
        if self.stage.state is State.EMPTY:
            raise Failure(sentio.SLOT_EMPTY)
        cassette, slot = self.stage.place
        return f"Cassette{cassette},{slot},200,0.0,0"

    # -- temperature
    def _number(self, value: float) -> str:
        return f"{value:.1f},{OK}" if self.faults.strikes("number_format") is not None else f"{value:.1f}"

    def _set_temperature(self, args: list[str]) -> Answer:
        try:
            self.stage.heater.aim(float(args[0]))
        except (ValueError, IndexError):
            raise Failure(6) from None
        return OK

    def _thermo_state(self) -> Answer:
        heater = self.stage.heater
        if abs(heater.celsius() - heater.target_c) > 0.5:
            return "Heating" if heater.celsius() < heater.target_c else "Cooling"
        return "Controlling" if heater.soaked() else "Soaking"

    # -- asynchronous commands
    def _started(self, seconds: float) -> Answer:
        number = next(self._ids)
        hangs = self.faults.strikes("hang_async") is not None
        self._running[number] = float("inf") if hangs else self.clock.time() + seconds
        return Reply(id=number, text=OK)

    def _status(self, args: list[str]) -> Answer:
        """The number lives until its last status was read (assumed)."""
        number = _int(args, 0)
        if number not in self._running:
            raise Failure(sentio.UNKNOWN_ID)
        if number in self._aborted:
            del self._running[number]
            raise Failure(sentio.ABORTED)
        if self.clock.time() < self._running[number]:
            raise Failure(sentio.PENDING)
        del self._running[number]
        return Reply(id=number, text=OK)

    def _abort(self, args: list[str]) -> Answer:
        number = _int(args, 0)
        if number not in self._running:
            raise Failure(sentio.UNKNOWN_ID)
        self._aborted.add(number)
        return OK


def _int(args: list[str], at: int) -> int:
    try:
        return int(args[at])
    except (IndexError, ValueError):
        raise Failure(6) from None


def _cassette(args: list[str]) -> int:
    name = args[0] if args else ""
    if name not in ("cas1", "cas2"):
        raise Failure(6)
    return int(name[-1])
