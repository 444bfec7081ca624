"""Every public-key operation that one die needs, each timed alone: the floor of the vault's bench."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives import hashes, hpke
from cryptography.hazmat.primitives.asymmetric import ec, mldsa, mlkem

from drivers.protocols.se1_table import Algorithm
from station.vault.die.kinds import KemKind, Kind, SigningKind

ROUNDS = 25
MESSAGE = bytes(1500)
"""About as long as what a certificate's signature covers."""
VAULT, KEY_STORE = "vault", "key store"


@dataclass(frozen=True)
class Operation:
    """One operation of one die."""

    what: str
    algorithm: str
    where: str
    """The process that does it."""
    run: Callable[[], object]


@dataclass
class Budget:
    """What the operations of one die cost, over some rounds."""

    operations: Sequence[Operation]
    spent_s: dict[Operation, float]
    rounds: int = 0

    @classmethod
    def of(cls, kinds: Sequence[Kind]) -> "Budget":
        """Nothing is measured yet."""
        needed = operations(kinds)
        return cls(needed, dict.fromkeys(needed, 0.0))

    def go_on(self, rounds: int = ROUNDS) -> None:
        """Do all of them some times more."""
        for _ in range(rounds):
            for operation in self.operations:
                began = time.thread_time()
                operation.run()
                self.spent_s[operation] += time.thread_time() - began
        self.rounds += rounds

    @property
    def die_s(self) -> float:
        """CPU seconds a die."""
        return sum(self.spent_s.values()) / self.rounds

    def rows(self) -> list[Mapping[str, object]]:
        """Each kind of operation: how often a die needs it, and what one takes."""
        alike: dict[tuple[str, str, str], list[float]] = {}
        for operation, spent_s in self.spent_s.items():
            key = (operation.where, operation.algorithm, operation.what)
            alike.setdefault(key, []).append(spent_s / self.rounds)
        return [
            {
                "where": where,
                "algorithm": algorithm,
                "what": what,
                "times": len(each),
                "ms": sum(each) / len(each) * 1e3,
            }
            for (where, algorithm, what), each in alike.items()
        ]


def operations(kinds: Sequence[Kind]) -> list[Operation]:
    """The public-key operations that vault and key store do for one die of these keys."""
    return [*_always(), *(operation for kind in kinds for operation in _of_key(kind))]


def _always() -> Iterator[Operation]:
    """The record's two signatures, the RMA token's box, the attestation."""
    pair = (mlkem.MLKEM1024PrivateKey.generate(), ec.generate_private_key(ec.SECP384R1()))
    box = hpke.MLKEM1024P384PrivateKey(*pair).public_key()
    suite = hpke.Suite(hpke.KEM.MLKEM1024_P384, hpke.KDF.HKDF_SHA384, hpke.AEAD.AES_256_GCM)
    yield _signing(Algorithm.MLDSA65, "sign record")
    yield _signing(Algorithm.P384, "sign record")
    yield _verifying(Algorithm.MLDSA65, "verify attestation")
    yield Operation("seal RMA token", "MLKEM1024_P384", VAULT, lambda: suite.encrypt(bytes(32), box))


def _of_key(kind: Kind) -> Iterator[Operation]:
    """Its certificate, made and verified, and its proof."""
    yield _signing(kind.authority, "sign certificate")
    yield _verifying(kind.authority, "verify certificate")
    match kind:
        case SigningKind():
            yield _verifying(kind.algorithm, "verify proof")
        case KemKind():
            public = mlkem.MLKEM768PrivateKey.generate().public_key()
            yield Operation("encapsulate for proof", kind.algorithm.name, VAULT, public.encapsulate)


def _signing(algorithm: Algorithm, what: str) -> Operation:
    return Operation(what, algorithm.name, KEY_STORE, _pair(algorithm)[0])


def _verifying(algorithm: Algorithm, what: str) -> Operation:
    return Operation(what, algorithm.name, VAULT, _pair(algorithm)[1])


def _pair(algorithm: Algorithm) -> tuple[Callable[[], object], Callable[[], object]]:
    return _mldsa65() if algorithm is Algorithm.MLDSA65 else _p384()


def _mldsa65() -> tuple[Callable[[], object], Callable[[], object]]:
    key = mldsa.MLDSA65PrivateKey.generate()
    public, signature = key.public_key(), key.sign(MESSAGE)
    return lambda: key.sign(MESSAGE), lambda: public.verify(signature, MESSAGE)


def _p384() -> tuple[Callable[[], object], Callable[[], object]]:
    key, how = ec.generate_private_key(ec.SECP384R1()), ec.ECDSA(hashes.SHA384())
    public, signature = key.public_key(), key.sign(MESSAGE, how)
    return lambda: key.sign(MESSAGE, how), lambda: public.verify(signature, MESSAGE, how)
