"""What insertions before this one have measured on a device, as its rules may ask for it. Pure."""

from collections.abc import Callable, Mapping
from typing import TypeAlias

from station.model import Measurement, Place

Past: TypeAlias = Callable[[str, Place | None], Mapping[str, Measurement]]
"""By code and place of a device, its results of earlier insertions, each as `flow/test`; empty if unknown."""
SEPARATOR = "/"


def nothing(code: str, place: Place | None) -> Mapping[str, Measurement]:
    """Nothing is known of any device."""
    del code, place
    return {}


class UnknownPastError(KeyError):
    """A rule asks for a result of an earlier insertion that is not known."""


class Known(dict[str, Measurement]):
    """What a rule may ask for: the rows above by their names, earlier insertions as `flow/test`."""

    def __missing__(self, name: object) -> Measurement:
        raise (UnknownPastError if SEPARATOR in str(name) else KeyError)(name)
