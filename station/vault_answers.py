"""What a vault answers about itself, the order of a lot and the lot's end. Values only."""

from collections.abc import Mapping

from msgspec import Struct


class Quota(Struct, frozen=True):
    """What is left of the work order of a lot, as the vault knew when the lot was opened there."""

    order: str
    key_set: str
    """The keys that the vault works with."""
    product: str
    quantity: int
    begun: int
    """Devices that count as begun, of all lots."""
    begun_max: int
    sealed: int
    not_after: int
    """When the order ends, unix seconds."""


class VaultGreeting(Struct, frozen=True):
    """What a vault says of itself to whoever connects: it is there, and its key store is open."""

    name: str
    mode: str
    """`development` or `production`."""
    stops: tuple[str, ...] = ()
    """Why the line, or a site of it, is stopped."""


class LotClosing(Struct, frozen=True):
    """What the vault made of a lot's end."""

    accounts: Mapping[str, int]
    """How many units each account has, if the lot is closed."""
    open: str = ""
    """Why the lot stays open in the vault; empty if it is closed."""
