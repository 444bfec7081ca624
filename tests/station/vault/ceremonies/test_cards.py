"""Persons of the vault's register confirm with the key of their card."""

from pathlib import Path

import pytest

from station.errors import ConfigError, StoppedError
from station.vault.ceremonies import plan
from station.vault.ceremonies.proof import verified
from station.vault.ceremonies.transcript import Enrolled, TranscriptError, parsed
from station.vault.desk import signers
from station.vault.desk.people import card_of
from station.vault.keys.errors import PassphraseError
from tests.station.vault.ceremonies.rooms import AT, VAULT, Room, carried_out
from tests.station.vault.ceremonies.test_transcript import rewritten
from tests.station.vault.keys.stores import files

WORD = b"planted card 1234"


class Desk(Room):
    """A room whose persons have cards."""

    def __init__(self, keys: dict[str, Path], stop_at: int | None = None) -> None:
        super().__init__(stop_at)
        self._keys = keys

    def word(self, about: str) -> str:
        if not about.startswith("key file of "):
            return super().word(about)
        self._ask(about)
        return str(self._keys[about.rpartition(" ")[2]])

    def secret(self, about: str, *, new: bool) -> bytearray:
        if about.rpartition(" ")[2] not in self._keys:
            return super().secret(about, new=new)
        self._ask(about)
        assert not new
        return bytearray(WORD)


@pytest.fixture
def persons(tmp_path: Path) -> dict[str, Path]:
    """Two persons, and the files with their keys."""
    made = {}
    for number in (1, 2):
        path = tmp_path / f"person-{number}"
        made[signers.create(path, bytearray(WORD)).kid] = path
    return made


def planned(folder: Path, persons: dict[str, Path]) -> Path:
    cards = {
        name: card_of(signers.open_file(path, bytearray(WORD)).card()).ed25519
        for name, path in persons.items()
    }
    given = VAULT | {"mode": "development"}
    wanted = plan.made("init-vault", str(folder / "store"), tuple(persons), given, AT.unix(), cards)
    plan.write(wanted, folder / "ceremony")
    return folder / "ceremony"


def test_cards_sign_a_ceremony_and_go_on_with_it(tmp_path: Path, persons: dict[str, Path]) -> None:
    folder = planned(tmp_path, persons)
    with pytest.raises(StoppedError):
        carried_out(folder, Desk(persons, 9))
    carried_out(folder, Desk(persons))
    verified(folder)
    assert WORD not in files(folder)


def test_the_key_of_another_card_is_not_taken(tmp_path: Path, persons: dict[str, Path]) -> None:
    folder = planned(tmp_path, persons)
    one, two = persons
    with pytest.raises(PassphraseError, match="not the key of"):
        carried_out(folder, Desk({one: persons[two], two: persons[one]}))
    with pytest.raises(ConfigError, match="No such file"):
        carried_out(folder, Desk(dict.fromkeys(persons, tmp_path / "nothing")))
    carried_out(folder, Desk(persons))


def test_a_transcript_by_other_keys_than_the_cards_is_none(tmp_path: Path, persons: dict[str, Path]) -> None:
    folder = planned(tmp_path, persons)
    carried_out(folder, Desk(persons))
    lines = [line for line, _ in parsed((folder / "transcript").read_bytes(), "")]
    what = lines[1].what
    assert isinstance(what, Enrolled)
    forged = Enrolled(what.person, b"", bytes(32))
    rewritten(folder, [lines[0], type(lines[1])(1, "", lines[1].at, forged)])
    with pytest.raises(TranscriptError, match="not the key of .* card"):
        verified(folder)
