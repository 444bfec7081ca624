"""What all simulated probers have in common: cassettes, chuck, wafer map, heater, and what goes wrong."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from random import Random
from typing import NamedTuple

from sim.clock import Clock
from sim.faults import NO_FAULTS, Faults
from sim.sockets import Wafers

STAGE_KNOBS = frozenset(
    {"contact_fail", "door_open", "edge_quirk", "excursion", "shift_die", "slow_soak", "vacuum_fail"}
)
"""Faults of the machine itself, whatever language it speaks."""
LOADER_KNOBS = frozenset({"loader", "wafer_stuck"})
"""Faults of what brings wafers; `loader` takes the machine's code."""
CASSETTES, SLOTS = (1, 2), 25
NOWHERE = 0


class State(Enum):
    """What is on the chuck, and where that is."""

    EMPTY = auto()
    DOWN = auto()
    """A wafer, separated from the card."""
    UP = auto()
    """A wafer, in contact."""


class Move(Enum):
    """What the chuck can be told."""

    LOAD = auto()
    UNLOAD = auto()
    STEP = auto()
    RAISE = auto()
    LOWER = auto()
    ALIGN = auto()


TABLE: Mapping[tuple[State, Move], State] = {
    (State.EMPTY, Move.LOAD): State.DOWN,
    (State.DOWN, Move.UNLOAD): State.EMPTY,
    (State.DOWN, Move.STEP): State.DOWN,
    (State.DOWN, Move.ALIGN): State.DOWN,
    (State.DOWN, Move.RAISE): State.UP,
    (State.UP, Move.RAISE): State.UP,
    (State.UP, Move.LOWER): State.DOWN,
    (State.DOWN, Move.LOWER): State.DOWN,
    (State.EMPTY, Move.LOWER): State.EMPTY,
}
"""State and move: the state after it. Other pairs are refused."""


class Reason(Enum):
    """Why a move is refused; each machine has its own words for it."""

    NO_WAFER = auto()
    CHUCK_OCCUPIED = auto()
    IN_CONTACT = auto()
    SLOT_EMPTY = auto()
    SLOT_OCCUPIED = auto()
    NO_CASSETTE = auto()
    BAD_SLOT = auto()
    OUTSIDE = auto()
    END_OF_ROUTE = auto()
    DOOR_OPEN = auto()
    VACUUM = auto()
    NO_CONTACT_HEIGHT = auto()
    LOADER = auto()


class RefusedMove(Exception):  # noqa: N818 - what it is
    """The machine does not do it."""

    def __init__(self, reason: Reason, code: str = "") -> None:
        """`code`: the machine's own, where a fault has named one."""
        super().__init__(reason.name)
        self.reason = reason
        self.code = code


class Spot(NamedTuple):
    """Die and subsite."""

    x: int
    y: int
    subsite: int = 0


@dataclass(frozen=True)
class Timing:
    """Seconds, drawn anew between both ends."""

    query_s: tuple[float, float] = (0.005, 0.1)
    index_s: tuple[float, float] = (0.25, 0.6)
    contact_s: tuple[float, float] = (0.08, 0.12)
    exchange_s: tuple[float, float] = (30.0, 60.0)
    align_s: tuple[float, float] = (40.0, 90.0)
    clean_s: tuple[float, float] = (5.0, 20.0)
    heating_s: float = 240.0
    """Time constant of the chuck."""
    soak_s: float = 120.0
    """From the set point reached to a temperature that counts as controlled."""


class Stage:
    """One prober's mechanics. Wafer 1 lies in slot 1 of cassette 1, and so on."""

    def __init__(
        self,
        clock: Clock,
        wafers: Wafers,
        *,
        seed: str = "",
        faults: Faults = NO_FAULTS,
        timing: Timing = Timing(),  # noqa: B008 - frozen
    ) -> None:
        self.clock = clock
        self.wafers = wafers
        self.faults = faults
        self.timing = timing
        self.state = State.EMPTY
        self.wafer = NOWHERE
        self.place = (NOWHERE, NOWHERE)
        """Cassette and slot from which the wafer on the chuck came."""
        self.spot = Spot(0, 0)
        """Where the card's reference stands."""
        self.told = Spot(0, 0)
        """Where it was sent: the machine believes to be there."""
        self.index = -1
        """Of the die in the map's order."""
        self.vacuum = False
        self.contact_height = True
        self.touches = False
        """Whether the contact that was made last is one."""
        self.contacts = 0
        self.bins: dict[tuple[int, int], int] = {}
        self.slots = {
            (cassette, slot): (cassette - 1) * SLOTS + slot
            for cassette in CASSETTES
            for slot in range(1, SLOTS + 1)
            if (cassette - 1) * SLOTS + slot <= wafers.count
        }
        self._random = Random(f"{seed}:prober")
        self.heater = Heater(clock, timing, faults)

    def between(self, ends: tuple[float, float]) -> float:
        """Draw a time."""
        return self._random.uniform(*ends)

    # -- wafers
    def load(self, cassette: int, slot: int) -> None:
        """Bring a wafer onto the chuck."""
        self._check_place(cassette, slot)
        if (cassette, slot) not in self.slots:
            raise RefusedMove(Reason.SLOT_EMPTY)
        if (code := self.faults.strikes("loader")) is not None:
            raise RefusedMove(Reason.LOADER, code)
        self.move(Move.LOAD)
        self.wafer, self.place = self.slots.pop((cassette, slot)), (cassette, slot)
        self._arrived()

    def put(self, wafer: int) -> None:
        """Lay a wafer onto the chuck by hand; it goes back by hand too."""
        self.move(Move.LOAD)
        self.slots = {place: number for place, number in self.slots.items() if number != wafer}
        self.wafer, self.place = wafer, (NOWHERE, NOWHERE)
        self._arrived()

    def _arrived(self) -> None:
        self.vacuum = self.faults.strikes("vacuum_fail") is None
        self.index, self.bins = -1, {}

    def unload(self, place: tuple[int, int] | None = None) -> None:
        """Bring the wafer back to where it came from, or elsewhere."""
        if self.faults.strikes("wafer_stuck") is not None:
            raise RefusedMove(Reason.VACUUM)
        target = place or self.place
        if target in self.slots:
            raise RefusedMove(Reason.SLOT_OCCUPIED)
        self.move(Move.UNLOAD)
        if target != (NOWHERE, NOWHERE):
            self.slots[target] = self.wafer
        self.wafer, self.vacuum = NOWHERE, False

    def _check_place(self, cassette: int, slot: int) -> None:
        if not self.has_cassette(cassette):
            raise RefusedMove(Reason.NO_CASSETTE)
        if not 1 <= slot <= SLOTS:
            raise RefusedMove(Reason.BAD_SLOT)

    def has_cassette(self, cassette: int) -> bool:
        """Tell whether there is one; it came with the lot, and stays."""
        return cassette in CASSETTES and (cassette - 1) * SLOTS < self.wafers.count

    def name(self) -> str:
        """Return the id of the wafer on the chuck."""
        return self.wafers.name(self.wafer)

    # -- moving
    def move(self, what: Move) -> None:
        """Go into the next state of the table."""
        if self.faults.strikes("door_open") is not None:
            raise RefusedMove(Reason.DOOR_OPEN)
        after = TABLE.get((self.state, what))
        if after is None:
            wrong = Reason.NO_WAFER if self.state is State.EMPTY else Reason.CHUCK_OCCUPIED
            raise RefusedMove(Reason.IN_CONTACT if self.state is State.UP else wrong)
        self.state = after

    def raise_chuck(self) -> None:
        """Contact: the card touches, unless that fails."""
        if not self.contact_height:
            raise RefusedMove(Reason.NO_CONTACT_HEIGHT)
        if self.state is not State.EMPTY and not self.vacuum:
            raise RefusedMove(Reason.VACUUM)
        was = self.state
        self.move(Move.RAISE)
        if was is State.DOWN:
            self.contacts += 1
            self.touches = self.faults.strikes("contact_fail") is None
            if self.touches:
                self.wafers.land(self.wafer, self.spot.x, self.spot.y)

    def lower_chuck(self) -> None:
        """Separate."""
        self.move(Move.LOWER)
        self.touches = False
        self.wafers.lift()

    def step(self, x: int, y: int, subsite: int = 0) -> Spot:
        """Go to a die, separated; return where the machine believes to be."""
        if self.state is not State.EMPTY and not self.vacuum:
            raise RefusedMove(Reason.VACUUM)
        if self.faults.strikes("edge_quirk") is not None:
            raise RefusedMove(Reason.OUTSIDE)
        self.move(Move.STEP)
        self.told = self.spot = Spot(x, y, subsite)
        places = self.dies()
        self.index = places.index((x, y)) if (x, y) in places else self.index
        if (shift := self.faults.strikes("shift_die")) is not None:
            dx, _, dy = (shift or "1,0").partition(",")
            self.spot = Spot(x + int(dx), y + int(dy or 0), subsite)
        return self.told

    def step_to_number(self, index: int) -> Spot:
        """Go to a die by its number in the map, from 0."""
        places = self.dies()
        if self.state is State.EMPTY:
            raise RefusedMove(Reason.NO_WAFER)
        if not 0 <= index < len(places):
            raise RefusedMove(Reason.END_OF_ROUTE)
        spot = self.step(*places[index])
        self.index = index
        return spot

    @property
    def at_last(self) -> bool:
        """Whether no die of the map comes after this one."""
        return self.index >= len(self.dies()) - 1

    # -- the map
    def dies(self) -> list[tuple[int, int]]:
        """Return the dies of the wafer on the chuck; none if there is no wafer."""
        return list(self.wafers.dies(self.wafer)) if self.wafer else []

    def mark(self, x: int, y: int, number: int) -> None:
        """Write a bin into the map."""
        if self.state is State.EMPTY:
            raise RefusedMove(Reason.NO_WAFER)
        self.bins[x, y] = number
        self.wafers.mark(self.wafer, x, y, number)

    # -- people at the machine
    def later(self, seconds: float, action: Callable[[], None]) -> None:
        """Plan what somebody, or the machine, does then."""
        self.clock.call_later(seconds, action)


class Heater:
    """The chuck's temperature: first order, then a soak."""

    def __init__(self, clock: Clock, timing: Timing, faults: Faults) -> None:
        self._clock = clock
        self._timing = timing
        self._faults = faults
        self._from_c = self.target_c = 25.0
        self._since = -math.inf
        self._never = False
        self._off_k, self._off_since = 0.0, 0.0
        self.on = False

    def aim(self, celsius: float) -> None:
        """Take a set point."""
        self._from_c, self.target_c = self.celsius(), celsius
        self._since, self.on = self._clock.time(), True
        self._never = self._faults.strikes("slow_soak") is not None

    def celsius(self) -> float:
        """Return the temperature now, to a tenth of a degree."""
        if self._since == -math.inf:
            return self._from_c
        passed = math.exp(-(self._clock.time() - self._since) / self._timing.heating_s)
        reached = max(passed, 0.5) if self._never else passed
        undisturbed = self.target_c + (self._from_c - self.target_c) * reached
        return round(undisturbed + self._disturbance_k(), 1)

    def _disturbance_k(self) -> float:
        passed_s = self._clock.time() - self._off_since
        return self._off_k * math.exp(-passed_s / self._timing.heating_s) if self._off_k else 0.0

    def told(self) -> float:
        """Return what the machine tells when it is asked; the moment at which it may leave its set point."""
        if (kelvins := self._faults.strikes("excursion")) is not None:
            self._off_k, self._off_since = float(kelvins or 10), self._clock.time()
        return self.celsius()

    def heat(self) -> float | None:
        """Return what it gives the wafer; None if nobody has asked for a temperature."""
        return self.celsius() if self.on else None

    def soaked(self) -> bool:
        """Tell whether the set point has been held long enough."""
        if self._since == -math.inf:
            return True
        if abs(self._disturbance_k()) > 0.5:
            return False
        span = abs(self._from_c - self.target_c)
        within_s = self._timing.heating_s * math.log(max(span / 0.5, 1.0))
        held = self._clock.time() - self._since - within_s >= self._timing.soak_s
        return held and not self._never
