"""The page of orders and the desk says what the code does."""

import msgspec

from station.vault.desk.calls import CALLS
from station.vault.desk.documents import KeyRelease, WorkOrder
from station.vault.desk.roles import RIGHTS
from station.vault.desk.signers import DEVELOPMENT
from station.vault.faults import Code
from tests.docs.test_references import page, rows, section

PAGE = page("orders")


def test_every_action_and_who_may_is_there() -> None:
    told = [tuple(row) for row in rows(section(PAGE, "Actions"))]
    assert sorted(told) == sorted(
        (name, action.value, "; ".join(" or ".join(sorted(seat)) for seat in RIGHTS[action]))
        for name, action in CALLS.items()
    )


def test_every_field_is_there() -> None:
    for heading, kind in (("Work order", WorkOrder), ("Key release", KeyRelease)):
        text = section(PAGE, heading)
        names = [name for row in rows(text) if len(row) == 2 for name in row[0].split()]
        assert sorted(names) == sorted(field.encode_name for field in msgspec.structs.fields(kind))


def test_codes_and_persons_are_there() -> None:
    told = {int(row[0]): row[1] for row in rows(section(PAGE, "Work order")) if row[0].isdigit()}
    assert told == {code: Code(code).name for code in told}
    assert all(person in PAGE for person in DEVELOPMENT)
