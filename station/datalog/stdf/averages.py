"""DTRs that say how a lot has made limits of its own good devices, and are read again."""

import re
from collections.abc import Iterator

from station.set_up import AverageLimit, Averaging, StaticLimit

RULE = re.compile(
    r"part averages bins (?P<bins>[\d,]+) sigmas (?P<sigmas>\S+) least (?P<least>\d+) window (?P<window>\d+)"
)
TEST = re.compile(r"part averages test (?P<test>\d+)")
FIXED = re.compile(
    r"part averages test (?P<test>\d+) site (?P<site>\d+): (?P<low>\S+) to (?P<high>\S+) of (?P<parts>\d+)"
)


STATIC = re.compile(r"part averages test (?P<test>\d+) static: (?P<low>\S+) to (?P<high>\S+)")
OPEN = "open"


def texts(made: Averaging) -> Iterator[str]:
    """Yield what the header says of the rule: bins, tests unless all are meant, fixed limits."""
    bins = ",".join(map(str, made.bins))
    yield f"part averages bins {bins} sigmas {made.sigmas!r} least {made.least} window {made.window}"
    for test in made.tests:
        yield f"part averages test {test}"
    for limit in made.static:
        low, high = (OPEN if side is None else repr(side) for side in (limit.low, limit.high))
        yield f"part averages test {limit.test} static: {low} to {high}"
    for one in made.fixed:
        yield f"part averages test {one.test} site {one.site}: {one.low!r} to {one.high!r} of {one.parts}"


def is_one(text: str) -> bool:
    """Tell whether the text of a DTR is one of these."""
    return any(form.fullmatch(text) for form in (RULE, TEST, FIXED, STATIC))


def read(told: list[str]) -> Averaging | None:
    """Return the rule that the texts of DTRs say; None if none does."""
    rules = [found for text in told if (found := RULE.fullmatch(text))]
    if not rules:
        return None
    rule = rules[0]
    return Averaging(
        tuple(map(int, rule["bins"].split(","))),
        tuple(int(found["test"]) for text in told if (found := TEST.fullmatch(text))),
        float(rule["sigmas"]),
        int(rule["least"]),
        int(rule["window"]),
        tuple(_limit(found) for text in told if (found := FIXED.fullmatch(text))),
        tuple(_static(found) for text in told if (found := STATIC.fullmatch(text))),
    )


def _static(found: re.Match[str]) -> StaticLimit:
    low, high = (None if found[side] == OPEN else float(found[side]) for side in ("low", "high"))
    return StaticLimit(int(found["test"]), low, high)


def _limit(found: re.Match[str]) -> AverageLimit:
    low, high = float(found["low"]), float(found["high"])
    return AverageLimit(int(found["site"]), int(found["test"]), low, high, int(found["parts"]))
