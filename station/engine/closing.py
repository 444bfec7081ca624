"""The end of a lot: what must be true before it is closed, and what is said of it then."""

from hashlib import sha256
from pathlib import Path

from station import commands, events
from station.custody.balance import binned
from station.engine.lot_journal import LotJournal
from station.engine.plan import LotVault
from station.engine.stops import Hold
from station.errors import CustodyError
from station.model import ENGINEERING, LotInfo
from station.vault_answers import LotClosing


def must_be_settled(journal: LotJournal) -> None:
    """Hold while a device is somewhere between socket and bin, or the journal has lost something."""
    if unsorted := journal.balance.unsorted():
        raise Hold(f"the balance is open: devices {', '.join(map(str, unsorted))} are in contact")
    if journal.failed:
        raise Hold(journal.failed)


async def closed_in(
    vault: LotVault | None, info: LotInfo, journal: LotJournal, signed: commands.Close | None
) -> LotClosing | None:
    """Have the vault close the lot; a difference is a fault of custody, unless somebody signs for it."""
    if vault is None:
        return None
    try:
        await vault.claim(info.lot, binned(journal.balance, info.lot))
        return await vault.close_lot(info.lot)
    except CustodyError as error:
        if signed is None:
            raise
        who = {"actor": signed.actor, "reason": signed.reason, "second": signed.second}
        await journal.commit(events.BalanceSigned(at=journal.now, difference=str(error), **who))
        return None


def last_word(info: LotInfo, journal: LotJournal, stdf: Path, *, was_held: bool) -> events.LotClosed:
    """Return what a lot has come to."""
    accounts = journal.balance.accounts()
    return events.LotClosed(
        at=journal.now,
        lot=info.lot,
        outcome=_outcome(info, was_held=was_held),
        tested=journal.balance.tested(),
        good=accounts.get("good", 0),
        accounts=accounts,
        stdf_sha256=sha256(stdf.read_bytes()).hexdigest(),
    )


def _outcome(info: LotInfo, *, was_held: bool) -> str:
    """Nobody ships what engineers have had in hand, whatever it came to."""
    if info.mode == ENGINEERING:
        return "ENGINEERING"
    return "FAILED" if was_held else "PASSED"
