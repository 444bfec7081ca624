"""The how-to of several vaults: its SQL leaves a vault what it needs, and nothing to change a claim with."""

import re
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.engine import make_url

from station.chaos.postgres import Server
from station.vault.plant.site_registry import SiteRegistry
from station.vault.plant.uniqueness import Answer, Claim, Kind, Member

PAGE = Path(__file__).parents[4] / "docs/how-to/share-a-registry.md"
ONE, TWO = Member("vault-1", b"1" * 16), Member("vault-2", b"2" * 16)


def run(url: str, sql: str) -> None:
    with psycopg.connect(url, autocommit=True) as db:
        for statement in filter(None, (one.strip() for one in sql.split(";"))):
            db.execute(statement.encode())


def test_the_sql_of_the_page_makes_a_registry_that_only_grows(server: Server) -> None:
    make, revoke = re.findall(r"```sql\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    run(server.address("postgres"), make)
    url = server.address("registry", "hardbin")
    registry = SiteRegistry(make_url(url), 5.0)
    registry.claim(ONE, [])
    run(server.address("registry"), revoke)
    claim = Claim(Kind.UID, b"u" * 32, "L1/1")
    assert registry.claim(ONE, [claim]) == Answer()
    assert len(registry.claim(TWO, [claim]).lost) == 1
    (alarm,) = registry.claim(ONE, [claim]).alarms
    assert registry.claim(ONE, [claim], seen=[alarm.id]) == Answer()
    registry.close()
    for statement in ("UPDATE claim SET unit = 'x'", "DELETE FROM claim", "DELETE FROM vault"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            run(url, statement)
