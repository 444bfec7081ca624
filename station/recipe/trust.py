"""Whose recipes a station runs: two persons of its trust file must have signed, with both of their keys."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, TypeVar

from msgspec import Meta, Struct

from station import toml_file
from station.errors import ConfigError, UntrustedError
from station.recipe.content import Recipe
from station.vault.desk.documents import Person
from station.vault.desk.statement import (
    ED25519,
    ML_DSA_65,
    RELEASE,
    Opened,
    Statement,
    StatementError,
    opened,
)

PERSONS = 2
S = TypeVar("S", bound=Statement)


class TrustedPerson(Struct, frozen=True, forbid_unknown_fields=True):
    """A person and the public halves of the two keys, raw, in hexadecimal digits."""

    person: Person
    ed25519: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
    ml_dsa_65: Annotated[str, Meta(pattern=r"^[0-9a-f]{3904}\Z")]


class TrustFile(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    trusted: tuple[TrustedPerson, ...]


class Trust:
    """Who may release recipes."""

    def __init__(self, persons: tuple[TrustedPerson, ...]) -> None:
        self._keys: Mapping[str, Mapping[str, bytes]] = {
            one.person: {ED25519: bytes.fromhex(one.ed25519), ML_DSA_65: bytes.fromhex(one.ml_dsa_65)}
            for one in persons
        }

    def released(self, found: Opened, kind: type[S]) -> S:
        """Return what two persons have signed with both of their keys; StatementError."""
        names = found.signed_by(self._keys.get, RELEASE)
        stated = found.read(kind)
        if len(names) < PERSONS:
            raise StatementError("unsigned", f"signed by {names[0]} alone, {PERSONS} persons must")
        return stated

    def believed(self, envelope: bytes, now: float) -> Recipe:
        """Return what two persons have released for now; UntrustedError says why it is not believed."""
        try:
            recipe = self.released(opened(envelope), Recipe)
        except StatementError as error:
            raise UntrustedError(f"this recipe is not believed: {error}") from None
        if not recipe.not_before <= now <= recipe.not_after:
            when = "not yet" if now < recipe.not_before else "no longer"
            raise UntrustedError(f"recipe {recipe.title} is {when} valid")
        return recipe


def trust_of(path: Path) -> Trust:
    """Read a trust file; ConfigError says what is wrong, where, and what is allowed."""
    file = toml_file.read(path, TrustFile)
    names = [one.person for one in file.trusted]
    if len(set(names)) < max(PERSONS, len(names)):
        raise ConfigError(f"{path}: trusted: {PERSONS} or more different persons are needed, it has {names}")
    return Trust(file.trusted)
