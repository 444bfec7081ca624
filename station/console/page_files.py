"""The page's files, held in memory: what is served is what was there at the start, and nothing else."""

import gzip
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path

from msgspec import Struct, json
from starlette.requests import Request
from starlette.responses import Response

from station.console.defence import refusal
from station.errors import ConfigError

FOLDER = Path(__file__).parent / "page"
VENDOR = FOLDER / "vendor"
MANIFEST = "manifest.json"
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}
"""What is served; a file of another kind is not."""
LEAST = 512
"""Smaller files are not worth compressing."""


class PageFile(Struct, frozen=True):
    """One file, and the same compressed, empty if that is no gain."""

    type: str
    tag: str
    plain: bytes
    compressed: bytes


def page_files() -> Mapping[str, PageFile]:
    """Return the files by their path on the page; ConfigError if others' code is missing or another."""
    _checked()
    return files_in(FOLDER)


def files_in(folder: Path) -> Mapping[str, PageFile]:
    """Return the files of a folder by their path in it."""
    found = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {
        path.relative_to(folder).as_posix(): file_of(path.name, path.read_bytes())
        for path in found
        if _of_page(path, folder)
    }


def served(files: Mapping[str, PageFile], request: Request) -> Response:
    """Answer with one of the files."""
    found = files.get(request.path_params["path"] or "index.html")
    if found is None:
        return refusal("not_found", "there is no such page", 404)
    headers = {"ETag": found.tag, "Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
    if request.headers.get("if-none-match") == found.tag:
        return Response(status_code=304, headers=headers)
    if found.compressed and "gzip" in request.headers.get("accept-encoding", ""):
        headers["Content-Encoding"] = "gzip"
        return Response(found.compressed, media_type=found.type, headers=headers)
    return Response(found.plain, media_type=found.type, headers=headers)


def _of_page(path: Path, folder: Path) -> bool:
    inside = path.relative_to(folder)
    return path.suffix in TYPES and inside.parts[0] != "node_modules" and "package" not in path.name


def file_of(name: str, data: bytes) -> PageFile:
    """Return a file by its name and content."""
    suffix = Path(name).suffix
    small = b"" if suffix == ".woff2" or len(data) < LEAST else gzip.compress(data, 9, mtime=0)
    tag = f'"{sha256(data).hexdigest()[:32]}"'
    return PageFile(TYPES[suffix], tag, data, small)


def _checked() -> None:
    """Hold what others wrote against the manifest of when it was fetched."""
    try:
        manifest = json.decode((VENDOR / MANIFEST).read_bytes(), type=dict[str, str])
    except OSError as error:
        raise ConfigError(f"{VENDOR}: {error.strerror}: fetch it with `make setup`") from error
    if changed := sorted(_changed(manifest)):
        raise ConfigError(
            f"{VENDOR}: not as it was fetched: {', '.join(changed)}; fetch it with `make setup`"
        )


def _changed(manifest: Mapping[str, str]) -> Iterator[str]:
    there = {path.relative_to(VENDOR).as_posix() for path in VENDOR.rglob("*") if path.is_file()}
    yield from there ^ {*manifest, MANIFEST}
    for name, digest in manifest.items():
        if name in there and sha256((VENDOR / name).read_bytes()).hexdigest() != digest:
            yield name
