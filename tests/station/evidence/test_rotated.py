"""Evidence of a lot whose ledger was rotated while it was made."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import msgspec
import pytest

from station.custody.checkpoint import parsed
from station.custody.ledger import Fact
from station.evidence import archive, delivered, device_file, trust, verification
from station.evidence.bundle import BUNDLE, TRUST
from station.evidence.manifest import DeviceLine
from station.evidence.strict import encoded
from station.vault.configuration import Configuration, LedgerTable
from station.vault.evidence.exporter import Exporter
from station.vault.times import Times
from tests.station.evidence import lots
from tests.station.evidence.desks import DeskHere
from tests.station.evidence.lots import Lot
from tests.station.vault.dies import NOW, DirectLink, sound_chip
from tests.station.vault.rotations import publisher
from tests.station.vault.vaults import opened_vault

T = TypeVar("T")
OLD, NEXT, LAST = LedgerTable().origin, "plant.example/2027", "plant.example/2028"
BEFORE = 40
"""Leaves before the order: what came first in an older log has a higher index than what follows."""
UNITS = ("L1/1", "L1/2", "L1/3")


@pytest.fixture(scope="module")
def lot(tmp_path_factory: pytest.TempPathFactory) -> Lot:
    """One device in each of three logs; the order is in the first."""
    return asyncio.run(_made(tmp_path_factory.mktemp("rotated")))


async def _made(folder: Path) -> Lot:
    async with opened_vault(folder) as vault:
        desk = DeskHere(vault)
        await desk.opened()
        for _ in range(BEFORE):
            await vault.means.registry.told(Fact("vault.started"), NOW)
        await desk.ordered()
        for number, new in enumerate((NEXT, LAST, ""), 1):
            await vault.personalise(f"L1/{number}", DirectLink(sound_chip(number)))
            if new:
                await desk.rotated(new)
        return await lots._exported(folder, vault)


def origins(lot: Lot) -> list[str]:
    return [msgspec.json.decode(line, type=DeviceLine).log.origin for line in lot.lines()]


def test_it_is_sound_and_each_device_names_its_log(lot: Lot) -> None:
    verdict = lot.verdict()
    assert (verdict.findings, verdict.notices, verdict.devices) == ((), (), 3)
    assert origins(lot) == [OLD, NEXT, ""]
    heads = [lot.files[f"{place}/checkpoint"] for place in ("ledgers/1", "ledgers/2", "ledger")]
    assert [parsed(head).checkpoint.origin for head in heads] == [OLD, NEXT, LAST]


@pytest.mark.parametrize("unit", UNITS)
def test_a_device_is_proven_alone_by_the_checkpoint_of_its_log(lot: Lot, tmp_path: Path, unit: str) -> None:
    path = tmp_path / "device.json"
    path.write_bytes(device_file.extracted(lot.bundle, unit))
    verdict = device_file.verified(path, lot.trust)
    assert (verdict.findings, verdict.devices) == ((), 1)
    others = [key for key in lot.trust.logs if not key.startswith(OLD + "+")]
    less = msgspec.structs.replace(lot.trust, logs=tuple(others))
    assert bool(device_file.verified(path, less).findings) is (unit == "L1/1")


def test_a_log_that_was_left_out_is_a_finding(lot: Lot, tmp_path: Path) -> None:
    for number in (1, 2):
        gone = {name: None for name in lot.files if name.startswith(f"ledgers/{number}/")}
        found = lot.judged(tmp_path / f"{number}.tar", gone)
        assert any("whose checkpoint is not here" in one for one in found), number


def test_logs_that_do_not_name_each_other_are_a_finding(lot: Lot, tmp_path: Path) -> None:
    gone = {name: None for name in lot.files if name.startswith("ledgers/2/")}
    found = lot.judged(tmp_path / "gap.tar", gone)
    wanted = f"ledger: the last entry of {OLD} names {NEXT} as the next, not {LAST}"
    assert wanted in found
    assert f"ledger: the first entry of {LAST} does not name the final checkpoint of {OLD}" in found


def test_what_comes_before_the_first_log_is_told(lot: Lot, tmp_path: Path) -> None:
    gone = {name: None for name in lot.files if name.startswith("ledgers/1/")}
    told = lot.verdict(lot.forged(tmp_path / "late.tar", gone)).notices
    assert any(f"ledgers/2: begins where log {OLD} ended" in one for one in told)


def test_what_comes_after_the_last_log_is_told(lot: Lot, tmp_path: Path) -> None:
    """Whoever gets a log up to its end should know that there is more, such as what was revoked since."""
    changes: dict[str, bytes | None] = {n: None for n in lot.files if n.startswith(("ledger/", "ledgers/2/"))}
    changes |= {
        "ledger/" + name.removeprefix("ledgers/2/"): content
        for name, content in lot.files.items()
        if name.startswith("ledgers/2/")
    }
    changes["checkpoint.txt"] = lot.files["ledgers/2/checkpoint"]
    told = lot.verdict(lot.forged(tmp_path / "early.tar", changes)).notices
    assert f"ledger: has ended, and goes on in {LAST}; that is not here" in told


def test_the_customer_s_manifest_proves_devices_of_each_log(lot: Lot, tmp_path: Path) -> None:
    folder = tmp_path / "taken"
    delivered.taken(lot.bundle, folder)
    assert delivered.verified(folder, lot.trust).findings == ()
    lines = lot.lines()
    line = msgspec.json.decode(lines[0], type=DeviceLine)
    for origin, wrong in ((NEXT, "is not in the ledger"), ("elsewhere", "whose checkpoint is not here")):
        other = msgspec.structs.replace(line, log=msgspec.structs.replace(line.log, origin=origin))
        content = encoded(other) + b"\n" + b"".join(lines[1:])
        bundle = lot.forged(tmp_path / "forged.tar", {"manifest.jsonl": content})
        out = tmp_path / wrong
        delivered.taken(bundle, out)
        for verdict in (delivered.verified(out, lot.trust), lot.verdict(bundle)):
            assert any(wrong in one.what for one in verdict.findings), origin


def test_every_log_is_signed_by_keys_of_its_own_name(lot: Lot, tmp_path: Path) -> None:
    for place, origin in (("ledgers/1", OLD), ("ledgers/2", NEXT)):
        head = lot.files[f"{place}/checkpoint"]
        cut = head[: head.index(b"\n\n") + 2] + head.splitlines(keepends=True)[-1]
        found = lot.judged(tmp_path / "unsigned.tar", {f"{place}/checkpoint": cut})
        assert any(one.startswith(f"{place}/checkpoint: {origin} (") for one in found), found


def test_one_byte_of_an_entry_in_a_log_that_has_ended_is_named(lot: Lot, tmp_path: Path) -> None:
    name = next(one for one in lot.files if one.startswith("ledgers/1/tile/entries"))
    changed = lot.files[name].replace(b'"order.added"', b'"order.Added"')
    found = lot.judged(tmp_path / "byte.tar", {name: changed})
    assert any(one.startswith(f"{name}: entry ") and "root stands for" in one for one in found)


def test_checkpoints_from_before_count_for_the_log_that_they_are_of(lot: Lot) -> None:
    for place in ("ledgers/1", "ledger"):
        note = parsed(lot.files[f"{place}/checkpoint"])
        assert lot.verdict(older=[note]).findings == ()
        other = replace(note, checkpoint=replace(note.checkpoint, root=bytes(32)))
        assert lot.verdict(older=[other]).findings != ()


def test_a_log_that_ends_while_a_bundle_is_read_does_not_spoil_it(tmp_path: Path) -> None:
    """The folder is moved under the reader: the bundle is made anew, of both logs."""

    async def made() -> Sequence[str]:
        async with opened_vault(tmp_path) as vault:
            desk = DeskHere(vault)
            await desk.opened()
            await desk.ordered()
            await vault.personalise("L1/1", DirectLink(sound_chip(1)))
            ledger = publisher(tmp_path, vault)
            await ledger.open()
            publication = await lots._publication(tmp_path, vault)
            times = Times(development=True, epoch=NOW)
            exporter = Exporter(tmp_path, vault.means, ledger, publication, Configuration(), times)
            read = exporter._read
            turned: list[bool] = []

            async def worked(function: Callable[..., T], *given: object) -> T:
                if function == read and not turned:
                    turned.append(True)
                    await desk.rotated(NEXT)
                    await ledger.publish()
                return await vault.means.work(function, *given)

            exporter._work = worked  # type: ignore[assignment]
            async with exporter.exported("L1", {}, NOW) as found:
                trusted = trust.read(found / TRUST)
                verdict = verification.verified(found / BUNDLE, trusted)
                assert (verdict.findings, verdict.devices) == ((), 1)
                with archive.opened(found / BUNDLE) as bundle:
                    names = [*bundle.members]
            await ledger.close()
            return names

    assert "ledgers/1/checkpoint" in asyncio.run(made())


def test_a_lot_that_began_later_has_only_what_it_needs(tmp_path: Path) -> None:
    async def made() -> Lot:
        async with opened_vault(tmp_path) as vault:
            desk = DeskHere(vault)
            await desk.opened()
            await desk.rotated(NEXT)
            await vault.journal.commit(lambda db: db.execute("DELETE FROM lot WHERE lot = 'L1'"))
            await vault.means.registry.open_lot("L2", "se1", "", 1, 0)
            return await lots._exported(tmp_path, vault, "L2")

    lot = asyncio.run(made())
    assert not any(name.startswith("ledgers/") for name in lot.files)
    assert verification.verified(lot.bundle, lot.trust).notices != ()
    assert trust.read(tmp_path / "trust.json").logs == lot.trust.logs
