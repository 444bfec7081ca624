"""Where a vault's file says that the registry is."""

from pathlib import Path

import pytest

from station.errors import ConfigError
from station.vault import configuration

SECRET = "hunter2-of-the-plant"  # noqa: S105 - the test looks for it where it must not be


def loaded(folder: Path, registry: str, mode: str = "development") -> configuration.Configuration:
    path = folder / "vault.toml"
    path.write_text(f'mode = "{mode}"\n[registry]\n{registry}\n')
    return configuration.load(path)


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:////srv/registry.sqlite",
        "postgresql://hardbin@/registry?host=/run/postgresql",
        "postgresql://hardbin@db.example/registry?sslmode=verify-full&passfile=/etc/hardbin/pgpass",
    ],
)
@pytest.mark.parametrize("mode", ["development", "production"])
def test_a_shared_registry_is_named_by_its_url(tmp_path: Path, url: str, mode: str) -> None:
    found = loaded(tmp_path, f'kind = "site"\nurl = "{url}"\nspool_max = 7', mode)
    assert (found.registry.kind, found.registry.spool_max) == ("site", 7)


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://hardbin:{SECRET}@db.example/registry",
        f"postgresql://hardbin@db.example/registry?password={SECRET}",
        f"postgresql://hardbin@db.example/registry?sslpassword={SECRET}",
        f"mysql://hardbin:{SECRET}@db.example/registry",
        f"postgresql://hardbin:{SECRET}@db.example:port/registry",
        f"{SECRET}",
    ],
)
def test_a_password_is_refused_and_told_to_nobody(tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigError, match=r"registry\.url: ") as caught:
        loaded(tmp_path, f'kind = "site"\nurl = "{url}"')
    told: BaseException | None = caught.value
    while told is not None:
        assert SECRET not in f"{told} {told!r}"
        told = told.__cause__ or told.__context__


@pytest.mark.parametrize(
    ("table", "why"),
    [
        ('kind = "site"', "no URL; postgresql://user@host/database or sqlite:////absolute/path is allowed"),
        ('kind = "site"\nurl = "sqlite:///registry.sqlite"', "is allowed"),
        ('kind = "site"\nurl = "sqlite://"', "is allowed"),
        ('url = "sqlite:////srv/registry.sqlite"', 'only with registry.kind = "site"'),
        ("spool_max = 0", "spool_max"),
    ],
)
def test_what_cannot_be_a_registry_is_refused(tmp_path: Path, table: str, why: str) -> None:
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, table)
    assert why in str(caught.value)


def test_production_wants_the_server_to_prove_itself(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="sslmode=verify-full"):
        loaded(tmp_path, 'kind = "site"\nurl = "postgresql://hardbin@db.example/registry"', mode="production")
