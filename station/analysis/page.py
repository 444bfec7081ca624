"""The findings of a lot as one HTML page: nothing is fetched, nothing runs, it prints."""

from collections.abc import Iterable

from lxml import etree

from station.analysis import drawing
from station.analysis.capability import Index
from station.analysis.drawing import element
from station.analysis.findings import Findings, TestFinding
from station.analysis.shares import Share
from station.analysis.wafers import Stacked

STYLE = """
:root { color-scheme: light dark; --ink: #1c2330; --dim: #5d6675; --paper: #fff; --line: #d9dee6; --bar: #3267a8; --bad: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ef; --dim: #9aa4b4; --paper: #14181f; --line: #2e3643; --bar: #7fb0ea; --bad: #ff8a80; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 1080px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin: 0; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; } p.dim, caption { color: var(--dim); }
.figures { display: flex; flex-wrap: wrap; gap: 1.5rem; margin: 1rem 0; } .figures div { min-width: 8rem; }
.figures b { display: block; font-size: 1.5rem; font-variant-numeric: tabular-nums; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .25rem .5rem; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:first-child, td:first-child, td.name, th.name { text-align: left; white-space: normal; } th { color: var(--dim); font-weight: 500; }
.bad { color: var(--bad); } .scroll { overflow-x: auto; } .tests { display: grid; grid-template-columns: repeat(auto-fill, minmax(370px, 1fr)); gap: 1rem; }
figure { margin: 0; break-inside: avoid; } figcaption { color: var(--dim); font-size: .9rem; }
svg { max-width: 100%; height: auto; } svg text { fill: var(--ink); font: 11px system-ui, sans-serif; }
.bar, .die { fill: var(--bar); } .limit { stroke: var(--bad); stroke-dasharray: 4 3; fill: none; } .centre { stroke: var(--dim); fill: none; }
.line { stroke: var(--bar); fill: none; } .dot { fill: var(--bar); } .signal { fill: var(--bad); }
"""  # noqa: E501 - a sheet of rules, one a line
CAPABLE = 1.33
HEADINGS = (
    *("test", "unit", "low", "high", "n", "failed", "only this"),
    *("mean", "sigma", "Cpk", "Ppk", "95 % from", "outliers", "sites"),
)


def page(found: Findings, wafers: Stacked | None = None) -> bytes:
    """Return the page of a lot, with its wafers laid over each other if it has some."""
    body = element("body")
    body.append(element("h1", f"Lot {found.lot}"))
    body.append(element("p", f"{found.product} · {found.program} · {found.station}", class_="dim"))
    body.append(_figures(found))
    for title, part in _parts(found, wafers):
        body.append(element("h2", title))
        body.append(part)
    root = element("html", lang="en")
    head = etree.SubElement(root, "head")
    head.append(element("meta", charset="utf-8"))
    head.append(element("meta", name="viewport", content="width=device-width, initial-scale=1"))
    head.append(element("title", f"Lot {found.lot}"))
    head.append(element("style", STYLE))
    root.append(body)
    return etree.tostring(root, method="html", doctype="<!DOCTYPE html>", encoding="utf-8")


def _parts(found: Findings, wafers: Stacked | None) -> Iterable[tuple[str, etree._Element]]:
    if found.bins:
        yield "Where bad parts ended", drawing.pareto(found.bins, "bad parts by soft bin")
    if found.failing:
        yield "Tests that failed", drawing.pareto(found.failing[:15], "contacts by failed test")
    if found.yield_chart is not None:
        signals = sorted({place for places in found.yield_signals.values() for place in places})
        yield (
            "Bad contacts in order",
            drawing.control_chart(found.yield_chart, signals, "share of bad contacts in groups, in order"),
        )
    if wafers is not None:
        title = f"{len(wafers.wafers)} wafers"
        yield title, drawing.wafer((wafers.columns, wafers.rows), wafers.yields(), "share of good dies")
    yield "Sites", _sites(found)
    yield (
        "Where test time went, seconds by soft bin",
        drawing.pareto(found.time.by_bin, "seconds by soft bin"),
    )
    if found.time.by_test:
        yield (
            f"Where the time of a contact goes, milliseconds, mean of {found.time.timed} contacts",
            drawing.pareto(found.time.by_test[:15], "milliseconds of a contact by test"),
        )
    if found.tests:
        yield "Tests", _tests(found.tests)
        yield "Distributions", _distributions(found.tests)


def _figures(found: Findings) -> etree._Element:
    box = element("div", class_="figures")
    figures = (
        (_percent(found.final), f"final yield, {found.final.count} of {found.final.of} parts"),
        (_percent(found.first), "first yield"),
        (str(found.recovered), "parts that a retest made good"),
        (str(found.contacts), "contacts"),
        (f"{found.time.mean / 1000:.3f} s", f"a contact; {found.time.good_mean / 1000:.3f} s a good one"),
        (str(found.never_failed), "tests that never failed"),
    )
    for number, text in figures:
        one = etree.SubElement(box, "div")
        one.append(element("b", number))
        one.append(element("span", text))
    return box


def _percent(share: Share) -> str:
    return f"{100 * share.value:.2f} %"


def _table(headings: Iterable[str], rows: Iterable[Iterable[str]]) -> etree._Element:
    box = element("div", class_="scroll")
    table = etree.SubElement(box, "table")
    top = etree.SubElement(etree.SubElement(table, "thead"), "tr")
    for heading in headings:
        top.append(element("th", heading))
    body = etree.SubElement(table, "tbody")
    for row in rows:
        line = etree.SubElement(body, "tr")
        for cell in row:
            bad = cell.startswith("!")
            line.append(element("td", cell.removeprefix("!"), **({"class_": "bad"} if bad else {})))
    return box


def _sites(found: Findings) -> etree._Element:
    return _table(
        ("site", "parts", "good", "yield", "95 % from", "to", "ms a contact"),
        (
            (
                str(site.site),
                str(site.parts.of),
                str(site.parts.count),
                _percent(site.parts),
                f"{100 * site.parts.low:.2f} %",
                f"{100 * site.parts.high:.2f} %",
                f"{site.mean_ms:.1f}",
            )
            for site in found.sites
        ),
    )


def _tests(tests: Iterable[TestFinding]) -> etree._Element:
    return _table(
        HEADINGS,
        (_test(test) for test in tests),
    )


def _test(test: TestFinding) -> Iterable[str]:
    yield f"{test.number} {test.name}"
    yield test.unit
    yield from ("" if limit is None else f"{limit:.5g}" for limit in (test.low, test.high))
    yield str(test.executed)
    yield f"!{test.failed}" if test.failed else "0"
    yield str(test.only_failed)
    found = test.capability
    if found is None:
        yield from ("",) * 5
    else:
        yield from (f"{found.mean:.5g}", f"{found.sigma:.3g}")
        yield from (_index(found.cpk), _index(found.ppk))
        yield "" if found.ppk is None or found.ppk.low is None else f"{found.ppk.low:.2f}"
    yield str(test.outliers)
    yield "!differ" if test.sites_differ else "alike" if test.sites else ""


def _index(index: Index | None) -> str:
    if index is None:
        return ""
    return f"{'!' if index.value < CAPABLE else ''}{index.value:.2f}"


def _distributions(tests: Iterable[TestFinding]) -> etree._Element:
    box = element("div", class_="tests")
    for test in tests:
        figure = etree.SubElement(box, "figure")
        title = f"{test.number} {test.name}"
        figure.append(drawing.histogram(test.histogram, test.low, test.high, title))
        outside = test.histogram.below + test.histogram.above
        more = f", {outside} further out" if outside else ""
        figure.append(element("figcaption", f"{title} [{test.unit or '-'}]{more}"))
    return box
