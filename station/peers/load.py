"""What both sides are asked to do, and what it cost them."""

from msgspec import Struct


class Load(Struct, frozen=True):
    """`devices` one after the other at each of `sites` at once, each with `rows` of one measurement."""

    sites: int
    devices: int
    rows: int
    wait_s: float = 0.0
    """What an instrument takes for each row; 0 or the engine bench's own time."""


class Cost(Struct, frozen=True):
    """Of all devices, in a process of its own; CPU is user plus system, all threads."""

    cpu_s: float
    wall_s: float
    measurements: int
    longest_s: float
    """From the start of a device to its end."""
    resident_mb: float
    """The most memory that the process ever had."""
