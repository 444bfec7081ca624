"""A megabit of raw noise of each device, for engineering on a sample of a lot; nothing is written into chips.

It is judged by the ten estimates of SP 800-90B, and kept in a file for NIST's own program `ea_non_iid`:
`noise/UID.bin` where the station runs, each bit a byte.
"""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import TypeVar

from drivers.protocols import se1
from sequences import health, non_iid, predictors
from sequences.se1.entropy import raw_noise
from sequences.se1.final_test import (
    CONTACT,
    CONTINUITY,
    DEFAULT,
    ENTROPY,
    ERROR,
    GOOD,
    MUTE,
    SUPPLY,
    UNTESTED,
    continuity,
)
from sequences.se1.site import INPUTS, Se1Site, activated, ask, powered
from station.custody import durable_file
from station.model import Limit
from station.rules import StopRules
from station.sequence import CONTINUE, Functional, Parametric, Retest, Sequence, StationBins, While
from station.writer import Writer

T = TypeVar("T")
BITS = 1_000_000
"""As many samples as `ea_non_iid` wants at least."""
FOLDER = Path("noise")
JUDGED_S = 600.0
"""For all sites together, on whatever machine."""
LEAST = Limit(0.8, None, "bit")
"""Of an estimate of a megabit: of fair bits they are above 0.9, mostly."""
ROUGHLY = Limit(0.7, None, "bit")
"""That of 6.3.4 is the roughest: of fair bits 0.85, give or take 0.03."""


@asynccontextmanager
async def capturing(site: Se1Site) -> AsyncGenerator[None, None]:
    """What a row captures is kept for those after it."""
    with site.noise.kept(b""):
        yield


async def noise_captured(site: Se1Site) -> bool:
    """A megabit of raw noise has been read, and is in a file that is called after the chip's UID."""
    uid = se1.uid_of(await ask(site, se1.command("GET UID")))
    site.noise.sample = health.bits(await raw_noise(site, BITS // 8))
    _keep(f"{uid.hex()}.bin", site.noise.sample)
    return True


def _keep(name: str, sample: bytes) -> None:
    FOLDER.mkdir(exist_ok=True)
    durable_file.replace(FOLDER / name, sample)


async def most_common_bit(site: Se1Site) -> float:
    """Min-entropy of a bit by the more frequent value (SP 800-90B, 6.3.1)."""
    return non_iid.most_common_bit(site.noise.sample)


async def collision(site: Se1Site) -> float:
    """Min-entropy of a bit by how soon a value comes again (6.3.2)."""
    return non_iid.collision(site.noise.sample)


async def markov(site: Se1Site) -> float:
    """Min-entropy of a bit that depends on the one before it (6.3.3)."""
    return non_iid.markov(site.noise.sample)


async def compression(site: Se1Site) -> float:
    """Min-entropy of a bit by how long ago blocks of six came last (6.3.4)."""
    return await _beside(non_iid.compression, site.noise.sample)


async def guessed(site: Se1Site) -> dict[str, float]:
    """Min-entropy of a bit by how often the next one is guessed (6.3.7 to 6.3.10)."""
    sample = site.noise.sample
    return {name: (await _beside(guess, sample)).entropy() for name, guess in GUESSERS.items()}


async def _beside(judge: Callable[[bytes], T], sample: bytes) -> T:
    """What takes seconds is done on a thread, so that the other sites go on."""
    with closing(Writer("noise")) as thread:
        return await thread.run(judge, sample)


async def tuples(site: Se1Site) -> dict[str, float]:
    """Min-entropy of a bit by the most common tuples (6.3.5), and by those that are alike (6.3.6)."""
    return dict(zip(TUPLES, non_iid.tuples(site.noise.sample), strict=True))


TUPLES = ("most common", "alike")
GUESSERS: Mapping[str, Callable[[bytes], predictors.Score]] = {
    "most common in window": predictors.most_common_in_window,
    "lag": predictors.lag,
    "markov chains": predictors.markov_chains,
    "lz78y": predictors.lz78y,
}
GUESSED = tuple(GUESSERS)
NOISE_STUDY: Sequence[Se1Site] = Sequence(
    name="se1-noise-study",
    version="1.1",
    product="se1",
    site=Se1Site,
    bins=StationBins(passing=GOOD, error=ERROR, default=DEFAULT, untested=UNTESTED),
    rows=(
        Parametric(100, continuity, CONTINUITY.limit, bin=CONTACT, pins=INPUTS),
        While(powered, (
            While(activated, (
                While(capturing, (
                    Functional(600, noise_captured, bin=ENTROPY, timeout_s=120.0),
                    Parametric(610, most_common_bit, LEAST, bin=ENTROPY, on_fail=CONTINUE),
                    Parametric(620, collision, LEAST, bin=ENTROPY, on_fail=CONTINUE),
                    Parametric(630, markov, LEAST, bin=ENTROPY, on_fail=CONTINUE),
                    Parametric(640, tuples, LEAST, bin=ENTROPY, on_fail=CONTINUE, pins=TUPLES),
                    Parametric(650, compression, ROUGHLY, bin=ENTROPY, on_fail=CONTINUE, timeout_s=JUDGED_S),
                    Parametric(660, guessed, LEAST, bin=ENTROPY, on_fail=CONTINUE, pins=GUESSED,
                               timeout_s=JUDGED_S),
                ), bin=ENTROPY),
            ), bin=MUTE),
        ), bin=SUPPLY),
    ),
    retest=Retest(frozenset({CONTACT, SUPPLY}), times=1),
    rules=StopRules(contact_bins=(CONTACT,), no_touch=2),
)  # fmt: skip
