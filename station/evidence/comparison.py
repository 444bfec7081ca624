"""What the parts of a bundle say of each other: manifest, ledger, certificates, balance."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import TypeVar

from station.errors import EvidenceError
from station.evidence.archive import Archive
from station.evidence.bundle import BALANCE, LEDGER, LOT, UNSEALED, BalanceSheet, LotSummary, UnsealedUnit
from station.evidence.device import DeviceFacts
from station.evidence.finding import Finding
from station.evidence.history import LotHistory
from station.evidence.index import Index
from station.evidence.manifest import MANIFEST
from station.evidence.strict import base64, decoded, lines_of

T = TypeVar("T")


@dataclass(frozen=True)
class Told:
    """What the bundle's own summaries say."""

    summary: LotSummary
    sheet: BalanceSheet
    unsealed: tuple[UnsealedUnit, ...]

    @classmethod
    def read(cls, bundle: Archive) -> "Told":
        """Read them; EvidenceError if one is not in form."""
        return cls(
            _read(LOT, bundle.read(LOT), LotSummary),
            _read(BALANCE, bundle.read(BALANCE), BalanceSheet),
            tuple(lines_of(UNSEALED, bundle.read(UNSEALED), UnsealedUnit)),
        )

    def certificates(self) -> dict[str, str]:
        """Unit by the SHA-256 of each certificate of a unit that was not sealed."""
        return {
            sha256(base64(one.der)).hexdigest(): unit.unit for unit in self.unsealed for one in unit.certs
        }


def _read(name: str, data: bytes, kind: type[T]) -> T:
    try:
        return decoded(data, kind)
    except EvidenceError as error:
        raise EvidenceError(f"{name}: {error}") from error


def differences(
    signed: Index, history: LotHistory, devices: Sequence[DeviceFacts], told: Told
) -> Iterator[Finding]:
    """Say where the parts do not agree."""
    yield from _lot(signed, history)
    yield from _sealed(signed, history, devices)
    yield from unique(devices)
    yield from _unsealed(history, told)
    yield from _issued(history, devices, told)
    yield from _summary(signed, history, told.summary)
    yield from _balance(signed, history, told.sheet)


def _lot(signed: Index, history: LotHistory) -> Iterator[Finding]:
    if history.opened is None:
        yield Finding(LEDGER, f"tells of no lot {signed.lot}")
    elif len(history.accounts) > history.opened.quantity:
        count, received = len(history.accounts), history.opened.quantity
        yield Finding(LEDGER, f"{count} units are admitted, {received} were received")
    for leaf, unit, what in history.faults:
        yield Finding(LEDGER, f"leaf {leaf}: {what}", unit)


def _sealed(signed: Index, history: LotHistory, devices: Sequence[DeviceFacts]) -> Iterator[Finding]:
    known = {device.unit: device for device in devices}
    for unit, (leaf, data) in history.sealed.items():
        device = known.get(unit)
        if device is None:
            yield Finding(MANIFEST, f"is sealed by leaf {leaf}, but not in the manifest", unit)
        elif (device.leaf, device.record) != (leaf, data.record):
            yield Finding(MANIFEST, f"has not the record that leaf {leaf} tells of", unit)
    for device in devices:
        if device.unit not in history.sealed:
            yield Finding(MANIFEST, "is in the manifest, but the ledger does not tell of it", device.unit)
        if (device.lot, device.mode) != (signed.lot, signed.mode):
            yield Finding(MANIFEST, f"is of lot {device.lot} in mode {device.mode}", device.unit)


def unique(devices: Sequence[DeviceFacts]) -> Iterator[Finding]:
    """Say what two devices have in common that no two may."""
    seen: dict[tuple[str, ...], str] = {}
    for device in devices:
        for mark in _marks(device):
            if mark in seen:
                yield Finding(MANIFEST, f"has the {mark[0]} of {seen[mark]}", device.unit)
            seen.setdefault(mark, device.unit)


def _unsealed(history: LotHistory, told: Told) -> Iterator[Finding]:
    named = {unit.unit: unit for unit in told.unsealed}
    if len(named) < len(told.unsealed):
        yield Finding(UNSEALED, "names a unit twice")
    for name, unit in named.items():
        account = history.accounts.get(name, "no account")
        if unit.account != account or name in history.sealed:
            yield Finding(UNSEALED, f"is in {unit.account}, the ledger says {account}", name)
        digest = sha256(bytes.fromhex(unit.uid)).hexdigest()
        if history.uids.get(name, digest) != digest:
            yield Finding(UNSEALED, "has another UID than the ledger tells of", name)
    for name in sorted(history.accounts.keys() - history.sealed.keys() - named.keys()):
        yield Finding(UNSEALED, f"lacks a unit that is in {history.accounts[name]}", name)


def _issued(history: LotHistory, devices: Sequence[DeviceFacts], told: Told) -> Iterator[Finding]:
    held = {digest: one.unit for one in devices for _, _, digest in one.certificates}
    held |= told.certificates()
    for digest, unit in held.items():
        leaf_and_unit = history.issued.get(digest)
        if leaf_and_unit is None:
            yield Finding(LEDGER, f"no leaf tells of certificate {digest[:16]}…", unit)
        elif leaf_and_unit[1] != unit:
            yield Finding(
                LEDGER, f"leaf {leaf_and_unit[0]} tells of its certificate for {leaf_and_unit[1]}", unit
            )
    for digest, (leaf, unit) in history.issued.items():
        if digest not in held:
            yield Finding(MANIFEST, f"lacks certificate {digest[:16]}… that leaf {leaf} tells of", unit)


def _summary(signed: Index, history: LotHistory, told: LotSummary) -> Iterator[Finding]:
    opened = history.opened
    wanted = LotSummary(
        v=1,
        lot=signed.lot,
        product="" if opened is None else opened.product,
        order=history.order,
        mode=signed.mode,
        quantity=0 if opened is None else opened.quantity,
        admitted=len(history.accounts),
        sealed=len(history.sealed),
        certificates=len(history.issued),
        accounts=dict(history.counts()),
        closed=history.closed is not None,
    )
    for name in LotSummary.__struct_fields__:
        if getattr(told, name) != getattr(wanted, name):
            yield Finding(LOT, f"`{name}` is {getattr(told, name)}, the ledger says {getattr(wanted, name)}")


def _balance(signed: Index, history: LotHistory, sheet: BalanceSheet) -> Iterator[Finding]:
    places = [(unit, account) for account, units in sheet.accounts.items() for unit in units]
    quantity = 0 if history.opened is None else history.opened.quantity
    if (sheet.lot, sheet.received) != (signed.lot, quantity):
        yield Finding(BALANCE, f"{sheet.received} of lot {sheet.lot}; {quantity} were received")
    if sheet.waiting + len(places) != sheet.received:
        counts = f"{sheet.received} received, {sheet.waiting} waiting, {len(places)} in accounts"
        yield Finding(BALANCE, f"is not zero: {counts}")
    for unit, count in Counter(unit for unit, _ in places).items():
        if count > 1:
            yield Finding(BALANCE, f"is in {count} accounts", unit)
    for unit, account in places:
        if history.accounts.get(unit) != account:
            told = history.accounts.get(unit, "no account")
            yield Finding(BALANCE, f"is in {account}, the ledger says {told}", unit)
    for unit in sorted(history.accounts.keys() - {unit for unit, _ in places}):
        yield Finding(BALANCE, f"is in no account, the ledger says {history.accounts[unit]}", unit)


def _marks(device: DeviceFacts) -> Iterator[tuple[str, ...]]:
    yield "unit", device.unit
    yield "UID", device.uid
    yield "serial", device.serial
    yield "leaf", device.log, str(device.leaf)
    yield from (("key", key) for key in device.keys)
    yield from (("certificate serial", issuer, serial) for issuer, serial, _ in device.certificates)
