"""The bill of materials of the software that made a bundle: CycloneDX 1.6, of the packages of the lock."""

import re
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, requires, version
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_PINNED = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==", re.MULTILINE)


def sbom(lock: bytes, at: float) -> bytes:
    """Return the document, for packages of the lock file that are installed here; `at` in unix seconds."""
    bom = Bom()
    bom.metadata.timestamp = datetime.fromtimestamp(int(at), UTC)
    bom.metadata.component = _component("hardbin", ComponentType.APPLICATION)
    for name in sorted(set(_PINNED.findall(lock.decode()))):
        try:
            bom.components.add(_component(name, ComponentType.LIBRARY))
        except PackageNotFoundError:
            continue  # of another platform
    bom.register_dependency(bom.metadata.component, [one for one in bom.components if one.name in _direct()])
    told = "\n".join(f"{one.name}=={one.version}" for one in sorted(bom.components))
    bom.serial_number = uuid5(NAMESPACE_URL, f"hardbin {version('hardbin')} {int(at)}\n{told}")
    return JsonV1Dot6(bom).output_as_string().encode()


def _direct() -> frozenset[str]:
    """What hardbin itself asks for."""
    asked = (_NAME.match(one) for one in requires("hardbin") or ())
    return frozenset(one[0].lower() for one in asked if one)


def _component(name: str, kind: ComponentType) -> Component:
    found = version(name)
    return Component(
        name=name,
        version=found,
        type=kind,
        bom_ref=f"{name}=={found}",
        purl=PackageURL("pypi", name=name, version=found),
    )
