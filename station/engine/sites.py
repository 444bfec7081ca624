"""Which sites of a lot test: not those whose resources are out of use, nor those that a rule switched off."""

from collections.abc import Mapping

from drivers.roles import Resource


class Sites:
    """The sites of one lot, and why some of them test no more."""

    def __init__(self, resources: Mapping[int, tuple[Resource, ...]]) -> None:
        self._resources = resources
        self._off: dict[int, str] = {}
        self._told: set[int] = set()

    def out_of_use(self, site: int) -> str | None:
        """Return why a site cannot test, None if it can."""
        return self._poisoned(site) or self._off.get(site)

    def all_out_of_use(self) -> frozenset[int]:
        """Return the sites that cannot test."""
        return frozenset(site for site in self._resources if self.out_of_use(site) is not None)

    def _poisoned(self, site: int) -> str | None:
        return next((r.turn.poisoned for r in self._resources[site] if r.turn.poisoned), None)

    def switch_off(self, site: int, reason: str) -> None:
        """Test at this site no more."""
        self._off[site] = reason

    def switch_on(self, site: int) -> None:
        """Test at this site again."""
        self._off.pop(site, None)

    def objection(self, site: int, *, on: bool) -> str:
        """Return why a person cannot switch a site; empty if he can."""
        if site not in self._resources:
            return f"there is no site {site}; there are {', '.join(map(str, sorted(self._resources)))}"
        if on and (why := self._poisoned(site)):
            return f"site {site} is out of use until it is cleared: {why}"
        if on == (self.out_of_use(site) is None):
            return f"site {site} is {'on' if on else 'off'} already"
        if not on and self._usable() - 1 < self._least:
            return f"without site {site} fewer than half of the sites would test: end the lot instead"
        return ""

    @property
    def _least(self) -> int:
        return (len(self._resources) + 1) // 2

    def _usable(self) -> int:
        return sum(self.out_of_use(site) is None for site in self._resources)

    def newly_quarantined(self) -> dict[int, str]:
        """Sites whose resources went out of use, each told once, also where a rule had switched it off."""
        lost = {site: why for site in self._resources if (why := self._poisoned(site))}
        new = {site: why for site, why in lost.items() if site not in self._told}
        self._told |= lost.keys()
        return new

    def too_few(self) -> str:
        """Why the lot cannot go on with the sites that are left; empty while half of them test."""
        return self._said_if_few(self._usable())

    def too_few_machines(self) -> str:
        """The same of machines alone: without the sites that rules switched off persons let a lot go on."""
        return self._said_if_few(sum(self._poisoned(site) is None for site in self._resources))

    def _said_if_few(self, usable: int) -> str:
        return "" if usable >= self._least else f"only {usable} of {len(self._resources)} sites are usable"
