"""The findings of a lot for paper: PDF of all sheets, PNG of the first; same findings, same bytes."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure

from station.analysis.findings import Findings, TestFinding
from station.analysis.shares import Bar
from station.analysis.wafers import Stacked
from station.errors import StorageError

A4 = (8.27, 11.69)
"""Inches."""
INK, DIM, BAR, BAD = "#1c2330", "#5d6675", "#3267a8", "#b3261e"
MOST_BARS, TESTS_A_SHEET = 12, 8
DPI = 150


def to_pdf(path: Path, found: Findings, wafers: Stacked | None = None) -> int:
    """Write all sheets and return how many there are; StorageError if they cannot be written."""
    count = 0
    try:
        with PdfPages(path, metadata={"CreationDate": None, "Title": f"Lot {found.lot}"}) as pages:
            for sheet in sheets(found, wafers):
                pages.savefig(sheet)
                count += 1
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror}") from error
    return count


def to_png(path: Path, found: Findings, wafers: Stacked | None = None) -> None:
    """Write the first sheet; StorageError if it cannot be written."""
    try:
        next(sheets(found, wafers)).savefig(path, dpi=DPI, format="png", metadata={"Software": None})
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror}") from error


def sheets(found: Findings, wafers: Stacked | None = None) -> Iterator[Figure]:
    """Yield the overview, then the distributions of the tests, several on a sheet."""
    yield _overview(found, wafers)
    for begin in range(0, len(found.tests), TESTS_A_SHEET):
        tests, number = found.tests[begin : begin + TESTS_A_SHEET], 2 + begin // TESTS_A_SHEET
        figure = Figure(figsize=A4, layout="constrained")
        figure.suptitle(f"Lot {found.lot} · distributions · sheet {number}", color=DIM, fontsize=9)
        axes = figure.subplots(TESTS_A_SHEET // 2, 2, squeeze=False)
        for place, axis in enumerate(axes.flat):
            if place < len(tests):
                _histogram(axis, tests[place])
            else:
                axis.set_axis_off()
        yield figure


def _overview(found: Findings, wafers: Stacked | None) -> Figure:
    figure = Figure(figsize=A4, layout="constrained")
    title = f"Lot {found.lot} · {found.product} · {found.program} · {found.station}"
    figure.suptitle(title, color=INK, fontsize=11)
    top, left, right, last, slow = (figure.add_subplot(5, 1, n) for n in range(1, 6))
    top.set_axis_off()
    top.text(0.0, 0.95, "\n".join(_figures(found)), va="top", family="monospace", fontsize=9, color=INK)
    _pareto(left, found.bins, "bad parts by soft bin")
    _pareto(right, found.failing, "contacts by failed test")
    if wafers is None:
        _pareto(last, found.time.by_bin, "seconds by soft bin")
    else:
        _wafer(last, wafers)
    _pareto(slow, found.time.by_test, "milliseconds of a contact by test")
    return figure


def _figures(found: Findings) -> Iterator[str]:
    final, first = found.final, found.first
    yield f"final yield   {final.value:8.2%}   {final.count} of {final.of} parts"
    yield f"              95 % between {final.low:.2%} and {final.high:.2%}"
    yield f"first yield   {first.value:8.2%}   {found.recovered} made good by retest"
    yield f"contacts      {found.contacts:8}   {found.time.mean / 1000:.3f} s each"
    yield ""
    for site in found.sites:
        yield f"site {site.site:<2}       {site.parts.value:8.2%}   {site.parts.count} of {site.parts.of}"


def _pareto(axis: Axes, bars: Sequence[Bar], title: str) -> None:
    axis.set_title(title, loc="left", fontsize=9, color=DIM)
    shown = list(bars)[:MOST_BARS]
    if not shown:
        axis.set_axis_off()
        return
    axis.barh([bar.name for bar in shown], [bar.count for bar in shown], color=BAR)
    axis.invert_yaxis()
    axis.tick_params(labelsize=7)
    axis.spines[["top", "right"]].set_visible(False)


def _histogram(axis: Axes, test: TestFinding) -> None:
    title = f"{test.number} {test.name} [{test.unit or '-'}]"
    if test.capability is not None and test.capability.cpk is not None:
        title += f"  Cpk {test.capability.cpk.value:.2f}"
    axis.set_title(title, loc="left", fontsize=8, color=INK)
    if test.histogram.counts:
        axis.stairs(test.histogram.counts, test.histogram.edges, fill=True, color=BAR)
        low, high = test.histogram.edges[0], test.histogram.edges[-1]
        for limit in (test.low, test.high):
            if limit is not None and low - (high - low) <= limit <= high + (high - low):
                axis.axvline(limit, color=BAD, linestyle="--", linewidth=1)
    axis.tick_params(labelsize=6)
    axis.spines[["top", "right"]].set_visible(False)


def _wafer(axis: Axes, wafers: Stacked) -> None:
    grid = np.full((wafers.rows, wafers.columns), np.nan)
    for (column, row), share in wafers.yields().items():
        grid[row, column] = share
    image = axis.imshow(grid, vmin=0.0, vmax=1.0, cmap="viridis", interpolation="nearest")
    title = f"share of good dies, {len(wafers.wafers)} wafers, notch down"
    axis.set_title(title, loc="left", fontsize=9, color=DIM)
    axis.set_axis_off()
    axis.figure.colorbar(image, ax=axis, shrink=0.8)
