"""What the key store holds of secrets for a moment is wiped, also where that moment ends otherwise."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from station.vault.keys import calls, hbks, holders
from station.vault.keys.errors import KeyStoreError, LimitError, PassphraseError
from station.vault.keys.service import Service
from station.vault.keys.words import Algorithm, Purpose
from station.vault.secret import Secret
from tests.station.vault.keys.stores import OPEN, PASSPHRASES, At, active, give, production, profile

NEW = {"anna": b"another passphrase 1", "ben": b"another passphrase 2"}


@pytest.fixture
def sealed(tmp_path: Path, cheap: None) -> Iterator[Service]:
    del cheap
    made = Service(tmp_path, At(), OPEN, production=True)
    made.answer(production())
    yield made
    made.close()


def holding(said: dict[str, bytes], *names: str) -> tuple[calls.Custodian, ...]:
    return tuple(calls.Custodian(name, bytearray(said[name])) for name in names)


def reshare() -> calls.Reshare:
    return calls.Reshare(holding(PASSPHRASES, "anna", "cleo"), holding(NEW, "anna", "ben"), 2, False, 0)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Secret]:
    """Every share that is opened, and every new key of the file."""
    found: list[Secret] = []
    for name in ("opened", "fresh"):
        real = getattr(holders, name)

        def noted(*arguments: object, real: Callable[..., Secret] = real) -> Secret:
            found.append(real(*arguments))
            return found[-1]

        monkeypatch.setattr(holders, name, noted)
    return found


def test_a_share_that_is_given_twice_is_kept_once(sealed: Service, made: list[Secret]) -> None:
    give(sealed, "ben")
    give(sealed, "ben")
    assert [any(share.reveal()) for share in made] == [True, False]
    give(sealed, "cleo")
    assert not any(any(share.reveal()) for share in made), "the store is open: nobody needs a share"


def test_a_new_key_that_the_disk_does_not_take_is_wiped(
    sealed: Service, made: list[Secret], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    give(sealed, "anna", "ben")
    with monkeypatch.context() as patched, pytest.raises(KeyStoreError, match="No space"):
        patched.setattr(hbks, "write", full)
        sealed.answer(reshare())
    assert not any(made[-1].reveal())
    sealed.answer(reshare())
    assert any(made[-1].reveal()), "the next one is in use"


def test_a_share_that_came_before_a_wrong_passphrase_is_wiped(sealed: Service, made: list[Secret]) -> None:
    give(sealed, "anna", "ben")
    made.clear()
    by = (*holding(PASSPHRASES, "anna"), calls.Custodian("cleo", bytearray(b"not the passphrase")))
    with pytest.raises(PassphraseError, match="cleo"):
        sealed.answer(calls.Reshare(by, holding(NEW, "anna", "ben"), 2, False, 0))
    assert [any(share.reveal()) for share in made] == [False]


def test_keys_of_a_die_are_derived_whole_or_not_at_all(sealed: Service) -> None:
    give(sealed, "anna", "ben")
    active(sealed, profile("TM-1", Algorithm.AES_256, Purpose.DERIVE, limit=2))
    with pytest.raises(LimitError, match="all 2 uses are spent"):
        sealed.answer(calls.Derive("TM-1", (b"a" * 12, b"b" * 12, b"c" * 12), b"context", 256))
