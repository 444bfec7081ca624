"""The files of a bundle, and what is in those that are one piece of JSON."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

LOT, BALANCE, PROFILE, CHECKPOINT = "lot.json", "balance.json", "profile.json", "checkpoint.txt"
UNSEALED, REGISTER = "unsealed.jsonl", "key-register.json"
STATED = "key-register.signed.json"
"""The register as the key store itself states it."""
CONFIGURATION, VERSIONS, SBOM = "configuration.json", "versions.json", "sbom.cdx.json"
LEDGER, CERTIFICATES, CRLS = "ledger", "certificates", "crls"
ENDED = "ledgers"
"""Logs that have ended, by number: the lot or its order began in one of them."""
REPORT = "station/report.json"
"""The station's own report: a claim."""
ORDER, RELEASES, RECIPES = "order.json", "releases", "recipes"
PERSONS, ACTIONS = "persons.jsonl", "actions.jsonl"
NEEDED = (
    LOT,
    BALANCE,
    PROFILE,
    CHECKPOINT,
    UNSEALED,
    REGISTER,
    STATED,
    PERSONS,
    ACTIONS,
    f"{LEDGER}/checkpoint",
)
BUNDLE, TRUST = "evidence.tar", "trust.json"
"""The bundle itself; and what a development vault writes beside it."""


class LotSummary(Struct, frozen=True, forbid_unknown_fields=True):
    """`lot.json`: the lot in one glance, for the customer."""

    v: Literal[1]
    lot: str
    product: str
    order: str
    mode: str
    quantity: int
    admitted: int
    sealed: int
    certificates: int
    """Of sealed devices and of others."""
    accounts: dict[str, int]
    closed: bool


class BalanceSheet(Struct, frozen=True, forbid_unknown_fields=True):
    """`balance.json`: which units each account has."""

    v: Literal[1]
    lot: str
    received: int
    waiting: int
    """Received, and never brought to the vault."""
    accounts: dict[str, tuple[str, ...]]


class SlotCertificate(Struct, frozen=True, forbid_unknown_fields=True):
    """A certificate, DER in base64, and the slot of its key."""

    slot: int
    der: str


class UnsealedUnit(Struct, frozen=True, forbid_unknown_fields=True):
    """A line of `unsealed.jsonl`: a unit that was admitted and not sealed."""

    unit: str
    uid: Annotated[str, Meta(pattern=r"^([0-9a-f]{2})*\Z")]
    """Hexadecimal; empty if it was never proven."""
    account: str
    certs: tuple[SlotCertificate, ...]
    """What was issued for it nevertheless."""
