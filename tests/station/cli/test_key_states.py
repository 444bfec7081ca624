"""`hardbin key` on keys and shares, as it is typed, against real processes."""

from pathlib import Path

import msgspec
import pytest

from station.cli import code_of
from station.cli.codes import Exit
from station.vault.keys import calls
from station.vault.keys.control import own
from station.vault.keys.words import Algorithm, Approval, Health, KeyProfile, KeyState, Purpose
from tests.station.cli.test_key import initialised, serving
from tests.station.vault.keys.stores import PASSPHRASES
from tests.station.vault.keys.stores import files as content

OFFICERS = ("p-00000002", "p-00000003")
WHY = ["--actor", "p-1", "--reason", "a test"]
HOLDERS = {f"h{number}": b"backup passphrase %d" % number for number in range(1, 6)}


def passphrase_files(folder: Path, said: dict[str, bytes]) -> dict[str, str]:
    for name, word in said.items():
        (folder / name).write_bytes(word + b"\n")
    return {name: str(folder / name) for name in said}


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    return passphrase_files(tmp_path, PASSPHRASES)


@pytest.fixture
def store(tmp_path: Path, files: dict[str, str]) -> str:
    """A store for production, with one active key."""
    folder = tmp_path / "store"
    initialised(folder, files)
    with own(folder) as asked:
        for name in ("anna", "ben"):
            asked.ask(calls.Activate(name, bytearray(PASSPHRASES[name])), Health)
        asked.ask(calls.Generate(KeyProfile("REC-1", Algorithm.P384, Purpose.SIGN)), type(None))
        asked.ask(calls.Move("REC-1", KeyState.ACTIVE, Approval("p-0", "made")), type(None))
    return str(folder)


def opening(files: dict[str, str], *names: str, option: str = "--custodian") -> list[str]:
    words = [word for name in names for word in (option, name)]
    return words + [word for name in names for word in ("--passphrase-file", files[name])]


def test_officers_decide_by_their_signatures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In a development store, whose officers everybody can be."""
    store, draft, once, twice = (str(tmp_path / name) for name in ("store", "draft", "once", "twice"))
    assert code_of(["key", "init", store, "--development"]) == Exit.OK
    with own(Path(store)) as asked:
        asked.ask(calls.Generate(KeyProfile("REC-1", Algorithm.P384, Purpose.SIGN)), type(None))
    drafting = ["draft-state", store, "REC-1", "active", "--reason", "a test", "--out", draft]
    assert code_of(["key", *drafting]) == Exit.OK
    for file, officer, out in ((draft, OFFICERS[0], once), (once, OFFICERS[1], twice)):
        assert code_of(["order", "sign", file, "--development", officer, "--out", out]) == Exit.OK
    capsys.readouterr()
    assert code_of(["key", "decide", store, once]) == Exit.WRONG_STATE
    assert "two security officers sign a change" in capsys.readouterr().err
    assert code_of(["key", "decide", store, twice]) == Exit.OK
    assert capsys.readouterr().out == f"REC-1: active, by {', '.join(OFFICERS)}: a test\n"
    assert code_of(["key", "decide", store, twice]) == Exit.WRONG_STATE
    bring = ["order", "add", twice, "--development", OFFICERS[0], "--desk", str(tmp_path / "desk.sock")]
    assert code_of(bring) == Exit.CONFIG
    assert "goes to its store: hardbin key decide" in capsys.readouterr().err


def test_a_key_goes_through_its_states(
    store: str, files: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*words: str) -> int:
        return code_of(["key", *words])

    with serving(Path(store)):
        for name in ("anna", "cleo"):
            assert run("activate", store, *opening(files, name)) == Exit.OK
        capsys.readouterr()
        assert run("suspend", store, "REC-1", *WHY) == Exit.OK
        assert capsys.readouterr().out == "REC-1: suspended, by p-1: a test\n"
        assert run("attest", store, "REC-1") == Exit.OK
        assert "no proof" in capsys.readouterr().out
        assert run("state", store, "REC-1", "active", *WHY) == Exit.DENIED
        assert "custodians approve this" in capsys.readouterr().err
        assert run("state", store, "REC-1", "active", *WHY, *opening(files, "anna", "ben")) == Exit.OK
        assert run("attest", store, "REC-1", "--json") == Exit.OK
        assert msgspec.json.decode(capsys.readouterr().out.splitlines()[-1])["proof"]
        assert run("state", store, "REC-1", "pre-active", *WHY, *opening(files, "anna", "ben")) == 8
        assert "REC-1 is active; after that comes compromised" in capsys.readouterr().err
        assert run("compromise", store, "REC-1", *WHY, "--json") == Exit.OK
        assert msgspec.json.decode(capsys.readouterr().out)["state"] == "compromised"
        assert run("destroy", store, "REC-1", *WHY, *opening(files, "ben", "cleo")) == Exit.OK
        assert run("show", store, "REC-1") == Exit.OK
        shown = capsys.readouterr().out
        assert "destroyed, by p-1: a test" in shown
        assert shown.count("  suspended, by p-1") == 1
        assert run("show", store, "REC-9") == Exit.NOT_FOUND
        assert run("suspend", store, "REC-9", *WHY) == Exit.CONFIG


def test_a_key_is_stopped_also_if_no_process_runs(
    store: str, files: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert code_of(["key", "suspend", store, "REC-1", *WHY]) == Exit.WRONG_STATE
    assert "its custodians must activate it" in capsys.readouterr().err
    assert code_of(["key", "suspend", store, "REC-1", *WHY, *opening(files, "anna", "ben")]) == Exit.OK
    assert code_of(["key", "list", store]) == Exit.OK
    assert "REC-1: P-384 to sign, suspended" in capsys.readouterr().out


def test_the_register_is_written_as_a_statement(store: str, files: dict[str, str], tmp_path: Path) -> None:
    out = str(tmp_path / "register.json")
    with serving(Path(store)):
        assert code_of(["key", "register", store, out, "--key", "REC-1"]) == Exit.WRONG_STATE
        assert not Path(out).exists()
        for name in ("anna", "cleo"):
            assert code_of(["key", "activate", store, *opening(files, name)]) == Exit.OK
        assert code_of(["key", "register", store, out, "--key", "REC-1"]) == Exit.OK
        assert code_of(["key", "register", store, out, "--key", "REC-1"]) == Exit.USAGE
    assert msgspec.json.decode(Path(out).read_bytes())["signatures"][0]["kid"] == "REC-1"


def test_shares_are_changed_backed_up_and_brought_back(
    store: str, files: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "backup")
    holders = passphrase_files(tmp_path, HOLDERS)
    new = passphrase_files(tmp_path, {"newer": b"another passphrase 1", "dora": b"another passphrase 4"})
    words = ["key", "backup", store, out, *opening(files, "anna", "ben", option="--by")]
    assert code_of([*words, *opening(holders, *HOLDERS, option="--holder")]) == Exit.OK
    assert "5 shares; any 3 of them" in capsys.readouterr().out
    assert code_of([*words, *opening(holders, *HOLDERS, option="--holder")]) == Exit.USAGE
    with serving(Path(store)):
        for name in ("h2", "h5", "h1"):
            share = f"{out}/{name}.share"
            assert code_of(["key", "restore", store, share, "--passphrase-file", holders[name]]) == Exit.OK
        assert "active" in capsys.readouterr().out
        old_new = ["--passphrase-file", files["anna"], "--passphrase-file", new["newer"]]
        assert code_of(["key", "passphrase", store, "--custodian", "anna", *old_new]) == Exit.OK
        anna = {"anna": new["newer"]} | {"ben": files["ben"]}
        given = [*opening(anna, "anna", "ben", option="--by"), "--custodian", "cleo", "--custodian", "dora"]
        last = ["--passphrase-file", files["cleo"], "--passphrase-file", new["dora"]]
        assert code_of(["key", "reshare", store, *given, *last]) == Exit.OK
        assert "2 of cleo, dora open the store" in capsys.readouterr().out
    with serving(Path(store)):
        share = f"{out}/h1.share"
        assert code_of(["key", "activate", store, *opening(files, "anna")]) == Exit.DENIED
        assert code_of(["key", "restore", store, holders["h1"]]) == Exit.INTEGRITY
        assert code_of(["key", "activate", store, *opening({"cleo": files["cleo"]}, "cleo")]) == Exit.OK
        assert code_of(["key", "activate", store, *opening({"dora": new["dora"]}, "dora")]) == Exit.OK
    for secret in (*PASSPHRASES.values(), *HOLDERS.values()):
        assert secret not in content(Path(store)) + content(Path(out))


def test_a_development_store_asks_nobody(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "store"
    assert code_of(["key", "init", str(folder), "--development"]) == Exit.OK
    with own(folder) as asked:
        asked.ask(calls.Generate(KeyProfile("TM-1", Algorithm.AES_256, Purpose.WRAP)), type(None))
    assert code_of(["key", "state", str(folder), "TM-1", "active", *WHY]) == Exit.OK
    assert code_of(["key", "attest", str(folder), "TM-1"]) == Exit.OK
    assert "TM-1: soft, present" in capsys.readouterr().out
    assert code_of(["key", "affected", str(folder), "TM-1", "--journal", "nothing"]) == Exit.NOT_FOUND
    (tmp_path / "text").write_text("no journal " * 100)
    journal = str(tmp_path / "text")
    assert code_of(["key", "affected", str(folder), "TM-1", "--journal", journal]) == Exit.INTEGRITY
    assert "cannot be read as the journal" in capsys.readouterr().err
