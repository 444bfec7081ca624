"""SE1 wafer sort: contact, supply; then the virgin chip is opened, tested, given its keys, and locked."""

from sequences.se1 import entropy
from sequences.se1.entropy import PLACES
from sequences.se1.final_test import (
    CONTACT,
    CONTINUITY,
    DEFAULT,
    ENTROPY,
    ERROR,
    GOOD,
    IDD_IDLE,
    LEAKAGE,
    MUTE,
    SELF_TEST,
    SHORT,
    SUPPLY,
    TEST_PORT,
    UNTESTED,
    leakage,
    no_alarm,
    open_test,
    self_test,
)
from sequences.se1.site import INPUTS, Se1Site, activated, powered
from station.model import Bin, Limit
from station.sequence import (
    Die,
    Entrusted,
    Functional,
    Parametric,
    Retest,
    Sequence,
    StationBins,
    While,
)
from station.units import uA

KEYS = Bin(11, "transport keys", hard=4)


async def transport_keys(site: Se1Site, die: Die) -> bool:
    """The vault gives the die its UID and transport keys, and locks its test port; the last row."""
    return await site.vault.load(die, site.chip)


WAFER_SORT = Sequence(
    name="se1-wafer-sort",
    version="1.0",
    product="se1",
    site=Se1Site,
    bins=StationBins(passing=GOOD, error=ERROR, default=DEFAULT, untested=UNTESTED),
    rows=(
        CONTINUITY,
        Parametric(200, leakage, Limit(-1 * uA, 1 * uA, "A"), bin=LEAKAGE, pins=INPUTS),
        While(powered, (
            IDD_IDLE,
            While(activated, (
                Entrusted(350, open_test, bin=TEST_PORT),
                Functional(400, self_test, bin=SELF_TEST),
                Functional(410, no_alarm, bin=SELF_TEST),
                While(entropy.sampled, (
                    Functional(420, entropy.trng_health, bin=ENTROPY),
                    Parametric(430, entropy.trng_repetition, entropy.RUN, bin=ENTROPY),
                    Parametric(440, entropy.trng_proportion, entropy.PROPORTION, bin=ENTROPY),
                    Parametric(450, entropy.trng_bias, entropy.SHARE, bin=ENTROPY),
                    Parametric(460, entropy.trng_bit_bias, entropy.SHARE_AT, bin=ENTROPY, pins=PLACES),
                ), bin=ENTROPY),
                *SHORT,
                Entrusted(900, transport_keys, bin=KEYS),
            ), bin=MUTE),
        ), bin=SUPPLY),
    ),
    retest=Retest(frozenset({CONTACT, SUPPLY}), times=1),
)  # fmt: skip
