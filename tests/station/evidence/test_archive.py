"""The one form of a bundle: whatever differs is refused, and tar reads what is left."""

import io
import tarfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from station.errors import EvidenceError
from station.evidence import archive

FILES: dict[str, bytes | Path] = {
    "a.json": b"{}",
    "b/empty": b"",
    "b/block": bytes(512),
    "z": b"x" * 700,
}


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("bundle") / "evidence.tar"
    archive.write(path, b"the index", FILES)
    return path.read_bytes()


def contents(path: Path) -> dict[str, bytes]:
    with archive.opened(path) as bundle:
        return {name: bundle.read(name) for name in bundle.members}


def test_what_was_written_is_read(tmp_path: Path, sound: bytes) -> None:
    path = tmp_path / "evidence.tar"
    path.write_bytes(sound)
    assert contents(path) == {"index.json": b"the index", **FILES}


def test_contents_may_come_from_files(tmp_path: Path, sound: bytes) -> None:
    (tmp_path / "source").write_bytes(b"x" * 700)
    archive.write(tmp_path / "evidence.tar", b"the index", {**FILES, "z": tmp_path / "source"})
    assert (tmp_path / "evidence.tar").read_bytes() == sound


def test_tar_reads_it_too(sound: bytes) -> None:
    with tarfile.open(fileobj=io.BytesIO(sound)) as other:
        names = other.getnames()
        assert names == ["index.json", "a.json", "b/block", "b/empty", "z"]
        assert {(one.mode, one.mtime, one.uid, one.uname) for one in other.getmembers()} == {
            (0o644, 0, 0, "")
        }


def test_the_header_is_this(sound: bytes) -> None:
    """The bytes themselves: another version of the library must not make another form."""
    assert archive.header("lot.json", 700) == (
        b"lot.json".ljust(100, b"\0")
        + b"0000644\x000000000\x000000000\x0000000001274\x0000000000000\x00007442\0 0"
        + bytes(100)
        + b"ustar\x0000"
        + bytes(64)
        + bytes(183)
    )
    assert len(sound) % 512 == 0


@given(at=st.integers(min_value=0), flip=st.integers(1, 255))
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_one_other_byte_is_refused_or_is_content(tmp_path: Path, sound: bytes, at: int, flip: int) -> None:
    changed = bytearray(sound)
    changed[at % len(sound)] ^= flip
    path = tmp_path / "evidence.tar"
    path.write_bytes(changed)
    try:
        found = contents(path)
    except EvidenceError:
        return
    assert found != {"index.json": b"the index", **FILES}


@pytest.mark.parametrize("cut", [0, 1, 511, 512, 513, 1023, 1024, 1536, -1, -512, -1024, -1025])
def test_a_part_of_it_is_refused(tmp_path: Path, sound: bytes, cut: int) -> None:
    path = tmp_path / "evidence.tar"
    path.write_bytes(sound[:cut])
    with pytest.raises(EvidenceError, match="evidence.tar"):
        contents(path)


@pytest.mark.parametrize("more", [b"\0", bytes(512), bytes(1024), bytes(8192), b"x"])
def test_more_than_it_is_refused(tmp_path: Path, sound: bytes, more: bytes) -> None:
    path = tmp_path / "evidence.tar"
    path.write_bytes(sound + more)
    with pytest.raises(EvidenceError, match="evidence.tar"):
        contents(path)


def tar_of(path: Path, names: list[str], **changes: object) -> Path:
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as out:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = 4
            for attribute, value in changes.items():
                setattr(info, attribute, value)
            out.addfile(info, io.BytesIO(b"data"))
    data = path.read_bytes()
    path.write_bytes(data[: len(names) * 1024 + 1024])
    return path


def test_the_order_is_the_one(tmp_path: Path) -> None:
    assert contents(tar_of(tmp_path / "1.tar", ["index.json", "a", "b"]))
    for number, names in enumerate((["index.json", "b", "a"], ["a", "index.json"], ["index.json", "a", "a"])):
        with pytest.raises(EvidenceError, match="not in its place"):
            contents(tar_of(tmp_path / f"{number}.tar", names))


@pytest.mark.parametrize("name", ["../a", "/a", "a//b", ".a", "a/.b", "a b", "ä", "a\\b", "a/", "x" * 101])
def test_such_names_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(EvidenceError):
        archive.header(name, 0)


@pytest.mark.parametrize(
    "change",
    [
        {"mode": 0o755},
        {"mtime": 1},
        {"uid": 1},
        {"uname": "root"},
        {"type": tarfile.SYMTYPE},
        {"linkname": "x"},
    ],
)
def test_other_headers_are_refused(tmp_path: Path, change: dict[str, object]) -> None:
    with pytest.raises(EvidenceError, match="byte 0"):
        contents(tar_of(tmp_path / "x.tar", ["index.json"], **change))


@given(data=st.binary(max_size=4096))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_comes_is_refused_without_harm(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "evidence.tar"
    path.write_bytes(data)
    with pytest.raises(EvidenceError):
        contents(path)
