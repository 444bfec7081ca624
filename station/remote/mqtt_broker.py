"""A real broker, spoken to in MQTT 5 by aiomqtt."""

import asyncio
import errno
import logging
import socket
import ssl
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from drivers.uninterrupted import heed, told_to_end
from station.addresses import is_loopback
from station.errors import ConfigError
from station.remote.link import Link, LinkError, Message

NODELAY = ((socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),)
"""Without it on both sides a round trip takes 40 ms and more."""
CONNECT_S = 10.0
KEEPALIVE_S = 15
WILL_DELAY_S = 5
QUEUE = 10_000
PORTS = {"mqtt": 1883, "mqtts": 8883}

_quiet = logging.getLogger(f"{__name__}.paho")
_quiet.setLevel(logging.ERROR)


def _in_one_line(record: logging.LogRecord) -> bool:
    """Let an answer that comes when nobody waits any more be a line; the libraries tell a traceback."""
    record.exc_info = None
    return True


_quiet.addFilter(_in_one_line)


@dataclass(frozen=True)
class Address:
    """Where the broker is, and who we are to it."""

    url: str
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None


class MqttBroker:
    """Connects to one broker; the address is checked when it is made."""

    def __init__(self, address: Address, *, simulated: bool) -> None:
        """ConfigError: what is no address, or a line without TLS, but on loopback in simulation."""
        self._address = address
        parts = urlsplit(address.url)
        try:
            self._host, port = parts.hostname or "", parts.port
        except ValueError:
            self._host, port = "", None
        if parts.scheme not in PORTS or not self._host or parts.path.strip("/") or parts.username:
            raise ConfigError(f"mqtt.url: {address.url!r}: write mqtts://HOST[:PORT]")
        self._port = port or PORTS[parts.scheme]
        if parts.scheme == "mqtt" and not (simulated and is_loopback(self._host)):
            raise ConfigError(
                f"mqtt.url: {address.url!r}: without TLS on loopback and in simulation only; "
                "write mqtts://HOST, with ca, cert and key"
            )
        self._tls = _context(address) if parts.scheme == "mqtts" else None

    @asynccontextmanager
    async def link(self, name: str, will: Message | None = None) -> AsyncGenerator[Link, None]:
        """Connect; LinkError if that fails or when the connection is lost."""
        asyncio.get_running_loop().set_exception_handler(_unless_closed)
        client = aiomqtt.Client(
            self._host,
            self._port,
            identifier=name,
            protocol=aiomqtt.ProtocolVersion.V5,
            will=None if will is None else _will(will),
            clean_start=True,
            keepalive=KEEPALIVE_S,
            timeout=CONNECT_S,
            max_queued_incoming_messages=QUEUE,
            tls_context=self._tls,
            socket_options=NODELAY,
            logger=_quiet,
        )
        before, cancelled = told_to_end(), False
        try:
            async with client:
                heed(before)
                try:
                    yield MqttLink(client)
                except asyncio.CancelledError:
                    cancelled = True
                    raise
            heed(before)
        except aiomqtt.MqttError as error:
            if cancelled:  # the goodbye failed, and that is no reason to stay
                raise asyncio.CancelledError from error
            raise LinkError(f"{self._address.url}: {error}") from error


def _unless_closed(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Let a socket be closed: aiomqtt watches one a turn of the loop after it has said so, dead or alive."""
    error = context.get("exception")
    if not isinstance(error, OSError) or error.errno != errno.EBADF:
        loop.default_exception_handler(context)


class MqttLink:
    """One connection to a broker."""

    def __init__(self, client: aiomqtt.Client) -> None:
        self._client = client

    async def publish(self, message: Message) -> None:
        before = told_to_end()
        try:
            await self._client.publish(
                message.topic,
                message.payload,
                qos=message.qos,
                retain=message.retain,
                properties=_properties(message, PacketTypes.PUBLISH),
            )
            heed(before)
        except (aiomqtt.MqttError, ValueError) as error:
            heed(before)
            raise LinkError(str(error)) from error

    async def subscribe(self, *patterns: str) -> None:
        before, options = told_to_end(), SubscribeOptions(qos=1, retainAsPublished=True)
        try:
            for pattern in patterns:
                await self._client.subscribe(pattern, options=options)
                heed(before)
        except (aiomqtt.MqttError, ValueError) as error:
            heed(before)
            raise LinkError(str(error)) from error

    async def messages(self) -> AsyncIterator[Message]:
        try:
            async for message in self._client.messages:
                yield _received(message)
        except aiomqtt.MqttError as error:
            raise LinkError(str(error)) from error


def _received(message: aiomqtt.Message) -> Message:
    given = message.properties
    return Message(
        topic=message.topic.value,
        payload=message.payload if isinstance(message.payload, bytes) else b"",
        qos=message.qos,
        retain=message.retain,
        response_topic=getattr(given, "ResponseTopic", ""),
        correlation=getattr(given, "CorrelationData", b""),
        expiry_s=getattr(given, "MessageExpiryInterval", None),
        content_type=getattr(given, "ContentType", ""),
    )


def _properties(message: Message, packet: int) -> Properties:
    made = Properties(packet)  # type: ignore[no-untyped-call]
    if message.content_type:
        made.ContentType = message.content_type
    if message.response_topic:
        made.ResponseTopic = message.response_topic
    if message.correlation:
        made.CorrelationData = message.correlation
    if message.expiry_s is not None:
        made.MessageExpiryInterval = message.expiry_s
    return made


def _will(message: Message) -> aiomqtt.Will:
    properties = _properties(message, PacketTypes.WILLMESSAGE)
    properties.WillDelayInterval = WILL_DELAY_S
    return aiomqtt.Will(
        message.topic, message.payload, qos=message.qos, retain=message.retain, properties=properties
    )


def _context(address: Address) -> ssl.SSLContext:
    if address.ca is None or address.certificate is None or address.key is None:
        raise ConfigError(
            "mqtt: mqtts needs ca, cert and key: the broker knows the station by its certificate"
        )
    try:
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=address.ca)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_cert_chain(address.certificate, address.key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"mqtt: ca, cert or key cannot be read: {error}") from error
    return context
