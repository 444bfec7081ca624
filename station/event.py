"""What an event is."""

from msgspec import Struct


class Event(Struct, frozen=True, tag_field="event", kw_only=True):
    """What happened, and when (seconds since 1970)."""

    at: float
