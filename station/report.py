"""What a lot came to, for people and programs, and its comparison with a simulated world's truth."""

from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct, json

from station.by_policy import PolicyCourse, PolicyTruth
from station.custody import durable_file
from station.custody.balance import Balance
from station.errors import StorageError
from station.model import BinKind, LotInfo
from station.surroundings import Truth

NOBODY = 0
"""Below it are the numbers of dies that the station has never met."""


class BinCount(Struct, frozen=True):
    """How many devices ended in one soft bin, by their last contact."""

    number: int
    name: str
    hard: int
    kind: str
    count: int


class TruthReport(Struct, frozen=True):
    """The station's verdicts beside what was true of the devices."""

    good: int
    """Devices with nothing wrong."""
    escapes: tuple[int, ...]
    """Running numbers of bad devices in a passing bin."""
    bad: tuple[int, ...]
    """Running numbers of devices with something wrong."""
    overkill: tuple[int, ...]
    """Running numbers of good devices elsewhere: rejected, or not judged."""
    unexplained: tuple[int, ...]
    """Good devices in a failing bin that neither the model nor PAT nor QA gives a reason to reject."""
    misplaced: tuple[int, ...]
    """Devices that physically lie in another hard bin than the station says."""
    custody: tuple[int, ...]
    """Devices of which the journal and the chip disagree whether they are sealed, or who they are."""
    policies: tuple[PolicyTruth, ...] = ()
    """Escapes and overkill before any policy of the lot, and behind each."""

    @property
    def agrees(self) -> bool:
        """Whether nothing is there that may not be."""
        return not (self.escapes or self.unexplained or self.misplaced or self.custody)


class LotReport(Struct, frozen=True):
    """The result of a run."""

    lot: str
    state: str
    reason: str
    tested: int
    good: int
    secured: int
    bins: tuple[BinCount, ...]
    retested: int
    accounts: dict[str, int]
    units_per_hour: float
    wall_s: float
    simulated_s: float
    time_to_safe_s: float
    stdf: str
    store: str
    journal: str
    evidence: str = ""
    """The bundle for the customer; empty if nothing is personalised."""
    order: str = ""
    vault_open: str = ""
    truth: TruthReport | None = None
    retried: int = 0
    """Devices of which a row was run again in the same contact."""
    skipped: dict[str, int] = {}
    """In how many contacts a rule left a row out."""
    marginal: dict[str, int] = {}
    """In how many contacts a test was passed near a limit."""
    alarms: dict[str, int] = {}
    """How often an instrument was at its limit in a test that asks for it."""
    unknown: int = 0
    """Devices of which no earlier result was known, in a lot that rests on such."""

    @property
    def yield_fraction(self) -> float:
        """Good devices of those tested."""
        return self.good / self.tested if self.tested else 0.0


class StationReport(Struct, frozen=True):
    """What the station claims of a lot, as its evidence carries it."""

    lot: str
    station: str
    sequence: str
    sequence_version: str
    fingerprint: str
    state: str
    tested: int
    good: int
    secured: int
    retested: int
    bins: tuple[BinCount, ...]
    accounts: dict[str, int]


def claimed(info: LotInfo, balance: Balance, state: str, retested: int) -> StationReport:
    """Say what the station knows of a lot."""
    accounts = balance.accounts()
    return StationReport(
        lot=info.lot,
        station=info.station,
        sequence=info.sequence,
        sequence_version=info.sequence_version,
        fingerprint=info.fingerprint,
        state=state,
        tested=balance.tested(),
        good=accounts.get("good", 0),
        secured=balance.secured(),
        retested=retested,
        bins=bin_counts(info, balance),
        accounts=accounts,
    )


def bin_counts(info: LotInfo, balance: Balance) -> tuple[BinCount, ...]:
    """Count the devices by soft bin; bins without a device are there with 0."""
    counts = balance.by_soft_bin()
    return tuple(
        BinCount(bin_.number, bin_.name, bin_.hard, bin_.kind.value, counts[bin_.number])
        for bin_ in info.bins
    )


def compared(balance: Balance, truth: Sequence[Truth], course: PolicyCourse) -> TruthReport | None:
    """Join a balance that has identities with the hidden truth; None where there is no such truth.

    A die is found by wafer, x and y, whatever number the station gave it; other devices by their number.
    """
    if not truth:
        return None
    parts = frozenset(balance.parts())
    passed = {part for part in parts if balance.kind(part) is BinKind.PASS}
    joined = _joined(balance, truth)
    known = {part: device for part, device in joined if part in parts}
    bad = tuple(sorted(part for part, device in known.items() if not device.good))
    overkill = tuple(sorted(part for part in known.keys() - passed if known[part].good))
    return TruthReport(
        good=len(known) - len(bad),
        bad=bad,
        escapes=tuple(part for part in bad if part in passed),
        overkill=overkill,
        unexplained=tuple(
            part
            for part in overkill
            if not known[part].reasons and balance.kind(part) is BinKind.FAIL and not course.moved(part)
        ),
        misplaced=tuple(part for part, device in joined if device.hard_bin != balance.hard_bin(part)),
        custody=tuple(part for part, device in joined if not _custody_agrees(balance, part, device)),
        policies=course.stages({part: device.good for part, device in known.items()}),
    )


def _joined(balance: Balance, truth: Sequence[Truth]) -> list[tuple[int, Truth]]:
    """Give each device the number that the station gave it; a die where the station was at none has none.

    Where no prober has read the id of a wafer, dies go by their number too.
    """
    wafers = {device.place[0] for device in truth if device.place is not None}
    by_place = not wafers.isdisjoint(balance.wafers())
    return [(_part(balance, device, by_place=by_place), device) for device in truth]


def _part(balance: Balance, device: Truth, *, by_place: bool) -> int:
    if device.place is None or not by_place:
        return device.index
    part = balance.die(device.place)
    return NOBODY - device.index if part is None else part


def _custody_agrees(balance: Balance, part: int, device: Truth) -> bool:
    """A chip that is sealed is so in the journal, by its own UID, or is known as spoiled; and the reverse."""
    if balance.sealed(part):
        identities = balance.uids or {}
        return device.sealed and identities.get(part) == device.uid.hex()
    return not device.sealed or balance.spoiled(part)


def written(report: LotReport, folder: Path) -> None:
    """Keep the report beside the results it speaks of."""
    text = json.format(json.encode(report), indent=2)
    path = folder / "report.json"
    try:
        durable_file.replace(path, text + b"\n")
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror}; the lot is {report.state}") from error
