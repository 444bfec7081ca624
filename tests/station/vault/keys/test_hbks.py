"""The file HBKS: every byte is proven, and a crash leaves the old file or the new one."""

import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from station.vault.keys import hbks
from station.vault.keys.errors import DamagedError
from station.vault.keys.header import MAGIC, SUITE, Header, check_of
from station.vault.keys.shares import SealedShare
from station.vault.keys.words import Mode
from station.vault.secret import Secret

KEK = bytes(range(32))
SHARE = SealedShare("anna", bytes(16), bytes(12), bytes(49))
HEADER = Header(b"S" * 16, SUITE, Mode.PRODUCTION, 2, (SHARE,), check_of(Secret(KEK)))
CONTENTS = {"TM-1": b"planted key " * 2, "IM-1": b"", "!leases": bytes(32)}
WHAT = "f: damaged, or not a key store of this version"


def records() -> dict[str, Secret]:
    return {name: Secret(content) for name, content in CONTENTS.items()}


def plain(found: dict[str, Secret]) -> dict[str, bytes]:
    return {name: bytes(secret.reveal()) for name, secret in found.items()}


WHOLE = hbks.encode(HEADER, records(), Secret(KEK))


def test_what_was_written_is_read() -> None:
    header, found = hbks.decode(WHOLE, Secret(KEK), "f")
    assert (header, plain(found)) == (HEADER, CONTENTS)


def test_layout() -> None:
    """Magic, version, header, then for each record its length, nonce and box."""
    assert WHOLE[:5] == b"HBKS\x01"
    length = int.from_bytes(WHOLE[5:9])
    assert msgspec.json.decode(WHOLE[9 : 9 + length])["check"] == msgspec.to_builtins(HEADER)["check"]
    at, sizes = 9 + length, []
    while at < len(WHOLE):
        sizes.append(int.from_bytes(WHOLE[at : at + 4]))
        at += 4 + sizes[-1]
    assert len(sizes) == 1 + len(CONTENTS)
    assert at == len(WHOLE)


def test_a_record_is_sealed_for_its_place_in_its_store() -> None:
    at = 9 + int.from_bytes(WHOLE[5:9])
    for number in range(1 + len(CONTENTS)):
        size = int.from_bytes(WHOLE[at : at + 4])
        box, at = WHOLE[at + 4 : at + 4 + size], at + 4 + size
        bound = HEADER.store + number.to_bytes(4) + b"\x01"
        name, _ = msgspec.msgpack.decode(AESGCM(KEK).decrypt(box[:12], box[12:], bound))
        assert name == ["seal", *CONTENTS][number]


def test_no_secret_is_readable() -> None:
    assert b"planted" not in WHOLE
    assert KEK not in WHOLE


@settings(deadline=None)
@given(st.dictionaries(st.text(max_size=9), st.binary(max_size=99), max_size=5))
def test_any_records_come_back(contents: dict[str, bytes]) -> None:
    given_ = {name: Secret(content) for name, content in contents.items()}
    written = hbks.encode(HEADER, given_, Secret(KEK))
    assert plain(hbks.decode(written, Secret(KEK), "f")[1]) == contents


@settings(deadline=None)
@given(st.integers(0, len(WHOLE) - 1), st.integers(1, 255))
def test_a_changed_byte_anywhere_is_refused_in_the_same_words(at: int, change: int) -> None:
    changed = bytearray(WHOLE)
    changed[at] ^= change
    with pytest.raises(DamagedError) as caught:
        hbks.decode(bytes(changed), Secret(KEK), "f")
    assert str(caught.value) == WHAT


@settings(deadline=None)
@given(st.integers(0, len(WHOLE) - 1))
def test_a_file_cut_short_is_refused(size: int) -> None:
    with pytest.raises(DamagedError, match=WHAT):
        hbks.decode(WHOLE[:size], Secret(KEK), "f")


@settings(deadline=None)
@given(st.binary(min_size=1, max_size=64))
def test_a_file_with_more_at_its_end_is_refused(more: bytes) -> None:
    with pytest.raises(DamagedError, match=WHAT):
        hbks.decode(WHOLE + more, Secret(KEK), "f")


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_other_file_is_refused(content: bytes) -> None:
    for whole in (content, MAGIC + content, WHOLE[:9] + content):
        with pytest.raises(DamagedError, match=WHAT):
            hbks.decode(whole, Secret(KEK), "f")


def test_another_key_and_parts_of_another_time_are_refused() -> None:
    with pytest.raises(DamagedError, match=WHAT):
        hbks.decode(WHOLE, Secret(bytes(32)), "f")
    end = 9 + int.from_bytes(WHOLE[5:9])
    later = hbks.encode(HEADER, records() | {"TM-1": Secret(b"another")}, Secret(KEK))
    with pytest.raises(DamagedError, match=WHAT):
        hbks.decode(later[:end] + _exchanged(later[end:], WHOLE[end:]), Secret(KEK), "f")


def _exchanged(later: bytes, earlier: bytes) -> bytes:
    """The seal of one file before the records of another."""
    first = 4 + int.from_bytes(later[:4])
    return later[:first] + earlier[4 + int.from_bytes(earlier[:4]) :]


class CutError(Exception):
    """The power went."""


def cutting(monkeypatch: pytest.MonkeyPatch, at: int) -> list[str]:
    """Have the power go before the step of this number; return the steps that were done."""
    done: list[str] = []

    def watched(name: str, real: Callable[..., object]) -> Callable[..., object]:
        def step(*arguments: object, **more: object) -> object:
            if len(done) == at:
                raise CutError
            done.append(name)
            return real(*arguments, **more)

        return step

    for name in ("open", "write", "fsync", "rename"):
        monkeypatch.setattr(os, name, watched(name, getattr(os, name)))
    return done


def test_a_crash_between_any_two_steps_leaves_old_or_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, old, new = tmp_path / "keys.hbks", b"old" * 999, b"new" * 999
    seen = []
    for at in range(20):
        hbks.write(path, old)
        with monkeypatch.context() as patched:
            done = cutting(patched, at)
            try:
                hbks.write(path, new)
                whole = True
            except CutError:
                whole = False
        seen.append(path.read_bytes())
        assert seen[-1] in (old, new)
        if whole:
            break
    assert done == ["open", "write", "fsync", "rename", "open", "fsync"]
    assert (seen[0], seen[-1]) == (old, new)
    assert len(seen) == len(done) + 1


def test_a_file_is_its_owners_only(tmp_path: Path) -> None:
    hbks.write(tmp_path / "keys.hbks", WHOLE)
    assert (tmp_path / "keys.hbks").stat().st_mode & 0o777 == 0o600


def test_overwriting_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "keys.hbks"
    hbks.write(path, WHOLE)
    hbks.overwrite(path)
    assert path.read_bytes() == bytes(len(WHOLE))
