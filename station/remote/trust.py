"""Whose commands a station believes: the public keys of its clients, from a file that persons keep."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct

from station import toml_file
from station.authority import HOST
from station.errors import ConfigError
from station.vault.desk.roles import Role
from station.vault.desk.statement import ED25519, ML_DSA_65

Kid = Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,32}#[0-9]{1,4}\Z")]
ROLES = frozenset({HOST, Role.OPERATOR, Role.TECHNICIAN, Role.ENGINEER})
"""What a key from afar may be; officers come to the desk."""


class TrustedKey(Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """A client's key: `<client>#<number>`, what it may, and its public halves in hexadecimal."""

    kid: Kid
    roles: frozenset[str]
    ed25519: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
    ml_dsa_65: Annotated[str, Meta(pattern=r"^([0-9a-f]{3904})?\Z")] = ""
    """If it is there, each command needs both signatures."""

    @property
    def client(self) -> str:
        """Whose it is: the name under which replies go out."""
        return self.kid.partition("#")[0]

    @property
    def public(self) -> Mapping[str, bytes]:
        """The public keys by algorithm: what must be in each signed command."""
        keys = {ED25519: bytes.fromhex(self.ed25519)}
        if self.ml_dsa_65:
            keys[ML_DSA_65] = bytes.fromhex(self.ml_dsa_65)
        return keys


class TrustFile(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file: one `[[key]]` each."""

    key: list[TrustedKey]


def load(path: Path) -> Mapping[str, TrustedKey]:
    """Read a trust file, by kid; ConfigError says what is wrong in it."""
    keys = toml_file.read(path, TrustFile).key
    kids = [key.kid for key in keys]
    if twice := sorted({kid for kid in kids if kids.count(kid) > 1}):
        raise ConfigError(f"{path}: key {', '.join(twice)} is there twice")
    for key in keys:
        if wrong := key.roles - ROLES or (frozenset() if key.roles else {"none"}):
            raise ConfigError(
                f"{path}: {key.kid}: roles: {', '.join(sorted(wrong))}; allowed are {_allowed()}"
            )
    return {key.kid: key for key in keys}


def _allowed() -> str:
    return ", ".join(sorted(ROLES))


def entry(key: TrustedKey) -> str:
    """Return a key's entry as it stands in a trust file."""
    roles = ", ".join(f'"{role}"' for role in sorted(key.roles))
    lines = ["[[key]]", f'kid = "{key.kid}"', f"roles = [{roles}]", f'ed25519 = "{key.ed25519}"']
    if key.ml_dsa_65:
        lines.append(f'ml-dsa-65 = "{key.ml_dsa_65}"')
    return "\n".join(lines) + "\n"
