"""Calls of the key store: what they bring is seen by nobody on the way."""

import pickle
from collections.abc import Callable

import msgspec
import pytest

from station.vault.keys import calls
from station.vault.keys.words import Algorithm, BackupShare, KeyProfile, Mode, PqPolicy, Purpose

SAID = b"fox hound owl"
SHARE = BackupShare("00" * 16, "anna", 2, 3, bytes(16), bytes(12), bytes(48))
SECRET: tuple[Callable[[], msgspec.Struct], ...] = (
    lambda: calls.Custodian("anna", bytearray(SAID)),
    lambda: calls.TokenPlan("module.so", "token", PqPolicy.REFUSE, bytearray(SAID)),
    lambda: calls.Activate("anna", bytearray(SAID)),
    lambda: calls.Repassphrase("anna", bytearray(SAID), bytearray(SAID)),
    lambda: calls.Restore(SHARE, bytearray(SAID)),
    lambda: calls.Load(KeyProfile("K", Algorithm.AES_256, Purpose.DERIVE), bytearray(SAID)),
    lambda: calls.Wrap("TM", bytearray(SAID)),
    lambda: calls.Init(Mode.PRODUCTION, (calls.Custodian("anna", bytearray(SAID)),), None),
    lambda: calls.Trust((calls.Custodian("anna", bytearray(SAID)),), ()),
)


@pytest.mark.parametrize("made", SECRET)
def test_a_secret_is_not_shown_compared_or_pickled(made: Callable[[], msgspec.Struct]) -> None:
    assert SAID.decode() not in repr(made())
    assert made() != made()
    with pytest.raises(TypeError, match="is not pickled"):
        pickle.dumps(made())
