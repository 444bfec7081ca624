"""The page about certificates says what the code says."""

from msgspec.structs import fields

from station.vault.pki.inspection import CertificateFacts, CrlFacts, EntryFacts
from station.vault.pki.revoked import CHUNK, WANTED
from station.vault.profiles import SE1
from tests.docs.test_references import page, rows, section
from tests.station.vault.pki.test_certificates import BY_ML_DSA, SIZES

PAGE = page("pki")
FLAGS = ("organisation", "policy_oid", "hardware_type", "crl_base", "ocsp", "pq_only")


def test_every_account_that_revokes_is_there() -> None:
    told = {row[0]: row[1] for row in rows(section(PAGE, "Revocation"))}
    assert told == {str(account): reason.value for account, reason in WANTED.items()}
    assert f"{CHUNK} certificates a transaction" in " ".join(PAGE.split())


def test_every_flag_is_there_with_its_default() -> None:
    told = {row[0]: row[1] for row in rows(section(PAGE, "Flags of a profile"))}
    shown = {"": "empty", False: "off"}
    defaults = {name: getattr(SE1, name) for name in FLAGS}
    assert told == {name: shown.get(value, value) for name, value in defaults.items()}


def test_the_sizes_are_those_that_are_tested() -> None:
    table = {row[0]: row[1:] for row in rows(section(PAGE, "Devices"))}
    for slot, cells in enumerate(zip(table["bytes, plain"], table["bytes, with both flags"], strict=True), 1):
        for cell in cells:
            assert int(cell.partition(" ")[0]) in SIZES[slot]
    assert int(table["bytes, plain"][0].split()[3]) in BY_ML_DSA


def test_every_field_that_is_printed_is_there() -> None:
    told = section(PAGE, "What hardbin cert prints")
    for kind in (CertificateFacts, CrlFacts, EntryFacts):
        assert all(f"`{field.encode_name}`" in told for field in fields(kind))
