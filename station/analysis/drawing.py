"""Small charts as SVG: histogram, Pareto, control chart, wafer. No script, no font, nothing from outside."""

from collections.abc import Mapping, Sequence

from lxml import etree

from station.analysis.control import Chart
from station.analysis.shares import Bar, Histogram
from station.datalog.maps.axes import Place

WIDTH, HEIGHT = 360, 140
LEFT, BOTTOM, TOP = 8, 22, 8


def element(tag: str, text: str = "", /, **attributes: object) -> etree._Element:
    """Make an element; `class_` is its class, other underscores become hyphens."""
    made = etree.Element(tag, {_attribute(key): _text(value) for key, value in attributes.items()})
    made.text = text or None
    return made


def _attribute(key: str) -> str:
    return key.rstrip("_").replace("_", "-")


def _text(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _drawing(title: str, width: int = WIDTH, height: int = HEIGHT) -> etree._Element:
    drawing = element("svg", viewBox=f"0 0 {width} {height}", width=width, height=height, role="img")
    drawing.append(element("title", title))
    return drawing


def histogram(found: Histogram, low: float | None, high: float | None, title: str) -> etree._Element:
    """Draw the counts, and the limits where they are in sight."""
    drawing = _drawing(title)
    if not found.counts:
        return drawing
    first, last, most = found.edges[0], found.edges[-1], max(found.counts)
    scale, floor = (WIDTH - 2 * LEFT) / (last - first), HEIGHT - BOTTOM
    for count, left, right in zip(found.counts, found.edges, found.edges[1:], strict=False):
        tall = count / most * (floor - TOP)
        wide = max(0.5, (right - left) * scale - 1)
        x = LEFT + (left - first) * scale
        bar = element("rect", class_="bar", x=x, y=floor - tall, width=wide, height=tall)
        bar.append(element("title", f"{left:.4g} to {right:.4g}: {count}"))
        drawing.append(bar)
    for limit in (low, high):
        if limit is not None and first <= limit <= last:
            x = LEFT + (limit - first) * scale
            drawing.append(element("line", class_="limit", x1=x, x2=x, y1=TOP, y2=floor))
    drawing.append(element("text", f"{first:.4g}", x=LEFT, y=HEIGHT - 6))
    drawing.append(element("text", f"{last:.4g}", x=WIDTH - LEFT, y=HEIGHT - 6, text_anchor="end"))
    return drawing


def pareto(bars: Sequence[Bar], title: str) -> etree._Element:
    """Draw causes as bars from the left, each with its count and the share of it and those above."""
    line = 20
    drawing = _drawing(title, 780, max(1, len(bars)) * line + 4)
    most = bars[0].count if bars else 1
    for number, bar in enumerate(bars):
        y = number * line
        drawing.append(element("text", bar.name[:34], x=0, y=y + 14))
        wide = max(1.0, 250 * bar.count / most)
        drawing.append(element("rect", class_="bar", x=230, y=y + 3, width=wide, height=line - 6))
        told = f"{bar.count:g}  ({100 * bar.share:.1f} %, with those above {100 * bar.cumulated:.1f} %)"
        drawing.append(element("text", told, x=236 + wide, y=y + 14))
    return drawing


def control_chart(chart: Chart, signals: Sequence[int], title: str) -> etree._Element:
    """Draw points and limits; `signals` are the places that are marked beside those beyond the limits."""
    drawing = _drawing(title, 720, 180)
    every = [*chart.points, *chart.low, *chart.high]
    least, most = min(every), max(every)
    spread = (most - least) or 1.0
    step = 700 / max(1, len(chart.points) - 1)

    def path(values: Sequence[float]) -> str:
        places = (f"{10 + i * step:.1f},{165 - (v - least) / spread * 150:.1f}" for i, v in enumerate(values))
        return " ".join(places)

    for name, values in (("limit", chart.low), ("limit", chart.high), ("centre", chart.centre)):
        drawing.append(element("polyline", class_=name, points=path(values)))
    drawing.append(element("polyline", class_="line", points=path(chart.points)))
    marked = {*signals, *chart.beyond}
    for number, place in enumerate(path(chart.points).split()):
        x, _, y = place.partition(",")
        dot = element("circle", class_="signal" if number in marked else "dot", cx=x, cy=y, r=3)
        dot.append(element("title", f"{number + 1}: {chart.points[number]:.4g}"))
        drawing.append(dot)
    return drawing


def wafer(size: Place, shares: Mapping[Place, float], title: str) -> etree._Element:
    """Draw the share of good dies at each place, from bad (dark) to good (light)."""
    side = max(3, min(16, 480 // max(1, *size)))
    drawing = _drawing(title, size[0] * side, size[1] * side)
    for (column, row), value in sorted(shares.items()):
        die = element("rect", class_="die", x=column * side, y=row * side, width=side - 1, height=side - 1)
        die.set("fill-opacity", f"{0.15 + 0.85 * (1 - value):.2f}")
        die.append(element("title", f"column {column}, row {row}: {100 * value:.0f} %"))
        drawing.append(die)
    return drawing
