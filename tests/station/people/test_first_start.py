"""The first start of a station's people, cut off or done twice at once."""

import os
from pathlib import Path

import pytest

from station.custody import seed_file
from station.errors import ConfigError, StorageError
from station.people.database import Database
from station.people.people import people
from station.people.pins import PEPPER, Cost, pepper
from station.people.trail import SEEDS
from tests.station.people.conftest import Hand

CUTS = ("write", "fsync", "link")


class Died(BaseException):
    """The process is no more."""


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("having", [PEPPER, ""])
def test_a_first_start_that_was_cut_off_is_done_again(
    tmp_path: Path, clock: Hand, monkeypatch: pytest.MonkeyPatch, cut: str, having: str
) -> None:
    def dies(*given: object) -> None:
        raise Died

    folder = tmp_path / "people"
    folder.mkdir()
    if having:
        pepper(folder)
    with monkeypatch.context() as patched:
        patched.setattr(os, cut, dies)
        with pytest.raises(Died), people(folder, "ws-07", clock, Cost.LOW):
            pass
    with people(folder, "ws-07", clock, Cost.LOW) as station:
        assert station.empty()
    assert seed_file.read(folder / SEEDS).name == "ws-07/people"


def test_of_two_first_starts_at_once_one_draws_the_secrets(
    tmp_path: Path, clock: Hand, monkeypatch: pytest.MonkeyPatch
) -> None:
    link, other = os.link, {PEPPER: bytes(32)}

    def slower(new: Path, path: Path) -> None:
        with monkeypatch.context() as patched:
            patched.setattr(os, "link", link)
            if path.name == PEPPER:
                path.write_bytes(other[PEPPER])
                path.chmod(0o600)
            else:
                seed_file.create(path, "ws-07/people")
                other[SEEDS] = path.read_bytes()
        link(new, path)

    monkeypatch.setattr(os, "link", slower)
    with people(tmp_path / "people", "ws-07", clock, Cost.LOW):
        pass
    assert {name: (tmp_path / "people" / name).read_bytes() for name in other} == other
    assert set(other) == {PEPPER, SEEDS}
    assert [path.name for path in (tmp_path / "people").iterdir() if path.suffix == ".new"] == []


def test_an_empty_pepper_of_an_older_first_start_is_told_with_what_to_do(tmp_path: Path, clock: Hand) -> None:
    folder = tmp_path / "people"
    folder.mkdir()
    (folder / PEPPER).touch(mode=0o600)
    told = r"pepper: it is empty.*delete it if there are no accounts yet.*else put it back from a backup"
    with pytest.raises(ConfigError, match=told), people(folder, "ws-07", clock, Cost.LOW):
        pass
    assert not (folder / "people.db").exists()
    (folder / PEPPER).unlink()
    with people(folder, "ws-07", clock, Cost.LOW) as station:
        assert station.empty()


def test_a_folder_that_takes_no_file_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"no/people\.db: No such file"):
        Database(tmp_path / "no" / "people.db")
    with pytest.raises(StorageError, match="no/pepper: No such file"):
        pepper(tmp_path / "no")
