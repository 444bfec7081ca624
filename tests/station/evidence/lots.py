"""A small real lot and its bundle, and what a dishonest holder of the record keys could make of it."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from station.custody.checkpoint import Note
from station.evidence import archive, index
from station.evidence.archive import INDEX
from station.evidence.bundle import BUNDLE, TRUST
from station.evidence.index import Index
from station.evidence.jws import Jws
from station.evidence.strict import base64url, decoded, encoded
from station.evidence.trust import Trust
from station.evidence.verdict import Verdict
from station.evidence.verification import verified
from station.vault.asked import Step
from station.vault.configuration import Configuration
from station.vault.die import jws
from station.vault.die.script import Answer
from station.vault.evidence.exporter import Exporter
from station.vault.faults import FaultError
from station.vault.keyring import Keyring
from station.vault.pki.publication import Publication
from station.vault.pki.revocation import Revocations
from station.vault.publisher import Publisher
from station.vault.teller import Teller
from station.vault.times import Times
from tests.station.evidence.desks import DeskHere
from tests.station.vault.dies import NOW, DirectLink, sound_chip
from tests.station.vault.vaults import Vault, opened_vault

SEALED = 3


@dataclass
class Lot:
    """Three sealed devices, a reject, one in quarantine with its certificates, and a destroyed one."""

    folder: Path
    trust: Trust
    files: Mapping[str, bytes]
    keys: Keyring

    @property
    def bundle(self) -> Path:
        return self.folder / BUNDLE

    def forged(self, out: Path, changes: Mapping[str, bytes | None], *, signed: bool = True) -> Path:
        """Make the bundle anew with other files, or without some; signed again, or the index as it was."""
        files: dict[str, bytes | Path] = {
            n: c for n, c in self.files.items() if n != INDEX and n not in changes
        }
        files |= {name: content for name, content in changes.items() if content is not None}
        told = self.files[INDEX]
        if signed:
            old = decoded(base64url(decoded(told, Jws).payload), Index)
            new = Index(old.v, old.lot, old.vault, old.mode, old.made, index.listed(files))
            told = encoded(asyncio.run(jws.signed(encoded(new), index.TYPE, self.keys)))
        archive.write(out, told, files)
        return out

    def verdict(
        self, path: Path | None = None, trust: Trust | None = None, older: Sequence[Note] = ()
    ) -> Verdict:
        return verified(path or self.bundle, trust or self.trust, older=older)

    def judged(self, out: Path, changes: Mapping[str, bytes | None]) -> list[str]:
        """What a check says of a forged bundle."""
        return list(map(str, self.verdict(self.forged(out, changes)).findings))

    def lines(self) -> list[bytes]:
        return self.files["manifest.jsonl"].splitlines(keepends=True)


def of(folder: Path) -> Lot:
    """Make the lot."""
    return asyncio.run(_made(folder))


async def _made(folder: Path) -> Lot:
    """Personalise a lot and export it."""
    async with opened_vault(folder) as vault:
        desk = DeskHere(vault)
        await desk.opened()
        await desk.ordered()
        for number in range(1, SEALED + 1):
            await vault.personalise(f"L1/{number}", DirectLink(sound_chip(number)))
        await _spoiled(vault, "L1/4", 4, "key 2")
        await _spoiled(vault, "L1/5", 5, "STORE HASH")
        await _spoiled(vault, "L1/6", 6, "STORE HASH")
        await desk.destroyed("L1/6")
        return await _exported(folder, vault)


async def _spoiled(vault: Vault, unit: str, number: int, step: str) -> None:
    """A die whose answer to a step is another than it must be."""
    link = DirectLink(sound_chip(number))
    link.touch = _changed(step)
    try:
        await vault.personalise(unit, link)
    except FaultError as fault:
        known = await vault.means.registry.unit(unit)
        assert known is not None
        at = Step(unit, bytes(16), NOW, known.standing, known.intent)
        await vault.means.registry.failed(at, fault.code, fault.fate)
    else:
        raise AssertionError(f"{unit} was sealed")


def _changed(wanted: str) -> Callable[[str, str, Answer], Answer]:
    def touch(label: str, step: str, answer: Answer) -> Answer:
        if step != wanted:
            return answer
        return Answer(bytes(one ^ 0xFF for one in answer.data), answer.sw)

    return touch


async def _publication(folder: Path, vault: Vault) -> Publication:
    """Publishes what is revoked of the lot."""
    revocations = Revocations(vault.journal, Teller("00" * 32, lambda: 1.0, 0.0).tell)
    means = vault.means
    publication = Publication(folder, means.issuer, revocations, means.store, means.work)
    await publication.open(NOW)
    return publication


async def _exported(folder: Path, vault: Vault, lot: str = "L1") -> Lot:
    configuration = Configuration()
    publisher = Publisher(folder / "vault.sqlite", folder / "ledger", configuration.ledger, vault.means.store)
    await publisher.open()
    publication, times = await _publication(folder, vault), Times(development=True, epoch=NOW)
    exporter = Exporter(folder, vault.means, publisher, publication, configuration, times)
    async with exporter.exported(lot, {}, NOW) as found:
        for name in (BUNDLE, TRUST):
            (found / name).replace(folder / name)
    await publisher.close()
    with archive.opened(folder / BUNDLE) as bundle:
        files = {name: bundle.read(name) for name in bundle.members}
    return Lot(folder, exporter.trust(publisher.all_keys()), files, vault.means.store)
