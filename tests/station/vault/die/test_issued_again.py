"""A key gets one certificate: what was reserved is completed after a crash, what was issued stays."""

from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from station.vault.asked import Purpose
from station.vault.die.job import Means
from station.vault.keys.errors import DownError
from station.vault.pki.issuer import Issuer
from station.vault.pki.signing import Signing, VerifyingKey
from tests.station.vault.dies import DirectLink, Here, sound_chip
from tests.station.vault.vaults import Vault, opened_vault


class Dies(Signing):
    """A key store that ends after so many signatures."""

    def __init__(self, store: Signing, signatures: int) -> None:
        self._store, self._left = store, signatures

    def public(self, key: str) -> VerifyingKey:
        return self._store.public(key)

    async def sign(self, key: str, message: bytes, order: str) -> bytes:
        if not self._left:
            raise DownError("the key store's process ended")
        self._left -= 1
        return await self._store.sign(key, message, order)


async def with_dying_store(vault: Vault, folder: Path, signatures: int) -> Vault:
    issuer = await Issuer.open(folder, Dies(vault.means.store, signatures), Here())
    means: Means = replace(vault.means, issuer=issuer)
    return Vault(means, vault.journal)


@pytest.mark.parametrize("signatures", [0, 1, 2])
async def test_what_was_reserved_is_completed_after_a_crash(tmp_path: Path, signatures: int) -> None:
    chip = sound_chip()
    async with opened_vault(tmp_path) as vault:
        dying = await with_dying_store(vault, tmp_path, signatures)
        with pytest.raises(DownError):
            await dying.personalise("L1/1", DirectLink(chip))
        reserved = await vault.means.registry.certificates("L1/1")
        assert [cert.der for cert in reserved] == [b"", b"", b""]
        await vault.personalise("L1/1", DirectLink(chip), Purpose.RESUME)
        issued = await vault.means.registry.certificates("L1/1")
    assert [replace(cert, der=b"") for cert in issued] == list(reserved)
    assert all(cert.der for cert in issued)


async def test_what_was_issued_is_never_signed_again(tmp_path: Path) -> None:
    chip = sound_chip()
    async with opened_vault(tmp_path) as vault:
        sealed = await vault.personalise("L1/1", DirectLink(chip))
        before = await vault.means.registry.certificates("L1/1")
        dead = await with_dying_store(vault, tmp_path, 0)
        again = await dead.personalise("L1/1", DirectLink(chip), Purpose.VERIFY)
        assert await vault.means.registry.certificates("L1/1") == before
    assert again.certificates == sealed.certificates
    assert again.certificates == tuple(sha256(cert.der).digest() for cert in before)
