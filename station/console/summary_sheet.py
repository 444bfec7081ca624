"""A lot's summary as plain text, for a printer or a file."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from station.console.lot_records import Summary


def sheet(summary: Summary) -> str:
    """Return the sheet, at most 100 columns wide."""
    return "\n".join(_lines(summary)) + "\n"


def _lines(summary: Summary) -> Iterator[str]:
    info, counts = summary.info, summary.counts
    yield f"LOT {info.lot}{f'/{info.sublot}' if info.sublot else ''}   {summary.outcome or 'open'}"
    yield f"station {info.plant} {info.station}   product {info.product}   flow {info.flow}"
    yield f"program {info.sequence} {info.sequence_version}   fingerprint {info.fingerprint[:16]}"
    if info.limit_set:
        yield f"recipe {info.limit_set}"
    ended = "" if summary.ended is None else f"   ended {_clock(summary.ended)}"
    yield f"began {_clock(info.set_up)}{ended}"
    yield ""
    yield f"in {info.quantity}   tested {counts.parts}   good {counts.good}   contacts {counts.contacts}"
    yield f"first pass {counts.first_yield:.2%}   final {counts.final_yield:.2%}   retested {counts.retested}"
    yield ""
    yield from _table(
        ("site", "tested", "good", "yield", "contacts"),
        (
            (s.site, s.parts, s.good, f"{s.good / s.parts:.2%}" if s.parts else "-", s.contacts)
            for s in counts.sites
        ),
    )
    yield ""
    yield from _table(
        ("soft bin", "hard", "devices", "share", "name"),
        ((b.number, b.hard, b.count, _share(b.count, counts.parts), b.name) for b in counts.bins if b.count),
    )
    yield ""
    yield from _table(("hard bin", "devices"), summary.hard.items())
    if summary.tests:
        yield ""
        yield from _table(
            ("site", "test", "results", "failed", "name"),
            ((t.site, t.number, t.executed, t.failed, t.name) for t in summary.tests),
        )
    yield ""
    yield from summary.notes
    if summary.datalog:
        yield f"datalog {summary.datalog}"
        yield f"sha256 {summary.sha256}"


def _table(heads: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> Iterator[str]:
    for row in (heads, *rows):
        yield "".join(f"{cell!s:>10}" if n < 4 else f"   {cell}" for n, cell in enumerate(row)).rstrip()  # noqa: PLR2004


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.2%}" if whole else "-"


def _clock(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
