"""Which VISA library a station uses: its name in the station file, and what PyVISA is told.

The vendors' paths are those that their Linux packages are known to have; a path of one's own always works.
"""

from importlib.util import find_spec
from pathlib import Path

from pyvisa.ctwrapper.highlevel import IVIVisaLibrary

PYVISA_PY = "@py"
IVI = "@ivi"
SIMULATED = "@hardbin"
LINUX_GPIB = "linux-gpib"
GPIB_MODULES = ("gpib", "gpib_ctypes")
VENDORS = {
    "ni": ("/usr/lib/x86_64-linux-gnu/libvisa.so", "/usr/local/vxipnp/linux/lib64/libvisa.so"),
    "keysight": ("/opt/keysight/iolibs/libktvisa32.so",),
    "rohde-schwarz": ("/usr/lib/librsvisa.so", "/usr/lib64/librsvisa.so"),
}
ALLOWED = f"{PYVISA_PY}, {IVI}, {LINUX_GPIB}, {', '.join(VENDORS)}, or the path of a library"


def library(name: str) -> str:
    """Return what PyVISA's resource manager is given; ValueError says what is missing, or allowed."""
    if name == PYVISA_PY or name.endswith(SIMULATED):
        return name
    if name == IVI:
        return _ivi()
    if name == LINUX_GPIB:
        return _linux_gpib()
    if name in VENDORS:
        return _vendor(name)
    return _path(name.removesuffix(IVI))


def _ivi() -> str:
    if not tuple(IVIVisaLibrary.get_library_paths()):
        raise ValueError(f"no vendor's VISA library is installed where PyVISA looks; allowed are {ALLOWED}")
    return IVI


def _linux_gpib() -> str:
    if not any(find_spec(module) for module in GPIB_MODULES):
        raise ValueError(f"{LINUX_GPIB}: its Python module {' or '.join(GPIB_MODULES)} is not installed here")
    return PYVISA_PY  # it takes GPIB names to that module


def _vendor(name: str) -> str:
    for path in VENDORS[name]:
        if Path(path).exists():
            return f"{path}{IVI}"
    raise ValueError(f"{name}: its library is not installed: looked for {' and '.join(VENDORS[name])}")


def _path(text: str) -> str:
    if not Path(text).is_absolute():
        raise ValueError(f"{text!r} is no VISA library; allowed are {ALLOWED}")
    if not Path(text).exists():
        raise ValueError(f"there is no VISA library at {text}")
    return f"{text}{IVI}"
