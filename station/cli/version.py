"""`hardbin version`: what is installed, plug-ins included."""

import platform
from importlib.metadata import EntryPoint, entry_points
from importlib.metadata import version as version_of

import click
from cryptography.hazmat.backends.openssl.backend import backend
from msgspec import json

LIBRARIES = ("cryptography", "pyvisa", "pyvisa-py", "pyserial", "pyusb", "grpcio", "sqlalchemy", "msgspec")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one object.")
def version(*, as_json: bool) -> None:
    """Print the version, those of the libraries that matter, and where drivers and sequences come from."""
    told = {
        "hardbin": version_of("hardbin"),
        "python": platform.python_version(),
        "openssl": backend.openssl_version_text(),
        "libraries": {name: version_of(name) for name in LIBRARIES},
        "drivers": _by_package("hardbin.drivers"),
        "sequences": _by_package("hardbin.sequences"),
    }
    if as_json:
        click.echo(json.encode(told))
        return
    click.echo(f"hardbin {told['hardbin']}, Python {told['python']}, {told['openssl']}")
    click.echo(", ".join(f"{name} {version_of(name)}" for name in LIBRARIES))
    for kind in ("drivers", "sequences"):
        for package, names in _by_package(f"hardbin.{kind}").items():
            click.echo(f"{kind} of {package}: {', '.join(names)}")


def _by_package(group: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for entry in sorted(entry_points(group=group), key=lambda entry: entry.name):
        found.setdefault(_package(entry), []).append(entry.name)
    return found


def _package(entry: EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else "nobody"
