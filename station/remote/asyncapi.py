"""The AsyncAPI 3 document of a station's messages, made from their types."""

from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from typing import Any

import msgspec

from station.authority import REMOTE, RIGHTS
from station.remote.messages import (
    Birth,
    Body,
    CloudEvent,
    Kept,
    Logged,
    Online,
    Reply,
    State,
    Touchdown,
    WaferMap,
)
from station.remote.outflow import GZIP
from station.remote.projection import EVENTS
from station.remote.reception import ARGS
from station.remote.topics import VERSION
from station.vault.desk.statement import Envelope

WIRE = "1.1"
"""Version of the messages; it changes when one of them does."""
TOPIC = f"{VERSION}/{{plant}}/{{station}}"
NAMED: Mapping[str, type[msgspec.Struct]] = {
    "birth": Birth,
    "online": Online,
    "state": State,
    "event": CloudEvent,
    "map": WaferMap,
    "log": Logged,
    "command": Envelope,
    "body": Body,
    "reply": Reply,
}
SENT: Mapping[str, tuple[str, str]] = {
    "birth": ("birth", "What the station is: retained, at each connection"),
    "online": ("online", "Whether it is there: retained, and the last will"),
    "state": ("state", "How it stands: retained, at most once a second and on each change of the cell"),
    "event": ("evt/{type}", "What happened, as CloudEvents: in order, at least once"),
    "touchdowns": ("td", "Devices as they are tested: at most four a second, kept by nobody"),
    "map": ("map/{wafer}", "The dies of a wafer that ended, as gzip; retained if the station file says so"),
    "log": ("log", "What the station logs: at most ten lines a second, kept by nobody"),
    "reply": ("rsp/{client}", "What became of a command"),
}
"""Channels of the station, below its root."""
PARAMETERS = {
    "plant": "Plant, as in the station file",
    "station": "Name of the station, and of its certificate",
    "type": "Type of the event",
    "client": "Who sent the command: the part of the key id before #",
    "name": "Name of the command",
    "wafer": "Wafer, by its name",
}


@cache
def document() -> dict[str, Any]:
    """Return the document."""
    schemas = _schemas()
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "hardbin",
            "version": WIRE,
            "description": "State and events of a test cell, and the signed commands that it takes.",
        },
        "defaultContentType": "application/json",
        "channels": {
            **{name: _channel(name, topic, about) for name, (topic, about) in SENT.items()},
            "command": _channel("command", "cmd/{name}", "A signed command; never retained"),
            "kept": _channel("kept", "kept", "Events that a collector has on disk; never retained"),
        },
        "operations": {
            **{f"send-{name}": _operation("send", name) for name in SENT},
            "receive-command": _operation("receive", "command"),
            "receive-kept": _operation("receive", "kept"),
        },
        "components": {
            "messages": {name: _message(name) for name in (*SENT, "command", "kept")},
            "schemas": schemas,
        },
        "x-events": sorted(EVENTS),
        "x-commands": {
            action.value: {
                "args": {"$ref": f"#/components/schemas/args-{action.value}"},
                "roles": sorted(RIGHTS[action].who) or ["any key"],
                "takes": RIGHTS[action].remote.value,
            }
            for action in sorted(REMOTE)
        },
    }


def encoded() -> bytes:
    """Return the document as the wheel and the reference have it."""
    return msgspec.json.format(msgspec.json.encode(document()), indent=2) + b"\n"


@cache
def digest() -> str:
    """Return the SHA-256 of the document: in each birth."""
    return sha256(encoded()).hexdigest()


def _schemas() -> dict[str, Any]:
    template = "#/components/schemas/{name}"
    types: dict[str, Any] = {**NAMED, "touchdowns": list[Touchdown], "kept": list[Kept]}
    types |= {f"args-{action.value}": kind for action, kind in ARGS.items()}
    made, parts = msgspec.json.schema_components(types.values(), ref_template=template)
    return parts | dict(zip(types, made, strict=True))


def _channel(name: str, topic: str, about: str) -> dict[str, Any]:
    address = f"{TOPIC}/{topic}"
    named = {key: {"description": text} for key, text in PARAMETERS.items() if f"{{{key}}}" in address}
    return {
        "address": address,
        "description": about,
        "parameters": named,
        "messages": {name: {"$ref": f"#/components/messages/{name}"}},
    }


def _operation(action: str, name: str) -> dict[str, Any]:
    return {"action": action, "channel": {"$ref": f"#/channels/{name}"}}


def _message(name: str) -> dict[str, Any]:
    made: dict[str, Any] = {"name": name, "payload": {"$ref": f"#/components/schemas/{name}"}}
    return made | ({"contentType": GZIP} if name == "map" else {})
