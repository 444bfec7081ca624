"""A ledger of a lot that is over, made from its journal: what the station claims, signed afterwards.

The vault is to write a plant's ledger while it works. This one lets an auditor check today's lots with the
same tools; it proves that nothing was changed since it was made, and not that the station told the truth.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from hashlib import sha256
from itertools import chain
from pathlib import Path

import msgspec

from station import events
from station.clock import RealClock
from station.custody import journal
from station.custody.balance import Balance
from station.custody.checkpoint import Note
from station.custody.checkpoint_signer import CheckpointSigner, KeptNote
from station.custody.ledger import Fact, Stamp
from station.custody.seed_file import SeedFile
from station.custody.tile_writer import TileWriter
from station.errors import LedgerError
from station.model import Disposition, LotInfo

SIGNED = "signed"
"""Beside the ledger's tiles: the last checkpoint that was signed."""
DIFFERENCE_MAX = 4000
"""Characters of a difference: an entry has its bounds, and the journal has all of it."""
PUBLISHED = 1 << 16
"""Leaves that are held in memory at most."""


def build(path: Path, folder: Path, seeds: SeedFile) -> Note:
    """Make the folder of a lot's journal; LedgerError if the journal does not say which lot it is."""
    folder.mkdir(parents=True)
    try:
        return _built(path, folder, seeds)
    finally:
        with suppress(OSError):
            folder.rmdir()  # nothing was published in it


def _built(path: Path, folder: Path, seeds: SeedFile) -> Note:
    writer = TileWriter(folder)
    kept = KeptNote(folder / SIGNED, seeds.name)
    signer = CheckpointSigner(seeds.name, seeds.signers(), kept, RealClock().unix)
    for fact, stamp in _facts(path, seeds.name):
        leaf, _ = writer.head.written(fact, stamp)
        writer.add(leaf)
        if writer.head.edge.size % PUBLISHED == 0:
            writer.sign_and_publish(signer)
    return writer.sign_and_publish(signer)


def _facts(path: Path, origin: str) -> Iterator[tuple[Fact, Stamp]]:
    history = journal.read(path)
    loaded = next(history, None)
    if not isinstance(loaded, events.LotLoaded):
        raise LedgerError(f"{path}: does not begin with the lot that was loaded")
    info, began_ms = loaded.info, _ms(loaded.at)
    cfg = sha256(msgspec.json.encode(info, order="sorted")).hexdigest()
    claims = _Claims(info)
    yield Fact("log.opened", _source(info), _opening(origin, path)), Stamp(began_ms, 0, cfg)
    for event in chain((loaded,), history):
        t_ms = _ms(event.at)
        for fact in claims.of(event):
            yield fact, Stamp(t_ms, max(0, t_ms - began_ms), cfg)


class _Claims:
    """Turns events of the station into facts of the ledger."""

    def __init__(self, info: LotInfo) -> None:
        self._info = info
        self._balance = Balance()
        self._parts: dict[int, int] = {}
        self._signed: dict[str, object] = {}
        """The difference with which persons have let the lot be closed."""

    def of(self, event: events.Any) -> Iterator[Fact]:
        """Yield what an event claims."""
        match event:
            case events.TouchdownOpened():
                self._parts |= event.parts
            case events.LotLoaded():
                yield self._fact("lot.opened", None, _set_up(event.info))
            case events.Intended():
                yield self._fact("die.admitted", event.unit, {"site": event.site, "session": event.session})
            case events.PersonalisationEnded():
                yield from self._ended(event)
            case events.Sorted():
                yield from self._sorted(event)
            case events.BalanceSigned(difference=difference):
                self._signed = {"difference": difference[:DIFFERENCE_MAX]}
            case events.LotClosed():
                result = {"outcome": event.outcome, "tested": event.tested, "good": event.good}
                yield self._fact("lot.closed", None, result | self._signed)
            case _:
                pass
        self._balance.add(event)

    def _ended(self, event: events.PersonalisationEnded) -> Iterator[Fact]:
        match event.disposition:
            case Disposition.SEALED:
                uid_h = sha256(bytes.fromhex(event.uid)).hexdigest()
                data = {"serial": event.serial, "record": event.record}
                yield self._fact("die.sealed", event.unit, data, uid_h)
            case Disposition.UNTOUCHED | Disposition.RETRY:
                pass
            case Disposition.REJECT_HELD | Disposition.QUARANTINE | None:
                verdict = "none" if event.disposition is None else event.disposition.value
                yield self._fact("die.spoiled", event.unit, {"verdict": verdict, "error": event.error})

    def _sorted(self, event: events.Sorted) -> Iterator[Fact]:
        for site, hard in sorted(event.bins.items()):
            part = self._parts[site]
            kind = self._balance.kind(part)
            data = {"bin": hard, "kind": "none" if kind is None else kind.value, "site": site}
            yield self._fact("unit.binned", f"{self._info.lot}/{part}", data)

    def _fact(
        self, event: str, unit: str | None, data: Mapping[str, object], uid_h: str | None = None
    ) -> Fact:
        return Fact(event, _source(self._info), data, unit=unit, uid_h=uid_h, lot=self._info.lot)


def _source(info: LotInfo) -> str:
    return f"station:{info.station}"


def _opening(origin: str, path: Path) -> dict[str, object]:
    return {
        "origin": origin,
        "mode": "development",
        "claims": "of the station, signed after the lot",
        "journal": sha256(path.read_bytes()).hexdigest(),
    }


def _set_up(info: LotInfo) -> dict[str, object]:
    return {
        "product": info.product,
        "sequence": info.sequence,
        "fingerprint": info.fingerprint,
        "quantity": info.quantity,
    }


def _ms(at: float) -> int:
    return round(at * 1000)
