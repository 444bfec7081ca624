"""The noise source of `se1`: its own health tests, and what the host makes of raw samples."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from drivers.errors import DutError
from drivers.protocols import se1
from drivers.protocols.se1_table import ObjectType
from sequences import health
from sequences.estimators import most_common_value
from sequences.se1.site import PAYLOAD, Se1Site, ask
from station.model import Limit

NOISE_BYTES = 2048
"""Raw noise of one device: 2 to 8 KiB."""
PLACES = tuple(f"bit {place}" for place in range(7, -1, -1))
_OFF, _PLACE_OFF = health.share_limit(8 * NOISE_BYTES), health.share_limit(NOISE_BYTES)
RUN_CUTOFF = health.repetition_cutoff(1.0)
PROPORTION_CUTOFF = health.proportion_cutoff(1.0, health.BIT_WINDOW)
"""For one bit of entropy a bit."""
RUN = Limit(1, RUN_CUTOFF - 1, "")
PROPORTION = Limit(1, PROPORTION_CUTOFF - 1, "")
SHARE = Limit(0.5 - _OFF, 0.5 + _OFF, "")
SHARE_AT = Limit(0.5 - _PLACE_OFF, 0.5 + _PLACE_OFF, "")
"""Shares of ones."""


@asynccontextmanager
async def sampled(site: Se1Site) -> AsyncGenerator[None, None]:
    """Raw noise before conditioning has been read; the rows within judge it."""
    with site.noise.kept(await raw_noise(site, NOISE_BYTES)):
        yield


async def raw_noise(site: Se1Site, size: int) -> bytes:
    """So many bytes of raw noise, one after the other; DutError if the chip gives others."""
    parts = [await ask(site, command) for command in se1.read_all(ObjectType.TRNG_RAW, 0, size, PAYLOAD)]
    noise = b"".join(parts)
    if len(noise) != size:
        raise DutError(f"{len(noise)} bytes of noise, {size} asked for")
    return noise


async def trng_health(site: Se1Site) -> bool:
    """The chip's own tests of its noise source are quiet, and they have the cut-offs that were agreed."""
    told = se1.trng_health(await ask(site, se1.command("TRNG HEALTH")))
    cutoffs = (told.rct_cutoff, told.apt_cutoff, told.apt_window)
    quiet = told.rct_longest < RUN_CUTOFF and told.apt_worst < PROPORTION_CUTOFF
    return cutoffs == (RUN_CUTOFF, PROPORTION_CUTOFF, health.BIT_WINDOW) and told.state == "sound" and quiet


async def trng_repetition(site: Se1Site) -> float:
    """Longest run of equal bits (SP 800-90B, 4.4.1)."""
    return health.longest_run(health.bits(site.noise.sample))


async def trng_proportion(site: Se1Site) -> float:
    """How often a window of 1,024 bits holds its first bit, at worst (SP 800-90B, 4.4.2)."""
    return health.worst_proportion(health.bits(site.noise.sample), health.BIT_WINDOW)


async def trng_bias(site: Se1Site) -> float:
    """Share of ones among all bits."""
    return health.share_of_ones(site.noise.sample)


async def trng_bit_bias(site: Se1Site) -> dict[str, float]:
    """Share of ones at each place of a byte."""
    return dict(zip(PLACES, health.shares_of_ones(site.noise.sample), strict=True))


async def trng_no_repeat(site: Se1Site) -> bool:
    """No eight bytes occur twice."""
    return not health.repeats(site.noise.sample)


async def trng_min_entropy(site: Se1Site) -> float:
    """Min-entropy by the most common byte."""
    return most_common_value(site.noise.sample)
