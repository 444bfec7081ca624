"""What a check came to."""

import msgspec
from msgspec import Struct

from station.evidence.finding import Finding


class Verdict(Struct, frozen=True):
    """Of a bundle, or of one device's file."""

    lot: str = ""
    mode: str = ""
    devices: int = 0
    """Sealed devices whose records could be read."""
    leaves: int = 0
    """Of the ledger under the checkpoint."""
    signed_by: tuple[str, ...] = ()
    """Trusted keys of log and witnesses that signed the checkpoint."""
    accounts: dict[str, int] = msgspec.field(default_factory=dict)
    """How many units each account of the lot has."""
    findings: tuple[Finding, ...] = ()
    """The first thing that is wrong first."""
    notices: tuple[str, ...] = ()
    """What is no fault, but should be known."""

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings
