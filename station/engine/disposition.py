"""Which bin a device gets: the first rule that applies. Pure."""

from dataclasses import dataclass
from typing import Generic

from station.model import Bin, Disposition, Personalisation, Verdict
from station.sequence import S, Sequence


@dataclass
class Standing(Generic[S]):
    """What is known of a device so far in this contact; every change makes it worse."""

    sequence: Sequence[S]
    failed: Bin | None = None
    """The bin of the first failing row."""
    unjudged: str = ""
    """Why the station cannot tell."""
    intent_open: bool = False
    """Personalisation has begun and no verdict has closed it."""
    no_verdict: str = ""
    """Why the vault gave none."""
    personalisation: Personalisation | None = None
    cut_short: bool = False
    complete: bool = False
    unsafe: str = ""
    """Why the outputs of this site may still be on."""
    program_fault: str = ""
    custody_fault: str = ""

    def decide(self) -> tuple[Bin, Verdict]:
        """Return the bin and how the device fared."""
        bins = self.sequence.bins
        if (spoiled := self.sequence.spoiled) is not None and self._spoiled():
            return spoiled, Verdict.FAILED
        if self.cut_short and self.failed is not None:
            return self.failed, Verdict.FAILED
        if self.unjudged or self.cut_short:
            return bins.error, Verdict.NOT_JUDGED
        if self.failed is not None:
            return self.failed, Verdict.FAILED
        if self.complete:
            return bins.passing, Verdict.PASSED
        return bins.default, Verdict.FAILED

    def holding(self, site: int) -> str:
        """Return why this site's trouble holds the lot; empty if it does not."""
        if self.program_fault:
            return f"site {site}: program fault in {self.program_fault}"
        if self.custody_fault:
            return f"site {site}: custody: {self.custody_fault}"
        return ""

    def _spoiled(self) -> bool:
        """An open intent, a rejected chip, or a sealed one that the station could not put down safely."""
        if self.intent_open:
            return True
        if self.personalisation is None:
            return False
        match self.personalisation.disposition:
            case Disposition.SEALED:
                return bool(self.unjudged or self.cut_short)
            case Disposition.UNTOUCHED | Disposition.RETRY:
                return False
            case Disposition.REJECT_HELD | Disposition.QUARANTINE:
                return True
