"""The lot summary as people read it."""

from rich.console import Console
from rich.table import Table

from station.report import LotReport, TruthReport

STYLES = {"pass": "green", "fail": "red", "other": "yellow"}


def shown(report: LotReport) -> None:
    """Print the summary of a lot."""
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"\n[bold]Lot {report.lot}[/] {report.state.lower()}", end="")
    console.print(f": {report.reason}" if report.reason else "")
    console.print(
        f"{report.tested} tested, [green]{report.good} good[/] ({100 * report.yield_fraction:.2f} %), "
        f"{report.secured} secured, {report.retested} retested, {report.units_per_hour:,.0f} units/h"
    )
    console.print(_bins(report))
    console.print("Balance: " + ", ".join(f"{name} {number}" for name, number in report.accounts.items()))
    if report.truth is not None:
        console.print(_truth(report.truth))
    console.print(f"{report.simulated_s:,.1f} s of the cell's time in {report.wall_s:.1f} s")
    for label, path in (("STDF", report.stdf), ("store", report.store), ("journal", report.journal)):
        console.print(f"{label:8}{path or '(not written: the lot is open)'}")


def _bins(report: LotReport) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("bin", "hard", "devices", "%"):
        table.add_column(heading, justify="right")
    table.add_column("name")
    for bin_ in report.bins:
        if bin_.count:
            share = f"{100 * bin_.count / report.tested:.2f}"
            row = (str(bin_.number), str(bin_.hard), str(bin_.count), share, bin_.name)
            table.add_row(*row, style=STYLES[bin_.kind])
    return table


def _truth(truth: TruthReport) -> str:
    text = (
        f"Hidden truth: {truth.good} good; escapes {len(truth.escapes)}, overkill {len(truth.overkill)} "
        f"(unexplained {len(truth.unexplained)}), misplaced {len(truth.misplaced)}, "
        f"custody differences {len(truth.custody)}"
    )
    return f"[green]{text}[/]" if truth.agrees else f"[bold red]{text}[/]"
