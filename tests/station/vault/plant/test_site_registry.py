"""The registry of a plant, on SQLite and on PostgreSQL."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from threading import Barrier

import psycopg
import pytest
from sqlalchemy.engine import make_url

from station.chaos.postgres import Server
from station.vault.plant.site_registry import NameTakenError, SiteDownError, SiteRegistry
from station.vault.plant.uniqueness import Answer, Claim, Holder, Kind, Member
from tests.station.vault.sites import ServedSite, Site

Opened = Callable[[], SiteRegistry]
ONE, TWO = Member("vault-1", b"1" * 16), Member("vault-2", b"2" * 16)


@pytest.fixture
def opened(site: Site) -> Iterator[Opened]:
    made: list[SiteRegistry] = []

    def open_() -> SiteRegistry:
        made.append(SiteRegistry(make_url(site.url), 5.0))
        return made[-1]

    yield open_
    for registry in made:
        registry.close()


def claims_of(unit: str, count: int = 1, kind: Kind = Kind.UID) -> list[Claim]:
    return [Claim(kind, sha256(b"%d" % number).digest(), unit) for number in range(count)]


def test_the_first_has_it_the_second_learns_who_and_the_first_that_somebody_came(opened: Opened) -> None:
    registry = opened()
    assert registry.claim(ONE, claims_of("A/1")) == Answer()
    (mine,) = claims_of("B/1")
    assert registry.claim(TWO, [mine]).lost == ((mine, Holder("vault-1", "A/1")),)
    (alarm,) = registry.claim(ONE, []).alarms
    assert (alarm.claim, alarm.other) == (claims_of("A/1")[0], Holder("vault-2", "B/1"))
    assert registry.claim(ONE, []).alarms == (alarm,), "it comes until it was seen"
    assert registry.claim(ONE, [], seen=[alarm.id]).alarms == ()
    registry.claim(TWO, [mine])
    assert registry.claim(ONE, []).alarms == (), "the same again is no second alarm"


@pytest.mark.parametrize("kind", Kind)
def test_claiming_again_changes_nothing(opened: Opened, kind: Kind) -> None:
    claims = claims_of("A/1", 3, kind)
    assert opened().claim(ONE, claims[:2]) == Answer()
    assert opened().claim(ONE, claims) == Answer()
    (other,) = claims_of("A/2", 1, kind)
    assert opened().claim(ONE, [other]).lost == ((other, Holder("vault-1", "A/1")),)


def test_the_same_bytes_of_another_kind_are_something_else(opened: Opened) -> None:
    registry = opened()
    for kind in Kind:
        assert registry.claim(ONE, claims_of(f"A/{kind}", 1, kind)) == Answer()


def test_of_two_vaults_at_once_exactly_one_gets_each(opened: Opened) -> None:
    """Each begins from another end; the tables do not exist yet."""
    count, begin = 200, Barrier(2)

    def claim(member: Member, step: int) -> set[bytes]:
        registry, wanted = opened(), claims_of(f"{member.name}/1", count)[::step]
        begin.wait()
        lost: set[bytes] = set()
        for place in range(0, count, 20):
            lost |= {one.value for one, _ in registry.claim(member, wanted[place : place + 20]).lost}
        return {one.value for one in wanted} - lost

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.submit(claim, ONE, 1), pool.submit(claim, TWO, -1)
        got, other = first.result(), second.result()
    assert not got & other
    assert len(got | other) == count


def test_two_vaults_of_one_name_are_not_taken_for_one(opened: Opened) -> None:
    registry = opened()
    registry.claim(ONE, claims_of("A/1"))
    with pytest.raises(NameTakenError, match="another vault as vault-1"):
        registry.claim(Member("vault-1", b"3" * 16), claims_of("A/2", 2))
    assert registry.claim(TWO, claims_of("B/1", 2)[1:]) == Answer(), "nothing was claimed"


def test_a_registry_that_does_not_answer_is_down_within_the_deadline(site: Site) -> None:
    registry = SiteRegistry(make_url(site.url), 0.1)
    registry.claim(ONE, claims_of("A/1"))
    site.down()
    with pytest.raises(SiteDownError):
        registry.claim(ONE, claims_of("A/2", 2))
    site.up()
    assert len(registry.claim(ONE, claims_of("A/2", 2)).lost) == 1
    registry.close()


def test_a_server_that_dies_while_it_claims_has_claimed_nothing_and_then_all(server: Server) -> None:
    """The vault waits for a row that somebody else holds open when the server is killed."""
    site = ServedSite(server)
    registry, claims = SiteRegistry(make_url(site.url), 60.0), claims_of("A/1", 5)
    registry.claim(ONE, [])
    other = psycopg.connect(site.url)
    other.execute("INSERT INTO claim VALUES ('uid', %s, 'vault-2', 'B/1', 0)", (claims[3].value,))
    with ThreadPoolExecutor(1) as pool, psycopg.connect(site.url, autocommit=True) as watch:
        claiming = pool.submit(registry.claim, ONE, claims)
        query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        while watch.execute(query).fetchone() == (0,):
            assert not claiming.done()
        site.down()
        with pytest.raises(SiteDownError):
            claiming.result()
    other.close()
    site.up()
    with psycopg.connect(site.url) as db:
        assert db.execute("SELECT count(*) FROM claim").fetchone() == (0,)
    assert registry.claim(ONE, claims) == Answer()
    registry.close()
