"""A vault's keys: made once, by the seed, never shown."""

from hashlib import sha256
from pathlib import Path

import pytest

from station.errors import ConfigError
from station.vault.development import PUBLIC_TEXTS
from station.vault.die.scp03 import KeySet, kdf
from station.vault.keyring import ISSUER, TRANSPORT
from station.vault.names import TRANSPORT_MASTER
from station.vault.secret import Secret
from tests.station.vault.store_here import keys_in

UID = bytes(range(16))


def revealed(keys: KeySet) -> list[bytes]:
    return [bytes(key.reveal()) for key in (keys.enc, keys.mac, keys.dek)]


async def test_transport_keys_are_those_of_simulated_dies(tmp_path: Path) -> None:
    keys = await keys_in(tmp_path, 5)
    master = Secret(sha256(PUBLIC_TEXTS[TRANSPORT_MASTER]).digest())
    wanted = [
        bytes(kdf(master, label, UID + b"\x30", 256).reveal())
        for label in (b"PQP1-DIE-ENC", b"PQP1-DIE-MAC", b"PQP1-DIE-DEK")
    ]
    assert revealed(await keys.die_keys(UID, TRANSPORT)) == wanted


async def test_one_seed_gives_one_issuer_master_and_others_another(tmp_path: Path) -> None:
    sets = []
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        (tmp_path / name).mkdir()
        keys = await keys_in(tmp_path / name, seed)
        sets.append(revealed(await keys.die_keys(UID, ISSUER)))
    assert sets[0] == sets[1] != sets[2]


async def test_a_store_of_another_seed_is_refused(tmp_path: Path) -> None:
    assert (await keys_in(tmp_path, 5)).mode == "development"
    with pytest.raises(ConfigError, match="made with 5, not 6; use another folder"):
        await keys_in(tmp_path, 6)


async def test_issuing_keys_sign_for_an_open_order_only(tmp_path: Path) -> None:
    keys = await keys_in(tmp_path, 5, ("WO-1",))
    await keys.sign("ICA-EC-1", b"tbs", "WO-1")
    with pytest.raises(Exception, match="'WO-2' is none"):
        await keys.sign("ICA-EC-1", b"tbs", "WO-2")
    await keys.sign("REC-1", b"a record")


async def test_masters_are_a_products_own_and_only_development_shares_them(tmp_path: Path) -> None:
    keys = await keys_in(tmp_path, 5)
    assert (keys.master("TM", "tk-2"), keys.lacks("tk-2")) == ("TM-se1-1", [])
    keys.mode = "production"
    assert keys.master("IM", "se1") == "IM-se1-1"
    assert keys.lacks("tk-2") == ["TM-tk-2-1", "IM-tk-2-1"]
