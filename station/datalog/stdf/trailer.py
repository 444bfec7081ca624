"""What stands behind the last touchdown of a file: TSR, HBR, SBR, PCR and MRR."""

from collections.abc import Iterator, Mapping
from typing import TypeAlias

from station.datalog.stdf import flags
from station.datalog.stdf.records import whole
from station.datalog.stdf.summary import PartCounts, Parts, Statistics, merged
from station.datalog.stdf.writer import HEAD, plain, summary_record
from station.model import LotInfo

TOTAL_HEAD, TOTAL_SITE = 255, 0

Place: TypeAlias = tuple[int, int, Parts]
"""Head, site and what was counted there."""
Executed: TypeAlias = Mapping[int, Mapping[int, Statistics]]
"""Statistics by test number and site."""


def trailer(
    info: LotInfo, executed: Executed, counts: PartCounts, *, finished: float, disposition: str
) -> Iterator[bytes]:
    """Yield the summaries at each site and in total, and the end of the lot; `finished` is unix time."""
    places = [(HEAD, site, parts) for site, parts in counts.sites.items()]
    places.append((TOTAL_HEAD, TOTAL_SITE, counts.total()))
    yield from _tests(info, executed)
    for place in places:
        yield from _hard_bins(info, place)
    for place in places:
        yield from _soft_bins(info, place)
    for place in places:
        yield _part_counts(place)
    yield whole("MRR", FINISH_T=int(finished), DISP_COD=plain(disposition)[:1] or " ")


def _tests(info: LotInfo, executed: Executed) -> Iterator[bytes]:
    for test in info.tests:
        statistics = executed[test.number]
        for site, of_site in statistics.items():
            yield summary_record(test, of_site, head=HEAD, site=site, sequence=info.sequence)
        total = merged(statistics.values())
        yield summary_record(test, total, head=TOTAL_HEAD, site=TOTAL_SITE, sequence=info.sequence)


def hard_bin_name(hard: int, info: LotInfo) -> str:
    """Return the name of a hard bin: those of the soft bins that end in it."""
    return "/".join(bin_.name for bin_ in info.bins if bin_.hard == hard)


def _hard_bins(info: LotInfo, place: Place) -> Iterator[bytes]:
    head, site, parts = place
    for hard in sorted({bin_.hard for bin_ in info.bins}):
        sharing = [bin_ for bin_ in info.bins if bin_.hard == hard]
        yield whole(
            "HBR",
            HEAD_NUM=head,
            SITE_NUM=site,
            HBIN_NUM=hard,
            HBIN_CNT=sum(parts.bins[bin_.number] for bin_ in sharing),
            HBIN_PF=flags.PASS_FAIL[sharing[0].kind],
            HBIN_NAM=plain(hard_bin_name(hard, info)),
        )


def _soft_bins(info: LotInfo, place: Place) -> Iterator[bytes]:
    head, site, parts = place
    for bin_ in sorted(info.bins, key=lambda b: b.number):
        yield whole(
            "SBR",
            HEAD_NUM=head,
            SITE_NUM=site,
            SBIN_NUM=bin_.number,
            SBIN_CNT=parts.bins[bin_.number],
            SBIN_PF=flags.PASS_FAIL[bin_.kind],
            SBIN_NAM=plain(bin_.name),
        )


def _part_counts(place: Place) -> bytes:
    head, site, parts = place
    return whole(
        "PCR",
        HEAD_NUM=head,
        SITE_NUM=site,
        PART_CNT=parts.parts,
        RTST_CNT=parts.retested,
        ABRT_CNT=parts.aborted,
        GOOD_CNT=parts.good,
    )
