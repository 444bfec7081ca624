"""What leaves of a lot come to, and which cannot follow each other."""

import pytest

from station.custody.ledger import Entry
from station.evidence.history import LotHistory

LOT, DIGEST = "L1", "ab" * 32
Told = tuple[str, str, dict[str, object]]


def told(*facts: Told, src: str = "vault") -> LotHistory:
    history = LotHistory(LOT)
    for seq, (event, unit, data) in enumerate(facts):
        history.add(
            Entry(
                v=1,
                seq=seq,
                t=0,
                mono=0,
                src=src,
                event=event,
                unit=unit or None,
                lot=LOT,
                data=data,
                prev="00" * 32,
                cfg="00" * 32,
            )
        )
    return history


OPENED: Told = ("lot.opened", "", {"product": "se1", "quantity": 3})
ADMITTED: Told = ("die.admitted", "L1/1", {})
ISSUED: Told = ("die.issued", "L1/1", {"certificates": {"1": DIGEST}})
SEALED: Told = ("die.sealed", "L1/1", {"record": "00" * 48, "serial": "S"})
MOVED: dict[str, object] = {"from": "WIP", "to": "REJECT_HELD", "bin": "5", "container": "L1/bin-5"}


def test_a_device_from_admission_to_its_seal() -> None:
    history = told(OPENED, ADMITTED, ISSUED, SEALED, ("lot.closed", "", {"accounts": {"SECURED": 1}}))
    assert history.faults == []
    assert (dict(history.counts()), history.issued) == ({"SECURED": 1}, {DIGEST: (2, "L1/1")})


def test_a_unit_that_never_came_as_far_as_the_vault() -> None:
    history = told(OPENED, ("unit.rejected", "L1/2", MOVED))
    assert (history.faults, history.accounts) == ([], {"L1/2": "REJECT_HELD"})


def test_what_the_registry_could_not_hold_stays_where_it_is() -> None:
    history = told(
        OPENED, ADMITTED, SEALED, ("unit.quarantined", "L1/1", {"refused": "no", "account": "SECURED"})
    )
    assert (history.faults, history.accounts) == ([], {"L1/1": "SECURED"})


def test_stations_only_claim() -> None:
    assert told(OPENED, ADMITTED, SEALED, src="station:cell").accounts == {}


@pytest.mark.parametrize(
    ("facts", "what"),
    [
        ([OPENED, OPENED], "the lot is opened twice"),
        ([ADMITTED, ADMITTED], "is admitted twice"),
        ([SEALED], "die.sealed of a unit in no account"),
        ([ADMITTED, SEALED, SEALED], "is sealed twice"),
        ([ADMITTED, ISSUED, ISSUED], "a certificate is issued twice"),
        ([ADMITTED, ("lot.closed", "", {"accounts": {}})], "the lot is closed with {}, but has {'WIP': 1}"),
        ([("lot.closed", "", {"accounts": {}}), ADMITTED], "die.admitted after the lot was closed"),
        ([("unit.rejected", "L1/1", {**MOVED, "to": "SHIPPED"})], "unit.rejected from WIP to SHIPPED"),
        ([ADMITTED, SEALED, ("unit.rejected", "L1/1", MOVED)], "unit.rejected of a unit in SECURED"),
    ],
)
def test_what_cannot_be(facts: list[Told], what: str) -> None:
    assert what in [fault for _, _, fault in told(*facts).faults]


@pytest.mark.parametrize(
    "event", ["lot.opened", "lot.closed", "die.issued", "die.spoiled", "unit.rejected", "cert.revoked"]
)
def test_leaves_that_do_not_say_what_they_must(event: str) -> None:
    ((_, _, fault),) = told((event, "L1/1", {"accounts": 1, "certificates": 1})).faults
    assert fault.startswith(f"{event} does not say what it must")
