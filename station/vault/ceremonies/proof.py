"""Checks a ceremony that is over, offline: plan, chain, signatures, results, bundle."""

from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from station.errors import ConfigError
from station.vault.ceremonies import attributes, bundle, plan, printed, record, steps, transcript
from station.vault.ceremonies.conductor import PRINTED, content_of
from station.vault.ceremonies.transcript import TranscriptError
from station.vault.desk.statement import StatementError


class Verdict(NamedTuple):
    """What was checked."""

    ceremony: str
    transcript: str
    steps: int
    lines: int
    keys: tuple[str, ...]


def verified(folder: Path) -> Verdict:
    """Check a ceremony; ConfigError if there is none, TranscriptError says what is wrong with it."""
    wanted = plan.read(folder)
    path = folder / transcript.FILE
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    parsed = [*transcript.parsed(content, str(path))]
    lines, heads = [line for line, _ in parsed], [transcript.FIRST, *(head for _, head in parsed)]
    try:
        found = record.followed(wanted, lines)
    except TranscriptError as error:
        raise TranscriptError(f"{path}, {error}") from None
    if not found.closed:
        raise TranscriptError(f"{path}: the ceremony is not over: step {found.at} of {len(wanted.steps)}")
    keys = _dump(wanted, found)
    _bundle(folder, found, heads[-2])
    _paper(folder, printed.whole(wanted, lines, heads[-1]))
    return Verdict(wanted.ceremony, heads[-1], len(wanted.steps), len(lines), keys)


def _dump(wanted: plan.Plan, found: record.Record) -> tuple[str, ...]:
    """Hold the attribute dump against the plan again."""
    if not any(isinstance(step, steps.Dump) for step in wanted.steps):
        return ()
    dumped = {one.profile.id: one for one in content_of(wanted, found.results, "").keys}
    for key, (profile, state) in attributes.wanted(wanted).items():
        if key not in dumped:
            raise TranscriptError(f"key {key}: not in the attribute dump")
        for difference in attributes.differences(dumped[key], profile, state):
            raise TranscriptError(f"key {key}: {difference}")
    return tuple(dumped)


def _bundle(folder: Path, found: record.Record, head: str) -> None:
    path = folder / bundle.FILE
    sealed = _read(path)
    if sha256(sealed).hexdigest() != found.closed:
        raise TranscriptError(f"{path}: not the bundle that the transcript names")
    try:
        content = bundle.opened(sealed, {name: one.public for name, one in found.enrolled.items()})
    except StatementError as error:
        raise TranscriptError(f"{path}: {error}") from None
    if content != content_of(found.plan, found.results, head):
        raise TranscriptError(f"{path}: says something else than the transcript")
    for name, digest in content.files.items():
        if sha256(_read(folder / name)).hexdigest() != digest:
            raise TranscriptError(f"{folder / name}: not the file that the bundle names")


def _paper(folder: Path, text: str) -> None:
    if _read(folder / PRINTED) != text.encode():
        raise TranscriptError(f"{folder / PRINTED}: not what the transcript prints")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise TranscriptError(f"{path}: {error.strerror}") from error
