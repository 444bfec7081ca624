"""station.toml: what the cell consists of. Read into frozen structs; a mistake is one clear message."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct

from station import config_schema
from station.errors import ConfigError
from station.set_up import Profile, WaferGeometry
from station.toml_file import meant, table_of

T = TypeVar("T", str, date)
Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.{}-]{0,62}$")]
SITE = "{site}"
LARGEST_MM = 450.0


class StationTable(Struct, frozen=True, forbid_unknown_fields=True):
    """Who this station is."""

    name: Name
    plant: str = ""
    floor: str = ""
    number: Annotated[int, Meta(ge=0, le=255)] = 1
    calibration_notice_days: Annotated[int, Meta(ge=0, le=366)] = 30
    """So long before the calibration of a machine is over each lot is told."""
    record: str = ""
    """File, by its path from the station file, that keeps what outlives the lots; by default beside them."""
    production: bool = False
    """Its machines are driven by released content only; see `station.production`."""


Serial = Annotated[str, Meta(pattern=r"^[!-~]{1,40}$")]


class CellTable(Struct, frozen=True, forbid_unknown_fields=True):
    """What it tests, with how many sites."""

    product: Name
    sequence: str
    handler: Name
    sites: Annotated[int, Meta(ge=1, le=64)]
    insertion: Annotated[str, Meta(pattern=r"^[A-Z][A-Z0-9]{0,7}$")] = "FT1"
    """Which pass of a lot through a cell, as the datalog names it: CP1, FT1, QA."""
    codes: str = ""
    """The role in [site] of the reader of the codes on the devices; empty: they have none."""
    thermal: str = ""
    """What brings the devices to a temperature; a prober does that itself."""
    earlier: tuple[str, ...] = ()
    """Stores with results of insertions before this one, beside this file, unless a lot names its own.

    `{lot}` in one is the name of the lot, of a second pass that of the first.
    """
    traced: str = ""
    """The list that says which die is in which package, in the same way; empty: none."""


class EquipmentTable(Struct, frozen=True, forbid_unknown_fields=True):
    """One machine; `{site}` in its name makes one for each site."""

    name: Name
    driver: str
    port: str
    options: dict[str, Any] = {}
    serial: Serial | tuple[Serial, ...] = ()
    """Of the machine that must be there; with `{site}` in the name, one for each site."""
    calibration_due: date | tuple[date, ...] = ()
    """The last day on which its calibration holds; one for all sites, or one for each."""

    def fault(self, sites: int) -> str:
        """Say why serial numbers or days cannot be meant; empty if they can."""
        machines = sites if SITE in self.name else 1
        if isinstance(self.serial, str) and SITE in self.name:
            return f"equipment {self.name!r}: serial: a list is needed, one serial number a site"
        for key, given in (("serial", self.serial), ("calibration_due", self.calibration_due)):
            if isinstance(given, tuple) and given and len(given) < machines:
                return f"equipment {self.name!r}: {key}: {machines} are needed, there are {len(given)}"
        return ""


class VaultTable(Struct, frozen=True, forbid_unknown_fields=True):
    """The vault that personalises: for development, started and stopped with the run, or one that runs."""

    mode: Literal["development", "running", "none"] = "development"
    address: str = ""
    """Of one that runs: `unix:` and the path of its socket, or `host:port`."""
    order: str = ""
    """The work order under which it opens lots."""
    certificate: str = ""
    """With key and authority for TLS: files in PEM, relative to the station file."""
    key: str = ""
    authority: str = ""

    def fault(self) -> str:
        """Say what is missing to reach the vault; empty if nothing is."""
        if (self.mode == "running") is not bool(self.address):
            return '[vault]: an address belongs to mode "running", and that to an address'
        files = (self.certificate, self.key, self.authority)
        if any(files) is not all(files) or (self.address.startswith("unix:") and any(files)):
            return "[vault]: certificate, key and authority belong together, and to an address HOST:PORT"
        if self.address and not self.address.startswith("unix:") and not any(files):
            return "[vault]: beyond a Unix socket a vault is reached over TLS: certificate, key, authority"
        return ""


class RecipeTable(Struct, frozen=True, forbid_unknown_fields=True):
    """Whose recipes this station runs; with a trust file it runs nothing else."""

    trust: str = ""
    """A file, by its path from the station file."""


class GoldenTable(Struct, frozen=True, forbid_unknown_fields=True):
    """Known units that are measured before lots: `hardbin study golden`."""

    result: str = ""
    """Its `golden.json`, by its path from the station file; empty: no lot asks for one."""
    hours: Annotated[float, Meta(gt=0, le=8760)] = 12.0
    """How long a check holds."""
    landings: Annotated[int, Meta(ge=0)] = 0
    """For how many touchdowns of one lot a check holds; 0: for all."""
    units: str = ""
    """The file of the units, by its path: a device with the code of one of them is refused as product."""


class AssetTable(Struct, frozen=True, forbid_unknown_fields=True):
    """What wears out by being landed on: its touchdowns are counted over lots, of a block its cleanings."""

    name: Name
    kind: Literal["card", "contactor", "board", "block"]
    limit: Annotated[int, Meta(ge=1, le=1_000_000_000)]
    """After so many touchdowns a lot is held, and none begins."""
    warning: Annotated[int, Meta(ge=0, le=1_000_000_000)]
    """From so many on each lot is told."""


class VisaTable(Struct, frozen=True, forbid_unknown_fields=True):
    """The VISA library of real machines; simulated ones have their own."""

    library: str = "@py"


class SimulationTable(Struct, frozen=True, forbid_unknown_fields=True):
    """What a simulated run of this station is like; a run on hardware reads it and does without."""

    latency: Literal["zero", "qvault", "qvault-full"] = "qvault"
    """What the chips charge for their work: nothing, public-key operations, all of it."""
    wafer_radius: Annotated[int, Meta(ge=1, le=200)] = 8
    """Of the wafers that a prober brings, in dies; a lot that would not fit has larger ones."""


class WaferTable(WaferGeometry, frozen=True, forbid_unknown_fields=True):
    """What the wafers are like that a prober brings: the datalog and the maps say it to others."""

    def fault(self) -> str:
        """Say what cannot be meant; empty if nothing is."""
        sizes = (self.diameter_mm, *self.die_mm)
        if not all(0 < size <= LARGEST_MM for size in sizes):
            return f"[wafer]: diameter_mm and die_mm must lie above 0 and up to {LARGEST_MM:g} mm"
        if max(self.die_mm) > self.diameter_mm:
            return f"[wafer]: a die of {self.die_mm} mm is larger than the wafer"
        return ""


class DatalogTable(Struct, frozen=True, forbid_unknown_fields=True):
    """How the STDF files of this station are written."""

    profile: Profile = "compact"
    sections: bool = False
    """Whether records stand between the marks of the condition under which they were made."""


class MqttTable(Struct, frozen=True, forbid_unknown_fields=True):
    """The broker of the floor, for a station that takes its commands from there."""

    url: str = ""
    """`mqtts://host[:port]`; `mqtt://` on loopback and in simulation only."""
    ca: str = ""
    """File with the certificate authority of the broker."""
    cert: str = ""
    """File with the station's certificate; its common name is the station's name."""
    key: str = ""
    trust: str = ""
    """File with the public keys of those whose commands are taken."""
    lease_s: Annotated[float, Meta(ge=10, le=86_400)] = 300.0
    """How long the lease holds after its holder's last command."""
    collector: bool = False
    """Whether events wait until a collector has them on disk, not only the broker in its memory."""
    retain_maps: bool = False
    """Whether the broker keeps the last map of each wafer for those who come later."""


class StationFile(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    station: StationTable
    cell: CellTable
    equipment: list[EquipmentTable]
    site: dict[str, str]
    vault: VaultTable = VaultTable()
    recipe: RecipeTable = RecipeTable()
    golden: GoldenTable = GoldenTable()
    visa: VisaTable = VisaTable()
    simulation: SimulationTable = SimulationTable()
    mqtt: MqttTable = MqttTable()
    datalog: DatalogTable = DatalogTable()
    wafer: WaferTable | None = None
    asset: list[AssetTable] = []
    schema: int = config_schema.SCHEMA
    """Which layout it has."""


@dataclass(frozen=True)
class Placed:
    """One machine after `{site}` was filled in."""

    name: str
    driver: str
    port: str
    options: Mapping[str, Any]
    serial: str = ""
    """Of the machine that must be there; empty if any may."""
    calibration_due: date | None = None


@dataclass(frozen=True)
class StationConfig:
    """The station as it is to be built."""

    source: Path
    station: StationTable
    cell: CellTable
    vault: VaultTable
    recipe: RecipeTable
    golden: GoldenTable
    visa: VisaTable
    simulation: SimulationTable
    mqtt: MqttTable
    datalog: DatalogTable
    wafer: WaferTable | None
    assets: tuple[AssetTable, ...]
    equipment: tuple[Placed, ...]
    sites: Mapping[int, Mapping[str, str]]
    """By site and role, the name of a machine or `machine.channel`."""


def load(path: Path, *, sites: int | None = None) -> StationConfig:
    """Read a station file; `sites` overrides `cell.sites`. ConfigError: what, where, what is allowed."""
    table = config_schema.read(table_of(path), path)
    _override(table, os.environ)
    if sites is not None and isinstance(table.get("cell"), dict):
        table["cell"]["sites"] = sites
    file = meant(table, StationFile, path)
    if wrong := [*filter(None, (table.fault(file.cell.sites) for table in file.equipment))]:
        raise ConfigError(f"{path}: " + "; ".join(wrong))
    config = StationConfig(
        source=path,
        station=file.station,
        cell=file.cell,
        vault=file.vault,
        recipe=file.recipe,
        golden=file.golden,
        visa=file.visa,
        simulation=file.simulation,
        mqtt=file.mqtt,
        datalog=file.datalog,
        wafer=file.wafer,
        assets=tuple(file.asset),
        equipment=tuple(_placed(file)),
        sites={n: _filled(file.site, n) for n in range(1, file.cell.sites + 1)},
    )
    if wrong := [*_wrong(config), *filter(None, _faults(config))]:
        raise ConfigError(f"{path}: " + "; ".join(wrong))
    return config


ONCE = ("station", "cell", "vault", "recipe", "golden", "visa", "simulation", "mqtt", "datalog")
"""Tables whose keys the environment may give."""


def environment_name(table: str, key: str) -> str:
    """Return the variable that takes the place of a key: `HARDBIN_MQTT_URL` that of `mqtt.url`."""
    return f"HARDBIN_{table}_{key}".upper()


def _override(table: dict[str, Any], environment: Mapping[str, str]) -> None:
    """Let variables take the place of keys, as the file would have them: numbers are numbers."""
    kinds = {field.encode_name: field.type for field in msgspec.structs.fields(StationFile)}
    for name in ONCE:
        for field in msgspec.structs.fields(kinds[name]):
            variable = environment_name(name, field.encode_name)
            if (text := environment.get(variable)) is None:
                continue
            try:
                value = msgspec.convert(text, field.type, strict=False)
            except msgspec.ValidationError as error:
                raise ConfigError(f"{variable}: {error} (it is {text!r})") from error
            inside = table.setdefault(name, {})
            if isinstance(inside, dict):
                inside[field.encode_name] = value


def _faults(config: StationConfig) -> Iterator[str]:
    names = [one.name for one in config.assets]
    yield from (f"asset {name!r} is there twice" for name in sorted({n for n in names if names.count(n) > 1}))
    for one in config.assets:
        yield "" if one.warning <= one.limit else f"asset {one.name!r}: its warning lies above its limit"
    yield config.vault.fault()
    yield "" if config.wafer is None else config.wafer.fault()


def _placed(file: StationFile) -> Iterator[Placed]:
    for table in file.equipment:
        numbers = range(1, file.cell.sites + 1) if SITE in table.name else (0,)
        for number in numbers:
            name, port = (text.replace(SITE, str(number)) for text in (table.name, table.port))
            serial, due = _nth(table.serial, number), _nth(table.calibration_due, number)
            yield Placed(name, table.driver, port, table.options, serial or "", due)


def _nth(given: T | tuple[T, ...], number: int) -> T | None:
    """Return what is given for the machine of a site, or for the one there is."""
    if not isinstance(given, tuple):
        return given
    return given[max(number, 1) - 1] if given else None


def _filled(bindings: Mapping[str, str], site: int) -> dict[str, str]:
    return {role: name.replace(SITE, str(site)) for role, name in bindings.items()}


def _wrong(config: StationConfig) -> Iterator[str]:
    names = [placed.name for placed in config.equipment]
    yield from (
        f"equipment {name!r} is there twice" for name in sorted({n for n in names if names.count(n) > 1})
    )
    ports = [placed.port for placed in config.equipment]
    yield from (f"port {port!r} is used twice" for port in sorted({p for p in ports if ports.count(p) > 1}))
    if config.cell.handler not in names:
        yield f"cell.handler: no equipment is called {config.cell.handler!r}; there are: {_few(names)}"
    if config.cell.thermal and config.cell.thermal not in names:
        yield f"cell.thermal: no equipment is called {config.cell.thermal!r}; there are: {_few(names)}"
    for role, name in config.sites[1].items():
        if machine_of(name)[0] not in names:
            yield f"site.{role}: no equipment is called {machine_of(name)[0]!r}"


def _few(names: list[str]) -> str:
    return ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")


def machine_of(binding: str) -> tuple[str, str]:
    """Split `machine.channel`; a machine with one role has the empty channel."""
    machine, _, channel = binding.partition(".")
    return machine, channel
