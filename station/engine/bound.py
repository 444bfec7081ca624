"""The equipment of a lot, as the sequence needs it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic

from drivers.roles import Feeder, IdReader, Resource
from station.engine.climate import Climate
from station.engine.past import Past, nothing
from station.engine.quarantine import Quarantine
from station.sequence import S


@dataclass(frozen=True)
class Bound(Generic[S]):
    """The equipment of a lot: the handler or prober, the sites, and which resources each site needs."""

    handler: Feeder
    sites: Mapping[int, S]
    resources: Mapping[int, tuple[Resource, ...]]
    readers: Mapping[int, IdReader] = field(default_factory=dict)
    """What reads the code of the device at each site; empty if nothing does, or the machine itself."""
    golden: Mapping[str, str] = field(default_factory=dict)
    """By code, the names of golden units: never product."""
    quarantine: Quarantine | None = None
    """What keeps over lots and restarts which resources are out of use."""
    climate: Climate | None = None
    """What brings the devices to the temperature of the lot, if it has one."""
    past: Past = nothing
    """What earlier insertions have measured on a device."""
