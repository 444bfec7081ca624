"""Checking the lines of a manifest in processes of their own, so that all cores work."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from itertools import chain
from multiprocessing import get_context
from pathlib import Path

import msgspec
from msgspec import Struct

from station.custody import checkpoint
from station.errors import EvidenceError
from station.evidence import archive, certificates, device
from station.evidence.archive import Archive
from station.evidence.device import CheckedDevice, Means
from station.evidence.manifest import MANIFEST
from station.evidence.trust import Trust
from station.vault.profiles import Profile

LINE_MAX = 1 << 20
TOGETHER = 128
"""Lines that a worker is given at once."""
WORTH_A_POOL = 512
"""Fewer lines are checked here: processes take half a second to start."""


class Ground(Struct, frozen=True):
    """What every device of a bundle is checked by."""

    trust: Trust
    profile: bytes
    checkpoint: bytes
    authorities: dict[str, bytes]
    """Certificates, DER, by the file that they are in."""
    ended: tuple[bytes, ...] = ()
    """Checkpoints of logs that have ended."""

    def means(self) -> Means:
        """Read it all; EvidenceError, LedgerError, TrustError."""
        try:
            profile = msgspec.json.decode(self.profile, type=Profile)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise EvidenceError(f"the profile cannot be read: {error}") from error
        read = {name: certificates.parsed(der) for name, der in self.authorities.items()}
        return Means(
            self.trust.record_keys(),
            certificates.Authorities(self.trust.root_certificates(), read),
            profile,
            sha256(self.profile).hexdigest(),
            checkpoint.parsed(self.checkpoint).checkpoint,
            {one.origin: one for one in (checkpoint.parsed(data).checkpoint for data in self.ended)},
        )


@dataclass(frozen=True)
class Span:
    """Where some lines of a bundle lie; each is as long as it says, its line feed not counted."""

    start: int
    sizes: tuple[int, ...]


def spans_of(bundle: Archive) -> Iterator[Span]:
    """Find the lines of the manifest; EvidenceError if one is too long, or the last has no end."""
    start = at = bundle.member(MANIFEST).start
    sizes: list[int] = []
    size = 0
    for chunk in bundle.chunks(MANIFEST):
        rest = 0
        while (end := chunk.find(b"\n", rest)) >= 0:
            sizes.append(size + end - rest)
            at += sizes[-1] + 1
            rest, size = end + 1, 0
            if len(sizes) == TOGETHER:
                yield Span(start, tuple(sizes))
                start, sizes = at, []
        size += len(chunk) - rest
        if size > LINE_MAX:
            raise EvidenceError(f"{MANIFEST}: a line has more than {LINE_MAX} bytes")
    if size:
        raise EvidenceError(f"{MANIFEST}: its last line has no end")
    if sizes:
        yield Span(start, tuple(sizes))


def lines_of(bundle: Archive, span: Span) -> Iterator[bytes]:
    """Yield some lines."""
    data, at = bundle.part(span.start, sum(span.sizes) + len(span.sizes)), 0
    for size in span.sizes:
        yield data[at : at + size]
        at += size + 1


@contextmanager
def checking(
    path: Path, bundle: Archive, ground: Ground, workers: int | None = None
) -> Iterator[Iterator[CheckedDevice]]:
    """Begin to check every line; what is found comes in order, to be read while or after it is made."""
    spans = list(spans_of(bundle))
    count = sum(len(span.sizes) for span in spans)
    workers = len(os.sched_getaffinity(0)) if workers is None else workers
    if count < WORTH_A_POOL or workers < 2:
        yield _here(bundle, ground, spans)
        return
    given = (path, msgspec.msgpack.encode(ground))
    with ProcessPoolExecutor(workers, get_context("spawn"), _begin, given) as pool:
        try:
            yield chain.from_iterable(pool.map(_work, spans))
        finally:
            pool.shutdown(cancel_futures=True)


def _here(bundle: Archive, ground: Ground, spans: Sequence[Span]) -> Iterator[CheckedDevice]:
    means = ground.means()
    for span in spans:
        yield from (device.checked(line, means) for line in lines_of(bundle, span))


_MEANS: list[Means] = []
_PATH: list[Path] = []
"""A worker's own, set once when it starts."""


def _begin(path: Path, ground: bytes) -> None:
    _MEANS[:] = [msgspec.msgpack.decode(ground, type=Ground).means()]
    _PATH[:] = [path]


def _work(span: Span) -> list[CheckedDevice]:
    with archive.unchecked(_PATH[0]) as bundle:
        return [device.checked(line, _MEANS[0]) for line in lines_of(bundle, span)]
