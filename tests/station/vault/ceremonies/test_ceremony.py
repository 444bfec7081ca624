"""A ceremony is carried out, interrupted anywhere, and goes on; what it leaves is proven afterwards."""

from pathlib import Path

import pytest

from station.errors import ConfigError, StoppedError
from station.vault.ceremonies import plan, transcript
from station.vault.ceremonies.proof import verified
from station.vault.keys import calls
from station.vault.keys.errors import PassphraseError, PolicyError
from station.vault.keys.words import Algorithm, Approval, Entry, KeyState
from tests.station.vault.ceremonies.rooms import (
    OFFICERS,
    SAID,
    VAULT,
    Cut,
    Room,
    carried_out,
    direct,
    planned,
)
from tests.station.vault.keys.stores import PASSPHRASES, files

ACTIVE, WAITING = KeyState.ACTIVE, KeyState.PRE_ACTIVE
KEYS = {
    "REC-EC-1": (Algorithm.P384, ACTIVE),
    "REC-1": (Algorithm.ML_DSA_65, ACTIVE),
    "LOG-1": (Algorithm.ED25519, ACTIVE),
    "LOG-PQ-1": (Algorithm.ML_DSA_44, ACTIVE),
    "ICA-PQ-1": (Algorithm.ML_DSA_65, WAITING),
    "ICA-EC-1": (Algorithm.P384, WAITING),
    "IN-1": (Algorithm.ML_KEM_1024, ACTIVE),
}


def register(folder: Path) -> dict[str, Entry]:
    """The keys of the store beside a ceremony."""
    with direct(folder / "store") as store:
        return {entry.id: entry for entry in store.ask(calls.Entries(), list[Entry])}


def test_a_vault_gets_its_store_and_its_keys(tmp_path: Path) -> None:
    folder = planned(tmp_path)
    outcome = carried_out(folder)
    found = register(tmp_path)
    assert {key: (entry.profile.algorithm, entry.state) for key, entry in found.items()} == KEYS
    assert found["REC-1"].history[0].actor == "dora,emil"
    verdict = verified(folder)
    assert verdict.transcript == outcome.transcript
    assert set(verdict.keys) == set(KEYS)
    printed = (folder / "transcript.txt").read_text("utf-8")
    assert outcome.transcript[:8] in printed
    assert "ICA-EC-1: P-384 to issue, limit 10000000" in printed
    for secret in (*SAID.values(), *PASSPHRASES.values()):
        assert secret not in files(tmp_path)


SHORT = """
title = "One step of each kind"
roles = ["security officer", "security officer"]
needs = []

[[step]]
do = "inspect"
text = "-"

[[step]]
do = "make-store"
mode = "development"
custodians = []
text = "-"

[[step]]
do = "generate"
profile = { id = "ICA-EC-1", algorithm = "P-384", purpose = "issue" }
text = "-"

[[step]]
do = "open-ledger"
origin = "plant.example/cell-3/2027"
text = "-"

[[step]]
do = "request"
key = "ICA-EC-1"
house = { country = "DE", organisation = "plant.example" }
file = "ICA-EC-1.csr"
text = "-"

[[step]]
do = "change"
key = "ICA-EC-1"
state = "active"
reason = "a test"
text = "-"

[[step]]
do = "dump"
text = "-"
"""
"""What the scripts of the house are made of, short enough to be cut everywhere."""


@pytest.fixture
def short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "short.toml").write_text(SHORT)
    monkeypatch.setattr(plan, "SCRIPTS", tmp_path)


def lines(folder: Path) -> int:
    return len([*transcript.parsed((folder / "transcript").read_bytes(), "")])


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("written", [False, True], ids=["before a line", "after a line"])
def test_power_may_go_at_any_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, written: bool) -> None:
    """What was done when power went is found, and not done twice."""
    add, count, cut_at = transcript.Transcript.add, 0, 0

    def cutting(self: transcript.Transcript, what: transcript.What, now: float) -> transcript.Line:
        nonlocal count
        count += 1
        if count == cut_at and not written:
            raise Cut
        line = add(self, what, now)
        if count == cut_at:
            raise Cut
        return line

    monkeypatch.setattr(transcript.Transcript, "add", cutting)
    whole = planned(tmp_path / "whole", "short")
    carried_out(whole)
    total = lines(whole)
    for cut_at in range(1, total + 1):
        count = 0
        folder = planned(tmp_path / str(cut_at), "short")
        with pytest.raises(Cut):
            carried_out(folder)
        count = total + 1
        carried_out(folder)
        with pytest.raises(ConfigError, match="is over"):
            carried_out(folder)
        assert verified(folder).keys == ("ICA-EC-1",), cut_at
        assert [change.state for change in register(folder.parent)["ICA-EC-1"].history] == [ACTIVE]


def test_persons_may_leave_at_any_question(tmp_path: Path) -> None:
    room = Room()
    carried_out(planned(tmp_path / "whole"), room)
    for stop_at in range(0, len(room.asked), 7):
        folder = planned(tmp_path / str(stop_at))
        with pytest.raises(StoppedError):
            carried_out(folder, Room(stop_at))
        carried_out(folder)
        assert set(verified(folder).keys) == set(KEYS)


def test_a_torn_line_never_happened(tmp_path: Path) -> None:
    folder = planned(tmp_path)
    with pytest.raises(StoppedError):
        carried_out(folder, Room(10))
    with (folder / "transcript").open("ab") as file:
        file.write(b'{"n":99,"prev":"')
    carried_out(folder)
    verified(folder)


def test_who_comes_back_is_the_same_person(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = planned(tmp_path)
    with pytest.raises(StoppedError):
        carried_out(folder, Room(10))
    monkeypatch.setitem(SAID, "dora", b"somebody else's words")
    with pytest.raises(PassphraseError, match="not the passphrase with which dora enrolled"):
        carried_out(folder)


def test_a_refused_step_is_confirmed_again(tmp_path: Path) -> None:
    carried_out(planned(tmp_path))
    folder = planned(tmp_path, "destroy", key="ICA-EC-1", reason="a test")
    with pytest.raises(PolicyError, match="ICA-EC-1 is pre-active"):
        carried_out(folder)
    with direct(tmp_path / "store") as store:
        for name in ("anna", "ben"):
            store.ask(calls.Activate(name, bytearray(PASSPHRASES[name])), object)
        store.ask(calls.Move("ICA-EC-1", KeyState.COMPROMISED, Approval("p-1", "a test")), type(None))
    room = Room()
    carried_out(folder, room)
    assert room.asked.count("dora confirms step 3") == 1
    assert verified(folder).keys == ("ICA-EC-1",)
    assert register(tmp_path)["ICA-EC-1"].state is KeyState.DESTROYED
    assert "FAILED: key ICA-EC-1 is pre-active" in (folder / "transcript.txt").read_text("utf-8")


def test_a_key_is_rotated(tmp_path: Path) -> None:
    carried_out(planned(tmp_path))
    given = {"old": "REC-1", "new": "REC-2", "algorithm": "ML-DSA-65", "purpose": "sign", "days": "366"}
    folder = planned(tmp_path, "rotate", **given)
    carried_out(folder)
    found = register(tmp_path)
    assert (found["REC-1"].state, found["REC-2"].state) == (KeyState.DEACTIVATED, KeyState.ACTIVE)
    assert found["REC-2"].profile.not_after is not None
    assert set(verified(folder).keys) == {"REC-1", "REC-2"}


def test_a_key_that_is_not_as_planned_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The dump asks the store itself; a key that cannot prove itself is found."""
    from station.vault.keys.soft import SoftKeys

    real = SoftKeys.sign

    def other(self: SoftKeys, key: str, message: bytes) -> bytes:
        signature = real(self, key, message)
        return signature if key != "LOG-1" else bytes([signature[0] ^ 1]) + signature[1:]

    monkeypatch.setattr(SoftKeys, "sign", other)
    folder = planned(tmp_path)
    with pytest.raises(PolicyError, match="LOG-1: it does not prove itself"):
        carried_out(folder)
    with pytest.raises(transcript.TranscriptError, match="not over: step 19 of 19"):
        verified(folder)


def test_another_store_in_the_place_is_not_taken(tmp_path: Path) -> None:
    carried_out(planned(tmp_path / "first"))
    folder = planned(tmp_path / "second")
    (tmp_path / "first" / "store").rename(tmp_path / "second" / "store")
    with pytest.raises(PolicyError, match="there is a key store already"):
        carried_out(folder)


ROTATED = {"old": "A", "new": "B", "algorithm": "P-384", "purpose": "sign", "days": "9"}


def test_what_cannot_be_planned_is_said(tmp_path: Path) -> None:
    for name, persons, given, message in (
        (
            "dance",
            OFFICERS,
            VAULT,
            "there is no ceremony 'dance'; there are destroy, import-ica, ",
        ),
        ("init-vault", ("dora",), VAULT, "needs 2 different persons: security officer, security officer"),
        ("init-vault", ("dora", "dora"), VAULT, "needs 2 different persons"),
        ("init-vault", ("dora", "em il"), VAULT, "letters, digits"),
        ("init-vault", OFFICERS, {"origin": "x"}, "parameter 'custodians' is missing"),
        ("init-vault", OFFICERS, VAULT | {"colour": "red"}, "no parameter 'colour'"),
        ("init-vault", OFFICERS, VAULT | {"mode": "maybe"}, "step 2: Invalid enum value 'maybe'"),
        ("init-vault", OFFICERS, VAULT | {"custodians": ("a", "b")}, "step 2: 2 of a, b: not 3 different"),
        ("init-vault", OFFICERS, VAULT | {"custodians": ("a", "a", "b")}, "not 3 different holders"),
        ("rotate", OFFICERS, ROTATED | {"days": "soon"}, "step 3: days 'soon': a whole number"),
        ("rotate", OFFICERS, ROTATED | {"days": "9" * 30}, "step 3: "),
        ("init-vault", OFFICERS, VAULT | {"generation": "/"}, "step 4: key id 'REC-EC-/'"),
    ):
        with pytest.raises(ConfigError, match=message):
            plan.made(name, str(tmp_path), persons, given, 0.0)


def test_a_ceremony_is_begun_once(tmp_path: Path) -> None:
    from station.vault.ceremonies.conductor import Conductor
    from tests.station.vault.ceremonies.rooms import AT

    folder = planned(tmp_path)
    with pytest.raises(ConfigError, match="was not begun"):
        Conductor(folder, Room(), AT).resume()
    with pytest.raises(StoppedError):
        carried_out(folder, Room(3))
    with pytest.raises(ConfigError, match="was begun before"):
        Conductor(folder, Room(), AT).run()
    with pytest.raises(ConfigError, match="there is a plan already"):
        planned(tmp_path)
