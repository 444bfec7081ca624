"""How fast the vault is, beside the cryptography that it cannot do without, measured in the same run.

The vault is a process of its own, as in production; the dies are simulated in this one, so that at a latency
of zero both share the machine. CPU is user plus system, all threads of the vault, after a warm-up.
"""

import asyncio
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from cryptography.hazmat.primitives import hashes, hpke
from cryptography.hazmat.primitives.asymmetric import ec, mldsa, mlkem

from drivers.protocols.se1_table import Algorithm
from drivers.roles.card import Card
from station.clock import RealClock
from station.errors import CustodyError
from station.io_thread import IoThread
from station.model import Disposition
from station.sequence import Die
from station.vault.client import VaultClient, VaultProcess
from station.vault.desk_client import DeskClient
from station.vault.development_order import Lot, order
from station.vault.kinds import KemKind, Kind, SigningKind
from station.vault.profiles import SE1

T = TypeVar("T")

LOT, STATION = "BENCH", "bench"
FINGERPRINT = sha256(b"bench").digest()
WARM_UP = 8
CRYPTO_ROUNDS = 100
MESSAGE = bytes(1500)
"""About as long as what a certificate's signature covers."""


@dataclass
class StopwatchClock(RealClock):
    """The machine's clock, which notes how long each answer of the vault took."""

    took_s: list[float] = field(default_factory=list)

    async def answered(self, future: "Future[T]", *, latency_s: float) -> T:
        began = time.perf_counter()
        answer = await super().answered(future, latency_s=latency_s)
        self.took_s.append(time.perf_counter() - began)
        return answer


def measured(cards: Sequence[Card], sites: int) -> Mapping[str, float]:
    """Personalise the dies at so many sites; the first few are a warm-up and are not counted."""
    with TemporaryDirectory() as folder:
        process = VaultProcess.start(Path(folder) / "vault")
        io = IoThread()
        io.start()
        try:
            return asyncio.run(_measured(process, io, cards, sites))
        finally:
            io.stop()
            process.stop()


async def _measured(
    process: VaultProcess, io: IoThread, cards: Sequence[Card], sites: int
) -> Mapping[str, float]:
    clock = StopwatchClock()
    client = VaultClient(process.socket, clock=clock, io=io, station=STATION)
    await client.connect()
    lot = Lot(LOT, SE1.product, len(cards), FINGERPRINT, STATION, clock.unix())
    client.order = await asyncio.wrap_future(io.submit(order(DeskClient(process.desk), lot)))
    await client.open_lot(LOT, product=SE1.product, quantity=len(cards))
    numbered = iter(enumerate(cards, 1))
    warm = min(WARM_UP, len(cards) // 2)
    await _personalised(client, iter([next(numbered) for _ in range(warm)]), sites)
    clock.took_s.clear()
    cpu, began = _cpu_s(process.pid), time.perf_counter()
    await _personalised(client, numbered, sites)
    seconds, cpu = time.perf_counter() - began, _cpu_s(process.pid) - cpu
    await client.aclose()
    return _figures(len(cards) - warm, seconds, cpu, sorted(clock.took_s))


async def _personalised(client: VaultClient, dies: "Iterator[tuple[int, Card]]", sites: int) -> None:
    """All dies, as many side by side as there are sites; CustodyError if one is not sealed."""
    try:
        async with asyncio.TaskGroup() as group:
            for site in range(1, sites + 1):
                group.create_task(_site(client, dies, site))
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None  # one die's reason is enough


async def _site(client: VaultClient, dies: "Iterator[tuple[int, Card]]", site: int) -> None:
    for number, card in dies:
        unit = f"{LOT}/{number}"
        die = Die(unit, LOT, 1, site, FINGERPRINT, sha256(unit.encode()).digest()[:16])
        outcome = await client.personalise(die, card)
        if outcome.disposition is not Disposition.SEALED:
            raise CustodyError(f"{unit} was not sealed: {outcome.error} {outcome.detail}")


def _figures(dies: int, seconds: float, cpu_s: float, took_s: Sequence[float]) -> Mapping[str, float]:
    vault_ms, crypto_ms = cpu_s / dies * 1e3, crypto_bound_s(tuple(SE1.kinds().values())) * 1e3
    return {
        "chips_per_hour": dies / seconds * 3600,
        "chips_per_hour_per_vault_core": 3_600_000 / vault_ms,
        "vault_cpu_ms_per_die": vault_ms,
        "crypto_cpu_ms_per_die": crypto_ms,
        "vault_over_crypto": vault_ms / crypto_ms,
        "exchange_p50_ms": took_s[len(took_s) // 2] * 1e3,
        "exchange_p99_ms": took_s[len(took_s) * 99 // 100] * 1e3,
    }


def crypto_bound_s(kinds: Sequence[Kind]) -> float:
    """CPU seconds a die of the public-key operations alone."""
    needed = operations(kinds)
    began = time.thread_time()
    for _ in range(CRYPTO_ROUNDS):
        for operation in needed:
            operation()
    return (time.thread_time() - began) / CRYPTO_ROUNDS


def operations(kinds: Sequence[Kind]) -> list[Callable[[], object]]:
    """The public-key operations that one die of these keys needs of the vault."""
    return [*_always(), *(operation for kind in kinds for operation in _of_key(kind))]


def _always() -> Iterator[Callable[[], object]]:
    """The record's two signatures, the RMA token's box, the attestation."""
    pair = (mlkem.MLKEM1024PrivateKey.generate(), ec.generate_private_key(ec.SECP384R1()))
    box = hpke.MLKEM1024P384PrivateKey(*pair).public_key()
    suite = hpke.Suite(hpke.KEM.MLKEM1024_P384, hpke.KDF.HKDF_SHA384, hpke.AEAD.AES_256_GCM)
    signs, verifies = _mldsa65()
    yield from (signs, verifies, _p384()[0], lambda: suite.encrypt(bytes(32), box))


def _of_key(kind: Kind) -> Iterator[Callable[[], object]]:
    """Its certificate, made and verified, and its proof."""
    yield from _mldsa65() if kind.authority is Algorithm.MLDSA65 else _p384()
    match kind:
        case SigningKind():
            yield (_mldsa65() if kind.algorithm is Algorithm.MLDSA65 else _p384())[1]
        case KemKind():
            public = mlkem.MLKEM768PrivateKey.generate().public_key()
            yield public.encapsulate


def _mldsa65() -> tuple[Callable[[], object], Callable[[], object]]:
    key = mldsa.MLDSA65PrivateKey.generate()
    public, signature = key.public_key(), key.sign(MESSAGE)
    return lambda: key.sign(MESSAGE), lambda: public.verify(signature, MESSAGE)


def _p384() -> tuple[Callable[[], object], Callable[[], object]]:
    key, how = ec.generate_private_key(ec.SECP384R1()), ec.ECDSA(hashes.SHA384())
    public, signature = key.public_key(), key.sign(MESSAGE, how)
    return lambda: key.sign(MESSAGE, how), lambda: public.verify(signature, MESSAGE, how)


def _cpu_s(pid: int) -> float:
    """User and system time of a running process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
