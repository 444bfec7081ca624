"""What a lot has left behind, and what must be true of it, whatever was wrong in its cell."""

import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from station import events
from station.cli.codes import Exit
from station.custody.balance import Balance, balance_of
from station.custody.journal import read
from station.datalog.stdf.reader import read as stdf
from station.evidence import trust
from station.evidence.bundle import BUNDLE, TRUST
from station.evidence.verification import verified
from station.lot_folder import VAULT
from station.model import Disposition, Whereabouts
from station.report import LotReport

NOISE = ("Traceback", "never retrieved", "was destroyed", "never awaited", "Exception ignored", "Warning:")
REFUSED = {Exit.EQUIPMENT, Exit.LINK, Exit.INTEGRITY}
"""How a run may end that found its equipment out of order before a device was in contact."""
BY_HAND = ("operator_skip", "power_cycle")
"""Faults that put devices into other bins than the station says: parts are taken out by hand; a handler
without power offers its part again, and by its protocol that looks like the next one."""


@dataclass(frozen=True)
class Evidence:
    """What a run of a lot has left."""

    devices: int
    faults: tuple[str, ...]
    folder: Path
    code: int | None
    """None: its station served, and the end of its process says nothing of a lot."""
    said: str
    report: LotReport | None
    vault_killed: bool = False
    """So that a device may be spoiled though its chip is sound."""
    journal_refused: bool = False
    """So that the end of a personalisation may be on no record: the device is spoiled then."""


def complaints(left: Evidence) -> list[str]:
    """Say what is wrong with a lot; nothing if all is as it must be."""
    found = [f"it said {noise!r}: {left.said[-3000:]}" for noise in NOISE if noise in left.said][:1]
    found += [f"process {left} is left" for left in processes(left.folder)]
    if left.report is None:
        return found + list(_refused(left))
    history = list(read(left.folder / "journal"))
    balance = balance_of(history, identities=True)
    found += [*_ended(left, left.report, history), *_truth(left, left.report, balance)]
    found += [*_balance(left, left.report, balance), *_contacts(history), *_bins(history, left.folder)]
    found += _identities(history, may_lack_end=left.journal_refused)
    found += [*_vault(balance, left.folder), *_datalog(history, left.folder)]
    return found + [*_bundle(left.report, balance, left.folder)]


def complaints_of_a_killed_lot(left: Evidence) -> list[str]:
    """Say what is wrong with a lot whose process was killed: what was under way may be open, no more."""
    history = list(read(left.folder / "journal"))
    balance = balance_of(history, identities=True)
    found = [*_contacts(history, may_lack_end=True), *_bins(history, left.folder)]
    found += [*_identities(history, may_lack_end=True), *_vault(balance, left.folder)]
    return found + [*_datalog(history, left.folder, may_lack_end=True)]


def _refused(left: Evidence) -> Iterator[str]:
    if left.code is not None and left.code not in REFUSED:
        yield f"no report, exit {left.code}: {left.said}"
    if left.code is not None and left.said.count("\n") != 1:
        yield f"not one message: {left.said}"
    if left.folder.exists():
        yield f"a refused lot left its folder: {left.said}"


def _ended(left: Evidence, report: LotReport, history: list[events.Any]) -> Iterator[str]:
    safe = [event for event in history if isinstance(event, events.MadeSafe)]
    last = safe[-1].unverified if safe else ("never made safe",)
    match report.state:
        case "CLOSED":
            if left.code not in (None, Exit.OK, Exit.INTEGRITY):
                yield f"closed, exit {left.code}"
            if last:
                yield f"closed though {last} could not be verified as safe"
        case "HELD" | "ABORTED":
            if left.code not in (None, Exit.HELD if report.state == "HELD" else Exit.INTERRUPTED):
                yield f"{report.state}, exit {left.code}"
            if not report.reason:
                yield f"{report.state} without a reason"
            if report.state == "ABORTED" and left.code is not None:
                yield f"aborted, though nobody asked: {report.reason}"
        case state:
            yield f"the lot ended {state}"
    states = [event.new for event in history if isinstance(event, events.StateChanged)]
    if not states or states[-1] != report.state:
        yield f"the report says {report.state}, the journal {states[-1:]}"


def _truth(left: Evidence, report: LotReport, balance: Balance) -> Iterator[str]:
    if report.truth is None:
        yield "no truth"
        return
    spoiled = {part for part in balance.parts() if left.vault_killed and balance.spoiled(part)}
    found = {name: getattr(report.truth, name) for name in ("escapes", "custody")}
    found["unexplained"] = [part for part in report.truth.unexplained if part not in spoiled]
    yield from (f"{name} {parts}; {report.state} {report.reason}" for name, parts in found.items() if parts)
    by_hand = any(knob in fault for fault in left.faults for knob in BY_HAND)
    if report.truth.misplaced and not by_hand:
        yield f"misplaced {report.truth.misplaced}; {report.state} {report.reason}"


def _balance(left: Evidence, report: LotReport, balance: Balance) -> Iterator[str]:
    accounts = balance.accounts()
    if sum(accounts.values()) != left.devices or min(accounts.values()) < 0:
        yield f"accounts {accounts} of {left.devices} devices"
    if accounts != report.accounts:
        yield f"the report says {report.accounts}, the journal {accounts}"
    if report.state == "CLOSED" and "in contact" in accounts:
        yield f"closed with devices in contact: {accounts}"


def _contacts(history: list[events.Any], *, may_lack_end: bool = False) -> Iterator[str]:
    opened: dict[int, set[int]] = {}
    for event in history:
        match event:
            case events.TouchdownOpened():
                if event.seq in opened:
                    yield f"touchdown {event.seq} opened twice"
                opened[event.seq] = set(event.parts)
            case events.ContactsCorrected():
                opened[event.seq] |= set(event.sites)
            case events.ContactsClosed():
                sites = {outcome.site for outcome in event.outcomes}
                if sites != opened.get(event.seq):
                    yield f"touchdown {event.seq}: open {opened.get(event.seq)}, closed {sites}"
                opened[event.seq] = set()
            case _:
                pass
    if may_lack_end and opened:
        opened.popitem()
    if left := {seq: sites for seq, sites in opened.items() if sites}:
        yield f"contacts never closed: {left}"


def _bins(history: list[events.Any], folder: Path) -> Iterator[str]:
    with closing(sqlite3.connect(folder / "results.db")) as store:
        kept = {seq for (seq,) in store.execute("SELECT seq FROM touchdown")} if _has_runs(store) else set()
    kept |= {event.seq for event in history if isinstance(event, events.ContactsCorrected)}
    closed, sent = dict[int, int](), Counter[int]()
    seqs = set[int]()
    for event in history:
        match event:
            case events.Found() if Whereabouts.SOCKET in event.places.values():
                sent.clear()  # somebody saw that the machine did not take them
            case events.ContactsClosed():
                seqs.add(event.seq)
                closed |= {outcome.site: outcome.hard for outcome in event.outcomes}
            case events.BinsSent():
                sent[event.seq] += 1
                if event.seq not in seqs or event.seq not in kept:
                    yield f"bins of touchdown {event.seq} were sent before its results were on disk"
                if event.bins != {site: closed.get(site) for site in event.bins}:
                    yield f"touchdown {event.seq}: bins {event.bins}, results {closed}"
            case _:
                pass
    yield from (
        f"the bins of touchdown {seq} were sent {times} times" for seq, times in sent.items() if times > 1
    )


def _has_runs(store: sqlite3.Connection) -> bool:
    return bool(store.execute("SELECT 1 FROM sqlite_master WHERE name = 'touchdown'").fetchall())


def _identities(history: list[events.Any], *, may_lack_end: bool = False) -> Iterator[str]:
    intended, spoiled, recovered = set[int](), set[int](), set[int]()
    for event in history:
        match event:
            case events.Intended():
                if event.part in intended:
                    yield f"device {event.part} was personalised twice"
                intended.add(event.part)
                spoiled.add(event.part)
            case events.PersonalisationEnded():
                if event.disposition in (Disposition.UNTOUCHED, Disposition.RETRY):
                    intended.discard(event.part)
                    spoiled.discard(event.part)
            case events.TouchdownOpened():
                tested = event.parts.keys() - set(event.recovered) - set(event.untested)
                recovered |= {event.parts[site] for site in event.recovered}
                if again := spoiled & {event.parts[site] for site in tested}:
                    yield f"devices {again} were contacted again after their intent"
            case _:
                pass
    began = Counter(e.part for e in history if isinstance(e, events.Intended))
    ends = [e for e in history if isinstance(e, events.PersonalisationEnded) and e.part not in recovered]
    ended = Counter(e.part for e in ends)
    # what ended without a verdict may get one when the vault is asked after a stop
    verdicts = Counter(e.part for e in ends if e.disposition is not None)
    known = Counter({part: times for part, times in began.items() if part not in recovered})
    if verdicts - began or ended - verdicts - began or (known - ended and not may_lack_end):
        yield f"intents {dict(began)}, their ends {dict(ended)}, with a verdict {dict(verdicts)}"


def _vault(balance: Balance, folder: Path) -> Iterator[str]:
    if not (folder / VAULT / "vault.sqlite").exists():
        return
    with closing(sqlite3.connect(folder / VAULT / "vault.sqlite")) as vault:
        units = {int(unit.rpartition("/")[2]) for (unit,) in vault.execute("SELECT unit FROM record")}
    sealed = set(balance.uids or {})
    spoiled = {part for part in balance.parts() if balance.spoiled(part)}
    if not sealed <= units <= sealed | spoiled:
        yield f"the vault has sealed {units}, the journal {sealed}, spoiled are {spoiled}"


def _bundle(report: LotReport, balance: Balance, folder: Path) -> Iterator[str]:
    """What the customer would get is sound, and has every device that the station believes to be sealed."""
    if not (folder / BUNDLE).exists():
        if report.state == "CLOSED" and (folder / VAULT).exists():
            yield "closed without evidence"
        return
    verdict = verified(folder / BUNDLE, trust.read(folder / TRUST), workers=1)
    yield from (f"evidence: {finding}" for finding in verdict.findings[:5])
    if verdict.devices < balance.secured():
        yield f"evidence of {verdict.devices} devices, the station says that {balance.secured()} are sealed"


def _datalog(history: list[events.Any], folder: Path, *, may_lack_end: bool = False) -> Iterator[str]:
    """Each PIR has its PRR, and the file of an open lot ends behind a whole group."""
    files = [*folder.glob("*.std"), *folder.glob("*.std.part")]
    if not files and not any(isinstance(event, events.TouchdownOpened) for event in history):
        return
    if len(files) != 1:
        yield f"datalogs {[file.name for file in files]}"
        return
    open_sites, groups = set[int](), Counter[str]()
    for record in stdf(files[0]):
        site = record.values.get("SITE_NUM")
        if not isinstance(site, int):
            continue
        if record.name == "PIR":
            if site in open_sites:
                yield f"site {site}: PIR in a PIR"
            open_sites.add(site)
        elif record.name == "PRR":
            if site not in open_sites:
                yield f"site {site}: PRR without PIR"
            open_sites.discard(site)
            groups[str(record.values["PART_ID"])] += 1
    if open_sites:
        yield f"sites {open_sites}: PIR without PRR"
    contacts = Counter(
        str(part) for e in history if isinstance(e, events.TouchdownOpened) for part in e.parts.values()
    )
    if groups - contacts or (contacts - groups and not may_lack_end):
        yield f"PRRs {dict(groups)}, contacts {dict(contacts)}"


def processes(folder: Path) -> list[int]:
    """The vault of a lot carries its folder in its command line."""
    mine = str(folder).encode()
    return [int(found.parent.name) for found in Path("/proc").glob("[0-9]*/cmdline") if mine in _read(found)]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
