"""A key that is compromised has a list of the units that it was used for, all of them and no other."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from station.errors import CustodyError
from station.vault.names import ISSUING, ISSUING_EC, RECORD, ROOT, TRANSPORT_MASTER
from station.vault.pki.affected import UNSEALED, affected
from tests.station.vault.dies import DirectLink, sound_chip
from tests.station.vault.vaults import Vault, opened_vault


@pytest.fixture
async def vault(tmp_path: Path) -> AsyncIterator[Vault]:
    async with opened_vault(tmp_path) as vault:
        await vault.personalise("L1/1", DirectLink(sound_chip()))
        await vault.admit("L1/2")
        yield vault


async def test_a_unit_is_found_by_each_key_that_touched_it(vault: Vault, tmp_path: Path) -> None:
    def units(key: str) -> list[tuple[str, str, str]]:
        public = vault.means.store.public(key).public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        found = affected(tmp_path / "vault.sqlite", key, public)
        return [(one.unit, one.account, one.by) for one in found]

    assert units(ISSUING_EC) == [("L1/1", "SECURED", "certificate of slot 1")]
    assert units(ISSUING) == [("L1/1", "SECURED", "certificate of slot 2, 3")]
    assert units(RECORD) == [("L1/1", "SECURED", "signature of its record")]
    assert units(ROOT) == []


async def test_a_master_touches_also_what_is_in_work(vault: Vault, tmp_path: Path) -> None:
    found = affected(tmp_path / "vault.sqlite", TRANSPORT_MASTER, b"")
    assert [(one.unit, one.by) for one in found] == [("L1/1", "transport key"), ("L1/2", UNSEALED)]
    assert len(found[0].uid) == 32
    assert affected(tmp_path / "vault.sqlite", "TM-se1-9", b"")[0].unit == "L1/2"
    assert vault.journal


def test_what_is_no_journal_is_named(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"no journal " * 99)
    for name in ("x", "nothing"):
        with pytest.raises(CustodyError, match="cannot be read as the journal"):
            affected(tmp_path / name, "K", b"")
