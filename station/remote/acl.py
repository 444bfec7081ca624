"""Mosquitto's access list of a plant: who may write and read which topics, by the name in the certificate."""

from collections.abc import Iterator, Sequence

from station.errors import ConfigError
from station.remote.topics import ID, VERSION

WRITTEN = ("birth", "online", "state", "evt/#", "td", "map/+", "log", "rsp/+")
"""What a station says."""
READ = ("birth", "online", "state", "evt/#", "td", "map/+")
"""What a client hears of every station, besides its own replies."""
COLLECTED = ("birth", "online", "state", "evt/#")
"""What a collector hears of every station."""


def text(
    plant: str, clients: Sequence[str], collectors: Sequence[str] = (), readers: Sequence[str] = ()
) -> str:
    """Return the file; ConfigError for a name that cannot be in a topic."""
    for name in (plant, *clients, *collectors, *readers):
        if not ID.fullmatch(name):
            raise ConfigError(f"{name!r}: on the network it is 1 to 32 of a-z, 0-9 and -")
    return "".join(f"{line}\n" for line in _lines(plant, clients, collectors, readers))


def _lines(
    plant: str, clients: Sequence[str], collectors: Sequence[str], readers: Sequence[str]
) -> Iterator[str]:
    root = f"{VERSION}/{plant}"
    yield "# a station writes below its own name only; nobody else writes there but commands"
    yield from (f"pattern write {root}/%u/{topic}" for topic in WRITTEN)
    yield f"pattern read {root}/%u/cmd/#"
    yield f"pattern read {root}/%u/kept"
    yield f"pattern read {root}/+/rsp/%u"
    for client in clients:
        yield f"user {client}"
        yield from (f"topic read {root}/+/{topic}" for topic in READ)
        yield f"topic write {root}/+/cmd/#"
    for collector in collectors:
        yield f"user {collector}"
        yield from (f"topic read {root}/+/{topic}" for topic in COLLECTED)
        yield f"topic write {root}/+/kept"
    for reader in readers:
        yield f"user {reader}"
        yield f"topic read {root}/+/log"
