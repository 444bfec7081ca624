"""What persons ask of a lot beside its life cycle: kept until there is a run, then passed on to it."""

from collections.abc import Mapping
from typing import Any

from drivers.roles import Resource
from station import commands
from station.engine.boundary import Asked
from station.engine.lot_run import LotRun
from station.engine.sites import Sites


class Requests:
    """Of one lot."""

    def __init__(self, resources: Mapping[int, tuple[Resource, ...]]) -> None:
        self._sites = Sites(resources)
        self._early: list[Asked] = []
        self._run: LotRun[Any] | None = None

    def begin(self, run: LotRun[Any]) -> None:
        """The run is there: it gets what was asked before."""
        self._run = run
        for asked in self._early:
            run.take(asked)
        self._early.clear()

    @property
    def off(self) -> frozenset[int]:
        """The sites that do not test, as far as persons and rules have said."""
        return (self._sites if self._run is None else self._run.boundary.sites).all_out_of_use()

    def objection(self, asked: Asked) -> tuple[str, str] | None:
        """Return why it cannot be, as code and reason."""
        if self._run is not None:
            return self._run.boundary.objection(asked)
        if isinstance(asked, commands.SetSite) and (why := self._sites.objection(asked.site, on=asked.on)):
            return "bad_arguments", f"site.set: {why}"
        return None

    def take(self, asked: Asked) -> None:
        """Take it."""
        if self._run is not None:
            self._run.take(asked)
            return
        self._early.append(asked)
        match asked:
            case commands.SetSite(site=site, on=True):
                self._sites.switch_on(site)
            case commands.SetSite(site=site, reason=reason):
                self._sites.switch_off(site, reason)
            case _:
                pass
