"""What is written of the messages is what the types say; what a station says validates."""

import asyncio
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from station.authority import REMOTE, RIGHTS
from station.cli.codes import ANSWERS
from station.errors import ConfigError
from station.remote import acl, trust
from station.remote.asyncapi import document, encoded
from station.remote.link import LinkError
from station.remote.local_bus import LocalBus
from station.remote.mqtt_broker import Address, MqttBroker
from station.remote.projection import EVENTS, told
from station.remote.reception import ARGS
from station.remote.topics import tree
from station.vault.desk.statement import signed
from tests.docs.test_references import DOCS, fields, page, rows, section
from tests.station.remote.floor import TREE, Floor, keys, listening, lot, trusted
from tests.station.remote.test_presence import LOT, closed, followed, journalled


def test_the_document_in_the_reference_is_made_from_the_types() -> None:
    made = (DOCS / "reference/asyncapi.json").read_bytes()
    assert made == encoded(), "run: hardbin mqtt schema > docs/reference/asyncapi.json"


def validator(name: str) -> Any:
    schemas = document()["components"]["schemas"]
    root = {"$ref": f"#/components/schemas/{name}", "components": {"schemas": schemas}}
    return jsonschema.Draft202012Validator(root)


def kind(topic: str) -> str:
    part = topic.removeprefix(TREE.root + "/").split("/")[0]
    return {"evt": "event", "td": "touchdowns", "rsp": "reply", "cmd": "command"}.get(part, part)


async def test_every_message_of_a_lot_validates_against_the_document(tmp_path: Path) -> None:
    bus = LocalBus()
    floor = Floor(tmp_path, bus)
    path = await journalled(tmp_path)
    async with floor.station() as presence, floor.client() as client, listening(floor.bus) as ear:
        await client.ask("control.acquire")
        await client.ask("lot.load", lot())
        await client.ask("lot.start")
        await followed(presence, path)
        await ear.until(closed)
        while "touchdowns" not in {kind(message.topic) for message in ear.heard}:
            await ear.until(lambda _: True)
        (birth,) = bus.kept((TREE.birth,))
        (online,) = bus.kept((TREE.online,))
    for message in (*ear.heard, birth, online):
        validator(kind(message.topic)).validate(msgspec.json.decode(message.payload))
    assert {kind(m.topic) for m in ear.heard} >= {"event", "touchdowns", "reply", "state", "command"}


async def test_a_body_validates(tmp_path: Path) -> None:
    floor = Floor(tmp_path)
    async with floor.station(), floor.client() as client:
        body = client.body("lot.load", lot())
        assert signed(body, floor.gateway)
    validator("body").validate(msgspec.to_builtins(body))
    validator("args-lot.load").validate(lot())
    with pytest.raises(jsonschema.ValidationError):
        validator("args-lot.load").validate(lot("../x"))


def test_every_command_has_its_arguments_and_its_row_in_the_page() -> None:
    assert set(ARGS) == set(REMOTE)
    table = [row for row in rows(section(page("mqtt"), "Command")) if len(row) == 4]
    assert {row[0]: tuple(row[1:]) for row in table} == {
        action.value: (
            " ".join(fields(ARGS[action])) or "none",
            ", ".join(sorted(RIGHTS[action].who)) or "anyone",
            RIGHTS[action].remote.value,
        )
        for action in REMOTE
    }


def test_every_code_and_its_exit_code_is_in_the_page() -> None:
    table = rows(section(page("mqtt"), "Codes"))
    assert {name: int(row[1]) for row in table for name in row[0].split()} == {
        name: code.value for name, code in ANSWERS.items()
    }


def test_every_event_and_every_key_of_the_trust_file_is_in_the_page() -> None:
    assert {name for row in rows(section(page("mqtt"), "Events")) for name in row[0].split()} == EVENTS
    assert {name for event in LOT for name, _ in told(event)} <= EVENTS
    keys_told = [row[0] for row in rows(section(page("mqtt"), "Trust file"))]
    assert keys_told == fields(trust.TrustedKey)


# -- bad input
@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        ("key = 1", "key"),
        ('[[key]]\nkid = "a#1"\nroles = ["host"]\n', "ed25519"),
        (f'[[key]]\nkid = "A"\nroles = ["host"]\ned25519 = "{"0" * 64}"\n', "kid"),
        (f'[[key]]\nkid = "a#1"\nroles = ["auditor"]\ned25519 = "{"0" * 64}"\n', "auditor"),
        (f'[[key]]\nkid = "a#1"\nroles = []\ned25519 = "{"0" * 64}"\n', "roles"),
        (f'[[key]]\nkid = "a#1"\nroles = ["host"]\ned25519 = "{"0" * 64}"\n' * 2, "twice"),
        ("[[", "TOML"),
    ],
)
def test_a_trust_file_that_cannot_be_meant_is_refused(tmp_path: Path, content: str, wrong: str) -> None:
    path = tmp_path / "trust.toml"
    path.write_text(content)
    with pytest.raises(ConfigError, match=wrong):
        trust.load(path)


def test_an_entry_is_what_the_file_takes(tmp_path: Path) -> None:
    key = trusted(keys("lab-pc#1", both=True), "engineer", "host")
    (tmp_path / "trust.toml").write_text(trust.entry(key))
    assert trust.load(tmp_path / "trust.toml") == {"lab-pc#1": key}


@pytest.mark.parametrize(
    ("url", "simulated"),
    [
        ("broker", True),
        ("mqtt://", True),
        ("mqtt://broker:1883", True),
        ("mqtt://127.0.0.1", False),
        ("mqtts://broker", True),
        ("mqtts://user@broker", True),
        ("mqtt://127.0.0.1:port", True),
        ("http://127.0.0.1", True),
    ],
)
def test_a_broker_that_cannot_be_meant_is_refused(url: str, simulated: bool) -> None:  # noqa: FBT001
    with pytest.raises(ConfigError, match="mqtt"):
        MqttBroker(Address(url), simulated=simulated)


@pytest.mark.parametrize(("plant", "name"), [("", "ws"), ("a", ""), ("a/b", "ws"), ("a", "WS"), ("a", "#")])
def test_names_that_cannot_be_in_a_topic_are_refused(plant: str, name: str) -> None:
    with pytest.raises(ConfigError, match="on the network"):
        tree(plant, name)


def test_the_access_list_keeps_stations_below_their_own_names() -> None:
    lines = acl.text("ahm1", ["mes-gw"]).splitlines()
    written = [line for line in lines if " write " in line]
    assert all("/%u/" in line for line in written if line.startswith("pattern"))
    assert written[-1] == "topic write hardbin/v1/ahm1/+/cmd/#"
    assert not any("rsp" in line for line in written if line.startswith("topic"))
    with pytest.raises(ConfigError):
        acl.text("ahm1", ["a b"])


async def test_the_bus_ends_the_first_of_two_links_of_one_name() -> None:
    floor = Floor(Path())
    async with asyncio.timeout(10), floor.bus.link("one") as first, floor.bus.link("one"):
        assert [message async for message in _until_gone(first)] == []


async def _until_gone(link: Any) -> Any:
    try:
        async for message in link.messages():
            yield message
    except LinkError:
        return
