"""`hardbin order`, `perso`, `person` and `approve` against a vault's desk."""

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from station.cli import code_of
from station.cli.codes import Exit
from station.cli.desk_access import EXITS
from station.errors import ConfigError
from station.vault.desk import founders, people
from station.vault.desk.founders import FOUNDERS, Founder
from station.vault.desk.roles import Role
from station.vault.desk.signers import create, development
from station.vault.journal import Journal
from station.vault.process import VaultProcess
from tests.station.vault.dies import NOW
from tests.station.vault.vaults import TELLER

ENGINEER, OFFICER, SECOND = (["--development", f"p-0000000{n}"] for n in (1, 2, 3))
AUDITOR, OPERATOR = ["--development", "p-00000006"], ["--development", "p-00000004"]


@pytest.fixture(scope="module")
def vault(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VaultProcess]:
    vault = VaultProcess.start(tmp_path_factory.mktemp("desk") / "vault", seed=1, ready_s=60)
    os.environ["HARDBIN_DESK"] = str(vault.desk)
    yield vault
    del os.environ["HARDBIN_DESK"]
    vault.stop()


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """Run a command; return its exit code and what it printed."""
    capsys.readouterr()
    code = code_of(arguments)
    out, err = capsys.readouterr()
    return code, out + err


def waiting(capsys: pytest.CaptureFixture[str]) -> str:
    code, out = said(capsys, "approve", "--json", *AUDITOR)
    if code == Exit.DENIED:
        code, out = said(capsys, "approve", "--json", *ENGINEER)
    (found,) = msgspec.json.decode(out)
    return str(found["action_hash"])


def drafted(folder: Path, name: str) -> Path:
    draft = folder / f"{name}.json"
    order = ["order", "draft", "--id", name, "--product", "se1", "--quantity", "5"]
    assert code_of([*order, "--sequence", "se1-final-test", "--out", str(draft)]) == Exit.OK
    return draft


def signed(folder: Path, name: str, *who: list[str]) -> Path:
    path = drafted(folder, name)
    for number, one in enumerate(who):
        out = folder / f"{name}.{number}"
        assert code_of(["order", "sign", str(path), "--out", str(out), *one]) == Exit.OK
        path = out
    return path


def test_the_vault_says_who_it_is(vault: VaultProcess, capsys: pytest.CaptureFixture[str]) -> None:
    del vault
    code, out = said(capsys, "perso", "status", "--json")
    assert (code, msgspec.json.decode(out)) == (
        0,
        {"vault": "vault-1", "mode": "development", "key_set": "KS-1", "stops": []},
    )
    assert said(capsys, "perso", "balance", *ENGINEER) == (0, "no lots\n")


def test_an_order_from_draft_to_end(
    vault: VaultProcess, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    del vault
    alone = signed(tmp_path, "WO-1", ENGINEER)
    code, out = said(capsys, "order", "add", str(alone), *ENGINEER)
    assert (code, out) == (
        Exit.DUAL,
        "hardbin: order.add must be signed by engineer and security-officer, two persons\n",
    )
    both = signed(tmp_path, "WO-2", ENGINEER, OFFICER)
    assert said(capsys, "order", "add", str(both), *ENGINEER) == (0, "order WO-2: 5 devices of se1\n")
    assert said(capsys, "order", "add", str(both), *ENGINEER)[0] == Exit.WRONG_STATE
    keys = tmp_path / "keys.json"
    draft = ["order", "draft-keys", "WO-2", "--key-set", "KS-1", "--station", "cell-1", "--out", str(keys)]
    assert code_of(draft) == Exit.OK
    for n, one in enumerate((OFFICER, SECOND)):
        assert code_of(["order", "sign", str(keys), "--out", str(tmp_path / f"k{n}"), *one]) == Exit.OK
        keys = tmp_path / f"k{n}"
    assert said(capsys, "order", "add", str(keys), *OFFICER)[0] == Exit.OK
    line = "WO-2: se1, open, 0 of 5 sealed, 0 of 5 begun, 0 in work\n"
    assert said(capsys, "perso", "quota", "WO-2", *AUDITOR) == (0, line)
    assert said(capsys, "order", "close", "WO-2", "--reason", "done", *OPERATOR)[0] == Exit.DENIED
    assert said(capsys, "order", "close", "WO-2", "--reason", "done", *OFFICER)[0] == Exit.OK
    assert "WO-2: se1, closed" in said(capsys, "order", "show", *OFFICER)[1]
    assert said(capsys, "order", "show", "WO-9", *OFFICER)[0] == Exit.NOT_FOUND


def test_a_person_is_let_in_by_two(
    vault: VaultProcess, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    del vault
    passphrase = tmp_path / "passphrase"
    passphrase.write_text("correct horse\n")
    key = tmp_path / "dora.key"
    own = ["--person", str(key), "--passphrase-file", str(passphrase)]
    code, out = said(capsys, "person", "new", str(key), "--passphrase-file", str(passphrase), "--json")
    name = msgspec.json.decode(out)["person"]
    assert (code, key.stat().st_mode & 0o777) == (0, 0o600)
    assert b"correct" not in key.read_bytes()
    assert said(capsys, "perso", "balance", *own)[0] == Exit.TRUST, "nobody knows her yet"
    code, out = said(capsys, "person", "add", f"{key}.card", "--role", "operator", *ENGINEER)
    digest = waiting(capsys)
    assert (code, out.strip().endswith(f"hardbin approve {digest}")) == (Exit.DUAL, True)
    assert said(capsys, "approve", digest, "--yes", *ENGINEER)[0] == Exit.DUAL, "the same person"
    assert said(capsys, "approve", digest, "--yes", "--as", "engineer", *OFFICER)[0] == Exit.DUAL
    code, out = said(capsys, "approve", digest, "--yes", *OFFICER)
    assert code == Exit.OK
    assert f"person.add {name}" in out
    assert said(capsys, "approve", digest, "--yes", *OFFICER)[0] == Exit.NOT_FOUND
    assert f"{name}: operator" in said(capsys, "person", "show", *AUDITOR)[1]
    assert said(capsys, "perso", "balance", *own)[0] == Exit.OK
    passphrase.write_text("wrong")
    code, out = said(capsys, "perso", "balance", *own)
    assert (code, out) == (Exit.DENIED, f"hardbin: this passphrase does not open {key}\n")


def test_what_cannot_be_meant_is_refused(
    vault: VaultProcess, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    del vault
    junk = tmp_path / "junk"
    junk.write_text("{}")
    for arguments in (
        ["order", "sign", str(junk), "--out", str(tmp_path / "x")],
        ["order", "add", str(junk)],
    ):
        code, out = said(capsys, *arguments, *ENGINEER)
        assert (code, str(junk) in out) == (Exit.CONFIG, True), out
    assert not (tmp_path / "x").exists()
    assert said(capsys, "order", "show")[0] == Exit.USAGE, "nobody signs"
    assert said(capsys, "order", "show", *ENGINEER, "--person", str(junk))[0] == Exit.USAGE
    assert said(capsys, "order", "show", "--development", "p-1")[0] == Exit.CONFIG
    nowhere = ["--desk", str(tmp_path / "none.sock")]
    assert said(capsys, "order", "show", *ENGINEER, *nowhere)[0] == Exit.TIMEOUT
    assert said(capsys, "perso", "balance", "L9", *ENGINEER)[0] == Exit.NOT_FOUND
    draft = drafted(tmp_path, "WO-8")
    assert code_of(["order", "sign", str(draft), "--out", str(draft), *ENGINEER]) == Exit.CONFIG


def test_every_answer_has_an_exit_code_of_its_page() -> None:
    page = (Path(__file__).parents[3] / "docs" / "reference" / "orders.md").read_text()
    rows = [row.split("|") for row in page.partition("## Answers")[2].splitlines() if row.startswith("| `")]
    told = {code.strip("`"): int(row[3]) for row in rows for code in row[1].split()}
    assert told == {code: exit_.value for code, exit_ in EXITS.items()}


# -- the first persons
def test_founders_are_written_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cards = []
    for n in (1, 2, 3):
        path = tmp_path / f"{n}.card"
        path.write_bytes(development(f"p-0000000{n}").card())
        cards.append(str(path))
    folder = tmp_path / "vault"
    few = ["person", "found", str(folder), "--engineer", cards[0], "--officer", cards[1]]
    assert said(capsys, *few)[0] == Exit.USAGE
    assert said(capsys, *few, "--officer", cards[2])[0] == Exit.OK
    assert said(capsys, *few, "--officer", cards[2])[0] == Exit.CONFIG
    (tmp_path / "1.card").write_bytes(b"{}")
    assert said(capsys, *few, "--officer", cards[2])[0] == Exit.TRUST
    assert [one.roles for one in founders.read(folder)] == [
        (Role.ENGINEER,),
        (Role.OFFICER,),
        (Role.OFFICER,),
    ]


async def test_founders_are_entered_at_the_first_start_only(tmp_path: Path) -> None:
    given = [
        Founder(development("p-00000001").card(), (Role.ENGINEER,)),
        Founder(development("p-00000002").card(), (Role.OFFICER,)),
        Founder(development("p-00000003").card(), (Role.OFFICER,)),
    ]
    journal = Journal(tmp_path / "vault.sqlite")
    await journal.open()
    with pytest.raises(ConfigError, match="at least two security officers"):
        await journal.commit(lambda db: founders.enter(db, given[:2], TELLER, NOW))
    for _ in range(2):
        await journal.commit(lambda db: founders.enter(db, given, TELLER, NOW))
    assert len(await journal.commit(people.everybody)) == 3
    assert (await journal.commit(lambda db: db.execute("SELECT count(*) FROM leaf").fetchone())) == (3,)
    journal.close()
    (tmp_path / FOUNDERS).write_text("junk")
    with pytest.raises(ConfigError, match=FOUNDERS):
        founders.read(tmp_path)


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    create(tmp_path / "key", bytearray(b"one"))
    with pytest.raises(ConfigError, match="is there already"):
        create(tmp_path / "key", bytearray(b"two"))
