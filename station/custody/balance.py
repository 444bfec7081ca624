"""Where every device of a lot is: recomputed from the journal, so that anybody can check it.

A device costs a few bytes here, whatever happened to it: lots have many.
"""

from array import array
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from station import events
from station.model import BinKind, Disposition, Whereabouts

NONE = -1
TOUCHED, SPOILED, SEALED = 1, 2, 4


@dataclass(frozen=True)
class Binned:
    """The bin that a device lies in."""

    unit: str
    hard: int
    kind: str
    """`pass`, `fail`, or `other` for a device that was not judged."""


class Balance:
    """Reads the events of a lot in order and keeps each device in exactly one account."""

    def __init__(self, *, identities: bool = False) -> None:
        """`identities`: keep the UID of every sealed device, and the place of every die, for a comparison."""
        self.received = 0
        self.uids: dict[int, str] | None = {} if identities else None
        self._marks = bytearray()
        self._soft = array("h")
        self._hard = array("h")
        self._at: dict[int, int] = {}
        """The device that was last in contact at a site."""
        self._unsorted: set[int] = set()
        self._missing: set[int] = set()
        self._dies: dict[tuple[str, int, int], int] = {}
        self._kind_of_soft: dict[int, BinKind] = {}
        self._kind_of_hard: dict[int, BinKind] = {}

    def add(self, event: events.Any) -> None:
        """Take one event into account."""
        match event:
            case events.LotLoaded():
                self._begin(event)
            case events.TouchdownOpened():
                self._open(event.parts)
                self._place(event)
            case events.ContactsClosed():
                for outcome in event.outcomes:
                    self._soft[outcome.part] = outcome.soft
            case events.Intended():
                self._marks[event.part] |= SPOILED
            case events.PersonalisationEnded():
                self._verdict(event)
            case events.Sorted():
                for site, hard in event.bins.items():
                    self._hard[self._at[site]] = hard
                    self._unsorted.discard(self._at[site])
            case events.Found():
                self._lost({part for part, place in event.places.items() if place is Whereabouts.MISSING})
            case _:
                pass

    def _begin(self, loaded: events.LotLoaded) -> None:
        self.received = loaded.info.quantity
        self._kind_of_soft = {bin_.number: bin_.kind for bin_ in loaded.info.bins}
        self._kind_of_hard = {bin_.hard: bin_.kind for bin_ in loaded.info.bins}

    def _open(self, parts: dict[int, int]) -> None:
        self._at |= parts
        self._unsorted.update(parts.values())
        missing = max(parts.values(), default=0) + 1 - len(self._marks)
        if missing > 0:
            self._marks.extend(bytes(missing))
            self._soft.extend([NONE] * missing)
            self._hard.extend([NONE] * missing)
        for part in parts.values():
            self._marks[part] |= TOUCHED

    def _place(self, opened: events.TouchdownOpened) -> None:
        """Remember which dies of a wafer were contacted, for a comparison."""
        if self.uids is not None:
            for site, part in opened.parts.items():
                if site in opened.positions:
                    self._dies[opened.wafer, *opened.positions[site]] = part

    def _lost(self, parts: set[int]) -> None:
        self._missing |= parts
        self._unsorted -= parts

    def _verdict(self, event: events.PersonalisationEnded) -> None:
        match event.disposition:
            case Disposition.SEALED:
                self._marks[event.part] = self._marks[event.part] & ~SPOILED | SEALED
                if self.uids is not None:
                    self.uids[event.part] = event.uid
            case Disposition.UNTOUCHED | Disposition.RETRY:
                self._marks[event.part] &= ~SPOILED
            case Disposition.REJECT_HELD | Disposition.QUARANTINE | None:
                pass

    # -- one device
    def hard_bin(self, part: int) -> int | None:
        """Return where a device physically ended, None while it is not sorted."""
        found = self._hard[part] if 0 <= part < len(self._hard) else NONE
        return None if found == NONE else found

    def die(self, place: tuple[str, int, int]) -> int | None:
        """Return the running number of the die at wafer, x and y, None if it was not contacted."""
        return self._dies.get(place)

    def wafers(self) -> frozenset[str]:
        """Return the wafers that dies of were contacted on, by the ids that the prober read."""
        return frozenset(wafer for wafer, _, _ in self._dies)

    def kind(self, part: int) -> BinKind | None:
        """Return what kind of bin a device's last contact gave it."""
        return self._kind_of_soft.get(self._soft[part])

    def sealed(self, part: int) -> bool:
        """Whether the vault has sealed it."""
        return self._marked(part, SEALED)

    def spoiled(self, part: int) -> bool:
        """Whether its personalisation began and was not sealed."""
        return self._marked(part, SPOILED)

    def _marked(self, part: int, mark: int) -> bool:
        return 0 <= part < len(self._marks) and bool(self._marks[part] & mark)

    # -- the lot
    def unsorted(self) -> tuple[int, ...]:
        """Return the devices that were in contact and of which no bin is confirmed."""
        return tuple(sorted(self._unsorted))

    def parts(self) -> Iterable[int]:
        """Yield the running numbers of all devices that were in contact."""
        return (part for part, marks in enumerate(self._marks) if marks & TOUCHED)

    def tested(self) -> int:
        """How many devices were in contact."""
        return sum(1 for _ in self.parts())

    def secured(self) -> int:
        """How many devices the vault has sealed."""
        return sum(1 for marks in self._marks if marks & SEALED)

    def by_soft_bin(self) -> Counter[int]:
        """Count the devices by the soft bin of their last contact."""
        return Counter(soft for soft in self._soft if soft != NONE)

    def accounts(self) -> dict[str, int]:
        """Count the devices of each account; their sum is the number received."""
        accounts = Counter[str]()
        for part in self.parts():
            accounts[self._account(part)] += 1
        accounts["waiting"] = self.received - accounts.total()
        return {name: number for name, number in sorted(accounts.items()) if number}

    def _account(self, part: int) -> str:
        hard = self.hard_bin(part)
        if hard is None:
            return "missing" if part in self._missing else "in contact"
        if self.spoiled(part):
            return "spoiled"
        match self._kind_of_hard.get(hard, BinKind.OTHER):
            case BinKind.PASS:
                return "good"
            case BinKind.FAIL:
                return f"rejected in bin {hard}"
            case BinKind.OTHER:
                return f"not judged in bin {hard}"


def binned(balance: Balance, lot: str) -> list[Binned]:
    """Where each sorted device of a lot lies, by its running number."""
    found = ((part, balance.hard_bin(part), balance.kind(part)) for part in balance.parts())
    return [
        Binned(f"{lot}/{part}", hard, "other" if kind is None else kind.value)
        for part, hard, kind in found
        if hard is not None
    ]


def balance_of(history: Iterable[events.Any], *, identities: bool = False) -> Balance:
    """Compute the balance of a lot from its journal."""
    balance = Balance(identities=identities)
    for event in history:
        balance.add(event)
    return balance
