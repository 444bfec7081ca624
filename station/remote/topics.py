"""The topic tree of a station: everything that it says or hears is below its own root."""

import re
from dataclasses import dataclass

from station.errors import ConfigError

VERSION = "hardbin/v1"
ID = re.compile(r"[a-z0-9-]{1,32}")
NO_ID = re.compile(r"[^A-Za-z0-9._-]")
WAFER_MAX = 64


@dataclass(frozen=True)
class Tree:
    """The topics of one station."""

    plant: str
    station: str

    @property
    def root(self) -> str:
        """What all its topics begin with."""
        return f"{VERSION}/{self.plant}/{self.station}"

    @property
    def birth(self) -> str:
        """What it is; retained."""
        return f"{self.root}/birth"

    @property
    def online(self) -> str:
        """Whether it is there; retained, and the last will."""
        return f"{self.root}/online"

    @property
    def state(self) -> str:
        """How it stands; retained."""
        return f"{self.root}/state"

    @property
    def td(self) -> str:
        """Touchdowns as they come, which nobody keeps."""
        return f"{self.root}/td"

    @property
    def log(self) -> str:
        """Its log, as far as the rate allows, which nobody keeps."""
        return f"{self.root}/log"

    def map(self, wafer: str) -> str:
        """The map of a wafer that ended; what cannot be in a topic is a `-` there."""
        return f"{self.maps}{NO_ID.sub('-', wafer)[:WAFER_MAX] or '-'}"

    @property
    def maps(self) -> str:
        """What the topics of all maps begin with."""
        return f"{self.root}/map/"

    def evt(self, kind: str) -> str:
        """Events of one kind."""
        return f"{self.root}/evt/{kind}"

    def cmd(self, name: str) -> str:
        """Commands of one name."""
        return f"{self.root}/cmd/{name}"

    @property
    def kept(self) -> str:
        """Which events the floor's collector has on disk."""
        return f"{self.root}/kept"

    def rsp(self, client: str) -> str:
        """Replies to one client: in the station's own tree, so that nobody else can forge one."""
        return f"{self.root}/rsp/{client}"


def tree(plant: str, station: str) -> Tree:
    """Return the topics of a station; ConfigError if its names cannot be in a topic."""
    for key, name in (("plant", plant), ("name", station)):
        if not ID.fullmatch(name):
            allowed = "on the network it is 1 to 32 of a-z, 0-9 and -"
            raise ConfigError(f"station.{key}: {name!r}: {allowed}")
    return Tree(plant, station)
