"""The firmware stub as a shared library, built on demand.

It is kept in `firmware-stubs/.build/` under a hash of sources, compiler and flags, so that it is never stale.
`python -m sim.dut.library` builds it and prints where it lies.
"""

import hashlib
import shutil
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).resolve().parents[2] / "firmware-stubs"
STRICT = ("-std=c99", "-O2", "-Wall", "-Wextra", "-Wpedantic", "-Werror")
SHARED = ("-fPIC", "-fvisibility=hidden", "-shared")


class BuildError(Exception):
    """The shared library cannot be built here."""


def compiler() -> tuple[str, ...]:
    """The C compiler of this machine, as the start of a command line."""
    for name in ("cc", "gcc", "clang"):
        if path := shutil.which(name):
            return (path,)
    if find_spec("ziglang"):
        return (sys.executable, "-m", "ziglang", "cc")
    raise BuildError(
        "no C compiler for the chip's firmware: install gcc or clang, or the Python package ziglang"
    )


def build(folder: Path = HERE, flags: tuple[str, ...] = (), kind: tuple[str, ...] = SHARED) -> Path:
    """Compile the stub as a shared library unless that was done before; return the file."""
    command = (*compiler(), *kind, *flags)
    return built((folder / "se1",), command, folder / ".build", "se1-{}.so")


def built(sources: tuple[Path, ...], compiler: tuple[str, ...], folder: Path, name: str) -> Path:
    """Compile the C files of some folders unless that was done before; the hash of all goes into the name."""
    command = (*compiler, *STRICT)
    inputs = sorted(path for source in sources for path in source.iterdir() if path.is_file())
    digest = hashlib.sha256("\0".join(command).encode())
    for path in inputs:
        digest.update(path.name.encode() + path.read_bytes())
    target = folder / name.format(digest.hexdigest()[:24])
    if not target.exists():
        _compile(command, [path for path in inputs if path.suffix == ".c"], target)
    return target


def _compile(command: tuple[str, ...], sources: list[Path], target: Path) -> None:
    target.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        fresh = Path(folder) / target.name
        done = subprocess.run(  # noqa: S603
            [*command, *map(str, sources), "-o", str(fresh)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise BuildError(f"{command[0]} cannot compile the chip's firmware:\n{done.stderr}")
        fresh.replace(target)


if __name__ == "__main__":
    sys.stdout.write(f"{build()}\n")
