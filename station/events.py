"""All that leaves the engine: one closed union. Journal, console, MQTT and displays read nothing else."""

from typing import Literal, TypeAlias

from station.acts import Acknowledged as Acknowledged
from station.acts import AssetReplaced as AssetReplaced
from station.acts import BalanceSigned as BalanceSigned
from station.acts import CheckWaived as CheckWaived
from station.acts import Cleaned as Cleaned
from station.acts import Cleared as Cleared
from station.acts import CommandAccepted as CommandAccepted
from station.acts import CommandRefused as CommandRefused
from station.acts import ConfigApplied as ConfigApplied
from station.acts import Found as Found
from station.acts import KeysReleased as KeysReleased
from station.acts import ReasonGiven as ReasonGiven
from station.acts import RetestBegun as RetestBegun
from station.acts import SelfTested as SelfTested
from station.acts import Shelved as Shelved
from station.acts import ShmooBegun as ShmooBegun
from station.acts import SiteSet as SiteSet
from station.acts import Staged as Staged
from station.event import Event as Event
from station.model import Disposition, Limit, LotInfo, Measurement, Outcome
from station.set_up import Instrument, Software, Traveller
from station.vault_answers import Quota


class LotLoaded(Event, frozen=True, tag="lot.loaded", kw_only=True):
    """A lot's data, recipe and quantity are agreed."""

    info: LotInfo
    says: Traveller | None = None
    """What the traveller says besides lot and quantity."""


class StateChanged(Event, frozen=True, tag="state.changed", kw_only=True):
    """The cell is in another state of the lot's life cycle."""

    old: str
    new: str
    reason: str = ""
    cause: str = ""
    """Of a hold: whose matter it is, `equipment`, `yield` or `custody`."""
    takes: tuple[tuple[str, ...], ...] = ()
    """Of a hold: whom its release takes, a person each, of one of these roles."""


class TouchdownOpened(Event, frozen=True, tag="touchdown.opened", kw_only=True):
    """Devices are in contact and will be powered: `parts` maps site to running number."""

    seq: int
    parts: dict[int, int]
    contacts: dict[int, int]
    untested: tuple[int, ...] = ()
    """Sites whose device is present and will not be powered."""
    recovered: tuple[int, ...] = ()
    """Sites whose device was with the vault when the station stopped: only the vault sees it, no row does."""
    wafer: str = ""
    positions: dict[int, tuple[int, int]] = {}
    """Die x, y by site; empty for a handler."""
    ids: dict[int, str] = {}
    """Code by site, in a lot whose devices have codes."""


class Measured(Event, frozen=True, tag="measured", kw_only=True):
    """One row was judged; live only, never journalled."""

    seq: int
    site: int
    measurement: Measurement


class Intended(Event, frozen=True, tag="personalisation.intended", kw_only=True):
    """From here on the device is spoiled, unless the vault says otherwise."""

    unit: str
    part: int
    site: int
    session: str


class PersonalisationEnded(Event, frozen=True, tag="personalisation.ended", kw_only=True):
    """The vault's verdict on one device, or that there is none."""

    unit: str
    part: int
    disposition: Disposition | None
    error: int = 0
    detail: str = ""
    uid: str = ""
    serial: str = ""
    record: str = ""


class ContactsClosed(Event, frozen=True, tag="contacts.closed", kw_only=True):
    """The results of one landing, durable before any bin is sent."""

    seq: int
    outcomes: tuple[Outcome, ...]


class ContactsCorrected(Event, frozen=True, tag="contacts.corrected", kw_only=True):
    """The store did not take the results of this landing: its devices go to the error bin."""

    seq: int
    sites: tuple[int, ...]
    reason: str


class BinsSent(Event, frozen=True, tag="bins.sent", kw_only=True):
    """The order that is about to go to the machine: site to hard bin. Never sent twice blindly."""

    seq: int
    bins: dict[int, int]


class Sorted(Event, frozen=True, tag="sorted", kw_only=True):
    """The machine has taken the bins of this contact."""

    seq: int
    bins: dict[int, int]


class Faulted(Event, frozen=True, tag="faulted", kw_only=True):
    """Equipment or program misbehaved; `site` is 0 when it concerns the whole cell."""

    site: int
    reason: str


class Quarantined(Event, frozen=True, tag="resource.quarantined", kw_only=True):
    """A resource is out of use until a named person clears it."""

    resource: str
    reason: str


class TemperatureReached(Event, frozen=True, tag="temperature.reached", kw_only=True):
    """The devices have their temperature, and have soaked: after so long, degrees Celsius."""

    wanted: float
    celsius: float
    took_s: float


class RuleTripped(Event, frozen=True, tag="rule.tripped", kw_only=True):
    """A stop rule: what it saw at first contacts, and what was done; `site` is 0 for the whole cell."""

    rule: str
    site: int
    action: str
    seen: str


class StepHalted(Event, frozen=True, tag="step.halted", kw_only=True):
    """A site of an engineering lot stands still behind a row, its outputs as they are."""

    seq: int
    site: int
    part: int
    row: int
    """The number of the test; 0: it is before the first row."""
    name: str = ""
    measurement: Measurement | None = None
    """None before the first row, and behind one that was left out."""
    limit: Limit | None = None
    until: float
    """When the device is given up if nobody goes on, seconds since 1970."""


class StepLeft(Event, frozen=True, tag="step.left", kw_only=True):
    """It stands no longer: the next row runs, or `failed` says why none does."""

    seq: int
    site: int
    failed: str = ""


class ShmooPoint(Event, frozen=True, tag="shmoo.point", kw_only=True):
    """What the row came to at one point; it says nothing of the device's result."""

    seq: int
    site: int
    row: int
    x: float
    y: float | None = None
    measurement: Measurement


class ShmooEnded(Event, frozen=True, tag="shmoo.ended", kw_only=True):
    """It is over: how many points passed, of how many that were tried; `failed` says why it broke off."""

    seq: int
    site: int
    row: int
    passed: int
    tried: int
    failed: str = ""


class CheckTold(Event, frozen=True, tag="check.told", kw_only=True):
    """What one check has seen of the cell: when the lot was loaded, or when it was checked."""

    check: str
    health: Literal["ok", "bad"]
    found: str
    sites: tuple[int, ...] = ()
    """Where it is bad, if it is a matter of single sites: without them the lot may begin."""


class QuotaTold(Event, frozen=True, tag="quota.told", kw_only=True):
    """What the vault says of the work order when the lot begins."""

    quota: Quota


class VaultTold(Event, frozen=True, tag="vault.told", kw_only=True):
    """The vault's ledger says what somebody is to look at, or that it is over."""

    what: str
    """The ledger's name of it, as `line.stopped` or `rate.unusual`."""
    scope: str = ""
    """A unit, a site, an order or the whole line."""
    why: str = ""
    over: bool = False
    origin: str
    """Of the ledger."""
    leaf: int
    """Its entry that says so; the last that is known, of what the station says itself."""


class QuotaLow(Event, frozen=True, tag="quota.low", kw_only=True):
    """Few devices may still be begun under a work order; 0: none, it is fulfilled."""

    order: str
    left: int
    quantity: int
    origin: str
    leaf: int


class LedgerHead(Event, frozen=True, tag="ledger.head", kw_only=True):
    """The vault's ledger has so many entries, and this root (SHA-256, hexadecimal) is over them."""

    origin: str
    size: int
    root: str


class AssetMounted(Event, frozen=True, tag="asset.mounted", kw_only=True):
    """What a lot is landed with: the touchdowns that it had before, its warning and its limit."""

    asset: str
    kind: str
    touchdowns: int
    warning: int
    limit: int


class AssetCounted(Event, frozen=True, tag="asset.counted", kw_only=True):
    """In the record of a cell: how many landings of a lot an asset has had so far."""

    asset: str
    lot: str
    landings: int


CLEANED = "needles cleaned"
"""What a prober says of each cleaning."""
BROKEN, WORKS_AGAIN = "broken", "works again"
"""What becomes of a machine beside the lot, for which no lot stops."""


class MachineTold(Event, frozen=True, tag="machine.told", kw_only=True):
    """Handler or prober said something by itself: a wafer is loaded, a device is stuck, an alarm."""

    machine: str
    what: str
    code: str = ""
    text: str = ""

    def __str__(self) -> str:
        said = " ".join(filter(None, (self.code, self.text)))
        return f"{self.machine}: {self.what}{': ' if said else ''}{said}"


class MadeSafe(Event, frozen=True, tag="safe", kw_only=True):
    """The safe state was run: how long it took, and what could not be verified."""

    time_to_safe_s: float
    unverified: tuple[str, ...]


class Refitted(Event, frozen=True, tag="lot.refitted", kw_only=True):
    """A lot that is taken up goes on with other machines or other software: all that it has had."""

    instruments: tuple[Instrument, ...]
    software: tuple[Software, ...]


class PastLost(Event, frozen=True, tag="past.lost", kw_only=True):
    """Earlier results of a lot that is taken up cannot be read again: rows whose rules ask for them run."""

    reason: str


class LotClosed(Event, frozen=True, tag="lot.closed", kw_only=True):
    """The outcome is fixed; nothing of the lot can change."""

    lot: str
    outcome: str
    tested: int
    good: int
    accounts: dict[str, int]
    stdf_sha256: str = ""


Any: TypeAlias = (
    LotLoaded
    | CommandAccepted
    | CommandRefused
    | StateChanged
    | ReasonGiven
    | TouchdownOpened
    | Measured
    | Intended
    | PersonalisationEnded
    | ContactsClosed
    | ContactsCorrected
    | BinsSent
    | Sorted
    | Faulted
    | Quarantined
    | TemperatureReached
    | RuleTripped
    | SiteSet
    | Cleaned
    | RetestBegun
    | StepHalted
    | StepLeft
    | ShmooBegun
    | ShmooPoint
    | ShmooEnded
    | Staged
    | ConfigApplied
    | SelfTested
    | KeysReleased
    | CheckTold
    | CheckWaived
    | QuotaTold
    | VaultTold
    | QuotaLow
    | LedgerHead
    | AssetMounted
    | AssetCounted
    | AssetReplaced
    | Acknowledged
    | Shelved
    | MachineTold
    | MadeSafe
    | Found
    | Cleared
    | Refitted
    | PastLost
    | BalanceSigned
    | LotClosed
)
"""Every event."""
