"""The ledger's page has every field, event and rule of the code, and no other."""

import re
from pathlib import Path

import msgspec

from station.custody.audit import Report
from station.custody.ledger import EVENTS, Entry
from station.custody.moves import RULES

PAGE = (Path(__file__).parent.parent.parent / "docs/reference/ledger.md").read_text("utf-8")


def section(heading: str) -> str:
    return re.split(r"^## ", PAGE.partition(f"## {heading}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]


def rows(text: str) -> list[list[str]]:
    return [
        [cell.strip() for cell in row.split("|")] for row in re.findall(r"^\| (.*) \|$", text, re.MULTILINE)
    ]


def names(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_fields_and_events_of_an_entry() -> None:
    table = [row for row in rows(section("Entries").partition("```python")[0]) if names(row[0] + row[1])]
    told = {name for row in table if names(row[0]) for name in names(row[0])}
    assert told == {field.name for field in msgspec.structs.fields(Entry)}
    events = [name for row in table if not names(row[0]) for name in names(row[1])]
    assert sorted(events) == sorted(EVENTS)


def test_the_report_of_an_audit() -> None:
    told = [name for row in rows(section("Audit"))[1:] for name in names(row[0])]
    assert told == ["sound", *(field.name for field in msgspec.structs.fields(Report))]


def test_rules_of_the_accounts() -> None:
    told = {names(row[0])[0]: row for row in rows(section("Accounts"))[1:]}
    del told["unit.received"]
    assert set(told) == set(RULES)
    for event, rule in RULES.items():
        _, sources, targets, needs = told[event]
        if event != "unit.missing":
            assert names(sources) == sorted(rule.sources)
        assert names(targets) == sorted(rule.targets)
        assert set(rule.evidence) <= set(names(needs))
        assert ("two " in needs and rule.persons == 2) or rule.persons < 2 or event == "unit.received"
