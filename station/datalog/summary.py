"""What became of a lot, counted from the store."""

from collections import Counter
from collections.abc import Iterable

from msgspec import Struct

from station.datalog.stdf.flags import SUPERSEDES
from station.datalog.store import Contact, Store

NOT_PASSED = 0x18
"""Failed, or not judged."""


class BinCount(Struct, frozen=True):
    """The parts whose last contact ended in a soft bin."""

    number: int
    name: str
    hard: int
    good: bool
    count: int


class SiteCount(Struct, frozen=True):
    """The parts that a site contacted last, and how many contacts it made in all."""

    site: int
    parts: int
    good: int
    contacts: int


class LotSummary(Struct, frozen=True):
    """A lot in numbers. A part counts once, as its last contact left it."""

    run: int
    lot: str
    parts: int
    good: int
    first_good: int
    """Good at their first contact."""
    not_judged: int
    contacts: int
    retested: int
    """Contacts that superseded an earlier one."""
    bins: tuple[BinCount, ...]
    """Every bin of the lot, by number, empty ones too."""
    sites: tuple[SiteCount, ...]

    @property
    def first_yield(self) -> float:
        """Share of the parts that were good at first contact; 0 without parts."""
        return self.first_good / self.parts if self.parts else 0.0

    @property
    def final_yield(self) -> float:
        """Share of the parts that ended good; 0 without parts."""
        return self.good / self.parts if self.parts else 0.0


def summarise(store: Store, run: int) -> LotSummary:
    """Count a run, finished or not."""
    info, contacts = store.info(run), list(store.contacts(run))
    last = {contact.part: contact for contact in contacts}.values()
    by_bin = Counter(contact.soft_bin for contact in last)
    return LotSummary(
        run,
        info.lot,
        len(last),
        _good(last),
        _good(contact for contact in contacts if contact.contact == 1),
        sum(contact.flags >> 4 & 1 for contact in last),
        len(contacts),
        sum(bool(contact.flags & SUPERSEDES) for contact in contacts),
        tuple(
            BinCount(bin_.number, bin_.name, bin_.hard, bin_.good, by_bin[bin_.number])
            for bin_ in sorted(info.bins, key=lambda b: b.number)
        ),
        tuple(_site(site, contacts, last) for site in info.sites),
    )


def _good(contacts: Iterable[Contact]) -> int:
    return sum(not contact.flags & NOT_PASSED for contact in contacts)


def _site(site: int, contacts: Iterable[Contact], last: Iterable[Contact]) -> SiteCount:
    here = [contact for contact in last if contact.site == site]
    made = sum(contact.site == site for contact in contacts)
    return SiteCount(site, len(here), _good(here), made)
