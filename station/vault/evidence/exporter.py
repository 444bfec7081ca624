"""Exports a lot's evidence: what the journal and the ledger tell of it, in one bundle, signed."""

import asyncio
import sqlite3
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import grpc
import msgspec
from cryptography.hazmat.primitives.serialization import Encoding

from station.custody.checkpoint import Note
from station.custody.log_keys import Key
from station.errors import CustodyError, EvidenceError, LedgerError
from station.evidence import archive, index
from station.evidence.bundle import (
    BUNDLE,
    CERTIFICATES,
    CONFIGURATION,
    CRLS,
    PROFILE,
    REGISTER,
    REPORT,
    SBOM,
    STATED,
    TRUST,
    VERSIONS,
)
from station.evidence.index import Index
from station.evidence.manifest import MANIFEST
from station.evidence.register import Register, RegisteredKey
from station.evidence.stated import Stated
from station.evidence.strict import encoded
from station.evidence.trust import Trust
from station.evidence.versions import lock, versions
from station.vault.configuration import Configuration
from station.vault.desk.statement import opened
from station.vault.die import jws
from station.vault.die.job import Means
from station.vault.die.stream import Context
from station.vault.evidence.bundled_logs import Shelf
from station.vault.evidence.delivery import pieces
from station.vault.evidence.lot_reader import LotReader
from station.vault.faults import FaultError
from station.vault.keys.errors import KeyStoreError
from station.vault.pki.authorities import RANKS, ROOT_FILE
from station.vault.pki.publication import Publication
from station.vault.publisher import Publisher
from station.vault.times import Times
from station.vault.wire import floor_pb2 as wire

ATTEMPTS = 5
"""A lot that is being worked on tells leaves behind the checkpoint; then another checkpoint is made."""


@dataclass(frozen=True)
class Collected:
    """A lot under one checkpoint."""

    product: str
    files: dict[str, bytes | Path]
    log_keys: tuple[Key, ...]
    """The public keys of all logs, of which the bundle may have fewer."""


class Exporter:
    """Makes bundles; it alone of the vault reads the journal beside its writer."""

    def __init__(
        self,
        folder: Path,
        means: Means,
        publisher: Publisher,
        publication: Publication,
        configuration: Configuration,
        times: Times,
    ) -> None:
        """`folder` is the vault's, with `vault.sqlite` and `ledger`."""
        self._folder, self._keys, self._issuer = folder, means.store, means.issuer
        self._work, self._publisher, self._publication = means.work, publisher, publication
        self._turn = asyncio.Lock()
        self._configuration, self._times, self._products = configuration, times, means.products

    async def serve(self, request: wire.ExportRequest, context: Context) -> AsyncIterator[wire.ExportPart]:
        """Answer the call `Export`."""
        attached = {REPORT: request.report} if request.report else {}
        try:
            now = self._times.now(context.invocation_metadata())
            async with self.exported(request.lot, attached, now) as folder:
                async for piece in pieces(folder, (BUNDLE, TRUST)):
                    yield piece
        except FaultError as fault:
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, fault.detail)
        except (CustodyError, KeyStoreError) as error:
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))

    @asynccontextmanager
    async def exported(self, lot: str, attached: Mapping[str, bytes], now: float) -> AsyncIterator[Path]:
        """Keep a folder with the bundle and the trust file while the block lasts; EvidenceError."""
        async with self._turn:
            with TemporaryDirectory(prefix="evidence-", dir=self._folder) as made:
                await self._export(lot, attached, now, Path(made))
                yield Path(made)

    async def _export(self, lot: str, attached: Mapping[str, bytes], now: float, folder: Path) -> None:
        found = await self._collected(lot, folder, now)
        files = {**found.files, **self._constant(found.product), **attached}
        files |= await self._register()
        files[SBOM] = await self._work(_materials, now)
        listed = await self._work(index.listed, files)
        name, mode = self._configuration.name, self._keys.mode
        content = Index(v=1, lot=lot, vault=name, mode=mode, made=round(now * 1000), files=listed)
        signed = encoded(await jws.signed(encoded(content), index.TYPE, self._keys))
        await self._work(archive.write, folder / BUNDLE, signed, files)
        (folder / MANIFEST).unlink()
        trust = encoded(self.trust(found.log_keys))
        (folder / TRUST).write_bytes(msgspec.json.format(trust, indent=2) + b"\n")

    def trust(self, log_keys: Sequence[Key]) -> Trust:
        """What whoever trusts this vault trusts."""
        witnesses = tuple(one.key for one in self._configuration.ledger.witness)
        return Trust(
            v=1,
            mode="production" if self._keys.mode == "production" else "development",
            roots=(b64encode(self._issuer.root).decode(),),
            logs=tuple(map(str, log_keys)),
            records=jws.record_keys(self._keys),
            witnesses=witnesses,
            witnesses_needed=len(witnesses),
        )

    async def _collected(self, lot: str, folder: Path, now: float) -> Collected:
        for _ in range(ATTEMPTS):
            # the lists must say what the ledger says
            await self._publication.attempt(lambda: now, self._keys.compromised)
            note = await self._publisher.publish()
            shelves = self._publisher.shelves()
            try:
                found = await self._work(self._read, lot, folder, (note, shelves))
            except LedgerError:
                if shelves == self._publisher.shelves():
                    raise
                continue  # a log has ended meanwhile, and its folder was moved
            if found is not None and shelves == self._publisher.shelves():
                return found
        raise EvidenceError(f"lot {lot} is being worked on; export it when it rests")

    def _read(self, lot: str, folder: Path, ledger: tuple[Note, list[Shelf]]) -> Collected | None:
        """Read the lot as it is at one moment; None if the checkpoint does not cover that moment."""
        path = self._folder / "vault.sqlite"
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
            db.execute("BEGIN")
            note, shelves = ledger
            reader = LotReader(db, shelves, note, lot)
            if not reader.covered():
                return None
            small, tiles = reader.small(self._keys.mode), dict(reader.tiles())
            manifest = {MANIFEST: reader.write_manifest(folder)}
            papers = {**reader.papers(), **self._lists(reader)}
            files: dict[str, bytes | Path] = {**small, **tiles, **manifest, **papers}
            return Collected(reader.row.product, files, tuple(self._publisher.all_keys()))

    def _lists(self, reader: LotReader) -> dict[str, bytes]:
        """The lists of revoked certificates that there are."""
        found = {
            f"{CRLS}/{rank.crl}": reader.crl(self._issuer.authority(algorithm).identifier)
            for algorithm, rank in RANKS.items()
        }
        return {name: crl for name, crl in found.items() if crl}

    def _constant(self, product: str) -> dict[str, bytes]:
        """What is the same for every lot of a product."""
        authorities = {
            rank.file: self._issuer.authority(algorithm).certificate.public_bytes(Encoding.DER)
            for algorithm, rank in RANKS.items()
        }
        found = {f"{CERTIFICATES}/{name}": der for name, der in authorities.items()}
        return {
            **found,
            f"{CERTIFICATES}/{ROOT_FILE}": self._issuer.root,
            PROFILE: self._products[product].encode(),
            CONFIGURATION: encoded(self._configuration),
            VERSIONS: encoded(versions()),
        }

    async def _register(self) -> dict[str, bytes]:
        statement = await self._keys.register()
        found = msgspec.json.decode(opened(statement).payload, type=Stated)
        keys = [RegisteredKey.of(entry, entry.used) for entry in found.keys]
        return {STATED: statement, REGISTER: encoded(Register(v=1, keys=tuple(keys)))}


def _materials(now: float) -> bytes:
    from station.evidence.sbom import sbom  # it takes long to import, and a vault starts with each lot

    return sbom(lock(), now)
