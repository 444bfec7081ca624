"""`hardbin cert`, as a person and a program meet it."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from station.cli import code_of
from station.cli.codes import Exit
from station.vault.pki.issuer import Issuer
from station.vault.pki.publication import FOLDER, Publication
from station.vault.pki.revocation import Revocations
from tests.station.vault.dies import NOW, DirectLink, Here, sound_chip
from tests.station.vault.store_here import keys_in
from tests.station.vault.vaults import opened_vault


@pytest.fixture
async def folder(tmp_path: Path) -> Path:
    """A vault's folder with one device that is on hold, its certificates beside it."""
    async with opened_vault(tmp_path) as vault:
        await vault.personalise("L1/1", DirectLink(sound_chip()))
        for cert in await vault.means.registry.certificates("L1/1"):
            (tmp_path / f"device-{cert.slot}.der").write_bytes(cert.der)
        revocations = Revocations(vault.journal, lambda *_: None)
        publication = Publication(tmp_path, vault.means.issuer, revocations, vault.means.store, Here())
        await publication.open(NOW, ())
        await publication.publish(NOW)
    return tmp_path


def device(folder: Path) -> list[str]:
    return [str(folder / f"device-{slot}.der") for slot in (1, 2, 3)]


async def another(folder: Path) -> None:
    await Issuer.open(folder, await keys_in(folder, 99), Here())


def at() -> str:
    return datetime.fromtimestamp(NOW + 60, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def test_a_sound_device_verifies_against_the_folder(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert code_of(["cert", "verify", "--folder", str(folder), "--at", at(), *device(folder)]) == Exit.OK
    assert capsys.readouterr().out == "7 checked, sound\n"


def test_files_alone_will_do(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--root", str(folder / "root.der"), "--authority", str(folder / "issuing.der")]
    lists = ["--crl", str(folder / FOLDER / "ICA-PQ-1.crl")]
    arguments = [*given, *lists, "--at", at(), "--json", device(folder)[1]]
    assert code_of(["cert", "verify", *arguments]) == Exit.OK
    assert json.loads(capsys.readouterr().out) == {"sound": True, "checked": 3, "findings": []}


def test_another_root_is_found(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path_factory.mktemp("other")
    asyncio.run(another(other))
    arguments = ["--folder", str(folder), "--root", str(other / "root.der"), "--at", at(), "--json"]
    assert code_of(["cert", "verify", *arguments, *device(folder)]) == Exit.INTEGRITY
    found = json.loads(capsys.readouterr().out)
    assert not found["sound"]
    assert {Path(one["file"]).name for one in found["findings"]} == {
        "issuing-ec.der",
        "issuing.der",
        "device-1.der",
        "device-2.der",
        "device-3.der",
    }


def test_a_certificate_is_shown(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert code_of(["cert", "show", device(folder)[2]]) == Exit.OK
    out = capsys.readouterr().out
    assert "end entity" in out
    assert "  key           ML-KEM-768\n" in out
    assert "  usage         keyEncipherment\n" in out
    assert code_of(["cert", "show", "--json", device(folder)[2]]) == Exit.OK
    (facts,) = json.loads(capsys.readouterr().out).values()
    assert (facts["key"], facts["not_after"], facts["authority"]) == ("ML-KEM-768", "never", False)


def test_the_lists_of_a_folder_are_shown(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert code_of(["cert", "crl", str(folder)]) == Exit.OK
    out = capsys.readouterr().out
    assert "ICA-PQ-1.crl: list 1, 0 revoked" in out
    assert code_of(["cert", "crl", "--json", str(folder / FOLDER / "ICA-PQ-1.crl")]) == Exit.OK
    (facts,) = json.loads(capsys.readouterr().out).values()
    assert (facts["number"], facts["entries"]) == (1, [])


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["show", "none.der"], Exit.NOT_FOUND, "none.der: No such file or directory"),
        (["show", "{folder}/vault.sqlite"], Exit.CONFIG, "not a certificate"),
        (["crl", "{folder}/root.der"], Exit.CONFIG, "not a list of revoked certificates"),
        (["crl", "{folder}/published/nothing"], Exit.NOT_FOUND, "No such file or directory"),
        (["verify", "{folder}/root.der"], Exit.USAGE, "give the root that is trusted"),
        (["verify", "--folder", "{folder}/none"], Exit.NOT_FOUND, "there is no such folder"),
        (["verify", "--folder", "{folder}", "--at", "noon"], Exit.USAGE, "'noon' is no time as"),
    ],
)
def test_bad_input_gets_one_message(
    folder: Path, arguments: list[str], code: Exit, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [one.format(folder=folder) for one in arguments]
    assert code_of(["cert", *given]) == code
    err = capsys.readouterr().err
    assert message in err
    assert "Traceback" not in err
