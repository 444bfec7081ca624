"""GPIB through a Prologix or AR488 adapter, on Ethernet or a serial line.

Ref: `drivers/protocols/prologix.py`. One adapter has one line and serves all ports at it, which take turns: a
conversation has the line from its first step to its last.
"""

import asyncio
import logging
from contextlib import suppress

from drivers.errors import DeviceLost, EquipmentError, ProtocolError, Silent, TransportError
from drivers.protocols.prologix import READ_MS, SETUP, address, escaped, whole
from drivers.transports import Conversation, Stream, T
from drivers.transports.loop_port import LoopPort
from drivers.uninterrupted import uninterrupted

RQS = 0x40
ANSWER_S = 2.0
MARGIN_S = 0.1
QUIET_S = READ_MS / 1000 + MARGIN_S
POLL_S = (0.005, 0.05)
MOST_REQUESTS = 64
SPOILS = b"++\n"
"""Of itself it is a command that no adapter knows; at the end of half a message, an error of the device."""
LOOK_S = 5.0
"""For one look at who asks for service; it is not given up before."""

log = logging.getLogger(__name__)


class PrologixAdapter:
    """The adapter: opened with the first of its ports, closed with the last."""

    def __init__(self, line: Stream) -> None:
        self.line = line
        self.turn = asyncio.Lock()
        self.version = ""
        self.ports: dict[str, PrologixPort] = {}
        """Those that are open, by their `++addr`."""
        self.strays = 0
        """How often something came that answered no question."""
        self._addressed = ""
        self._half = False
        """Whether a line may have been cut off in the middle."""
        self._opening = asyncio.Lock()
        self._received = bytearray()

    async def join(self, port: "PrologixPort") -> None:
        """Let a port use the adapter; TransportError if nothing like an adapter answers."""
        async with self._opening:
            if port.address in self.ports:
                raise TransportError(f"{port.name}: another port has this GPIB address")
            if not self.ports:
                await self.line.open()
                try:
                    await self._set_up()
                except BaseException:
                    await self.line.aclose()
                    raise
            self.ports[port.address] = port

    async def leave(self, port: "PrologixPort") -> None:
        """A port is done with it."""
        async with self._opening:
            if self.ports.pop(port.address, None) is not None and not self.ports:
                await self.line.aclose()

    async def _set_up(self) -> None:
        self._addressed, self._half = "", False
        self._received.clear()
        for command in SETUP:
            await self.tell(command)
        try:
            self.version = (await self.ask("++ver")).strip()
        except Silent:
            raise TransportError(f"{self.line.name}: no GPIB adapter answers to ++ver") from None

    # -- with the turn
    async def choose(self, where: str) -> None:
        """Address one device."""
        if self._addressed != where:
            self._addressed = ""  # given up from here on, nobody knows which it is
            await self.tell(where)
            self._addressed = where

    async def tell(self, command: str) -> None:
        """Give the adapter itself a command."""
        await self._say(command.encode() + b"\n")

    async def ask(self, command: str) -> str:
        """Ask the adapter itself; Silent if it does not answer."""
        await self._drop_strays()
        await self.tell(command)
        return (await self.receive(ANSWER_S)).decode("latin-1")

    async def send(self, data: bytes) -> None:
        """Send a message to the device that is addressed."""
        await self._say(escaped(data) + b"\n")

    async def _say(self, line: bytes) -> None:
        """Say a line; before it, spoil one that was cut off in the middle, so that nobody does its half."""
        spoils = SPOILS if self._half else b""
        self._half = True
        await self.line.write(spoils + line)
        self._half = False

    async def answer(self, timeout_s: float) -> bytes:
        """Receive a message of the device; a read that brings nothing ends by itself and is made again."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        await self._drop_strays()
        while True:
            await self.tell("++read eoi")
            with suppress(Silent):
                return await self.receive(QUIET_S)
            if loop.time() >= deadline:
                raise Silent(f"{self.line.name}: no answer within {timeout_s:g} s")

    async def _drop_strays(self) -> None:
        """What has come before a question is no answer to it, but of an older one that was given up."""
        if stray := bytes(self._received) + await self.line.discard():
            self.strays += 1
            log.warning("%s: %d bytes that nobody asked for", self.line.name, len(stray))
        self._received.clear()

    async def receive(self, quiet_s: float) -> bytes:
        """Receive to the end of a message: LF, or nothing more for so long; Silent if nothing came at all."""
        while not whole(bytes(self._received)):
            try:
                async with asyncio.timeout(quiet_s):
                    self._received += await self.line.receive()
            except TimeoutError:
                if not self._received:
                    raise Silent(f"{self.line.name}: nothing within {quiet_s:g} s") from None
                break
        data = bytes(self._received)
        self._received.clear()
        return data

    async def looked(self) -> None:
        """Look who asks for service, to the end though given up: the answer would be taken for another's."""
        try:
            await uninterrupted(self._serve_requests(), bound_s=LOOK_S)
        except TimeoutError:
            raise Silent(f"{self.line.name}: not told within {LOOK_S:g} s who asks for service") from None

    async def _serve_requests(self) -> None:
        """Poll everybody at the line while it asks for service, and give each its status bytes."""
        for _ in range(MOST_REQUESTS):
            if not await self._asks():
                return
            for port in tuple(self.ports.values()):
                await port.poll()

    async def _asks(self) -> bool:
        """Whether the SRQ line is pulled; a firmware that cannot tell is taken at its worst."""
        try:
            return (await self.ask("++srq")).strip() != "0"
        except Silent:
            return True


class PrologixPort(LoopPort):
    """One device behind an adapter."""

    def __init__(
        self, name: str, adapter: PrologixAdapter, primary: int, secondary: int | None = None
    ) -> None:
        super().__init__(name)
        if not 0 <= primary <= 30 or (secondary is not None and not 0 <= secondary <= 30):
            raise ValueError(f"GPIB address {primary}, {secondary}: 0 to 30 are allowed")
        self.address = address(primary, secondary)
        self._adapter = adapter
        self._statuses = list[int]()

    async def run(self, conversation: Conversation[T]) -> T:
        async with self._adapter.turn:
            return await super().run(conversation)

    async def service_request(self) -> int:
        """Wait for the device's own request; the line is asked every 5 to 50 ms, between conversations."""
        wait_s = POLL_S[0]
        while not self._statuses:
            self.trace  # noqa: B018 - raises if the port was closed
            async with self._adapter.turn:
                await self._adapter.looked()
            if not self._statuses:
                await asyncio.sleep(wait_s)
                wait_s = min(2 * wait_s, POLL_S[1])
        return self._statuses.pop(0)

    async def poll(self) -> None:
        """Fetch the status byte, and keep it if the device asks for service; with the adapter's turn."""
        status = await self._status()
        if status & RQS:
            self.trace.keep("!", bytes([status]), 0)
            self._statuses.append(status)

    async def _connect(self) -> None:
        self._statuses.clear()
        await self._adapter.join(self)

    async def _disconnect(self) -> None:
        with suppress(EquipmentError):
            await self._adapter.leave(self)

    async def _write(self, data: bytes) -> None:
        await self._adapter.choose(self.address)
        await self._adapter.send(data)

    async def _read(self, timeout_s: float) -> bytes:
        await self._adapter.choose(self.address)
        return await self._adapter.answer(timeout_s)

    async def _status(self) -> int:
        await self._adapter.choose(self.address)
        answer = await self._adapter.ask("++spoll")
        if not answer.strip().isdigit() or int(answer) > 255:
            raise ProtocolError(f"{self.name}: ++spoll answered {answer!r}")
        return int(answer)

    async def _trigger(self) -> None:
        await self._adapter.choose(self.address)
        await self._adapter.tell("++trg")

    async def _clear(self) -> None:
        """Device clear; the adapter's own answer then shows that nothing else is on its way."""
        await self._adapter.choose(self.address)
        await self._adapter.tell("++clr")
        heard = await self._adapter.ask("++ver")
        for _ in range(MOST_REQUESTS):
            if heard.strip().endswith(self._adapter.version):
                return
            heard = (await self._adapter.receive(ANSWER_S)).decode("latin-1")
        raise DeviceLost(f"{self.name}: the adapter does not come to its senses")
