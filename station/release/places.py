"""Where releases lie on a station: each whole and apart, and one name that leads to the one in use."""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from station.custody import durable_file
from station.errors import ConfigError
from station.release.bundle import LOCK, SHARE, WHEELS, Release

CURRENT, PREVIOUS, WHOLE = "current", "previous", ".whole"
KEPT = 2
"""So many releases are kept: the one in use, and the way back."""


@dataclass(frozen=True)
class Releases:
    """A folder such as `/opt/hardbin`."""

    root: Path

    def folder(self, version: str) -> Path:
        """Return where a release lies."""
        return self.root / "releases" / version

    def staged(self) -> tuple[str, ...]:
        """Return the releases that are there and whole."""
        return tuple(sorted(path.parent.name for path in self.root.glob(f"releases/*/{WHOLE}")))

    def named(self, name: str) -> str | None:
        """Return the version to which `current` or `previous` leads."""
        link = self.root / name
        return link.readlink().name if link.is_symlink() else None

    def stage(self, bundle: Path, release: Release) -> Path:
        """Install a release beside the others, without a network; ConfigError if it does not install.

        An environment has its own path in it, so it is made where it stays; it counts when it is whole.
        """
        folder = self.folder(release.version)
        if (folder / WHOLE).exists():
            raise ConfigError(f"{folder} is there already")
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._install(bundle, folder)
            told = self.ran(release.version, "version").split()
            if told[:2] != ["hardbin", f"{release.version},"]:
                raise ConfigError(f"{folder}: it says that it is {' '.join(told[:2])}")
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        durable_file.put(folder / WHOLE, b"")
        durable_file.sync(folder)
        return folder

    def _install(self, bundle: Path, folder: Path) -> None:
        _run([sys.executable, "-m", "venv", str(folder)])
        options = ["--no-index", "--no-deps", "--require-hashes", "--disable-pip-version-check", "--quiet"]
        source = ["--find-links", str(bundle / WHEELS), "-r", str(bundle / LOCK)]
        _run([str(folder / "bin/python"), "-m", "pip", "install", *options, *source])
        if (bundle / SHARE).is_dir():
            shutil.copytree(bundle / SHARE, folder / SHARE, dirs_exist_ok=True)

    def ran(self, version: str, *arguments: str) -> str:
        """Return what a release's own `hardbin` prints; ConfigError if it fails."""
        return _run([str(self.folder(version) / "bin/hardbin"), *arguments])

    def switch(self, version: str) -> None:
        """Have `current` lead to a release, and `previous` to the one before; at no time to none."""
        if version not in self.staged():
            raise ConfigError(
                f"{self.folder(version)}: no whole release; staged are {', '.join(self.staged())}"
            )
        before = self.named(CURRENT)
        if before is not None and before != version:
            self._lead(PREVIOUS, before)
        self._lead(CURRENT, version)
        durable_file.sync(self.root)

    def back(self, version: str, previous: str | None) -> None:
        """Have `current` and `previous` lead to where they did before a change that did not come up."""
        self._lead(CURRENT, version)
        if previous is None:
            (self.root / PREVIOUS).unlink(missing_ok=True)
        else:
            self._lead(PREVIOUS, previous)
        durable_file.sync(self.root)

    def _lead(self, name: str, version: str) -> None:
        new = self.root / f".{name}"
        new.unlink(missing_ok=True)
        new.symlink_to(Path("releases") / version)
        new.replace(self.root / name)

    def prune(self) -> tuple[str, ...]:
        """Remove releases but those in use and for the way back; return which."""
        kept = {self.named(CURRENT), self.named(PREVIOUS)}
        gone = tuple(version for version in self.staged() if version not in kept)
        for version in gone:
            (self.folder(version) / WHOLE).unlink()
            shutil.rmtree(self.folder(version))
        return gone


def _run(command: Sequence[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - our own programs
    except OSError as error:
        raise ConfigError(f"{command[0]}: {error.strerror}") from error
    except subprocess.CalledProcessError as error:
        last = (error.stderr.strip() or error.stdout.strip() or "no word").splitlines()[-1]
        raise ConfigError(f"{' '.join(command[:3])}: exit {error.returncode}: {last}") from error
    return done.stdout
