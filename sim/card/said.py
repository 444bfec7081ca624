"""What a chip answers at its contacts."""

from msgspec import Struct


class Said(Struct, frozen=True):
    """What the chip answers; `raw` None when it stays mute."""

    raw: bytes | None
    after_s: float = 0.0


MUTE = Said(None)
