"""Which resource plays which role at which site, and whether that is all that the sequence needs."""

import dataclasses
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, cast

from drivers.roles import Feeder, IdReader, Machine, Prober, Resource, Thermal
from station.config import StationConfig, machine_of
from station.config_keys import place
from station.engine.bound import Bound
from station.engine.climate import ChuckClimate, Climate, StreamClimate
from station.engine.late import cannot_bring_again
from station.errors import ConfigError
from station.sequence import Sequence as TestSequence
from station.sequence import Site
from station.set_up import Temperature
from station.vault.client import VaultClient

Machines: typing.TypeAlias = Mapping[str, Machine]


class UnboundError(KeyError):
    """A row asked for a member of a role that the station file does not have."""

    def __str__(self) -> str:
        return str(self.args[0])


class _Members(dict[str, Resource]):
    """The members of a role by their names, as `RST` of `io`."""

    def __init__(self, role: str, members: Mapping[str, Resource]) -> None:
        super().__init__(members)
        self._role = role

    def __missing__(self, member: str) -> Resource:
        there = ", ".join(f"{self._role}.{name}" for name in self)
        raise UnboundError(f"the station file has no site.{self._role}.{member}; there are: {there}")


def needs_vault(sequence: TestSequence[Any]) -> bool:
    """Tell whether the sites of a sequence are bound to the vault."""
    hints = typing.get_type_hints(sequence.site)
    return any(hints[field.name] is VaultClient for field in dataclasses.fields(sequence.site))


def bound(
    config: StationConfig,
    machines: Machines,
    sequence: TestSequence[Any],
    vault: VaultClient | None,
    wanted: Temperature | None = None,
) -> Bound[Any]:
    """Bind every role of every site; ConfigError lists what is missing or of the wrong kind."""
    handler, roles = fitting(config, machines, sequence)
    sites = {number: _site(sequence, number, roles[number], vault) for number in roles}
    resources = {number: tuple(playing.values()) for number, playing in roles.items()}
    _share(resources)
    climate = _climate(config, machines, wanted)
    return Bound(handler, sites, resources, _readers(config, roles), climate=climate)


def _readers(config: StationConfig, roles: Mapping[int, Mapping[str, Resource]]) -> dict[int, IdReader]:
    """Return what reads the codes of the devices, by site; ConfigError unless each site has its own."""
    if not (role := config.cell.codes):
        return {}
    where = f"{place(config.source, 'cell', 'codes')}: cell.codes = {role!r}"
    found = dict[int, IdReader]()
    for number, playing in roles.items():
        reader = playing.get(role)
        if not isinstance(reader, IdReader):
            raise ConfigError(f"{where}: a role in [site] is needed that is a code reader")
        if reader in found.values():
            raise ConfigError(f"{where}: whose code {reader.name} reads is unknown: each site needs its own")
        found[number] = reader
    return found


def fitting(
    config: StationConfig, machines: Machines, sequence: TestSequence[Any]
) -> tuple[Feeder, dict[int, dict[str, Resource]]]:
    """Return who feeds the sites, and by site who plays which role, once all that is needed is there."""
    handler = machines[config.cell.handler]
    if not isinstance(handler, Feeder):
        raise ConfigError(
            f"{place(config.source, 'cell', 'handler')}: {config.cell.handler!r} is no handler and no prober"
        )
    roles = dict[int, dict[str, Resource]]()
    for number, bindings in config.sites.items():
        roles[number] = {role: _resource(config, machines, role, name) for role, name in bindings.items()}
        _check(config, sequence, roles[number])
    _readers(config, roles)
    if why := _cannot(sequence, handler):
        where = place(config.source, "cell", "sequence")
        driver = next(placed.driver for placed in config.equipment if placed.name == config.cell.handler)
        raise ConfigError(f"{where}: sequence {sequence.name}: {why} (driver {driver})")
    return handler, roles


def _cannot(sequence: TestSequence[Any], handler: Feeder) -> str:
    """Say which policy of a sequence a machine cannot do; empty if it can do all."""
    if sequence.rules.clean_every is not None and not handler.can_clean:
        return f"rules.clean_every: {handler.name} has nothing that cleans"
    return cannot_bring_again(sequence.retest, sequence.all_bins(), handler)


def _climate(config: StationConfig, machines: Machines, wanted: Temperature | None) -> Climate | None:
    """Return what brings the devices of a lot to its temperature; ConfigError if the cell has nothing."""
    if wanted is None:
        return None
    if name := config.cell.thermal:
        found = machines[name].channels.get("")
        if not isinstance(found, Thermal):
            raise ConfigError(f"{place(config.source, 'cell', 'thermal')}: {name!r} is no thermal controller")
        return StreamClimate(found, wanted)
    handler = machines[config.cell.handler]
    if not isinstance(handler, Prober):
        raise ConfigError(
            f"{config.source}: {wanted.celsius:g} °C are asked for, and nothing heats or cools: cell.thermal "
            "names a thermal controller; a prober does it by its chuck"
        )
    return ChuckClimate(handler, wanted)


def _resource(config: StationConfig, machines: Machines, role: str, name: str) -> Resource:
    machine, channel = machine_of(name)
    channels = machines[machine].channels
    if channel not in channels:
        known = ", ".join(f"{machine}.{c}" if c else machine for c in channels)
        where = place(config.source, "site", role)
        raise ConfigError(f"{where}: site.{role}: {name!r} is no channel; there are: {known}")
    return channels[channel]


def _share(resources: Mapping[int, Sequence[Resource]]) -> None:
    """A resource that serves several sites makes them take turns."""
    users: dict[int, int] = {}
    for roles in resources.values():
        for resource in dict.fromkeys(roles):
            users[id(resource)] = users.get(id(resource), 0) + 1
            resource.turn.shared = users[id(resource)] > 1


def _check(config: StationConfig, sequence: TestSequence[Any], roles: Mapping[str, Resource]) -> None:
    """Refuse roles that the sites of the sequence need and do not have, or that another kind plays."""
    for name, hint in _needs(sequence).items():
        if hint is VaultClient:
            _check_vault(config, sequence, name)
        elif (found := _playing(name, roles)) is None:
            idle = sorted(role for role in roles if role.partition(".")[0] not in _needs(sequence))
            unused = f"; it has no use for {', '.join(idle)}" if idle else ""
            needs = f"the sequence {sequence.name} needs {name!r}{unused}"
            raise ConfigError(f"{config.source}: [site]: {needs}")
        else:
            _check_kind(config, name, hint, found)


def _needs(sequence: TestSequence[Any]) -> dict[str, object]:
    """What a site of the sequence is made of, by field."""
    hints = typing.get_type_hints(sequence.site)
    fields = (field.name for field in dataclasses.fields(sequence.site) if field.init)
    return {name: hints[name] for name in fields if name != "number"}


def _check_vault(config: StationConfig, sequence: TestSequence[Any], name: str) -> None:
    if config.vault.mode == "none":
        where = place(config.source, "vault", "mode")
        raise ConfigError(
            f"{where}: [vault]: mode is 'none', and the sites of the sequence {sequence.name} have a vault "
            f'({name}): write mode = "development"'
        )


def _playing(name: str, roles: Mapping[str, Resource]) -> object | None:
    """Who plays a role, or the members of one that has several."""
    if name in roles:
        return roles[name]
    members = {role.partition(".")[2]: r for role, r in roles.items() if role.startswith(f"{name}.")}
    return types.MappingProxyType(_Members(name, members)) if members else None


def _check_kind(config: StationConfig, name: str, hint: object, found: object) -> None:
    wanted = next((a for a in typing.get_args(hint)[::-1] if isinstance(a, type)), hint)
    members = found if isinstance(found, Mapping) else {"": found}
    for member, resource in members.items():
        if isinstance(wanted, type) and not isinstance(resource, wanted):
            role = f"{name}.{member}" if member else name
            where = place(config.source, "site", role)
            raise ConfigError(f"{where}: site.{role}: a {wanted.__name__} is needed there")


def _site(
    sequence: TestSequence[Any], number: int, roles: Mapping[str, Resource], vault: VaultClient | None
) -> Site:
    made = {
        name: vault if hint is VaultClient else _playing(name, roles)
        for name, hint in _needs(sequence).items()
    }
    return cast("Site", sequence.site(number=number, **made))
