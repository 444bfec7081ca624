"""Why a lot does not simply go on: what was asked of it, and what it raises to stop."""

from enum import Enum, StrEnum


class Wish(Enum):
    """What is asked of the lot; taken up at the touchdown boundary, an abort at once."""

    GO_ON = "go on"
    PAUSE = "pause"
    END = "end"
    ABORT = "abort"
    LEAVE = "leave"
    """Of a lot that is paused: end the run as it is, the lot stays open."""


class Cause(StrEnum):
    """Whose matter a hold is: it decides who may release it."""

    EQUIPMENT = "equipment"
    YIELD = "yield"
    CUSTODY = "custody"


class Hold(Exception):  # noqa: N818 - a hold is what it is called
    """The lot must not go on by itself; `unsafe` when an output may still be on."""

    def __init__(self, reason: str, *, unsafe: bool = False, cause: Cause = Cause.EQUIPMENT) -> None:
        super().__init__(reason)
        self.unsafe = unsafe
        self.cause = cause


class Ended(Exception):  # noqa: N818 - an end is what it is called
    """The lot was asked to end, at a boundary."""


class Adjourned(Exception):  # noqa: N818 - that is what it is called
    """The run was asked to end with the lot paused and open."""


class Unloaded(Exception):  # noqa: N818 - that is what it is called
    """The lot was put back before anything of it was tested."""


class Aborted(Exception):  # noqa: N818 - an abort is what it is called
    """The lot was asked to stop at once; no bin was sent for what is in contact."""
