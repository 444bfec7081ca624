"""Which bin a device gets: the first rule that applies. Pure."""

from dataclasses import dataclass
from typing import Generic

from station.engine.stops import Cause
from station.grades import grade
from station.model import Bin, Disposition, Measurement, Personalisation, Verdict
from station.sequence import Judged, Parametric, S, Sequence


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
    grade: Bin | None = None
    """The worst that a row has given so far."""
    cut_short: bool = False
    complete: bool = False
    recovered: bool = False
    """Only the vault has seen it, after a stop: what its rows had measured is lost."""
    unsafe: str = ""
    """Why the outputs of this site may still be on."""
    outlier: str = ""
    """Which value lies outside of part average limits."""
    rejected: str = ""
    """What failed when the device was tested a second time."""
    alarmed: bool = False
    """What its instruments have said is why the station cannot tell."""
    stuck: str = ""
    """Which reading came once too often in a row to be one of this device."""
    withheld: bool = False
    """A row in which the vault has a part was not run: the device is not complete."""
    left_alone: str = ""
    """It stood still behind a row, and nobody went on."""
    program_fault: str = ""
    custody_fault: str = ""

    def share(self, second: "Standing[S]") -> None:
        """Take over what a second look at the device has shown of station and program."""
        self.unjudged, self.unsafe, self.stuck = second.unjudged, second.unsafe, second.stuck
        self.alarmed = second.alarmed
        self.program_fault, self.custody_fault = second.program_fault, second.custody_fault

    def graded(self, test: Judged[S], measured: Measurement) -> None:
        """Take note of what a passed row says of a device: it begins as the best and only gets worse."""
        if not isinstance(test, Parametric) or (given := grade(test, measured)) is None:
            return
        order = self.sequence.grades
        if self.grade is None or order.index(given) > order.index(self.grade):
            self.grade = given

    def decide(self) -> tuple[Bin, Verdict]:
        """Return the bin and how the device fared."""
        bins = self.sequence.bins
        if (spoiled := self.sequence.spoiled) is not None and self._spoiled():
            return spoiled, Verdict.FAILED
        if self.cut_short and self.failed is not None:
            return self.failed, Verdict.FAILED
        if self.unjudged or self.cut_short:
            alarm = bins.alarm if self.alarmed and not self.cut_short else None
            return alarm or bins.error, Verdict.NOT_JUDGED
        if self.failed is not None:
            return self.failed, Verdict.FAILED
        if self.outlier and self.sequence.outliers is not None:
            return self.sequence.outliers.bin, Verdict.FAILED
        if self.rejected and self.sequence.quality is not None:
            return self.sequence.quality.bin, Verdict.FAILED
        if self.complete and not self.withheld:
            return self.grade or bins.passing, Verdict.PASSED
        return bins.default, Verdict.FAILED

    def holding(self, site: int) -> str:
        """Return why this site's trouble holds the lot; empty if it does not."""
        if self.program_fault:
            return f"site {site}: program fault in {self.program_fault}"
        if self.custody_fault:
            return f"site {site}: custody: {self.custody_fault}"
        if self.left_alone:
            return f"site {site}: {self.left_alone}"
        if self.rejected:
            return f"site {site}: a good device failed when it was tested again: {self.rejected}"
        return ""

    @property
    def cause(self) -> Cause:
        """Whose matter the hold is that `holding` asks for."""
        if self.program_fault or not (self.custody_fault or self.rejected):
            return Cause.EQUIPMENT
        return Cause.CUSTODY if self.custody_fault else Cause.YIELD

    def _spoiled(self) -> bool:
        """An open intent, a rejected chip, or a sealed one that the station could not put down safely."""
        if self.intent_open or self.recovered:
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
