"""Where every device of a lot is: recomputed from the journal, so that anybody can check it."""

from collections import Counter
from collections.abc import Iterable

from station import events
from station.model import BinKind, Disposition


class Balance:
    """Reads the events of a lot in order and keeps each device in exactly one account."""

    def __init__(self) -> None:
        self.received = 0
        self._outcomes: dict[int, events.Outcome] = {}
        self._in_contact: dict[int, int] = {}
        self._hard: dict[int, int] = {}
        self._touched: set[int] = set()
        self._kinds: dict[int, BinKind] = {}
        self.sealed: dict[int, str] = {}
        """UID by running number of every device that the vault has sealed."""
        self.spoiled: set[int] = set()
        """Devices whose personalisation began and was not sealed."""

    def add(self, event: events.Any) -> None:
        """Take one event into account."""
        match event:
            case events.LotLoaded():
                self.received = event.info.quantity
                self._kinds = {bin_.hard: bin_.kind for bin_ in event.info.bins}
            case events.TouchdownOpened():
                self._in_contact |= event.parts
                self._touched.update(event.parts.values())
            case events.ContactsClosed():
                self._outcomes |= {outcome.part: outcome for outcome in event.outcomes}
            case events.Intended():
                self.spoiled.add(event.part)
            case events.PersonalisationEnded():
                self._verdict(event)
            case events.Sorted():
                for site, hard in event.bins.items():
                    self._hard[self._in_contact.pop(site)] = hard
            case _:
                pass

    def _verdict(self, event: events.PersonalisationEnded) -> None:
        match event.disposition:
            case Disposition.SEALED:
                self.spoiled.discard(event.part)
                self.sealed[event.part] = event.uid
            case Disposition.UNTOUCHED | Disposition.RETRY:
                self.spoiled.discard(event.part)
            case Disposition.REJECT_HELD | Disposition.QUARANTINE | None:
                pass

    def hard_bin(self, part: int) -> int | None:
        """Return where a device physically ended, None while it is not sorted."""
        return self._hard.get(part)

    def outcomes(self) -> Iterable[events.Outcome]:
        """Return what the last contact of each device came to."""
        return self._outcomes.values()

    def parts(self) -> frozenset[int]:
        """Return the running numbers of all devices that were in contact."""
        return frozenset(self._touched)

    def kind(self, part: int) -> BinKind | None:
        """Return what kind of bin a device's last contact gave it."""
        outcome = self._outcomes.get(part)
        return None if outcome is None else outcome.kind

    def accounts(self) -> dict[str, int]:
        """Count the devices of each account; their sum is the number received."""
        accounts = Counter[str]()
        for part, hard in self._hard.items():
            accounts[self._account(part, hard)] += 1
        accounts["in contact"] = len(self._touched - self._hard.keys())
        accounts["waiting"] = self.received - len(self._touched)
        return {name: number for name, number in sorted(accounts.items()) if number}

    def _account(self, part: int, hard: int) -> str:
        if part in self.spoiled:
            return "spoiled"
        match self._kinds.get(hard, BinKind.OTHER):
            case BinKind.PASS:
                return "good"
            case BinKind.FAIL:
                return f"rejected in bin {hard}"
            case BinKind.OTHER:
                return f"not judged in bin {hard}"

    def tested(self) -> int:
        """How many devices were in contact."""
        return len(self._touched)

    def difference(self) -> int:
        """How many devices are not in a final place; a lot closes at zero."""
        return self.received - len(self._hard)


def balance_of(history: Iterable[events.Any]) -> Balance:
    """Compute the balance of a lot from its journal."""
    balance = Balance()
    for event in history:
        balance.add(event)
    return balance
