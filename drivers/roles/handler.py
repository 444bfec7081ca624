"""Whatever brings packaged devices to the sites and sorts them: a device handler."""

from collections.abc import Awaitable, Callable

from drivers.roles.feeder import Feeder


class Handler(Feeder):
    """Pick-and-place, gravity or turret handler: presents devices, takes bins."""

    sockets_empty: Callable[[], Awaitable[bool]] | None = None
    """Set by whoever can measure that every socket is electrically empty; some machines ask for that."""
