"""How long a chip takes: published timings of a post-quantum secure element, charged per HAL call.

QVault TPM 2.0 over SPI, as wolfTPM's README tells. Signing with ML-DSA is rejection sampling:
116 + 91.2 G ms, G geometric with mean 5.1; everything else varies by 2 %, normal. ECDSA verification is not
published and taken as long as signing.
"""

from math import ceil, log
from random import Random
from typing import Literal, TypeAlias

from drivers.protocols.se1_table import Algorithm

Profile: TypeAlias = Literal["zero", "qvault", "qvault-full"]

SECONDS = {
    ("keypair", Algorithm.MLDSA65): 2.0447,
    ("verify", Algorithm.MLDSA65): 0.1631,
    ("keypair", Algorithm.MLKEM768): 0.8008,
    ("encaps", Algorithm.MLKEM768): 0.2118,
    ("decaps", Algorithm.MLKEM768): 0.4255,
    ("keypair", Algorithm.P384): 0.2925,
    ("sign", Algorithm.P384): 0.0728,
    ("verify", Algorithm.P384): 0.0728,
}
SIGN_FIXED_S, SIGN_ROUND_S, SIGN_ROUNDS = 0.116, 0.0912, 5.1
BYTES_PER_S = {"random": 9_400.0, "aes": 57_000.0, "digest": 42_000.0}
PAGE_S = 0.002
SPREAD = 0.02


class Latency:
    """Adds up the seconds of one command; its own generator, so that nothing else moves it."""

    def __init__(self, profile: Profile, random: Random) -> None:
        self._free = profile == "zero"
        self._full = profile == "qvault-full"
        self._random = random
        self._spent = 0.0
        self._advanced = 0.0
        self._generating = False

    def take(self) -> float:
        """Seconds since the last call."""
        spent, self._spent, self._advanced, self._generating = self._spent, 0.0, 0.0, False
        return spent

    def advance(self, most_s: float) -> float:
        """How much of what was charged may pass before the command is done; at most `most_s` a command."""
        free_s = min(self._spent, most_s) - self._advanced
        self._advanced += free_s
        return free_s

    def asymmetric(self, operation: str, algorithm: int, *, fresh: bool = False) -> None:
        """Charge one operation; the pairwise test that follows a fresh key pair is part of its time."""
        if self._free or self._generating:
            return
        self._generating = fresh
        if operation == "sign" and algorithm == Algorithm.MLDSA65:
            self._spent += SIGN_FIXED_S + SIGN_ROUND_S * self._rounds()
        else:
            self._spent += SECONDS[operation, Algorithm(algorithm)] * self._random.gauss(1.0, SPREAD)

    def symmetric(self, operation: str, n: int) -> None:
        """Charge bytes of AES, SHA or noise."""
        if self._full:
            self._spent += n / BYTES_PER_S[operation]

    def page(self) -> None:
        """Charge one NVM page."""
        if self._full:
            self._spent += PAGE_S

    def _rounds(self) -> int:
        return ceil(log(1.0 - self._random.random()) / log(1.0 - 1.0 / SIGN_ROUNDS)) or 1
