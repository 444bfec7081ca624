"""Who is in command of a station: the operator beside it, or one client with the lease."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

LEASE_S = 300.0


class Mode(Enum):
    """Whether the station takes starts and settings from afar."""

    LOCAL = "ONLINE-LOCAL"
    REMOTE = "ONLINE-REMOTE"


@dataclass(frozen=True)
class Lease:
    """One client's command of the station, until it ends (seconds since 1970)."""

    client: str
    token: str
    until: float


class Control:
    """One commander at a time; a lease ends by itself, by its holder, and with the process."""

    def __init__(self, mode: Mode, now: Callable[[], float], lease_s: float = LEASE_S) -> None:
        self.mode = mode
        self._now = now
        self._lease_s = lease_s
        self._lease: Lease | None = None

    @property
    def holder(self) -> str | None:
        """Which client is in command."""
        lease = self._lease
        return None if lease is None or lease.until < self._now() else lease.client

    def acquire(self, client: str) -> Lease | None:
        """Give the lease, anew to its holder; None if another client has it."""
        if self.holder not in (None, client):
            return None
        token = self._lease.token if self._lease and self.holder else secrets.token_hex(16)
        self._lease = Lease(client, token, self._now() + self._lease_s)
        return self._lease

    def give_up(self) -> None:
        """End the lease."""
        self._lease = None

    def commands(self, client: str, token: str) -> bool:
        """Whether this client is in command, as the token proves; the lease then begins anew."""
        lease = self._lease
        if lease is None or self.holder != client or not secrets.compare_digest(lease.token, token):
            return False
        self._lease = Lease(client, lease.token, self._now() + self._lease_s)
        return True
