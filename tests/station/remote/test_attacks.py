"""The attack list: each refused with its code, in the audit trail, and nothing has changed."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from station import events
from station.engine.states import State
from station.remote.client import Client
from station.remote.control import Mode
from station.remote.link import Broker, Message
from station.remote.messages import Body
from station.remote.reception import UNKNOWN_PER_S
from station.vault.desk.statement import countersigned, signed
from tests.station.remote.floor import NOW, TREE, Floor, keys, listening, lot, reply

LOAD = TREE.cmd("lot.load")


def changed(client: Client, **fields: Any) -> Body:
    """A good command but for one thing."""
    return msgspec.structs.replace(client.body("lot.load", lot()), **fields)


def flipped(envelope: bytes) -> bytes:
    """The same with another payload."""
    content = msgspec.json.decode(envelope)
    first = content["payload"][20]
    content["payload"] = content["payload"][:20] + ("A" if first != "A" else "B") + content["payload"][21:]
    return msgspec.json.encode(content)


BODIES: dict[str, tuple[str, Callable[[Client], Body]]] = {
    "of another station": ("wrong_audience", lambda c: changed(c, aud="hardbin/v1/ahm1/ws-08/cmd/lot.load")),
    "of another name": ("wrong_audience", lambda c: changed(c, cmd="lot.start")),
    "expired": ("expired", lambda c: changed(c, iat=NOW - 60, exp=NOW - 30)),
    "from the future": ("expired", lambda c: changed(c, iat=NOW + 10, exp=NOW + 20)),
    "alive too long": ("expired", lambda c: changed(c, exp=NOW + 3600)),
    "of an earlier start": ("wrong_epoch", lambda c: changed(c, epoch=0)),
    "without the lease": ("no_lease", lambda c: changed(c, lease="00")),
}


@pytest.mark.parametrize(("code", "make"), BODIES.values(), ids=BODIES)
async def test_a_command_that_is_wrong(
    tmp_path: Path, broker: Broker, code: str, make: Callable[[Client], Body]
) -> None:
    floor = Floor(tmp_path, broker)
    async with floor.station(), floor.client() as client:
        await client.ask("control.acquire")
        reply(code, await client.send(signed(make(client), floor.gateway), "lot.load"))
    assert floor.cell.taken == []
    refused = floor.audited()[-1]
    assert isinstance(refused, events.CommandRefused)
    assert (refused.code, refused.actor, refused.source) == (code, "mes-gw#1", "mqtt")


async def told(floor: Floor, payload: bytes, *, retain: bool = False, topic: str = LOAD) -> dict[str, Any]:
    """Send bytes that get no reply; return what the event says."""
    async with listening(floor.bus) as ear, floor.bus.link("attacker") as link:
        await link.publish(Message(topic, payload, retain=retain))
        found = await ear.until(lambda events: any(e.data.get("ok") is False for e in events))
    return found[-1].data


ENVELOPES: dict[str, tuple[str, Callable[[Floor, Client], bytes]]] = {
    "not JSON": ("malformed", lambda f, c: b"{"),
    "empty": ("malformed", lambda f, c: b""),
    "not base64": ("malformed", lambda f, c: b'{"payload":"%%%","signatures":[]}'),
    "oversized": ("malformed", lambda f, c: signed(changed(c, reason="x" * 500), f.gateway) + b" " * 16_384),
    "unsigned": ("unsigned", lambda f, c: signed(changed(c), [])),
    "of an unknown key": ("unknown_key", lambda f, c: signed(changed(c), keys("mes-gw#2"))),
    "of a key that took another's name": ("bad_signature", lambda f, c: signed(changed(c), keys("mes-gw#1"))),
    "with a changed byte": ("bad_signature", lambda f, c: flipped(signed(changed(c), f.gateway))),
    "without the second algorithm": ("unsigned", lambda f, c: signed(changed(c), f.engineer[:1])),
    "of two at once": (
        "malformed",
        lambda f, c: countersigned(signed(changed(c), f.gateway), f.engineer),
    ),
}


@pytest.mark.parametrize(("code", "make"), ENVELOPES.values(), ids=ENVELOPES)
async def test_an_envelope_that_is_wrong(
    tmp_path: Path, broker: Broker, code: str, make: Callable[[Floor, Client], bytes]
) -> None:
    floor = Floor(tmp_path, broker)
    async with floor.station(), floor.client() as client:
        data = await told(floor, make(floor, client))
    assert (data["ok"], data["code"]) == (False, code)
    assert floor.cell.taken == []
    assert floor.audited()[-1].code == code


async def test_a_retained_command_is_never_taken_and_raises_an_alarm(tmp_path: Path, broker: Broker) -> None:
    floor = Floor(tmp_path, broker)
    async with floor.station(), floor.client() as client:
        await client.ask("control.acquire")
        kept = signed(client.body("lot.load", lot()), floor.gateway)
    await floor.publish(Message(LOAD, kept, retain=True))
    async with listening(floor.bus) as ear, floor.station():
        found = await ear.until(lambda events: any(e.type == "alarm.raised" for e in events))
    assert [e.data["alarm"] for e in found if e.type == "alarm.raised"] == ["retained-command"]
    assert floor.audited()[-1].code == "malformed"
    assert floor.cell.taken == []


async def test_a_command_that_asks_to_be_kept_is_not_taken_the_first_time_either(
    tmp_path: Path, broker: Broker
) -> None:
    floor = Floor(tmp_path, broker)
    async with floor.station(), floor.client() as client:
        await client.ask("control.acquire")
        data = await told(floor, signed(client.body("lot.load", lot()), floor.gateway), retain=True)
    assert data["code"] == "malformed"
    assert floor.cell.taken == []


async def test_the_same_bytes_again_are_a_replay_and_tell_the_receipt(tmp_path: Path, broker: Broker) -> None:
    floor = Floor(tmp_path, broker)
    async with floor.station(), floor.client() as client:
        await client.ask("control.acquire")
        envelope = signed(client.body("lot.load", lot()), floor.gateway)
        first = reply("ok", await client.send(envelope, "lot.load"))
        again = reply("replayed", await client.send(envelope, "lot.load"))
        assert again.detail["receipt"]["id"] == first.id
    assert len(floor.cell.taken) == 1


async def test_an_older_sequence_number_is_stale(tmp_path: Path, broker: Broker) -> None:
    floor = Floor(tmp_path, broker)
    async with floor.station(), floor.client() as client:
        await client.ask("control.acquire")
        old = signed(client.body("lot.load", lot()), floor.gateway)
        await client.ask("control.ping")
        reply("stale_sequence", await client.send(old, "lot.load"))
    assert floor.cell.taken == []


async def test_replays_are_refused_after_a_restart_too(tmp_path: Path, broker: Broker) -> None:
    floor = Floor(tmp_path, broker)
    async with floor.station(), floor.client() as client:
        await client.ask("control.acquire")
        body = client.body("lot.load", lot())
        reply("ok", await client.send(signed(body, floor.gateway), "lot.load"))
    async with floor.station() as presence, floor.client() as client:
        reply("wrong_epoch", await client.send(signed(body, floor.gateway), "lot.load"))
        same_id = msgspec.structs.replace(body, epoch=presence.epoch, args={"lot": "L2", "quantity": 1})
        reply("replayed", await client.send(signed(same_id, floor.gateway), "lot.load"))
        older = msgspec.structs.replace(body, epoch=presence.epoch, id="new", seq=body.seq)
        reply("stale_sequence", await client.send(signed(older, floor.gateway), "lot.load"))
    assert len(floor.cell.taken) == 1


async def test_asking_anew_under_the_same_id_gets_the_same_receipt_and_one_effect(
    tmp_path: Path, broker: Broker
) -> None:
    floor = Floor(tmp_path, broker)
    async with floor.station(), floor.client() as client:
        await client.ask("control.acquire")
        first = await client.ask("lot.load", lot(), name="job-1")
        floor.cell.state = State.LOADED
        assert await client.ask("lot.load", lot(), name="job-1") == first
    floor.now += 1
    async with floor.station(), floor.client() as client:
        assert await client.ask("lot.load", lot(), name="job-1") == first
    assert len(floor.cell.taken) == 1


async def test_a_command_whose_end_is_not_known_is_not_done_again(tmp_path: Path, broker: Broker) -> None:
    floor = Floor(tmp_path, broker)
    floor.cell.block = asyncio.Event()
    async with floor.station(), floor.client() as client:
        await client.ask("control.acquire")
        asking = asyncio.get_running_loop().create_task(client.ask("lot.load", lot(), name="job-1"))
        await floor.cell.seen.wait()
        asking.cancel()
    floor.now += 1
    async with floor.station(), floor.client() as client:
        answer = reply("failed", await client.ask("lot.load", lot(), name="job-1"))
        assert "look at the state" in answer.reason
    assert len(floor.cell.taken) == 1


# -- who may, and when
async def test_one_is_in_command_until_the_lease_is_over(tmp_path: Path, broker: Broker) -> None:
    floor = Floor(tmp_path, broker)
    async with floor.station(), floor.client() as host, floor.client(floor.engineer) as engineer:
        reply("ok", await host.ask("control.acquire"))
        taken = reply("no_lease", await engineer.ask("control.acquire"))
        assert "mes-gw" in taken.reason
        reply("no_lease", await engineer.ask("lot.load", lot()))
        floor.now += 301
        reply("ok", await engineer.ask("control.acquire"))
        reply("no_lease", await host.ask("lot.load", lot()))
        reply("ok", await engineer.ask("control.release"))
        reply("ok", await host.ask("control.acquire"))
        reply("ok", await host.ask("lot.load", lot()))
    assert [command.actor for command in floor.cell.taken] == ["mes-gw#1"]
    assert floor.cell.taken[0].roles == frozenset({"host"})


async def test_a_key_whose_role_may_not_is_denied(tmp_path: Path, broker: Broker) -> None:
    floor = Floor(tmp_path, broker)
    floor.cell.state = State.RUNNING
    off = {"site": 2, "on": False}
    async with floor.station(), floor.client(floor.operator) as operator, floor.client() as host:
        reply("ok", await operator.ask("control.acquire"))
        reply("denied", await operator.ask("site.set", off, reason="pin bent"))
        reply("denied", await operator.ask("retest.start", reason="dust"))
        reply("ok", await operator.ask("probe.clean"))
        reply("ok", await operator.ask("control.release"))
        reply("ok", await host.ask("control.acquire"))
        reply("ok", await host.ask("site.set", off, reason="pin bent"))
        reply("bad_arguments", await host.ask("site.set", {"site": 65, "on": True}))
        reply("ok", await host.ask("retest.start", {"bins": [3], "area": "edge"}, reason="dust"))
        reply("ok", await host.ask("alarm.ack", {"alarm": "L1/7"}))
    told = [msgspec.to_builtins(command) for command in floor.cell.taken]
    assert [one["command"] for one in told] == ["probe.clean", "site.set", "retest.start", "alarm.ack"]
    assert (told[1]["site"], told[1]["on"], told[1]["reason"]) == (2, False, "pin bent")
    assert (told[2]["bins"], told[2]["area"], told[3]["alarm"]) == ([3], "edge", "L1/7")


async def test_a_station_under_local_control_takes_pause_and_abort_only(
    tmp_path: Path, broker: Broker
) -> None:
    floor = Floor(tmp_path, broker, mode=Mode.LOCAL)
    floor.cell.state = State.RUNNING
    async with floor.station(), floor.client() as client:
        reply("ok", await client.ask("control.acquire"))
        reply("not_remote", await client.ask("lot.end"))
        reply("ok", await client.ask("lot.pause"))
        reply("ok", await client.ask("lot.abort"))


async def test_a_station_whose_clock_is_in_doubt_is_only_stopped_from_afar(
    tmp_path: Path, broker: Broker
) -> None:
    floor = Floor(tmp_path, broker)
    async with floor.station(), floor.client() as client, listening(floor.bus) as ear:
        await client.ask("control.acquire")
        floor.doubt = "the clock was set by -3600.0 s"
        answer = reply("expired", await client.ask("lot.load", lot()))
        assert floor.doubt in answer.reason
        floor.cell.state = State.RUNNING
        reply("ok", await client.ask("lot.pause"))
        reply("ok", await client.ask("lot.abort"))
        floor.doubt, floor.cell.state = "", State.EMPTY
        reply("ok", await client.ask("lot.load", lot()))
        told = await ear.until(lambda heard: any(one.type == "alarm.raised" for one in heard))
        assert [one.data["alarm"] for one in told if one.type == "alarm.raised"] == ["clock"]
    assert [type(one).__name__ for one in floor.cell.taken] == ["Pause", "Abort", "Load"]


async def test_states_and_arguments_are_judged_before_the_cell_sees_the_command(
    tmp_path: Path, broker: Broker
) -> None:
    floor = Floor(tmp_path, broker)
    async with floor.station(), floor.client() as client:
        await client.ask("control.acquire")
        reply("wrong_state", await client.ask("lot.start"))
        for args in ({"lot": "../../etc", "quantity": 1}, {"lot": "L1"}, {**lot(), "more": 1}, lot("L1", 0)):
            reply("bad_arguments", await client.ask("lot.load", args))
        floor.cell.state = State.LOADED
        reply("not_found", await client.ask("lot.start", {"lot": "another"}))
    assert floor.cell.taken == []


async def test_what_is_local_only_has_no_topic(tmp_path: Path, broker: Broker) -> None:
    floor = Floor(tmp_path, broker)
    floor.cell.state = State.HELD
    async with floor.station(), floor.client() as client:
        reply("wrong_audience", await client.ask("hold.release", reason="why"))
    assert floor.cell.taken == []


async def test_too_many_commands_are_refused_but_never_a_stop(tmp_path: Path, broker: Broker) -> None:
    floor = Floor(tmp_path, broker, rate=5)
    floor.cell.state = State.RUNNING
    async with floor.station(), floor.client() as client:
        codes = [(await client.ask("control.ping")).code for _ in range(20)]
        assert codes == ["ok"] * 16 + ["busy"] * 4
        reply("ok", await client.ask("lot.abort"))
        floor.now += 4
        reply("ok", await client.ask("control.ping"))


async def test_a_flood_is_told_a_few_times_a_second_and_stops_nothing(tmp_path: Path, broker: Broker) -> None:
    floor = Floor(tmp_path, broker)
    async with floor.station(), floor.client() as client, floor.bus.link("attacker") as link:
        for number in range(500):
            await link.publish(Message(LOAD, b"%d" % number))
        reply("ok", await client.ask("control.ping"))
    refused = [event for event in floor.audited() if isinstance(event, events.CommandRefused)]
    assert len(refused) == UNKNOWN_PER_S


async def test_a_reply_goes_to_the_owner_of_the_key_wherever_it_was_asked_to_go(
    tmp_path: Path, broker: Broker
) -> None:
    floor = Floor(tmp_path, broker)
    async with floor.station(), floor.client() as client, listening(floor.bus) as ear:
        envelope = signed(client.body("control.ping", {}), floor.gateway)
        message = Message(TREE.cmd("control.ping"), envelope, response_topic="hardbin/v1/ahm1/ws-08/state")
        await floor.publish(message)
        await ear.until(lambda events: any(e.type == "command.completed" for e in events))
        await client.ask("control.ping")
    topics = {message.topic for message in ear.heard if "/rsp/" in message.topic}
    assert topics <= {TREE.rsp("mes-gw")}


@settings(max_examples=30, deadline=None)
@given(st.lists(st.binary(max_size=200), max_size=5))
async def test_whatever_bytes_come_the_station_goes_on(tmp_path_factory: Any, payloads: list[bytes]) -> None:
    floor = Floor(tmp_path_factory.mktemp("fuzz"))
    async with floor.station(), floor.client() as client, floor.bus.link("attacker") as link:
        for payload in payloads:
            await link.publish(Message(LOAD, payload))
        reply("ok", await client.ask("control.ping"))
