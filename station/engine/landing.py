"""One landing: every site that is tested has a task of its own, and none can hurt another."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic

from station import durations
from station.clock import Clock
from station.engine.averages import AverageWatch
from station.engine.barrier import SiteBarrier
from station.engine.bus import Bus
from station.engine.contact import Contact, Custody
from station.engine.device_run import DeviceRun, Surroundings
from station.engine.disposition import Standing
from station.engine.engineering_run import EngineeringRun
from station.engine.stepping import Steps
from station.engine.stuck import StuckWatch
from station.events import Measured
from station.model import Measurement, TouchdownResult
from station.sequence import S, Sequence
from station.set_up import Averaging


@dataclass(frozen=True)
class Tested(Generic[S]):
    """What a landing came to."""

    result: TouchdownResult
    standings: Mapping[int, Standing[S]]


class Landing(Generic[S]):
    """Tests the devices in contact."""

    def __init__(  # noqa: PLR0913 - what a landing is made of, and what it leaves its marks in
        self,
        sites: Mapping[int, S],
        sequence: Sequence[S],
        custody: Custody,
        clock: Clock,
        bus: Bus,
        averaging: Averaging | None = None,
        steps: Steps | None = None,
    ) -> None:
        """`steps`: of an engineering lot, where its sites stand still."""
        self._sites = sites
        self._sequence = sequence
        self._fingerprint = sequence.fingerprint()
        self._custody = custody
        self._clock = clock
        self._bus = bus
        self._steps = steps
        self._runs: Mapping[int, DeviceRun[S]] = {}
        self._cut = self._at_once = False
        self._averages = None if averaging is None else AverageWatch(averaging, sequence.definitions())
        stuck = sequence.rules.stuck
        self._stuck = None if stuck is None else StuckWatch(stuck, sequence.definitions())

    @property
    def remembers(self) -> bool:
        """Whether it must be told of the landings before."""
        return self._averages is not None or self._stuck is not None

    def seen(self, landed: TouchdownResult) -> None:
        """Take a landing that is durable: the limits of the next one may rest on it."""
        if self._averages is not None:
            self._averages.seen(landed)
        if self._stuck is not None:
            self._stuck.seen(landed)

    async def test(self, seq: int, contacts: Mapping[int, Contact]) -> Tested[S]:
        """Run the sequence at each site of `contacts`; all end before this returns."""
        started = self._clock.unix()
        around = Surroundings(
            sequence=self._sequence,
            fingerprint=self._fingerprint,
            custody=self._custody,
            clock=self._clock,
            barrier=SiteBarrier(len(contacts)),
            averages={} if self._averages is None else {n: self._averages.at(n) for n in contacts},
            timed=self._steps is None and durations.taken(seq),
            stuck=self._stuck,
            measured=self._measured if self._bus.watched_live else None,
        )
        runs = {site: self._device(site, contacts[site], around) for site in sorted(contacts)}
        async with asyncio.TaskGroup() as group:
            tasks = {site: group.create_task(run.run()) for site, run in runs.items()}
            await asyncio.sleep(0)  # each has begun, so that an abort finds it able to give a result
            self._runs = runs
            if self._cut:
                self.cut_short(at_once=self._at_once)
        self._runs = {}
        devices = tuple(task.result() for task in tasks.values())
        result = TouchdownResult(seq=seq, started=started, ended=self._clock.unix(), devices=devices)
        return Tested(result, {site: run.standing for site, run in runs.items()})

    def _device(self, site: int, contact: Contact, around: Surroundings[S]) -> DeviceRun[S]:
        if self._steps is None:
            return DeviceRun(self._sites[site], contact, around)
        return EngineeringRun(self._sites[site], contact, around, self._steps)

    def cut_short(self, *, at_once: bool = False) -> None:
        """Abort: every device run ends at its next await, and still has a result.

        `at_once`: a personalisation too.
        """
        self._cut, self._at_once = True, self._at_once or at_once
        for run in self._runs.values():
            run.cut_short(at_once=at_once)

    def _measured(self, seq: int, site: int, measurement: Measurement) -> None:
        self._bus.publish(Measured(at=self._clock.unix(), seq=seq, site=site, measurement=measurement))
