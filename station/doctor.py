"""Whether this machine can do what a station needs: what each check found, and what to do about it."""

import os
import resource
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from importlib.metadata import entry_points
from pathlib import Path

import usb.backend.libusb1
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, mldsa, mlkem
from pyvisa.ctwrapper.highlevel import IVIVisaLibrary
from serial.tools import list_ports

from station.clock import follows_a_time_server

GIB = 2**30
LEAST_FREE = 2 * GIB
COMMITS, SLOWEST_S = 100, 0.050
"""A journal's commit takes so long at most, in 99 of so many."""


class Health(Enum):
    """What a check found."""

    OK = "ok"
    WARN = "warning"
    """Something that some stations need is not there."""
    BAD = "bad"
    """No station can do without."""


@dataclass(frozen=True)
class Finding:
    """One check."""

    name: str
    health: Health
    found: str
    advice: str = ""


def examined(out: Path) -> Iterator[Finding]:
    """Examine the machine; lots would go into `out`."""
    yield _python()
    yield _cryptography()
    yield from _plugins()
    yield _disk(out)
    yield _commits(out)
    yield _clock()
    yield _memory()
    yield _visa()
    yield _libusb()
    yield _serial()


def before_a_lot(out: Path) -> Iterator[Finding]:
    """Examine what may have changed since the station was set up; lots go into `out`."""
    yield _disk(out)
    yield _clock()


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding("python", Health.OK, f"{version} on {sys.platform}")


def _cryptography() -> Finding:
    missing = [name for name, make in KEYS.items() if not _makes(make)]
    if missing:
        advice = "install the wheel of `cryptography` that the lock names: it brings its own OpenSSL"
        return Finding("cryptography", Health.BAD, f"no {', '.join(missing)}", advice)
    return Finding("cryptography", Health.OK, ", ".join(KEYS))


def _makes(make: Callable[[], object]) -> bool:
    try:
        make()
    except UnsupportedAlgorithm:
        return False
    return True


KEYS: dict[str, Callable[[], object]] = {
    "P-384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "ML-DSA-65": mldsa.MLDSA65PrivateKey.generate,
    "ML-KEM-768": mlkem.MLKEM768PrivateKey.generate,
}


def _plugins() -> Iterator[Finding]:
    for group in ("hardbin.drivers", "hardbin.sequences"):
        found = entry_points(group=group)
        broken = []
        for entry in found:
            try:
                entry.load()
            except Exception as error:  # noqa: BLE001 - whatever a plug-in raises, it is named
                broken.append(f"{entry.name}: {error}")
        name = group.removeprefix("hardbin.")
        if broken:
            yield Finding(name, Health.BAD, "; ".join(broken), "mend or uninstall these packages")
        else:
            yield Finding(name, Health.OK, f"{len(found)} can be loaded")


def _disk(out: Path) -> Finding:
    free = shutil.disk_usage(_existing(out)).free
    found = f"{free / GIB:.1f} GiB free for {out}"
    if free < LEAST_FREE:
        return Finding("disk", Health.WARN, found, f"a lot needs up to {LEAST_FREE / GIB:.0f} GiB: make room")
    return Finding("disk", Health.OK, found)


def _commits(out: Path) -> Finding:
    """How long it takes until a record is durable."""
    took = []
    try:
        with tempfile.NamedTemporaryFile(dir=_existing(out), prefix=".doctor-") as file:
            for _ in range(COMMITS):
                began = time.perf_counter()
                file.write(b"x" * 256)
                file.flush()
                os.fsync(file.fileno())
                took.append(time.perf_counter() - began)
    except OSError as error:
        return Finding("commits", Health.BAD, f"{out}: {error.strerror}", "lots cannot be written there")
    slow = sorted(took)[COMMITS * 99 // 100 - 1]
    found = f"{statistics.median(took) * 1e3:.2f} ms, 99 of {COMMITS} within {slow * 1e3:.2f} ms"
    if slow > SLOWEST_S:
        return Finding("commits", Health.WARN, found, "every touchdown waits for one: use a local SSD")
    return Finding("commits", Health.OK, found)


def _existing(path: Path) -> Path:
    """The folder itself, or the nearest one above that is there."""
    return next(place for place in (path.absolute(), *path.absolute().parents) if place.is_dir())


def _clock() -> Finding:
    if sys.platform != "linux":
        return Finding(
            "clock", Health.WARN, "cannot be told on this system", "see that it follows a time server"
        )
    if not follows_a_time_server():
        advice = "orders and certificates go by it: let it follow a time server (chrony, systemd-timesyncd)"
        return Finding("clock", Health.WARN, "follows no time server", advice)
    return Finding("clock", Health.OK, "follows a time server")


def _memory() -> Finding:
    bound = resource.getrlimit(resource.RLIMIT_MEMLOCK)[0]
    if bound == resource.RLIM_INFINITY or os.geteuid() == 0:
        return Finding("memory", Health.OK, "a key store can lock its memory")
    advice = "a key store for production refuses to start: allow it with LimitMEMLOCK=infinity or ulimit -l"
    return Finding("memory", Health.WARN, f"at most {bound // 1024} KiB can be locked", advice)


def _visa() -> Finding:
    libraries = [str(library) for library in IVIVisaLibrary.get_library_paths()]
    if libraries:
        return Finding("visa", Health.OK, f"{', '.join(libraries)}, and pyvisa-py")
    advice = "GPIB, and USB instruments on Windows, need a maker's VISA or linux-gpib"
    return Finding("visa", Health.WARN, "pyvisa-py alone: LAN, USB and serial instruments", advice)


def _libusb() -> Finding:
    if usb.backend.libusb1.get_backend() is None:
        advice = "card readers and digital I/O need it: install libusb-1.0"
        return Finding("usb", Health.WARN, "there is no libusb", advice)
    return Finding("usb", Health.OK, "libusb is there")


def _serial() -> Finding:
    ports = [port.device for port in list_ports.comports()]
    shut = [port for port in ports if not os.access(port, os.R_OK | os.W_OK)]
    if shut:
        advice = "put the station's user into the group that owns them, dialout on Debian"
        return Finding("serial", Health.WARN, f"may not be opened: {', '.join(shut)}", advice)
    return Finding("serial", Health.OK, f"ports: {', '.join(ports) or 'none'}")
