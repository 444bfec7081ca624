"""The lot summary as people read it."""

from collections.abc import Iterator

from rich.console import Console
from rich.table import Table
from rich.text import Text

from station.cli.terminal import terminal
from station.report import LotReport, TruthReport

STYLES = {"pass": "green", "fail": "red", "other": "yellow"}


def shown(report: LotReport, console: Console | None = None) -> None:
    """Print the summary of a lot, on standard output unless another console is given."""
    console = console or terminal()
    reason = f": {report.reason}" if report.reason else ""
    console.print()
    console.print(Text.assemble((f"Lot {report.lot}", "bold"), f" {report.state.lower()}{reason}"))
    console.print(_counts(report))
    console.print()
    if report.tested:
        console.print(_bins(report))
        console.print()
    if report.truth is not None and len(report.truth.policies) > 1:
        console.print(_policies(report.truth))
        console.print()
    for label, fact in _facts(report):
        console.print(Text.assemble((f"{label:9}", "dim"), fact))


def _counts(report: LotReport) -> Text:
    return Text.assemble(
        f"{report.tested} tested, ",
        (f"{report.good} good", "green"),
        f" ({100 * report.yield_fraction:.2f} %), {report.secured} secured, {report.retested} retested, "
        f"{report.units_per_hour:,.0f} units/h",
    )


def _facts(report: LotReport) -> Iterator[tuple[str, str | Text]]:
    yield "balance", ", ".join(f"{name}: {number}" for name, number in report.accounts.items())
    if told := "; ".join(_rows(report)):
        yield "rows", told
    if report.truth is not None:
        yield "truth", _truth(report.truth)
    simulated = f"{report.simulated_s:,.1f} s of the cell in " if report.simulated_s else ""
    yield "time", f"{simulated}{report.wall_s:,.1f} s"
    yield "STDF", report.stdf or "not written: the lot is open"
    yield "store", report.store
    yield "journal", report.journal
    if report.order:
        yield "order", report.order
    if report.vault_open:
        yield "vault", Text(report.vault_open, style="yellow")
    if report.evidence:
        yield "evidence", report.evidence


def _rows(report: LotReport) -> Iterator[str]:
    if report.retried:
        yield f"retried in {report.retried} devices"
    for word, counts in (
        ("left out", report.skipped),
        ("marginal", report.marginal),
        ("at a limit", report.alarms),
    ):
        if counts:
            yield f"{word} " + ", ".join(f"{which}: {count}" for which, count in counts.items())
    if report.unknown:
        yield f"nothing known before of {report.unknown} devices"


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


def _policies(truth: TruthReport) -> Table:
    """Escapes and overkill behind each policy; those that did nothing are left out."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("policy")
    for heading in ("devices", "escapes", "overkill"):
        table.add_column(heading, justify="right")
    first, *others = truth.policies
    for stage in (first, *(stage for stage in others if stage.devices or stage.trips)):
        known = (stage.escapes, stage.overkill)
        shares = (f"{one.count} of {one.of} (to {one.high:.2%})" for one in known)
        table.add_row(stage.policy, str(stage.devices), *shares)
    return table


def _truth(truth: TruthReport) -> Text:
    text = (
        f"{truth.good} good; escapes {len(truth.escapes)}, overkill {len(truth.overkill)} "
        f"(unexplained {len(truth.unexplained)}), misplaced {len(truth.misplaced)}, "
        f"custody differences {len(truth.custody)}"
    )
    return Text(text, style="green" if truth.agrees else "bold red")
