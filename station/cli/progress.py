"""What a person sees of a lot while it runs: a live display on a terminal, plain lines elsewhere."""

from collections import Counter
from collections.abc import AsyncIterable, Iterable
from datetime import UTC, datetime

import click
from rich.console import Group
from rich.live import Live
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from station import events
from station.alarms import is_alarm
from station.cli.terminal import terminal
from station.model import BinKind, LotInfo, Outcome

PLAIN_STEPS = 10
REFRESH_PER_S = 8
SITES_A_LINE = 16
STYLES = {BinKind.PASS: "bold green", BinKind.FAIL: "red", BinKind.OTHER: "yellow"}


class Progress:
    """Counts; shows nothing."""

    def __init__(self, devices: int) -> None:
        self.devices = devices
        self.info: LotInfo | None = None
        self.state = ""
        self.reason = ""
        self.sorted = 0
        self.good = 0
        self.retested = 0
        self.sealed = 0
        self.began = 0.0
        self.now = 0.0
        self.by_bin = Counter[int]()
        self.by_site = dict[int, Counter[BinKind]]()
        self._contact: dict[int, Outcome] = {}

    def recall(self, happened: Iterable[events.Any]) -> None:
        """Count what was journalled before this station was started."""
        for event in happened:
            Progress.take(self, event)

    async def follow(self, happened: AsyncIterable[events.Any]) -> None:
        """Take every event in, until there are no more."""
        async for event in happened:
            self.take(event)

    def take(self, event: events.Any) -> None:
        """Take one event in."""
        self.now = event.at
        match event:
            case events.LotLoaded():
                self.info = event.info
                self.by_site = {site: Counter() for site in event.info.sites}
            case events.StateChanged():
                self.state, self.reason = event.new, event.reason
                self.began = self.began or (event.at if event.new == "RUNNING" else 0.0)
            case events.ContactsClosed():
                self._contact |= {outcome.site: outcome for outcome in event.outcomes}
                self.retested += sum(outcome.contact > 1 for outcome in event.outcomes)
            case events.PersonalisationEnded():
                self.sealed += bool(event.uid)
            case events.Sorted():
                self._sort(event.bins)
            case _:
                pass

    def _sort(self, sites: Iterable[int]) -> None:
        for site in sites:
            outcome = self._contact.pop(site)
            self.sorted += 1
            self.good += outcome.kind is BinKind.PASS
            self.by_bin[outcome.soft] += 1
            self.by_site[site][outcome.kind] += 1

    @property
    def units_per_hour(self) -> float:
        """Devices sorted per hour of the lot's own time."""
        passed = self.now - self.began
        return self.sorted * 3600 / passed if self.began and passed > 0 else 0.0

    @property
    def yield_percent(self) -> float:
        """Good devices of those sorted."""
        return 100 * self.good / self.sorted if self.sorted else 0.0


class PlainProgress(Progress):
    """A line at every tenth of the lot and at everything that a person must know."""

    def __init__(self, devices: int) -> None:
        super().__init__(devices)
        self._told = 0

    def take(self, event: events.Any) -> None:
        super().take(event)
        match event:
            case events.StateChanged(new=new, reason=reason) if new in {
                "RUNNING",
                "PAUSED",
                "HELD",
                "ABORTED",
                "CLOSED",
            }:
                self._say(f"{new.lower()}{': ' if reason else ''}{reason}")
            case events.Faulted(site=site, reason=reason):
                self._say(f"site {site}: {reason}" if site else reason)
            case events.Quarantined(resource=resource, reason=reason):
                self._say(f"{resource} is out of use: {reason}")
            case events.RuleTripped():
                self._say(_tripped(event))
            case events.MachineTold():
                self._say(str(event))
            case events.Sorted():
                self._step()
            case _:
                pass

    def _step(self) -> None:
        step = self.sorted * PLAIN_STEPS // max(1, self.devices)
        if step > self._told:
            self._told = step
            self._say(
                f"{self.sorted} of {self.devices} devices, yield {self.yield_percent:.1f} %, "
                f"secured {self.sealed}, retested {self.retested}, {self.units_per_hour:.0f} units/h"
            )

    def _say(self, text: str) -> None:
        moment = datetime.fromtimestamp(self.now, UTC).strftime("%H:%M:%S")
        click.echo(f"{moment} {text}")


class LiveProgress(Progress):
    """Devices, yield, UPH and the bins of every site, redrawn in place."""

    def __init__(self, devices: int) -> None:
        super().__init__(devices)
        self._console = terminal(soft_wrap=False)
        self._notes: list[str] = []

    async def follow(self, happened: AsyncIterable[events.Any]) -> None:
        with Live(self, console=self._console, refresh_per_second=REFRESH_PER_S, transient=True):
            await super().follow(happened)

    def take(self, event: events.Any) -> None:
        super().take(event)
        match event:
            case events.Faulted(site=site, reason=reason):
                self._notes = [*self._notes[-2:], f"site {site}: {reason}"]
            case events.Quarantined(resource=resource, reason=reason):
                self._notes = [*self._notes[-2:], f"{resource} is out of use: {reason}"]
            case events.RuleTripped():
                self._notes = [*self._notes[-2:], _tripped(event)]
            case events.MachineTold() if is_alarm(event):
                self._notes = [*self._notes[-2:], str(event)]
            case _:
                pass

    def __rich__(self) -> Group:
        notes = [Text(note, style="yellow", overflow="ellipsis", no_wrap=True) for note in self._notes]
        bar = ProgressBar(self.devices, self.sorted, complete_style="green", finished_style="green")
        lines = (self._head(), Padding(bar), self._figures(), Text())
        return Group(*lines, self._sites(), Text(), self._bins(), *notes)

    def _head(self) -> Text:
        lot = self.info.lot if self.info else ""
        state = (f" {self.state.lower()}", "cyan")
        return Text.assemble((lot, "bold"), state, f"  {self.sorted} of {self.devices} devices")

    def _figures(self) -> Text:
        return Text.assemble(
            (f"yield {self.yield_percent:.1f} %", "bold green"),
            f"  {self.units_per_hour:,.0f} units/h  secured {self.sealed}  retested {self.retested}",
        )

    def _sites(self) -> Table:
        table = Table.grid(padding=(0, 1))
        table.add_column(style="dim", min_width=5)
        for _ in range(min(len(self.by_site), SITES_A_LINE)):
            table.add_column(justify="right", min_width=3)
        numbers = list(self.by_site)
        for start in range(0, len(numbers), SITES_A_LINE):
            self._some_sites(table, numbers[start : start + SITES_A_LINE])
        return table

    def _some_sites(self, table: Table, numbers: list[int]) -> None:
        table.add_row("site", *map(str, numbers), style="dim")
        for kind, label in ((BinKind.PASS, "good"), (BinKind.FAIL, "fail"), (BinKind.OTHER, "other")):
            counts = [self.by_site[number][kind] for number in numbers]
            if kind is BinKind.PASS or any(counts):
                table.add_row(label, *(str(count or "-") for count in counts), style=STYLES[kind])

    def _bins(self) -> Table:
        table = Table.grid(padding=(0, 2))
        for justify in ("right", "left", "right", "right"):
            table.add_column(justify=justify)
        bins = sorted(self.info.bins, key=lambda b: -self.by_bin[b.number]) if self.info else []
        for bin_ in [b for b in bins if self.by_bin[b.number]]:
            count = self.by_bin[bin_.number]
            share = f"{100 * count / self.sorted:.1f} %"
            table.add_row(str(bin_.number), bin_.name, str(count), share, style=STYLES[bin_.kind])
        return table


def _tripped(event: events.RuleTripped) -> str:
    where = f"site {event.site}" if event.site else "the cell"
    return f"rule {event.rule}, {where}: {event.seen}: {event.action}"
