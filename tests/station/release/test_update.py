"""A release is signed by two, installed without a network, changed between lots, and goes back by itself."""

import socket
import stat
import threading
import zipfile
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import pytest

from station.cli import code_of
from station.cli.codes import Exit
from station.console import wire
from station.errors import ConfigError, UntrustedError
from station.release.bundle import LOCK, STATEMENT, believed, described
from station.release.change import standing
from station.release.places import CURRENT, PREVIOUS, WHOLE, Releases
from station.vault.desk.statement import Signer, countersigned, signed
from tests.station.console.lots import HELLO
from tests.station.recipe.test_recipe import ANNA, BEN, TRUST, _toml

pytestmark = pytest.mark.timeout(600)
OLD, NEW = "9.0.1", "9.0.2"
PROGRAM = """def main():
    print("hardbin {version}, Python 3")
"""


def wheel(folder: Path, version: str, *, says: str = "") -> bytes:
    """A package that calls itself hardbin, and prints its version."""
    program = PROGRAM.format(version=says or version)
    info = f"hardbin-{version}.dist-info"
    files = {
        "hardbin_small.py": program,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: hardbin\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": "[console_scripts]\nhardbin = hardbin_small:main\n",
    }
    lines = [f"{name},sha256={digest(text)},{len(text)}" for name, text in files.items()]
    files[f"{info}/RECORD"] = "\n".join([*lines, f"{info}/RECORD,,"]) + "\n"
    path = folder / f"hardbin-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as made:
        for name, text in files.items():
            made.writestr(name, text)
    return path.read_bytes()


def digest(text: str) -> str:
    return urlsafe_b64encode(sha256(text.encode()).digest()).rstrip(b"=").decode()


def bundle(folder: Path, version: str, *, says: str = "", lie: bool = False) -> Path:
    """A release that ANNA and BEN have signed."""
    made = folder / f"bundle-{version}"
    (made / "wheels").mkdir(parents=True)
    (made / "share/man/man1").mkdir(parents=True)
    (made / "share/man/man1/hardbin.1").write_text(".TH HARDBIN 1\n")
    data = wheel(made / "wheels", version, says=says)
    hashed = "0" * 64 if lie else sha256(data).hexdigest()
    (made / LOCK).write_text(f"hardbin=={version} --hash=sha256:{hashed}\n")
    release = described(made, version, 1000)
    (made / STATEMENT).write_bytes(signed(release, [key for who in (ANNA, BEN) for key in who.both()]))
    return made


@pytest.fixture
def trust(tmp_path: Path) -> Path:
    return trusting(tmp_path)


def trusting(folder: Path) -> Path:
    """A trust file with ANNA and BEN."""
    path = folder / "trust.toml"
    path.write_text(_toml(ANNA) + _toml(BEN))
    return path


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A station with two releases."""
    folder = tmp_path_factory.mktemp("station")
    who, root = str(trusting(folder)), folder / "opt"
    for version in (OLD, NEW):
        made = str(bundle(folder, version))
        assert code_of(["update", "stage", made, "--trust", who, "--root", str(root)]) == Exit.OK
    return root


@pytest.fixture
def root(station: Path) -> Path:
    """The station, when none of its releases is in use."""
    for name in (CURRENT, PREVIOUS):
        (station / name).unlink(missing_ok=True)
    return station


@contextmanager
def engine(path: Path, state: str) -> Iterator[Path]:
    """Something that says how its cell stands, as an engine does."""
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.bind(str(path))
    server.listen()

    def serve() -> None:
        while True:
            try:
                link, _ = server.accept()
            except OSError:
                return
            with link:
                link.sendall(wire.line(HELLO) + wire.line(wire.Beat(state=state)))

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield path
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join()
        path.unlink()


def changed(root: Path, *arguments: str, engine: str = "nobody", restart: str = "true") -> int:
    options = ["--root", str(root), "--engine", engine, "--restart", restart, "--within", "0.5"]
    return code_of(["update", *arguments, *options])


def test_a_release_is_staged_whole_and_for_every_user(root: Path) -> None:
    releases = Releases(root)
    assert releases.staged() == (OLD, NEW)
    assert releases.named(CURRENT) is None
    assert releases.ran(NEW, "version") == f"hardbin {NEW}, Python 3\n"
    program = releases.folder(NEW) / "bin/hardbin"
    assert stat.S_IMODE(program.stat().st_mode) & 0o055 == 0o055
    assert (releases.folder(NEW) / "share/man/man1/hardbin.1").exists()


def test_a_release_is_activated_and_rolled_back_between_lots(root: Path, tmp_path: Path) -> None:
    with engine(tmp_path / "e", "CLOSED") as there:
        assert changed(root, "activate", OLD, engine=str(there)) == Exit.OK
        assert changed(root, "activate", NEW, engine=str(there)) == Exit.OK
        assert Releases(root).named(CURRENT) == NEW
        assert Releases(root).named(PREVIOUS) == OLD
        assert (root / "current/bin/hardbin").exists()
        assert changed(root, "rollback", engine=str(there)) == Exit.OK
    assert (Releases(root).named(CURRENT), Releases(root).named(PREVIOUS)) == (OLD, NEW)


@pytest.mark.parametrize("state", ["LOADED", "RUNNING", "HELD", "ABORTED"])
def test_nothing_is_changed_in_mid_lot(root: Path, tmp_path: Path, state: str) -> None:
    assert changed(root, "activate", OLD, restart="") == Exit.OK
    with engine(tmp_path / "e", state) as there:
        assert changed(root, "activate", NEW, engine=str(there)) == Exit.WRONG_STATE
    assert Releases(root).named(CURRENT) == OLD


def test_a_release_that_does_not_come_up_goes_back_by_itself(root: Path, tmp_path: Path) -> None:
    told = tmp_path / "told"
    script = tmp_path / "restart"
    script.write_text(
        f"now=$(basename $(readlink {root}/current))\necho $now >> {told}\ntest $now != {NEW}\n"
    )
    with engine(tmp_path / "e", "EMPTY") as there:
        restart = f"sh {script}"
        assert changed(root, "activate", OLD, engine=str(there), restart=restart) == Exit.OK
        assert changed(root, "activate", NEW, engine=str(there), restart=restart) == Exit.UNEXPECTED
        assert told.read_text().split() == [OLD, NEW, OLD]
        assert (Releases(root).named(CURRENT), Releases(root).named(PREVIOUS)) == (OLD, None)
        (root / PREVIOUS).symlink_to(Path("releases") / "9.0.0")
        assert changed(root, "activate", NEW, engine=str(there), restart=restart) == Exit.UNEXPECTED
    assert (Releases(root).named(CURRENT), Releases(root).named(PREVIOUS)) == (OLD, "9.0.0")


def test_an_engine_that_does_not_answer_is_not_up(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert changed(root, "activate", OLD) == Exit.UNEXPECTED
    assert "there is no release before it" in capsys.readouterr().err


def test_two_persons_sign_what_is_there(tmp_path: Path) -> None:
    made = bundle(tmp_path, NEW)
    assert believed(made, TRUST).version == NEW
    envelope = (made / STATEMENT).read_bytes()
    release = described(made, NEW, 1000)
    alone: list[list[Signer]] = [[], [*ANNA.both()], [ANNA.both()[0], *BEN.both()]]
    for signers in alone:
        (made / STATEMENT).write_bytes(signed(release, signers))
        with pytest.raises(UntrustedError):
            believed(made, TRUST)
    (made / STATEMENT).write_bytes(countersigned(signed(release, ANNA.both()), BEN.both()))
    assert believed(made, TRUST) == release
    (made / STATEMENT).write_bytes(envelope)


@pytest.mark.parametrize("harm", ["changed", "missing", "more", "link"])
def test_a_folder_that_is_not_what_was_signed_is_not_staged(
    tmp_path: Path, trust: Path, harm: str, capsys: pytest.CaptureFixture[str]
) -> None:
    made = bundle(tmp_path, NEW)
    page = made / "share/man/man1/hardbin.1"
    harms: dict[str, Any] = {
        "changed": lambda: page.write_text("other"),
        "missing": page.unlink,
        "more": lambda: (made / "wheels/more.whl").write_text("x"),
        "link": lambda: (made / "wheels/l").symlink_to(page),
    }
    harms[harm]()
    code = code_of(["update", "stage", str(made), "--trust", str(trust), "--root", str(tmp_path / "opt")])
    assert code == (Exit.CONFIG if harm == "link" else Exit.TRUST)
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "opt").exists()


@pytest.mark.parametrize("wrong", ["hash", "version"])
def test_what_does_not_install_leaves_nothing(tmp_path: Path, trust: Path, wrong: str) -> None:
    made = bundle(tmp_path, NEW, says="8.0.0" if wrong == "version" else "", lie=wrong == "hash")
    code = code_of(["update", "stage", str(made), "--trust", str(trust), "--root", str(tmp_path / "opt")])
    assert code == Exit.CONFIG
    assert Releases(tmp_path / "opt").staged() == ()
    assert not Releases(tmp_path / "opt").folder(NEW).exists()


def test_releases_that_nobody_needs_are_removed(tmp_path: Path) -> None:
    releases = Releases(tmp_path)
    for version in (OLD, NEW, "9.0.3"):
        releases.folder(version).mkdir(parents=True)
        (releases.folder(version) / WHOLE).touch()
    releases.switch(OLD)
    releases.switch(NEW)
    assert code_of(["update", "prune", "--root", str(tmp_path)]) == Exit.OK
    assert releases.staged() == (OLD, NEW)
    assert not releases.folder("9.0.3").exists()


def test_status_says_what_is_where(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert changed(root, "activate", OLD, restart="") == Exit.OK
    capsys.readouterr()
    assert code_of(["update", "status", "--root", str(root), "--json"]) == Exit.OK
    assert msgspec.json.decode(capsys.readouterr().out) == {
        "current": OLD,
        "previous": None,
        "staged": [OLD, NEW],
    }
    assert changed(root, "rollback") == Exit.NOT_FOUND
    assert changed(root, "activate", "9.9.9", restart="") == Exit.CONFIG


def test_whoever_is_no_engine_is_not_believed(tmp_path: Path) -> None:
    assert standing(tmp_path / "nobody") is None
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.bind(str(tmp_path / "s"))
    server.listen()

    def answer() -> None:
        with server.accept()[0] as link:
            link.sendall(b"no JSON\n")

    answering = threading.Thread(target=answer)
    answering.start()
    with pytest.raises(ConfigError, match="does not say"):
        standing(tmp_path / "s")
    answering.join()
    server.close()
