"""The key store issues for work orders that persons signed whom it knows; the vault's word opens none."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from station.vault.desk import signers
from station.vault.desk.people import card_of
from station.vault.desk.roles import Role
from station.vault.desk.signers import PersonSigner
from station.vault.desk.statement import opened, signed
from station.vault.keys import calls
from station.vault.keys.errors import PassphraseError, PolicyError, RequestError
from station.vault.keys.service import Service
from station.vault.keys.words import Algorithm, KeyState, Purpose, Signatory
from station.vault.secret import Secret
from tests.station.vault.keys.stores import (
    OPEN,
    PASSPHRASES,
    At,
    active,
    entry,
    give,
    production,
    profile,
    work_order_of,
)

GRACE, HUGO, IVAN = (PersonSigner(f"p-000000a{number}", Secret(bytes([number]) * 32)) for number in (1, 2, 3))


def signatory(person: PersonSigner, *roles: Role) -> Signatory:
    card = card_of(person.card())
    return Signatory(card.person, tuple(roles), bytes.fromhex(card.ed25519))


PERSONS = (
    signatory(GRACE, Role.ENGINEER),
    signatory(HUGO, Role.OFFICER),
    signatory(IVAN, Role.OPERATOR),
)


def custodians(*names: str) -> tuple[calls.Custodian, ...]:
    return tuple(calls.Custodian(name, bytearray(PASSPHRASES[name])) for name in names)


@pytest.fixture
def plant(tmp_path: Path, clock: At, cheap: None) -> Iterator[Service]:
    """A store for production that knows three persons, and has an active issuing key."""
    del cheap
    made = Service(tmp_path, clock, OPEN, production=True)
    made.answer(production())
    give(made, "anna", "ben")
    active(made, profile("ICA", Algorithm.P384, Purpose.ISSUE))
    made.answer(calls.Trust(custodians("ben", "cleo"), PERSONS))
    yield made
    made.close()


def test_an_order_of_engineer_and_officer_is_believed(plant: Service, tmp_path: Path, clock: At) -> None:
    order = work_order_of("WO-1", 10, (GRACE, HUGO))
    with pytest.raises(PolicyError, match="is none"):
        plant.answer(calls.Sign("ICA", b"tbs", "WO-1"))
    plant.answer(calls.OpenOrder(order))
    plant.answer(calls.Sign("ICA", b"tbs", "WO-1"))
    plant.close()
    reopened = Service(tmp_path, clock, OPEN, production=True)
    give(reopened, "anna", "cleo")
    reopened.answer(calls.Sign("ICA", b"tbs", "WO-1"))
    with pytest.raises(PolicyError, match="is another one"):
        reopened.answer(calls.OpenOrder(work_order_of("WO-1", 11, (GRACE, HUGO))))
    reopened.close()


def test_dates_of_an_order_hold(plant: Service, clock: At) -> None:
    plant.answer(calls.OpenOrder(work_order_of("WO-1", 10, (GRACE, HUGO))))
    now = clock.now
    for moment in (now - 2000, now + 2000):
        clock.now = moment
        with pytest.raises(PolicyError, match="its dates do not allow it now"):
            plant.answer(calls.Sign("ICA", b"tbs", "WO-1"))
    clock.now = now
    plant.answer(calls.Sign("ICA", b"tbs", "WO-1"))


@pytest.mark.parametrize(
    ("by", "message"),
    [
        ((), "nobody has signed it"),
        ((GRACE,), "two persons"),
        ((HUGO,), "two persons"),
        ((GRACE, IVAN), "two persons"),
        ((GRACE, GRACE), "signed twice"),
        ((signers.development("p-00000001"), signers.development("p-00000002")), "has no such key"),
        ((GRACE, PersonSigner("p-000000a2", Secret(bytes(32)))), "does not verify"),
    ],
)
def test_an_order_of_others_is_not(plant: Service, by: tuple[PersonSigner, ...], message: str) -> None:
    with pytest.raises(PolicyError, match=message):
        plant.answer(calls.OpenOrder(work_order_of("WO-1", 10, by)))
    with pytest.raises(PolicyError, match="is none"):
        plant.answer(calls.Sign("ICA", b"tbs", "WO-1"))


def test_what_is_no_order_is_refused(plant: Service) -> None:
    card = signed(opened(GRACE.card()).read(type(card_of(GRACE.card()))), (GRACE, HUGO))
    for statement, message in (
        (b"", "work order"),
        (b"{}", "not a signed statement"),
        (card, "hardbin.person.v1"),
    ):
        with pytest.raises(PolicyError, match=message):
            plant.answer(calls.OpenOrder(statement))


def test_a_byte_changed_in_an_order_counts(plant: Service) -> None:
    order = work_order_of("WO-1", 10, (GRACE, HUGO))
    for at in range(0, len(order), 23):
        wrong = order[:at] + bytes([order[at] ^ 1]) + order[at + 1 :]
        with pytest.raises(PolicyError):
            plant.answer(calls.OpenOrder(wrong))


@given(st.binary(max_size=200))
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_hostile_bytes_open_no_order(service: Service, content: bytes) -> None:
    with pytest.raises(PolicyError):
        service.answer(calls.OpenOrder(content))


def test_only_custodians_say_who_is_believed(plant: Service) -> None:
    with pytest.raises(PassphraseError):
        plant.answer(calls.Trust(custodians("anna"), PERSONS))
    for persons, error, message in (
        ((PERSONS[0], PERSONS[0]), RequestError, "each once"),
        ((PERSONS[0], msgspec.structs.replace(PERSONS[0], person="p-1")), RequestError, "key of his own"),
        ((msgspec.structs.replace(PERSONS[0], roles=("king",)),), RequestError, "roles are operator"),
        ((signatory(IVAN, Role.OPERATOR, Role.OFFICER),), RequestError, "at once"),
        ((signatory(signers.development("p-00000001"), Role.ENGINEER),), PolicyError, "everybody can sign"),
    ):
        with pytest.raises(error, match=message):
            plant.answer(calls.Trust(custodians("anna", "ben"), persons))
    plant.answer(calls.OpenOrder(work_order_of("WO-1", 10, (GRACE, HUGO))))
    plant.answer(calls.Trust(custodians("anna", "ben"), PERSONS[:1]))
    with pytest.raises(PolicyError, match="p-000000a2"):
        plant.answer(calls.OpenOrder(work_order_of("WO-2", 10, (GRACE, HUGO))))


def test_a_development_store_knows_its_own_persons_only(service: Service) -> None:
    active(service, profile("ICA", Algorithm.P384, Purpose.ISSUE))
    service.answer(calls.OpenOrder(work_order_of("WO-1")))
    service.answer(calls.Sign("ICA", b"tbs", "WO-1"))
    with pytest.raises(PolicyError, match="has no such key"):
        service.answer(calls.OpenOrder(work_order_of("WO-2", 10, (GRACE, HUGO))))
    with pytest.raises(PolicyError, match="one share"):
        service.answer(calls.Trust((), PERSONS))
    assert entry(service, "ICA").state is KeyState.ACTIVE
