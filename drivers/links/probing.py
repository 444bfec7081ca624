"""A lot on a prober, made of the verbs of its role: wafers, landings, bins, clean-up.

A model brings the verbs; what is the same for all is here: the next wafer, the next landing by the station's
plan or by the prober's own route, and what must be read back before anything is tested.
"""

import asyncio
import logging
from abc import abstractmethod
from collections import Counter, deque
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import asynccontextmanager

from drivers.errors import EquipmentError
from drivers.links.prober_options import ProberOptions
from drivers.roles.feeder import Touchdown
from drivers.roles.happening import (
    CassetteEnded,
    LotEnded,
    Paused,
    Resumed,
    TemperatureReached,
    WaferEnded,
    WaferLoaded,
)
from drivers.roles.probe_card import MAX_TOUCHES, CardError, Landing, Place
from drivers.roles.prober import Die, Prober
from drivers.roles.resource import Machine
from drivers.uninterrupted import undone

SEPARATE_BOUND_S = 10.0
TEMPERATURE_POLL_S = 5.0
ON_CHUCK = (0, 0)
"""Cassette and slot of a wafer that a person has put onto the chuck."""

log = logging.getLogger(__name__)


class ProbingMachine(Machine, Prober):
    """A prober that runs lots. Its subclasses move it."""

    can_replunge = True
    knows_dies = True
    """Whether `dies` can be asked; otherwise the prober alone knows them, by its route."""
    can_clean = True

    def __init__(self, name: str, options: ProberOptions) -> None:
        super().__init__(name)
        self.channels = {"": self}
        self._settings = options
        self.picks_site = options.mode == "tester_master"
        self._card = options.probe_card
        self._settled: Mapping[str, frozenset[Place]] = {}
        self._forget_lot()

    def _forget_lot(self) -> None:
        self._queue: deque[tuple[int, int]] | None = None
        self._place_of_wafer: tuple[int, int] | None = None
        self._doubtful = False
        self._forget_wafer()

    def _forget_wafer(self) -> None:
        self._wafer = ""
        self._wanted: frozenset[Place] | None = None
        self._begun = False
        self._done: set[Place] = set()
        self._touches = Counter[Place]()
        self._plan: deque[Landing] | None = None
        self._second = deque[Landing]()
        """Landings on dies that have their bin and are to have another try."""
        self._stepped = self._stepping = False
        self._stood: Die | None = None
        """Where on its route the prober stood before the step that is under way."""
        self._approached: Landing | None = None
        """Where the route has led; not in contact before that is made."""
        self._landed: Landing | None = None
        self._left_over: Landing | None = None
        """What was in contact without a result when the lot was stopped: it comes next."""
        self._again: Landing | None = None

    # -- what a model brings besides the verbs of its role
    @abstractmethod
    async def separate(self) -> None:
        """Separate chuck and card; EquipmentError unless the machine says that they are."""

    @abstractmethod
    async def contact(self) -> bool:
        """Raise the chuck; tell whether the machine says that it is in contact."""

    @abstractmethod
    async def step_first(self) -> Die | None:
        """Separate and go to the first die of the prober's own route; None if there is none."""

    @abstractmethod
    async def step_next(self) -> Die | None:
        """Separate and go to the next die of the prober's own route; None when it is used up."""

    @abstractmethod
    async def occupied(self) -> bool:
        """Tell whether there is a wafer on the chuck."""

    @abstractmethod
    async def start_heater(self, celsius: float) -> None:
        """Give the chuck a set point."""

    @abstractmethod
    async def soaked(self) -> bool:
        """Tell whether the machine itself says that the chuck controls its temperature."""

    # -- the lot
    async def start_lot(self, lot: str) -> None:
        """Forget the lot before; a wafer that it has left on the chuck is brought back."""
        log.info("%s: lot %s begins", self.name, lot)
        if self._place_of_wafer is not None:
            await self.end_lot()
        self._forget_lot()

    def settled(self, dies: Mapping[str, frozenset[Place]]) -> None:
        self._settled = dies

    async def end_lot(self) -> None:
        """Bring the wafer back; the cassettes stay."""
        if self._place_of_wafer is not None:
            await self._end_wafer()

    async def touchdowns(self) -> AsyncGenerator[Touchdown, None]:
        self._left_over = self._again or self._landed or self._not_landed()
        self._landed = self._again = self._plan = None
        self._second.clear()
        while (landing := await self._next()) is not None:
            self._landed = landing
            yield Touchdown(frozenset(landing.sites), positions=dict(landing.sites), wafer=self._wafer)
            if self._landed is not None:
                raise EquipmentError(f"{self.name}: the dies in contact were neither binned nor landed again")
        self.heard(LotEnded())

    async def sort(self, bins: Mapping[int, int]) -> None:
        """Mark the bins in the prober's own map if the options say so, then separate."""
        landing = self._in_contact()
        if bins.keys() != landing.sites.keys():
            raise EquipmentError(
                f"{self.name}: bins for sites {sorted(bins)}, in contact are {sorted(landing.sites)}: "
                "nothing was sent"
            )
        if unknown := set(bins.values()) - self.hard_bins:
            raise EquipmentError(f"{self.name}: no hard bin {sorted(unknown)}: nothing was sent")
        self._landed = self._approached = None
        await self.finish(landing, bins)
        self._done.update(landing.sites.values())

    async def finish(self, landing: Landing, bins: Mapping[int, int]) -> None:
        """Mark if the options say so, and separate."""
        if self._settings.mark:
            await self.mark({Die(*landing.sites[site]): number for site, number in sorted(bins.items())})
        await self.separate()

    async def replunge(self) -> None:
        landing = self._in_contact()
        self._landed = None
        await self.separate()
        await self._land(landing)
        self._again = landing

    def _in_contact(self) -> Landing:
        if self._landed is None:
            raise EquipmentError(f"{self.name}: no dies in contact that wait for bins: nothing was sent")
        return self._landed

    # -- the next landing
    async def _next(self) -> Landing | None:
        if self._again is not None:
            again, self._again = self._again, None
            return again
        while await self._wafer_ready():
            by_plan = self._settings.mode == "tester_master"
            landing = await (self._by_plan() if by_plan else self._by_route())
            if landing is not None:
                await self._land(landing)
                return landing
            await self._end_wafer()
        return None

    def _not_landed(self) -> Landing | None:
        """Return where the route has led without a contact, unless a die there was touched too often."""
        if self._approached is None:
            return None
        if any(self._touches[place] >= MAX_TOUCHES for place in self._approached.sites.values()):
            self._name_those_left_alone(frozenset(self._approached.sites.values()), ())
            return None
        return self._approached

    def _lifted(self) -> Landing | None:
        """Return what was in contact when the lot was stopped, if it has no result yet."""
        left_over, self._left_over = self._left_over, None
        if left_over is None or not self._done.isdisjoint(left_over.sites.values()):
            return None
        return left_over

    async def _by_plan(self) -> Landing | None:
        if (lifted := self._lifted()) is not None:
            await self.step_to(lifted.x, lifted.y)
            return lifted
        if self._plan is None:
            try:
                left = (self._wanted or frozenset()) - self._done
                self._plan = deque(self._card.plan(left, touches=self._touches))
            except CardError as error:
                raise EquipmentError(f"{self.name}: wafer {self._wafer}: {error}") from None
            self._name_those_left_alone(left, self._plan)
        if not self._second:
            self._second.extend(self._planned_again(used_up=not self._plan))
        plan = self._second or self._plan
        if not plan:
            return None
        landing = plan.popleft()
        self._done.difference_update(landing.sites.values())
        await self.step_to(landing.x, landing.y)
        return landing

    def _planned_again(self, *, used_up: bool) -> tuple[Landing, ...]:
        """Plan for the dies that the lot wants again, which may be none."""
        again = self.due(self._wafer, used_up=used_up)
        plan = self._card.plan_again(again, present=self._wanted or (), touches=self._touches)
        self._name_those_left_alone(frozenset(again), plan)
        return plan

    def _name_those_left_alone(self, left: frozenset[Place], plan: Iterable[Landing]) -> None:
        covered = {place for landing in plan for place in landing.sites.values()}
        if alone := sorted(left - covered):
            why = "touched too often, or no site may: not landed on"
            log.warning("%s: wafer %s: %s: %s", self.name, self._wafer, why, alone)

    async def _by_route(self) -> Landing | None:
        """Follow the prober; where the card stands on no die without a result, nothing is landed."""
        if (lifted := self._lifted()) is not None:
            if (found := await self.position()) != (left := Die(lifted.x, lifted.y)):
                self._approached = None
                raise EquipmentError(f"{self.name}: was on {left} and stands on {found}: no test")
            return lifted
        while (die := await self._stepped_on()) is not None:
            if (found := await self.position()) != die:
                self._stood = found
                raise EquipmentError(f"{self.name}: stepped to {die}, stands on {found}: no test")
            on_wafer = await self.sites_on_wafer()
            self._stood, self._stepping = die, False
            sites = {
                site: place
                for site, place in sorted(self._card.over(die.x, die.y).items())
                if site in on_wafer and place not in self._done
                if self._wanted is None or place in self._wanted
            }
            if sites:
                self._approached = Landing(die.x, die.y, sites)
                return self._approached
        return None

    async def _stepped_on(self) -> Die | None:
        """Step along the route; a step that was cut short and led on is not made once more."""
        if not self._stepped:
            first = await self.step_first()
            self._stepped = self._stepping = True
            return first
        if self._stepping and (found := await self.position()) != self._stood:
            return found
        self._stepping = True
        return await self.step_next()

    async def sites_on_wafer(self) -> frozenset[int]:
        """Return the sites that the prober believes to be on the wafer: all, unless it can tell."""
        return self._settings.sites

    async def _land(self, landing: Landing) -> None:
        """Contact, after a cleaning once more if the machine says that there is none."""
        clean = self._settings.clean_every
        landed = self.landed_before + self._landings
        if clean and landed and landed % clean == 0:
            await self.clean()
        for attempt in range(self._settings.contact_tries):
            if attempt:
                await self.separate()
                if self.can_clean:
                    await self.clean()
            self._landings += 1
            self._touches.update(self._card.over(landing.x, landing.y).values())
            if await self.contact():
                await asyncio.sleep(self._settings.settle_s)
                return
        await self.separate()
        raise EquipmentError(
            f"{self.name}: no contact on {Die(landing.x, landing.y)} in {self._settings.contact_tries} tries"
        )

    _landings = 0
    """Since it was opened."""

    # -- wafers
    async def _wafer_ready(self) -> bool:
        """Have a wafer on the chuck; false when none is left. Taken up where it was left after a stop."""
        if self._queue is None:
            self._queue = deque(await self._wafers())
        if self._place_of_wafer is None:
            if not self._queue:
                return False
            await self._load(self._queue[0])
            self._place_of_wafer = self._queue.popleft()
        if not self._begun:
            await self._begin_wafer(*self._place_of_wafer)
        return True

    async def _wafers(self) -> list[tuple[int, int]]:
        if not self._settings.loader:
            return [ON_CHUCK]
        found = list[tuple[int, int]]()
        for cassette in self._settings.cassettes:
            there = await self.slots(cassette)
            wanted = self._settings.slots or there
            if missing := sorted(set(wanted) - set(there)):
                raise EquipmentError(f"{self.name}: cassette {cassette} has no wafer in slots {missing}")
            found += [(cassette, slot) for slot in sorted(wanted)]
        return found

    async def _load(self, place: tuple[int, int]) -> None:
        """Load, once: whether a load came to its end whose answer was lost is asked, never tried."""
        if place != ON_CHUCK and not (self._doubtful and await self.occupied()):
            self._doubtful = True
            await self.load(*place)
        self._doubtful = False

    async def _unload(self) -> None:
        if not self._doubtful or await self.occupied():
            self._doubtful = True
            await self.unload()
        self._doubtful = False

    async def _begin_wafer(self, cassette: int, slot: int) -> None:
        if self._settings.align:
            await self.align()
        self._wafer = await self.wafer_id() or (f"{cassette}-{slot}" if slot else "wafer")
        self._done.update(self._settled.get(self._wafer, ()))
        await self._learn_dies()
        self._begun = True
        self.heard(WaferLoaded(cassette, slot, self._wafer))

    async def _learn_dies(self) -> None:
        if self.knows_dies:
            self._wanted = frozenset((die.x, die.y) for die in await self.dies())

    async def _end_wafer(self) -> None:
        place, wafer = self._place_of_wafer or ON_CHUCK, self._wafer
        if place != ON_CHUCK:
            await self._unload()
        self._place_of_wafer = None
        self._forget_wafer()
        self.heard(WaferEnded(wafer))
        if all(cassette != place[0] for cassette, _ in self._queue or ()):
            self.heard(CassetteEnded(place[0]))

    # -- contact, pause
    @asynccontextmanager
    async def contacting(self) -> AsyncGenerator[None, None]:
        try:
            if not await self.contact():
                raise EquipmentError(f"{self.name}: the chuck is raised, and there is no contact")
            yield
        finally:
            await undone(self.separate(), what=f"{self.name}: separation", bound_s=SEPARATE_BOUND_S)

    async def pause(self) -> None:
        """Separate; the wafer stays on the chuck."""
        await self.separate()
        self.heard(Paused())

    async def resume(self) -> None:
        self.heard(Resumed())

    async def abort(self) -> None:
        await self.separate()

    # -- temperature
    async def set_temperature(self, celsius: float, *, soak_s: float) -> None:
        await self.start_heater(celsius)
        bound_s = self._settings.heating_s
        try:
            async with asyncio.timeout(bound_s):
                while not await self._at(celsius):  # noqa: ASYNC110 - nobody tells it unasked
                    await asyncio.sleep(TEMPERATURE_POLL_S)
        except TimeoutError:
            raise EquipmentError(f"{self.name}: {celsius:g} °C not reached within {bound_s:g} s") from None
        await asyncio.sleep(soak_s)
        if not await self._at(celsius):
            raise EquipmentError(f"{self.name}: left {celsius:g} °C while it soaked")
        self.heard(TemperatureReached(celsius))

    async def _at(self, celsius: float) -> bool:
        near = abs(await self.temperature() - celsius) <= self._settings.window_k
        return near and await self.soaked()
