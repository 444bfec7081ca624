"""What persons sign: work orders, key releases, requests to the desk, approvals, cards of persons."""

from hashlib import sha256
from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec import Meta

from station.custody.ledger import canonical
from station.errors import LedgerError
from station.vault.desk.roles import Action, Role
from station.vault.desk.statement import Statement, StatementError
from station.vault.keys.words import KeyState
from station.vault.profiles import Profile

Name = Annotated[str, Meta(pattern=r"^[!-~]{1,128}\Z")]
"""Printable ASCII without spaces."""
Person = Annotated[str, Meta(pattern=r"^p-[0-9a-f]{8}\Z")]
"""A pseudonym; who that is, is written elsewhere."""
Digest = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
Seconds = Annotated[int, Meta(ge=0, le=10**11)]
"""Unix time."""
Nonce = Annotated[str, Meta(pattern=r"^[0-9a-f]{32}\Z")]
Uid = Annotated[str, Meta(pattern=r"^[0-9a-f]{32}\Z")]
UIDS_MAX = 4096
"""UIDs in one list; more come in several."""
T = TypeVar("T")
Few = Annotated[tuple[Name, ...], Meta(max_length=256)]
Devices = Annotated[int, Meta(ge=1, le=10**9)]
VAULTS_MAX = 64
"""Vaults that share one order."""


class Named(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The document that comes with a request, by its SHA-256."""

    document: Digest


class Nothing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An action that needs no parameters."""


class WorkOrder(Statement, frozen=True, kw_only=True):
    """At most `quantity` devices of a product until a date."""

    typ: Literal["hardbin.work-order.v1"] = "hardbin.work-order.v1"
    id: Name
    customer: Annotated[str, Meta(max_length=128)]
    product: Name
    quantity: Devices
    allowance: Annotated[int, Meta(ge=0, le=100)] = 2
    """Percent of `quantity` that may be begun beyond it, for yield."""
    not_before: Seconds
    not_after: Seconds
    profile_hash: Digest
    fingerprints: Annotated[tuple[Digest, ...], Meta(min_length=1, max_length=256)]
    """SHA-256 of the sequences that may personalise."""
    sites: Few = ()
    """Vaults where the order may be worked on; empty: any, or those of `slices`."""
    slices: Annotated[dict[Name, Devices], Meta(max_length=VAULTS_MAX)] = {}
    """How many of `quantity` each vault may make, if several share the order; none counts the others'."""
    lots: Annotated[tuple[Name, ...], Meta(min_length=1, max_length=1024)] | Literal["any"] = "any"
    policy_oid: Annotated[str, Meta(pattern=r"^[0-9.]{3,128}\Z")]
    import_keys: Annotated[tuple[int, ...], Meta(max_length=8)] = ()
    """Slots whose keys are born in the key store; the profile must allow it."""
    customer_data: Annotated[tuple[bytes, ...], Meta(max_length=16)] = ()
    """What the customer wants in each device: objects of his own, by their slot from 0; no secrets."""

    @property
    def begun_max(self) -> int:
        """How many devices may get as far as their certificates."""
        return self.quantity + self.quantity * self.allowance // 100

    def at(self, vault: str) -> "WorkOrder":
        """The order as one vault counts it: a slice of its own is all that there is for it."""
        return msgspec.structs.replace(self, quantity=self.slices[vault]) if vault in self.slices else self

    def not_for(self, vault: str, *, alone: bool) -> str:
        """Why a vault may make nothing under it, or nothing if it may; `alone`: no other vault may beside it.

        Vaults do not count each other's devices: an order that several take without slices is made as often.
        """
        named = self.slices or self.sites
        if (named and vault not in named) or (self.sites and vault not in self.sites):
            return f"is not for {vault}"
        if (cut := sum(self.slices.values())) > self.quantity:
            return f"has slices of {cut} devices together, more than its {self.quantity}"
        if alone and not self.slices and self.sites != (vault,):
            return f"names no slice of {vault}, nor that vault as its only one"
        return ""


class KeyRelease(Statement, frozen=True, kw_only=True):
    """A key set may be used for an order, at these stations, until a date."""

    typ: Literal["hardbin.key-release.v1"] = "hardbin.key-release.v1"
    key_set: Name
    order: Name
    stations: Annotated[tuple[Name, ...], Meta(min_length=1, max_length=64)]
    not_after: Seconds


class KeyDecision(Statement, frozen=True, kw_only=True):
    """A key of one store is to come into another state, once, until a date."""

    typ: Literal["hardbin.key-state.v1"] = "hardbin.key-state.v1"
    store: Annotated[str, Meta(pattern=r"^[0-9a-f]{2,64}\Z")]
    """The store's id."""
    key: Name
    state: KeyState
    reason: Annotated[str, Meta(min_length=1, max_length=200)]
    changes: Annotated[int, Meta(ge=0, le=10**6)]
    """How many changes the key has had when it is signed; later it is too late."""
    not_after: Seconds


class RmaBox(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The sealed RMA token of one unit, on its way to the machine that can open it."""

    unit: Name
    uid: Uid
    box: bytes


class ProfileRelease(Statement, frozen=True, kw_only=True):
    """Devices of a product may be made by this profile from now on."""

    typ: Literal["hardbin.profile.v1"] = "hardbin.profile.v1"
    profile: Profile


class ReleasedRecipe(msgspec.Struct, frozen=True):
    """What a vault reads of a signed recipe; the rest is the station's matter."""

    typ: Literal["hardbin.recipe.v1"]
    name: Name
    version: Annotated[int, Meta(ge=1, le=10**6)]
    product: Name
    base: Digest
    """SHA-256 of the sequence without the recipe."""


class ReleaseOf(Named, frozen=True):
    """Which fingerprint a lot has that is run by a recipe: it is in each device."""

    fingerprint: Digest


class UidList(Statement, frozen=True, kw_only=True):
    """Dies that were sorted elsewhere, by their UIDs; they may be personalised here."""

    typ: Literal["hardbin.uid-list.v1"] = "hardbin.uid-list.v1"
    id: Name
    product: Name
    sorted_at: Annotated[str, Meta(max_length=128)] = ""
    """Where, as people say it."""
    uids: Annotated[tuple[Uid, ...], Meta(min_length=1, max_length=UIDS_MAX)]


class Request(Statement, frozen=True, kw_only=True):
    """What a person asks of the desk."""

    typ: Literal["hardbin.request.v1"] = "hardbin.request.v1"
    action: Action
    target: Annotated[str, Meta(max_length=128)] = ""
    parameters: dict[str, object] = {}
    station: Name
    """The vault that is meant."""
    person: Person
    nonce: Nonce
    issued_at: Seconds
    expires_at: Seconds

    def action_hash(self) -> str:
        """SHA-256 of all that two persons approve: not who asks, and not when."""
        exact = {
            "action": self.action.value,
            "target": self.target,
            "parameters": self.parameters,
            "station": self.station,
            "nonce": self.nonce,
            "expires_at": self.expires_at,
        }
        try:
            return sha256(canonical(exact)).hexdigest()
        except LedgerError as error:
            raise StatementError("malformed", f"parameters: {error}") from None


class Approval(Statement, frozen=True, kw_only=True):
    """One person's consent to exactly one action."""

    typ: Literal["hardbin.approval.v1"] = "hardbin.approval.v1"
    action: Action
    action_hash: Digest
    person: Person
    role: Role
    nonce: Nonce
    issued_at: Seconds
    expires_at: Seconds


class PersonCard(Statement, frozen=True, kw_only=True):
    """A person's public key, signed with it; roles are given by others."""

    typ: Literal["hardbin.person.v1"] = "hardbin.person.v1"
    person: Person
    ed25519: Digest
    """The raw public key, in hexadecimal."""


def digest_of(document: bytes) -> str:
    """SHA-256 of an envelope's exact bytes, in hexadecimal."""
    return sha256(document).hexdigest()


def as_json(statement: msgspec.Struct) -> dict[str, object]:
    """Return a statement as JSON sees it."""
    found: dict[str, object] = msgspec.to_builtins(statement)
    return found


def parameters_of(request: Request, kind: type[T]) -> T:
    """Return a request's parameters as a type; StatementError if they are not of it."""
    try:
        return msgspec.convert(request.parameters, kind)
    except msgspec.ValidationError as error:
        raise StatementError("malformed", f"{request.action}: parameters: {error}") from None
