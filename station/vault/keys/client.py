"""The vault's side of the seam: asks the key store's process, and starts it again when it dies."""

import asyncio
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from station.vault.keys import calls, deadlines, operations, words
from station.vault.keys.breaker import Breaker
from station.vault.keys.child import Process, Waiting
from station.vault.keys.errors import DownError, RequestError
from station.vault.keys.frames import LENGTH, frame, length_of, value_of, wipe
from station.vault.keys.header import Head
from station.vault.keys.soft import unwrapped, wrapped
from station.vault.keys.words import (
    Approval,
    Attributes,
    Entry,
    Health,
    KeyProfile,
    KeyRef,
    KeyState,
    SealedKey,
    Ticket,
    Use,
)
from station.vault.secret import Secret

T = TypeVar("T")
START_S = 20.0
"""What a process may take to start, on a busy machine, before its first answer."""
GRACE_S = 1.0
"""Beyond the process's own deadline: it kills itself first, unless it is stopped or starved."""


class KeyStoreClient:
    """A `KeyStore` in another process. Made and used on one event loop."""

    def __init__(self, folder: Path, *, production: bool = False, command: Sequence[str] = ()) -> None:
        self._folder, self._production, self._command = folder, production, command
        self._process: Process | None = None
        self._readers: set[asyncio.Task[None]] = set()
        self._number = 0
        self._sending = asyncio.Lock()
        self.breaker = Breaker(asyncio.get_running_loop().time)
        self.restarts = 0
        self.ended: int | None = None
        """How the last process that died ended: its exit status, or less than 0 the signal."""

    @property
    def pid(self) -> int | None:
        """The id of the process, if it runs."""
        return self._process.pid if self._process is not None and self._process.running else None

    async def start(self) -> Health:
        """Start the process; DownError, with what it said, if it does not serve."""
        self.begin()
        return await self.health()

    def begin(self) -> Process:
        """Start the process; what it refuses is told by the first question."""
        process = Process(self._folder, production=self._production, command=self._command)
        self._process = process
        reader = asyncio.get_running_loop().create_task(self._read(process), name="key store")
        self._readers.add(reader)
        reader.add_done_callback(self._readers.discard)
        return process

    async def aclose(self) -> None:
        """Let the process end and wait for it."""
        process, self._process = self._process, None
        if process is not None:
            await process.stop()
        for reader in [*self._readers]:
            await reader

    async def _read(self, process: Process) -> None:
        """Hand each answer to whoever waits for it; at the end nobody waits any more."""
        try:
            while True:
                head = await _exactly(process.end, LENGTH.size)
                reply = await _exactly(process.end, length_of(head))
                number = _number_of(reply)
                process.serves = True
                waiting = process.waiting.pop(number, None)
                if waiting is None or waiting.reply.done():
                    wipe(reply)
                else:
                    waiting.reply.set_result(reply)
        except (EOFError, OSError, RequestError, msgspec.DecodeError, UnicodeDecodeError):
            if self._process is process:
                self.ended = process.kill()
        finally:
            process.end.close()
            process.give_up()

    async def _ask(self, call: calls.Call, answer: type[T]) -> T:
        """Ask, and wait for the answer as long as the call may take; DownError if none comes."""
        loop = asyncio.get_running_loop()
        if not self.breaker.admits():
            wait = self.breaker.wait_s()
            raise DownError(f"the key store failed; it is tried again in {wait:.0f} s")
        begun, process = loop.time(), None
        try:
            process = self._alive()
            serves = process.serves
            reply = await self._exchanged(process, call)
        except DownError:
            self._blame(process)
            raise
        except BaseException:
            self.breaker.let_go()
            raise
        self.breaker.answered(loop.time() - begun if serves else None)
        try:
            return value_of(reply, answer)
        finally:
            wipe(reply)

    def _blame(self, process: Process | None) -> None:
        """The end of one process is one failure, however many waited for it."""
        if process is not None and process.blamed:
            self.breaker.let_go()
            return
        if process is not None:
            process.blamed = True
        self.breaker.failed()

    async def _exchanged(self, process: Process, call: calls.Call) -> bytearray:
        self._number += 1
        number = self._number
        request = frame((number, *operations.operation(call)))
        ahead = max((waiting.seconds for waiting in process.waiting.values()), default=0.0)
        seconds = deadlines.deadline_s(call) + (0.0 if process.serves else START_S)
        reply: asyncio.Future[bytearray] = asyncio.get_running_loop().create_future()
        process.waiting[number] = Waiting(reply, seconds)
        try:
            async with asyncio.timeout(ahead + seconds + GRACE_S):
                await self._send(process, request)
                return await reply
        except TimeoutError:
            process.kill()
            raise DownError("the key store did not answer in time; its process was killed") from None
        except OSError as error:
            raise DownError(f"the key store's process is gone: {error.strerror}") from None
        finally:
            wipe(request)
            process.waiting.pop(number, None)

    async def _send(self, process: Process, request: bytearray) -> None:
        """Send a frame whole: after a part of one, nothing that follows would be understood."""
        async with self._sending:
            try:
                await asyncio.get_running_loop().sock_sendall(process.end, request)
            except asyncio.CancelledError:
                process.kill()
                raise

    def _alive(self) -> Process:
        """The process, started again if it died."""
        if self._process is None:
            raise DownError("the key store was not started")
        if self._process.running:
            return self._process
        self._process.kill()
        self.restarts += 1
        return self.begin()

    async def init(self, plan: calls.Init) -> Health:
        """Make a store in the folder."""
        return await self._ask(plan, Health)

    async def activate(self, custodian: str, passphrase: bytearray) -> Health:
        """Give a custodian's share; the passphrase is wiped."""
        try:
            return await self._ask(calls.Activate(custodian, passphrase), Health)
        finally:
            wipe(passphrase)

    async def health(self) -> Health:
        return await self._ask(calls.Health(), Health)

    async def entries(self) -> list[Entry]:
        return await self._ask(calls.Entries(), list[Entry])

    async def zeroise(self) -> None:
        health = await self.health()
        await self._ask(calls.Zeroise(health.store), Health)

    async def generate(self, profile: KeyProfile) -> KeyRef:
        await self._ask(calls.Generate(profile), type(None))
        return KeyRef(profile.id)

    async def load(self, profile: KeyProfile, key: Secret) -> KeyRef:
        await self._ask(calls.Load(profile, key.reveal()), type(None))
        return KeyRef(profile.id)

    async def derive(self, key: KeyRef, label: bytes, context: bytes, bits: int) -> Secret:
        return await self._secret(calls.Derive(key.id, (label,), context, bits))

    async def derive_all(
        self, key: KeyRef, labels: tuple[bytes, ...], context: bytes, bits: int
    ) -> tuple[Secret, ...]:
        with await self._secret(calls.Derive(key.id, labels, context, bits)) as joined:
            size, content = bits // 8, joined.reveal()
            return tuple(Secret(content[at : at + size]) for at in range(0, len(content), size))

    async def random(self, size: int) -> bytes:
        return await self._ask(calls.Random(size), bytes)

    async def random_secret(self, size: int) -> Secret:
        """Random bytes that are to be a key."""
        return await self._secret(calls.Random(size))

    async def wrap(self, kek: KeyRef | Secret, key: Secret) -> bytes:
        if isinstance(kek, Secret):
            return wrapped(kek, key)
        return await self._ask(calls.Wrap(kek.id, key.reveal()), bytes)

    async def unwrap(self, kek: KeyRef | Secret, wrapped: bytes) -> Secret:
        if isinstance(kek, Secret):
            return unwrapped(kek, wrapped)
        return await self._secret(calls.Unwrap(kek.id, wrapped))

    async def sign(self, key: KeyRef, message: bytes, ticket: Ticket) -> bytes:
        return await self._ask(calls.Sign(key.id, message, ticket.order), bytes)

    async def sign_all(self, asked: Sequence[tuple[KeyRef, bytes, Ticket]]) -> list[bytes]:
        signs = tuple(calls.Sign(key.id, message, ticket.order) for key, message, ticket in asked)
        return await self._ask(calls.SignAll(signs), list[bytes])

    async def decapsulate(self, key: KeyRef, ciphertext: bytes) -> Secret:
        return await self._secret(calls.Decapsulate(key.id, ciphertext))

    async def state_register(self, keys: tuple[str, ...]) -> bytes:
        """The register as a statement that these keys of the store sign."""
        return await self._ask(calls.StateRegister(keys), bytes)

    async def rma_token(self, uid: bytes, sealed: SealedKey) -> Secret:
        """The RMA token of a die that was sealed to the store."""
        return await self._secret(calls.RmaToken(uid, sealed.kem, sealed.ciphertext, sealed.box))

    async def open_ledger(self, origin: str) -> Head:
        return await self._ask(calls.OpenLedger(origin), Head)

    async def rotate_ledger(self, origin: str, last: bytes, proof: list[bytes], first: bytes) -> Head:
        return await self._ask(calls.RotateLedger(origin, last, tuple(proof), first), Head)

    async def sign_checkpoint(self, old: int, size: int, root: bytes, proof: list[bytes]) -> list[str]:
        return await self._ask(calls.SignCheckpoint(old, size, root, tuple(proof)), list[str])

    async def sign_request(self, key: KeyRef, info: bytes) -> bytes:
        return await self._ask(calls.SignRequest(key.id, info), bytes)

    async def open_order(self, statement: bytes) -> None:
        await self._ask(calls.OpenOrder(statement), type(None))

    async def change(self, key: KeyRef, state: KeyState, approval: Approval) -> None:
        await self._ask(calls.Move(key.id, state, approval), type(None))

    async def destroy(self, key: KeyRef, approval: Approval) -> None:
        await self.change(key, KeyState.DESTROYED, approval)

    async def public(self, key: KeyRef) -> bytes:
        return await self._ask(calls.Public(key.id), bytes)

    async def prove(self, key: KeyRef, nonce: bytes) -> bytes:
        return await self._ask(calls.Prove(key.id, nonce), bytes)

    async def attest(self, key: KeyRef) -> Attributes:
        return await self._ask(calls.Attest(key.id), words.Attributes)

    async def usage(self, key: KeyRef) -> Use:
        return await self._ask(calls.Usage(key.id), Use)

    async def _secret(self, call: calls.Call) -> Secret:
        content = await self._ask(call, bytearray)
        secret = Secret(content)
        wipe(content)
        return secret


async def _exactly(end: socket.socket, size: int) -> bytearray:
    """Read into a buffer of our own, so that it can be wiped; EOFError if the other side closed."""
    loop, content = asyncio.get_running_loop(), bytearray(size)
    view, at = memoryview(content), 0
    while at < size:
        count = await loop.sock_recv_into(end, view[at:])
        if count == 0:
            raise EOFError
        at += count
    return content


def _number_of(reply: bytearray) -> int:
    number, _, _ = msgspec.msgpack.decode(reply, type=tuple[int, str, msgspec.Raw])
    return number
