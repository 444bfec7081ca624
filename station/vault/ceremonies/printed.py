"""The transcript as people read and sign it: on the terminal step by step, and on paper as a whole."""

from collections.abc import Iterable
from datetime import UTC, datetime
from textwrap import wrap
from typing import Any

from station.vault.ceremonies import steps
from station.vault.ceremonies.plan import Plan
from station.vault.ceremonies.transcript import (
    Activated,
    Attended,
    Begun,
    Closed,
    Confirmed,
    Done,
    Enrolled,
    Failed,
    Line,
    Opened,
)

WIDTH = 96
INDENT = "      "
GROUP = 8
LONG = 72
"""Longer values are printed by their beginning: the transcript's file has them whole."""


def heading(plan: Plan) -> str:
    """What the ceremony is."""
    attending = "; ".join(f"{person.name}, {person.role}" for person in plan.persons)
    return "\n".join(
        [
            f"Ceremony {plan.ceremony}: {plan.title}",
            f"store     {plan.store}",
            f"persons   {attending}",
            f"plan      {grouped(plan.hash)}",
        ]
    )


def shown(plan: Plan, number: int) -> str:
    """One step, before it is confirmed."""
    step = plan.steps[number - 1]
    text = wrap(step.text, WIDTH - len(INDENT))
    return "\n".join(
        [f"\n{number:>3} / {len(plan.steps)}  {steps.title(step)}", *(INDENT + row for row in text)]
    )


def overview(plan: Plan) -> str:
    """All steps."""
    return "\n".join([heading(plan), *(shown(plan, number) for number in range(1, len(plan.steps) + 1))])


def came(result: dict[str, Any]) -> str:
    """What came of a step."""
    return "\n".join(INDENT + row for row in _rows(result))


def _rows(result: dict[str, Any]) -> Iterable[str]:
    for name, value in result.items():
        if name == "keys":
            for found in value:
                yield from _key(found)
        elif name == "files":
            yield from (f"{file}, SHA-256: {grouped(digest)}" for file, digest in value.items())
        elif name == "public key":
            yield f"public key, SHA-256: {grouped(value)}"
        elif value not in ("", []):
            yield f"{name}: {_short(value)}"


def _key(found: dict[str, Any]) -> Iterable[str]:
    profile = found["profile"]
    limit = "" if profile.get("limit") is None else f", limit {profile['limit']}"
    until = profile.get("not_after")
    period = "" if until is None else f", until {_time(until)[:10]}"
    yield f"{profile['id']}: {profile['algorithm']} to {profile['purpose']}{limit}{period}"
    attributes = [name if value else f"not {name}" for name, value in found["attributes"].items()]
    mark = f", {found['mark']}" if found["mark"] else ""
    yield f"    {found['state']}, {found['where']}, {found['origin']}{mark}: {', '.join(attributes)}"
    yield f"    as its profile says{', proves itself' if found['proven'] else ''}"


def _short(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= LONG else f"{text[: LONG - 1]}…"


def whole(plan: Plan, lines: Iterable[Line], head: str) -> str:
    """The printed transcript, to be signed by hand below its hash."""
    rows, at = [heading(plan), ""], 0
    for line in lines:
        if isinstance(line.what, Confirmed) and line.what.step > at:
            at = line.what.step
            rows.append(shown(plan, at))
        rows += _line(line)
    rows += ["", f"transcript  {grouped(head)}"]
    rows += [f"\n{person.name}, {person.role}: {'.' * 40}" for person in plan.persons]
    return "\n".join(rows) + "\n"


def _line(line: Line) -> list[str]:
    when = _time(line.at)
    match line.what:
        case Begun():
            return []
        case Done(step, result):
            return [came(result), f"{when}  step {step} done"]
        case Enrolled(person, _, public):
            return [f"{when}  {person} enrolled with the key", INDENT + grouped(public.hex())]
        case Closed(bundle):
            return ["", f"{when}  closed; bundle", INDENT + grouped(bundle)]
        case Opened() | Attended() | Activated() | Confirmed() | Failed() as what:
            return [f"{when}  {_short_line(what)}"]


def _short_line(what: Opened | Attended | Activated | Confirmed | Failed) -> str:
    match what:
        case Opened():
            return "opened"
        case Attended(person):
            return f"{person} is here"
        case Activated(custodian):
            return f"custodian {custodian} gave a share"
        case Confirmed(step, person):
            return f"step {step} confirmed by {person}"
        case Failed(step, reason):
            return f"step {step} FAILED: {_printable(reason)}"


def _time(unix: int) -> str:
    return datetime.fromtimestamp(unix, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def grouped(digest: str) -> str:
    """A hash in groups, as people compare it."""
    return " ".join(digest[at : at + GROUP] for at in range(0, len(digest), GROUP))


def _printable(text: str) -> str:
    return "".join(one if one.isprintable() else f"\\u{ord(one):04x}" for one in text)
