"""A ledger of the commands that came from afar, made of a station's audit trail, and continued as that grows.

The trail is a chained journal, which the station could write anew. A leaf once published cannot go: what
the trail says later is compared with it.
"""

from collections.abc import Iterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from station import events
from station.clock import RealClock
from station.custody import journal
from station.custody.checkpoint import Note
from station.custody.checkpoint_signer import CheckpointSigner, KeptNote
from station.custody.ledger import Fact, Head, Stamp
from station.custody.lot_ledger import PUBLISHED, SIGNED
from station.custody.seed_file import SeedFile
from station.custody.tile_writer import TileWriter
from station.errors import LedgerError

REASON_MAX = 400


def build(trail: Path, folder: Path, seeds: SeedFile, station: str) -> Note:
    """Make or continue the folder; LedgerError if the trail does not say what was published of it."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        return _built(trail, folder, seeds, station)
    finally:
        with suppress(OSError):
            folder.rmdir()  # nothing was published in it


def _built(trail: Path, folder: Path, seeds: SeedFile, station: str) -> Note:
    writer = TileWriter(folder)
    signer = CheckpointSigner(
        seeds.name, seeds.signers(), KeptNote(folder / SIGNED, seeds.name), RealClock().unix
    )
    published, last = writer.head.edge.size, writer.head.last
    head = Head()
    for fact, stamp in _facts(trail, seeds.name, f"station:{station}"):
        leaf, head = head.written(fact, stamp)
        if leaf.index == published - 1 and leaf.hash != last:
            raise LedgerError(f"{trail}: does not say any more what {folder} has of it")
        if leaf.index >= published:
            writer.add(leaf)
            if writer.head.edge.size % PUBLISHED == 0:
                writer.sign_and_publish(signer)
    if not head.edge.size:
        raise LedgerError(f"{trail}: there is no command in it")
    if head.edge.size < published:
        raise LedgerError(f"{trail}: is shorter than what {folder} has of it")
    return writer.sign_and_publish(signer)


def _facts(trail: Path, origin: str, source: str) -> Iterator[tuple[Fact, Stamp]]:
    """Yield an entry a command; each has the hash of the one before, so one vouches for all before."""
    cfg = sha256(origin.encode()).hexdigest()
    opening = {"origin": origin, "mode": "development", "claims": "of the station, of commands from afar"}
    began_ms: int | None = None
    for event in journal.read(trail):
        if not isinstance(event, events.CommandAccepted | events.CommandRefused):
            continue
        t_ms = round(event.at * 1000)
        if began_ms is None:
            began_ms = t_ms
            yield Fact("log.opened", source, opening), Stamp(t_ms, 0, cfg)
        yield _fact(event, source), Stamp(t_ms, max(0, t_ms - began_ms), cfg)


def _fact(event: events.CommandAccepted | events.CommandRefused, source: str) -> Fact:
    data: dict[str, object] = {
        "id": event.id[:128],
        "command": event.command[:128],
        "by": event.actor[:128],
        "roles": list(event.roles),
        "reason": event.reason[:REASON_MAX],
    }
    if isinstance(event, events.CommandRefused):
        return Fact("command.refused", source, data | {"code": event.code})
    return Fact("command.taken", source, data)
