"""Every secret that a session was given is wiped when it ends, wherever that is; every channel is closed."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest

from station.vault.asked import Purpose, Step
from station.vault.die.scp03 import KeySet, Session
from station.vault.die.script import Answer
from station.vault.faults import DoubtError, FaultError
from station.vault.keyring import Keyring
from station.vault.keys.errors import DownError
from station.vault.profiles import SE1
from station.vault.secret import Secret
from tests.station.vault.dies import NOW, DirectLink, sound_chip
from tests.station.vault.vaults import Vault, opened_vault

GIVEN = ("die_keys", "seed", "derived", "opened", "brought_token")
"""What of the key ring gives secrets for a die."""
IMPORTING = msgspec.structs.replace(SE1, import_keys=(1, 2, 3))
SCRIPTS = ("S1", "S2", "S3", "S4", "S5", "S6", "S7")


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Secret]]:
    """All secrets that the key store gives; at the end none still holds anything, and no channel is open."""
    found: list[Secret] = []
    for name in GIVEN:
        monkeypatch.setattr(Keyring, name, noted(getattr(Keyring, name), found))
    before = Session.alive
    yield found
    assert not any(any(secret.reveal()) for secret in found)
    assert Session.alive == before


def noted(
    give: Callable[..., Awaitable[Secret | KeySet]], found: list[Secret]
) -> Callable[..., Awaitable[Secret | KeySet]]:
    async def giving(*arguments: object) -> Secret | KeySet:
        secret = await give(*arguments)
        found.extend([secret] if isinstance(secret, Secret) else [secret.enc, secret.mac, secret.dek])
        assert all(any(one.reveal()) for one in found[-1:]), "it is there when it is given"
        return secret

    return giving


def lost(script: str) -> Callable[[str, str, Answer], Answer | None]:
    return lambda label, _step, answer: None if label.startswith(script) else answer


@pytest.mark.parametrize("script", SCRIPTS)
async def test_wherever_the_contact_is_lost(tmp_path: Path, given: list[Secret], script: str) -> None:
    async with opened_vault(tmp_path, IMPORTING, imported=(1, 2, 3)) as vault:
        link = DirectLink(sound_chip(payload=4096))
        link.touch = lost(script)
        with suppress(FaultError):  # some go on in the next session
            await vault.personalise("L1/1", link)
    assert given


@pytest.mark.parametrize("step", ["new key 1", "PUT KEY", "INITIALIZE UPDATE", "signature 2", "STORE HASH"])
async def test_whatever_the_die_answers_instead(tmp_path: Path, given: list[Secret], step: str) -> None:
    def spoil(_label: str, name: str, answer: Answer) -> Answer:
        return msgspec.structs.replace(answer, data=bytes(len(answer.data))) if name == step else answer

    async with opened_vault(tmp_path, IMPORTING, imported=(1,)) as vault:
        link = DirectLink(sound_chip(payload=4096))
        link.touch = spoil
        with suppress(FaultError):
            await vault.personalise("L1/1", link)
    assert given


async def test_a_seed_that_came_before_the_key_store_went(
    tmp_path: Path, given: list[Secret], monkeypatch: pytest.MonkeyPatch
) -> None:
    give, left = Keyring.seed, iter((True, False))

    async def seed(keyring: Keyring, size: int) -> Secret:
        if not next(left):
            raise DownError("the process is gone")
        return await give(keyring, size)

    monkeypatch.setattr(Keyring, "seed", seed)
    async with opened_vault(tmp_path, IMPORTING, imported=(1, 2)) as vault:
        with pytest.raises(DownError):
            await vault.personalise("L1/1", DirectLink(sound_chip(payload=4096)))
    assert len(given) == 3 + 1


async def test_a_reject_that_tells_nonsense_is_not_left_with_an_open_channel(
    tmp_path: Path, given: list[Secret]
) -> None:
    async with opened_vault(tmp_path) as vault:
        link = DirectLink(sound_chip(payload=4096))
        await rejected(vault, link)
        link.touch = lambda _label, step, answer: Answer(b"\x6f", answer.sw) if step == "SELECT" else answer
        with pytest.raises((FaultError, DoubtError)):
            await vault.terminate("L1/1", link)
        link.touch = lambda _label, _step, answer: answer
        await vault.terminate("L1/1", link)
    assert given


async def test_nothing_is_left_of_a_sealed_die(tmp_path: Path, given: list[Secret]) -> None:
    async with opened_vault(tmp_path, IMPORTING, imported=(1, 2, 3)) as vault:
        link = DirectLink(sound_chip(payload=4096))
        await vault.personalise("L1/1", link)
        await vault.personalise("L1/1", link, Purpose.VERIFY)
    assert len(given) >= 3 * 3 + 3, "three key sets and three seeds"


async def rejected(vault: Vault, link: DirectLink) -> None:
    """A die of which the vault holds that it is a reject."""
    link.touch = lost("S3")
    with pytest.raises(FaultError) as caught:
        await vault.personalise("L1/1", link)
    step = Step("L1/1", bytes(16), NOW, *(await vault.standing("L1/1")))
    await vault.means.registry.failed(step, caught.value.code, caught.value.fate)
    link.touch = lambda _label, _step, answer: answer
