"""Asking a witness for its signature of a checkpoint."""

from collections.abc import Sequence
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from urllib.parse import urlsplit

from station.custody.checkpoint import Note, number
from station.custody.log_keys import Key
from station.custody.merkle import Nodes, consistency
from station.custody.witness import SIZE_TYPE, Submission, cosignatures
from station.errors import LedgerError

TIMEOUT_S = 10.0
ANSWER_BYTES = 64 * 1024
ATTEMPTS = 3
"""Others may submit newer checkpoints meanwhile."""


class WitnessUnreachableError(LedgerError):
    """The witness did not answer; nothing is known about what it holds."""


def cosigned(url: str, note: Note, nodes: Nodes, keys: Sequence[Key], *, old: int = 0) -> Note:
    """Return the note with the witness's signature; blocks up to some seconds.

    `old` is the size that the witness is believed to hold; if it holds another, it is asked again with the
    proof from there. LedgerError tells why it refuses: a fork of the log, or a key that it does not trust.
    """
    for _ in range(ATTEMPTS):
        answer = _asked(url, note, nodes, old)
        if answer.status == 200:
            return cosignatures(answer.body, note, keys)
        if answer.status != 409 or answer.kind != SIZE_TYPE:
            break
        old = _held(url, answer.body, old, note)
    raise LedgerError(f"{url}: refused with {answer.status}: {answer.body.strip()[:200]}")


def _held(url: str, body: str, old: int, note: Note) -> int:
    """Read which size the witness holds; LedgerError if no proof can lead from it to the checkpoint."""
    held = number(body.removesuffix("\n"), "size that the witness holds")
    if held > note.checkpoint.size:
        raise LedgerError(f"{url}: the witness holds {held} leaves, the checkpoint {note.checkpoint.size}")
    if held == old:
        raise LedgerError(f"{url}: the witness holds another root of {held} leaves: the log has forked")
    return held


class _Reply:
    """Status, content type and text."""

    def __init__(self, response: HTTPResponse) -> None:
        self.status = response.status
        self.kind = response.headers.get("Content-Type", "")
        self.body = response.read(ANSWER_BYTES).decode(errors="replace")


def _asked(url: str, note: Note, nodes: Nodes, old: int) -> _Reply:
    proof = tuple(consistency(nodes, old, note.checkpoint.size))
    connection, prefix = _connection(url)
    try:
        connection.request("POST", f"{prefix}/add-checkpoint", Submission(old, proof, note).encode())
        return _Reply(connection.getresponse())
    except (OSError, HTTPException) as error:
        raise WitnessUnreachableError(f"{url}: {error or type(error).__name__}") from error
    finally:
        connection.close()


def _connection(url: str) -> tuple[HTTPConnection, str]:
    parts = urlsplit(url)
    kinds = {"http": HTTPConnection, "https": HTTPSConnection}
    if parts.scheme not in kinds or not parts.hostname:
        raise LedgerError(f"a witness is http://host:port or https://host, not {url!r}")
    return kinds[parts.scheme](parts.hostname, parts.port, timeout=TIMEOUT_S), parts.path.rstrip("/")
