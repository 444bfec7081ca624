"""A ceremony's plan: a script of the house, filled in for one occasion, and then carried out as it stands."""

import tomllib
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from station.custody import durable_file
from station.errors import ConfigError
from station.vault.ceremonies import steps
from station.vault.keys.errors import RequestError
from station.vault.keys.words import CUSTODIANS, KEY_ID, THRESHOLD, Mode

SCRIPTS = Path(__file__).parent / "scripts"
FILE = "plan.json"
TYPE = "hardbin.ceremony-plan.v1"
DAY_S = 86_400
PERSONS = 2

Given: TypeAlias = str | tuple[str, ...]
"""A parameter: a word, or several."""


class Script(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A kind of ceremony."""

    title: str
    roles: tuple[str, ...]
    """Of the persons who confirm each step, in order."""
    needs: tuple[str, ...]
    """Parameters without which there is no plan."""
    step: tuple[dict[str, Any], ...]
    may: dict[str, str] = {}
    """Parameters that may be left out, and what holds then."""


class Person(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Somebody who confirms each step."""

    name: str
    role: str
    public: str = ""
    """The raw public key of his card, in hexadecimal; without it he chooses a passphrase."""


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything that will be done, decided before it begins."""

    typ: str = TYPE
    ceremony: str
    title: str
    made_at: int
    """Unix seconds; crypto periods begin here."""
    store: str
    """The folder of the key store."""
    persons: tuple[Person, ...]
    steps: tuple[steps.Step, ...]

    @property
    def hash(self) -> str:
        """SHA-256 of the plan's file."""
        return sha256(encoded(self)).hexdigest()


def encoded(plan: Plan) -> bytes:
    """The plan's file, byte for byte the same for the same plan."""
    return msgspec.json.format(msgspec.json.encode(plan, order="sorted"), indent=2) + b"\n"


def names() -> list[str]:
    """The ceremonies that there are scripts for."""
    return sorted(path.stem for path in SCRIPTS.glob("*.toml"))


def script(name: str) -> Script:
    """A script of the house."""
    if name not in names():
        raise ConfigError(f"there is no ceremony {name[:64]!r}; there are {', '.join(names())}")
    with (SCRIPTS / f"{name}.toml").open("rb") as file:
        return msgspec.convert(tomllib.load(file), Script)


def made(  # noqa: PLR0913, PLR0917 - a plan has these parts
    name: str,
    store: str,
    persons: Sequence[str],
    given: Mapping[str, Given],
    now: float,
    cards: Mapping[str, str] | None = None,
) -> Plan:
    """Fill a script in; ConfigError says what is missing, or cannot be. `cards`: public keys by person."""
    found = script(name)
    filled = _filled(found, given)
    wanted = tuple(_step(number, raw, filled, int(now)) for number, raw in enumerate(found.step, 1))
    _check_persons(found, persons)
    attending = tuple(
        Person(who, role, (cards or {}).get(who, "")) for who, role in zip(persons, found.roles, strict=True)
    )
    return Plan(
        ceremony=name,
        title=found.title,
        made_at=int(now),
        store=store,
        persons=attending,
        steps=wanted,
    )


def _check_persons(found: Script, persons: Sequence[str]) -> None:
    if len(persons) != len(found.roles) or len(set(persons)) < len(persons):
        roles = ", ".join(found.roles)
        raise ConfigError(f"this ceremony needs {len(found.roles)} different persons: {roles}")
    wrong = [name for name in persons if not KEY_ID.fullmatch(name)]
    if wrong:
        raise ConfigError(f"person {wrong[0][:64]!r}: letters, digits and . _ -, at most 48")


def _filled(found: Script, given: Mapping[str, Given]) -> Mapping[str, Given]:
    missing = [name for name in found.needs if name not in given]
    if missing:
        raise ConfigError(f"parameter {missing[0]!r} is missing; needed: {', '.join(found.needs)}")
    unknown = sorted(set(given) - set(found.needs) - set(found.may))
    if unknown:
        allowed = ", ".join([*found.needs, *found.may])
        raise ConfigError(f"there is no parameter {unknown[0][:64]!r} here; there are {allowed}")
    return {**found.may, **given}


def _step(number: int, raw: Mapping[str, Any], given: Mapping[str, Given], now: int) -> steps.Step:
    filled = _substituted(raw, given)
    profile = filled.get("profile")
    try:
        if isinstance(profile, dict):
            filled["profile"] = _dated(profile, now)
        step: steps.Step = msgspec.convert(filled, steps.Step, strict=False)
        if isinstance(step, steps.Generate | steps.LoadSealed):
            step.profile.check()
        _check_holders(step)
    except (msgspec.ValidationError, RequestError) as error:
        raise ConfigError(f"step {number}: {error}") from error
    return step


def _check_holders(step: steps.Step) -> None:
    """Raise RequestError if shares cannot be held so; better now than with everybody in the room."""
    match step:
        case steps.MakeStore(mode=Mode.PRODUCTION, custodians=holders):
            threshold, wanted = THRESHOLD, CUSTODIANS
        case steps.Recover(custodians=holders, threshold=threshold):
            wanted = len(holders)
        case steps.Backup(holders=holders, threshold=threshold):
            wanted = len(holders)
        case _:
            return
    different = len(set(holders)) == len(holders) == wanted and all(map(KEY_ID.fullmatch, holders))
    if not different or not 2 <= threshold <= wanted:  # noqa: PLR2004 - one share opens nothing
        raise RequestError(f"{threshold} of {', '.join(holders)}: not {max(wanted, 2)} different holders")


def _dated(profile: dict[str, Any], now: int) -> dict[str, Any]:
    """A crypto period of `days` from now."""
    days = profile.pop("days", None)
    if days is None:
        return profile
    if not str(days).isdecimal():
        raise RequestError(f"days {str(days)[:16]!r}: a whole number")
    return profile | {"not_before": now, "not_after": now + int(days) * DAY_S}


def _substituted(raw: Mapping[str, Any], given: Mapping[str, Given]) -> dict[str, Any]:
    return {name: _put_in(value, given) for name, value in raw.items()}


def _put_in(raw: object, given: Mapping[str, Given]) -> object:
    """Put parameters in the place of `{name}`; a text that is nothing else may become several."""
    match raw:
        case dict():
            return _substituted(raw, given)
        case list():
            return [_put_in(value, given) for value in raw]
        case str() if raw.startswith("{") and raw.endswith("}") and raw[1:-1] in given:
            return given[raw[1:-1]]
        case str():
            return raw.format_map({name: _word(name, value) for name, value in given.items()})
        case _:
            return raw


def _word(name: str, value: Given) -> str:
    return value if isinstance(value, str) else ", ".join(value)


def write(plan: Plan, folder: Path) -> Path:
    """Write a plan into a new folder for its ceremony."""
    path = folder / FILE
    if path.exists():
        raise ConfigError(f"{path}: there is a plan already")
    made_in = durable_file.make_folder(folder)
    durable_file.replace(path, encoded(plan))
    durable_file.sync_all(made_in)
    return path


def read(folder: Path) -> Plan:
    """Read the plan of a ceremony's folder; ConfigError if it is none, or not as it was written."""
    path = folder / FILE
    try:
        content = path.read_bytes()
        plan = msgspec.json.decode(content, type=Plan)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: no plan of a ceremony: {error}") from error
    if plan.typ != TYPE or encoded(plan) != content:
        raise ConfigError(f"{path}: no plan as `hardbin key ceremony plan` writes them")
    return plan
