"""`hardbin report`: what lots, studies and wafers say, as text, JSON or one HTML page."""

from collections.abc import Iterable
from pathlib import Path

import click
import msgspec
from rich.table import Table

from station.analysis import capability, closeup, correlation, gauge, reduction, study
from station.analysis import noise as noise_of
from station.analysis.findings import Findings, findings
from station.analysis.lot import Lot, lot_of, stacked_of
from station.cli.stdf_files import must_exist
from station.cli.terminal import terminal
from station.errors import StorageError

FILE = click.argument("file", type=click.Path(path_type=Path))
SLOWEST = 10
"""Tests that are shown with their time."""
RUN = click.option("--run", type=click.IntRange(1), help="Of a store with several runs.")
JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
TEST = click.option("--test", required=True, type=click.IntRange(0), help="Its number.")


@click.group()
def report() -> None:
    """Analyse a store's run or an STDF file: yield, capability, control charts, correlation, GR&R."""


@report.command()
@FILE
@RUN
@click.option("--html", type=click.Path(path_type=Path), help="Write one page, which needs nothing else.")
@click.option("--pdf", type=click.Path(path_type=Path), help="Write sheets for paper.")
@click.option("--png", type=click.Path(path_type=Path), help="Write the first of them as a picture.")
@JSON
def lot(
    file: Path, run: int | None, html: Path | None, pdf: Path | None, png: Path | None, *, as_json: bool
) -> None:
    """Work out a whole lot: yield, bins, failing tests, sites, test time, capability of each test."""
    found = findings(_lot(file, run))
    if html is not None:
        from station.analysis.page import page

        try:
            html.write_bytes(page(found, stacked_of(file, run)))
        except OSError as error:
            raise StorageError(f"{html}: {error.strerror}") from error
    if pdf is not None or png is not None:
        from station.analysis import sheets

        if pdf is not None:
            sheets.to_pdf(pdf, found, stacked_of(file, run))
        if png is not None:
            sheets.to_png(png, found, stacked_of(file, run))
    if as_json:
        _json(found)
    elif html is None and pdf is None and png is None:
        _shown(found)


@report.command("capability")
@FILE
@TEST
@RUN
@JSON
def capability_(file: Path, test: int, run: int | None, *, as_json: bool) -> None:
    """Cp, Cpk, Pp and Ppk of a test with 95 % intervals, over the last contact of each part."""
    of = _lot(file, run)
    place = of.column(test)
    column = of.tests[place]
    found = capability.capability(of.values[of.contacts.last, place], column.low, column.high)
    if as_json:
        _json(found)
        return
    click.echo(f"test {test} {column.name}: n {found.count}, mean {found.mean:.6g}, sigma {found.sigma:.4g}")
    for name, index in (("Cp", found.cp), ("Cpk", found.cpk), ("Pp", found.pp), ("Ppk", found.ppk)):
        if index is not None:
            click.echo(f"{name:>4} {index.value:8.3f}   95 %: {index.low:.3f} to {index.high:.3f}")
    normal = "" if found.normal_p is None else f"; normal with p {found.normal_p:.3g}"
    click.echo(f"expected beyond the limits: {found.expected_ppm:.3g} ppm{normal}")


@report.command()
@FILE
@TEST
@RUN
@click.option("--group", type=click.IntRange(2, 25), help="Size of subgroups; single values without it.")
@JSON
def spc(file: Path, test: int, run: int | None, group: int | None, *, as_json: bool) -> None:
    """Control charts of a test in the order of contacts, and where Nelson's rules signal."""
    found = closeup.charted(_lot(file, run), test, group)
    if as_json:
        _json(found)
        return
    for chart in found.charts:
        limits = f"{chart.low[0]:.6g} to {chart.high[0]:.6g}"
        click.echo(
            f"{chart.name}: centre {chart.centre[0]:.6g}, limits {limits}, beyond: {len(chart.beyond)}"
        )
    if found.over_range:
        click.echo(f"over-range readings left out: {found.over_range}")
    for rule, at in found.rules.items():
        if at:
            click.echo(f"rule {rule}: {len(at)} signals, the first at point {at[0] + 1}")


@report.command()
@click.argument("first", type=click.Path(path_type=Path))
@click.argument("second", type=click.Path(path_type=Path))
@JSON
def correlate(first: Path, second: Path, *, as_json: bool) -> None:
    """Compare the same parts in two files, for example of two testers: correlation, offset of each test."""
    rows = correlation.paired(_lot(first, None), _lot(second, None))
    if as_json:
        _json([{"test": one.number, "name": one.name, **msgspec.to_builtins(one.found)} for one in rows])
        return
    headings = ("test", "n", "r", "slope", "offset", "95 % from", "to")
    _table(headings, ((
        str(one.number), str(f.count), f"{f.r:.4f}", f"{f.slope:.4f}", f"{f.offset:.4g}",
        f"{f.offset_low:.4g}", f"{f.offset_high:.4g}", one.name,
    ) for one, f in ((one, one.found) for one in rows)))  # fmt: skip


@report.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@JSON
def groups(files: tuple[Path, ...], *, as_json: bool) -> None:
    """Compare the sites of one lot, or several lots of other parts, test by test: means and spread."""
    lots = [_lot(file, None) for file in files]
    found = correlation.by_site(lots[0]) if len(lots) == 1 else correlation.by_lot(lots)
    if as_json:
        _json(found)
        return
    _table(("test", "p", "apart", "spread p", "", *found.names), ((
        str(one.number), f"{one.found.p:.3g}", f"{one.apart:.2f}", f"{one.found.spread_p:.3g}",
        "differ" if one.differ else "", *(f"{mean:.5g}" for mean in one.found.means), one.name,
    ) for one in found.tests))  # fmt: skip


@report.command("reduction")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@JSON
def reduction_(files: tuple[Path, ...], *, as_json: bool) -> None:
    """Show what each test of one or more lots of a sequence is worth, and where test time goes."""
    found = reduction.reduction([_lot(file, None) for file in files])
    if as_json:
        _json(found)
        return
    click.echo(
        f"{len(found.lots)} lots, {found.parts} parts; a passing contact takes {found.good_ms / 1000:.3f} s, "
        f"a failing one {found.bad_ms / 1000:.3f} s"
    )
    _table(("test", "failed", "only this", "escapes, ppm", "Cpk", "twin", "r", "ms"), ((
        str(one.number), str(one.failed), str(one.only_failed), f"{one.escapes_ppm:.0f}",
        "" if one.cpk is None else f"{one.cpk:.2f}", str(one.twin or ""), f"{one.r:.3f}" if one.twin else "",
        "" if one.ms is None else f"{one.ms:.3g}", one.name,
    ) for one in found.tests))  # fmt: skip


@report.command("gauge")
@FILE
@click.option("--method", type=click.Choice(["anova", "range"]), default="anova", show_default=True)
@click.option("--tolerance", type=float, help="Upper less lower limit, for shares of it.")
@JSON
def gauge_(file: Path, method: str, tolerance: float | None, *, as_json: bool) -> None:
    """GR&R of a CSV file with the columns part, operator (or site, as operator), trial and value."""
    must_exist(file)
    if tolerance is not None and not tolerance > 0:
        raise click.UsageError("--tolerance must be above 0")
    values = study.gauge_values(file)
    found = (
        gauge.anova(values, tolerance=tolerance)
        if method == "anova"
        else gauge.average_range(values, tolerance=tolerance)
    )
    if as_json:
        _json(found)
        return
    click.echo(f"{found.method}: {found.parts} parts, {found.operators} operators, {found.trials} trials")
    of = found.repeatability, found.reproducibility, found.interaction, found.grr, found.part, found.total
    names = ("repeatability", "reproducibility", "of it interaction", "GR&R", "parts", "total")
    _table(("sigma", "% of total", "% of tolerance"), ((
        f"{one.sigma:.6g}", f"{one.percent:.2f}",
        "" if one.percent_tolerance is None else f"{one.percent_tolerance:.2f}", name,
    ) for name, one in zip(names, of, strict=True)))  # fmt: skip
    click.echo(f"{found.categories} distinct categories; {found.verdict}")


@report.command()
@FILE
@RUN
@click.option(
    "--bytes", "size", type=click.IntRange(128), default=2048, show_default=True, help="Of noise, a part."
)
@JSON
def noise(file: Path, run: int | None, size: int, *, as_json: bool) -> None:
    """Judge a lot's noise sources together (NIST SP 800-90B): bias, likeness, longest run, worst window."""
    found = noise_of.noise(_lot(file, run), size)
    if as_json:
        _json(found)
        return
    left = f"; {found.left_out} that failed are left out" if found.left_out else ""
    click.echo(f"{found.parts} parts, {found.bits:,} bits of noise{left}")
    click.echo(f"share of ones {found.ones:.6f}: at least {found.entropy_per_bit:.6f} bit a bit, at 99 %")
    alike = "alike" if found.alike else "NOT alike"
    click.echo(f"the parts' sources are {alike}: their shares of ones spread so with p {found.spread_p:.3g}")
    worst = {
        "weakest, bit a bit": found.weakest,
        "longest run": found.longest_run,
        "fullest window": found.worst_proportion,
    }
    for name, one in worst.items():
        click.echo(f"{name}: {one.value:.4g}, part {one.part}, in such a lot with p {one.p:.3g}")
    least, hundredth, median = found.byte_entropy
    click.echo(f"bits a byte, part by part: least {least:.3f}, 1 % {hundredth:.3f}, median {median:.3f}")


def _lot(file: Path, run: int | None) -> Lot:
    must_exist(file)
    return lot_of(file, run)


def _json(found: object) -> None:
    click.echo(msgspec.json.encode(found).decode())


def _shown(found: Findings) -> None:
    share, first = found.final, found.first
    click.echo(f"Lot {found.lot} of {found.product}, {found.program}, at {found.station}")
    click.echo(
        f"{share.of} parts, {share.count} good ({100 * share.value:.2f} %, 95 %: {100 * share.low:.2f} to "
        f"{100 * share.high:.2f}), at first contact {100 * first.value:.2f} %, recovered {found.recovered}"
    )
    never = f"{found.never_failed} tests never failed"
    click.echo(f"{found.contacts} contacts of {found.time.mean / 1000:.3f} s, {never}")
    for bar in found.bins:
        click.echo(f"{bar.count:>7g}  {100 * bar.cumulated:6.2f} %  bin {bar.name}")
    if found.time.by_test:
        click.echo(f"time of a contact, mean of {found.time.timed}:")
    for bar in found.time.by_test[:SLOWEST]:
        click.echo(f"{bar.count:>7.1f} ms {100 * bar.cumulated:6.2f} %  {bar.name}")
    headings = ("test", "failed", "only this", "mean", "Cpk", "Ppk", "outliers", "sites")
    _table(headings, ((
        str(t.number), str(t.failed), str(t.only_failed),
        f"{t.capability.mean:.5g}" if t.capability else "",
        f"{t.capability.cpk.value:.2f}" if t.capability and t.capability.cpk else "",
        f"{t.capability.ppk.value:.2f}" if t.capability and t.capability.ppk else "",
        str(t.outliers), "differ" if t.sites_differ else "", t.name,
    ) for t in found.tests))  # fmt: skip


def _table(headings: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> None:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in headings:
        table.add_column(heading, justify="right")
    table.add_column("")
    for row in rows:
        table.add_row(*row)
    terminal().print(table)
