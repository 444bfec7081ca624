"""What a vault is told by its file: mode, name, ledger, limits. Its hash is in every entry of the ledger."""

from hashlib import sha256
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from station import toml_file
from station.errors import ConfigError
from station.vault.names import ORIGIN
from station.vault.profiles import DEVELOPMENT_ORGANISATION
from station.vault.tls import ADDRESS, TlsTable
from station.vault.unusual import AlarmsTable

FILE = "vault.toml"
Seconds = Annotated[float, Meta(gt=0, le=3600)]
URLS = "postgresql://user@host/database or sqlite:////absolute/path is allowed"
Name = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9.-]{0,63}\Z")]


class WitnessTable(Struct, frozen=True, forbid_unknown_fields=True):
    """A witness: where it listens, and its public key as `hardbin witness key` prints it."""

    url: str
    key: str


class LedgerTable(Struct, frozen=True, forbid_unknown_fields=True):
    """The ledger that the vault writes."""

    origin: str = ORIGIN
    checkpoint_s: Seconds = 1.0
    """A checkpoint comes at most this long after a leaf."""
    witness: tuple[WitnessTable, ...] = ()
    cosign_max_s: Seconds = 60.0
    """How old a witness's last signature may be before nothing more is admitted."""

    @property
    def cosign_s(self) -> float:
        """How old it may be before a witness is asked again."""
        return self.cosign_max_s / 2


class AuthoritiesTable(Struct, frozen=True, forbid_unknown_fields=True):
    """Whose authorities these are, and which root stands over them; for production."""

    root: Annotated[str, Meta(pattern=r"^([0-9a-f]{64})?\Z")] = ""
    """SHA-256 of the root's certificate, hexadecimal, as the ceremony's transcript tells it."""
    country: Annotated[str, Meta(pattern=r"^[A-Z]{2}\Z")] = "ZZ"
    organisation: Annotated[str, Meta(min_length=1, max_length=64)] = DEVELOPMENT_ORGANISATION
    crl_base: str = ""
    """Where the root's list of revoked certificates can be fetched."""


class ClockTable(Struct, frozen=True, forbid_unknown_fields=True):
    """How right the machine's clock must be, in production."""

    offset_max_ms: Annotated[int, Meta(ge=1, le=60_000)] = 500
    """Off by more, nothing is admitted."""
    step_event_ms: Annotated[int, Meta(ge=100, le=60_000)] = 1000
    """Set by more, the ledger is told."""
    server: Annotated[str, Meta(pattern=r"^([A-Za-z0-9.-]{1,255}(:[0-9]{1,5})?)?\Z")] = ""
    """`host` or `host:port` that is asked each minute by SNTP; empty: what the kernel knows of its own."""


class LimitsTable(Struct, frozen=True, forbid_unknown_fields=True):
    """Bounds of what is done at once."""

    sessions_max: Annotated[int, Meta(ge=1, le=4096)] = 256


class RegistryTable(Struct, frozen=True, forbid_unknown_fields=True):
    """Where UIDs, keys and numbers are unique: in this vault's own file, or in the registry of the plant."""

    kind: Literal["embedded", "site"] = "embedded"
    url: str = ""
    """`postgresql://…` or `sqlite:////…`, without a password."""
    spool_max: Annotated[int, Meta(ge=1, le=1_000_000)] = 5000
    """Units that may wait for the plant's registry before nothing more is admitted."""
    wait_s: Annotated[float, Meta(ge=0.1, le=10)] = 2.0
    """How long a step waits for it, and how long it may take to answer."""

    def address(self) -> URL:
        """The URL as SQLAlchemy has it."""
        return make_url(self.url)

    def fault(self, *, production: bool) -> str:
        """Say what is wrong with the table, never showing the URL; empty if nothing is."""
        if self.kind == "embedded":
            return "" if not self.url else 'registry.url: only with registry.kind = "site"'
        try:
            url = self.address()
        except (ArgumentError, ValueError):
            return f"registry.url: no URL; {URLS}"
        if url.password is not None or any("password" in name for name in url.query):
            return "registry.url: holds a password; keep it in a file and name that: …?passfile=/path/of/it"
        match url.drivername:
            case "postgresql" if production and not _private(url):
                return "registry.url: production wants a Unix socket or …?sslmode=verify-full"
            case "postgresql":
                return ""
            case "sqlite" if (url.database or "").startswith("/"):
                return ""
            case _:
                return f"registry.url: {URLS}"


def _private(url: URL) -> bool:
    host = url.host or str(url.query.get("host", ""))
    return not host or host.startswith("/") or url.query.get("sslmode") == "verify-full"


class Configuration(Struct, frozen=True, forbid_unknown_fields=True):
    """A vault's file; everything has a default that is right for development."""

    mode: Literal["production", "development"] = "development"
    containers: Literal["sealed", "any"] = "any"
    """Whether a lot is closed only with its rejects in sealed containers; in production always."""
    plant: Name = "development"
    plant_code: Annotated[int, Meta(ge=0, le=0xFFFF)] = 7
    creator: Annotated[int, Meta(ge=0, le=0xFFFF)] = 0x0A01
    """Who makes the chips; with the plant's code in every UID that is given here."""
    dies: Literal["known", "any"] = "any"
    """Whether only dies that wafer sort told of are personalised; production never takes others."""
    name: Name = "vault-1"
    stations: tuple[str, ...] = ()
    """Who may open lots and bring dies; empty: whoever reaches the vault."""
    floor: str = ""
    """Where stations come beside the Unix socket, `host:port`; needs `tls`."""
    desk: str = ""
    """Where persons come beside theirs."""
    tls: TlsTable | None = None
    ledger: LedgerTable = LedgerTable()
    authorities: AuthoritiesTable = AuthoritiesTable()
    clock: ClockTable = ClockTable()
    alarms: AlarmsTable = AlarmsTable()
    limits: LimitsTable = LimitsTable()
    registry: RegistryTable = RegistryTable()

    def hash(self) -> str:
        """SHA-256 of the effective configuration, hexadecimal."""
        return sha256(msgspec.json.encode(self, order="sorted")).hexdigest()

    @property
    def seals(self) -> bool:
        """Whether rejects must be in sealed containers before their lot is closed."""
        return self.production or self.containers == "sealed"

    def unreachable(self) -> str:
        """Say why nobody can come over TCP as the file says; empty if they can, or are not to."""
        for name, address in (("floor", self.floor), ("desk", self.desk)):
            if address and not ADDRESS.fullmatch(address):
                return f"{name}: {address[:64]!r} is no HOST:PORT; the Unix sockets are always there"
            if address and self.tls is None:
                return f"{name}: beyond a Unix socket the vault speaks TLS only, and there is no [tls]"
        return ""

    @property
    def quota_low_percent(self) -> int:
        """How much of an order is little; a development order is for one lot, and always ends with it."""
        asked = self.alarms.quota_low_percent
        return (10 if self.production else 0) if asked is None else asked

    @property
    def known_dies(self) -> bool:
        """Whether a die that no wafer sort told of is refused."""
        return self.production or self.dies == "known"

    @property
    def production(self) -> bool:
        """Whether keys and orders are real."""
        return self.mode == "production"


def load(path: Path) -> Configuration:
    """Read a vault's file; without one it is for development. ConfigError: what, where, what is allowed."""
    if not path.exists():
        return Configuration()
    found = toml_file.read(path, Configuration)
    if fault := found.registry.fault(production=found.production):
        raise ConfigError(f"{path}: {fault}")
    if fault := found.alarms.fault():
        raise ConfigError(f"{path}: alarms: {fault}")
    if fault := found.unreachable():
        raise ConfigError(f"{path}: {fault}")
    return found
