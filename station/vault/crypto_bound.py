"""The public-key operations that one die needs of the vault, alone: the floor of its bench."""

import time
from collections.abc import Callable, Iterator, Sequence

from cryptography.hazmat.primitives import hashes, hpke
from cryptography.hazmat.primitives.asymmetric import ec, mldsa, mlkem

from drivers.protocols.se1_table import Algorithm
from station.vault.die.kinds import KemKind, Kind, SigningKind

ROUNDS = 25
MESSAGE = bytes(1500)
"""About as long as what a certificate's signature covers."""


def crypto_bound_s(kinds: Sequence[Kind]) -> float:
    """CPU seconds a die of the public-key operations alone."""
    needed = operations(kinds)
    began = time.thread_time()
    for _ in range(ROUNDS):
        for operation in needed:
            operation()
    return (time.thread_time() - began) / ROUNDS


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
