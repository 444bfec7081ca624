"""Who signed the checkpoint that everything is proven by, and whether that is enough."""

from collections.abc import Iterator

from station.custody.checkpoint import Note
from station.custody.log_keys import Key, signatures_by
from station.errors import LedgerError
from station.evidence.trust import Trust


def signers(note: Note, trust: Trust) -> tuple[str, ...]:
    """Name the trusted keys whose signatures are good."""
    return tuple(f"{key.name} ({key.kind.name})" for key in _good(note, trust))


def faults(note: Note, trust: Trust) -> Iterator[str]:
    """Say what the checkpoint lacks to be believed."""
    yield from unsigned(note, trust)
    try:
        good = _good(note, trust)
    except LedgerError:
        return
    count = len({key.name for key in trust.witness_keys() if key in good})
    if count < trust.witnesses_needed:
        yield f"{count} trusted witnesses have signed it, {trust.witnesses_needed} are needed"


def unsigned(note: Note, trust: Trust) -> Iterator[str]:
    """Say which keys of the log have not signed a checkpoint, or whether one signed badly."""
    try:
        good = _good(note, trust)
    except LedgerError as error:
        yield str(error)
        return
    own = [key for key in trust.log_keys() if key.name == note.checkpoint.origin]
    for key in own or trust.log_keys():  # of a ledger that was rotated, each log has keys of its name
        if key not in good:
            yield f"{key.name} ({key.kind.name}) has not signed it"
        if key.name != note.checkpoint.origin:
            yield f"is of log {note.checkpoint.origin}, the trusted key of {key.name}"


def _good(note: Note, trust: Trust) -> list[Key]:
    return list(signatures_by(note, [*trust.log_keys(), *trust.witness_keys()]))
