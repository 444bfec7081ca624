"""SE1 final test: contact, leakage, supply, self-test, entropy, known answers, then the device's identity."""

from drivers.protocols import se1
from drivers.protocols.se1_replies import Alarms, SelfTests
from drivers.protocols.se1_table import LifeCycle
from sequences.se1 import crypto, entropy
from sequences.se1.entropy import PLACES
from sequences.se1.site import (
    INPUTS,
    VDD_V,
    ProbedSite,
    Se1Site,
    activated,
    ask,
    powered,
    supplied,
)
from station.model import Bin, BinKind, Limit, Personalisation
from station.rules import StopRules
from station.sequence import (
    CONTINUE,
    Die,
    Entrusted,
    Functional,
    Parametric,
    Personalise,
    Retest,
    Sequence,
    StationBins,
    Swept,
    While,
)
from station.units import V, mA, uA

GOOD = Bin(1, "good", hard=1, kind=BinKind.PASS)
CONTACT = Bin(2, "contact", hard=5)
LEAKAGE = Bin(3, "leakage", hard=3)
SUPPLY = Bin(4, "supply", hard=3)
MUTE = Bin(5, "mute", hard=4)
SELF_TEST = Bin(6, "self-test", hard=4)
ENTROPY = Bin(7, "entropy", hard=4)
CRYPTO = Bin(8, "crypto", hard=4)
TEST_PORT = Bin(9, "test port", hard=4)
SPOILED = Bin(10, "spoiled", hard=6)
ERROR = Bin(20, "error", hard=7, kind=BinKind.OTHER)
UNTESTED = Bin(21, "untested", hard=7, kind=BinKind.OTHER)
DEFAULT = Bin(22, "default", hard=4)


async def continuity(
    site: ProbedSite, *, amps: float = -100 * uA, limit_v: float = 2.0 * V
) -> dict[str, float]:
    """Pull 100 uA out of each input; its clamp diode to ground shows about -0.6 V."""
    drops: dict[str, float] = {}
    for pin in INPUTS:
        async with site.io[pin].forcing_current(amps, limit_v=limit_v):
            drops[pin] = await site.io[pin].measure()
    return drops


async def leakage(site: ProbedSite) -> dict[str, float]:
    """Each input at 3.6 V in turn, everything else off."""
    currents: dict[str, float] = {}
    for pin in INPUTS:
        async with site.io[pin].forcing_voltage(3.6 * V, limit_a=10 * uA):
            currents[pin] = await site.io[pin].measure()
    return currents


async def idd_idle(site: ProbedSite, *, vdd_v: float = VDD_V) -> float:
    """Supply current with the chip in reset."""
    async with supplied(site, vdd_v):
        return await site.vdd.measure_current()


async def self_test(site: Se1Site) -> bool:
    """Every self-test runs and passes, but that of the noise source: the rows on entropy judge it."""
    outcome = se1.self_test(await ask(site, se1.command("SELF TEST"), budget_s=se1.budget_s("SELF TEST")))
    return outcome.run == SelfTests.ALL and outcome.failed & ~SelfTests.TRNG == 0


async def no_alarm(site: Se1Site) -> bool:
    """Neither a sensor nor the memory has raised an alarm; self-tests and noise have rows of their own."""
    status = se1.die_status(await ask(site, se1.command("DIE STATUS")))
    return status.alarms & (Alarms.SENSOR | Alarms.NVM) == 0


async def open_test(site: Se1Site, die: Die) -> bool:
    """The vault opens the test port by a token that is for this die only."""
    return await site.vault.open_test(die, site.chip)


async def production_state(site: Se1Site) -> bool:
    """Leave the test life cycle for good: OP_READY."""
    await ask(site, se1.command("SET STATUS", life_cycle=LifeCycle.OP_READY))
    status = se1.die_status(await ask(site, se1.command("DIE STATUS")))
    return status.life_cycle is LifeCycle.OP_READY


async def personalise(site: Se1Site, die: Die) -> Personalisation:
    """The vault drives the chip; the station only carries the bytes."""
    return await site.vault.personalise(die, site.chip)


CONTINUITY = Parametric(
    100,
    continuity,
    Limit(-0.9 * V, -0.3 * V, "V"),
    bin=CONTACT,
    pins=INPUTS,
    swept=(Swept("amps", -200 * uA, -1 * uA, "A"), Swept("limit_v", 0.1 * V, 2.0 * V, "V")),
)
IDD_IDLE = Parametric(
    300,
    idd_idle,
    Limit(2 * mA, 9 * mA, "A"),
    bin=SUPPLY,
    on_fail=CONTINUE,
    swept=(Swept("vdd_v", 0.5 * V, 3.6 * V, "V"),),
)
SHORT = (
    Functional(500, crypto.aes_cmac, bin=CRYPTO),
    Functional(510, crypto.sha384_digest, bin=CRYPTO),
    Functional(520, crypto.ecdsa_p384_accepts, bin=CRYPTO),
    Functional(530, crypto.ecdsa_p384_refuses, bin=CRYPTO),
    Functional(540, crypto.mldsa65_verify, bin=CRYPTO),
    Functional(550, crypto.mlkem768_decaps, bin=CRYPTO),
    Functional(560, crypto.mlkem768_rejects, bin=CRYPTO),
)
"""Known answers without key generation, which takes seconds."""

FULL = (
    *SHORT,
    Functional(570, crypto.mldsa65_keygen, bin=CRYPTO, timeout_s=15.0),
    Functional(580, crypto.mlkem768_keygen, bin=CRYPTO, timeout_s=15.0),
)


RULES = StopRules(
    baseline_yield=0.9,
    all_sites=3,
    yield_floor=0.8,
    compare_sites=True,
    bin_limits=((SPOILED, 0.02),),
    contact_bins=(CONTACT,),
    no_touch=2,
)


def final_test(
    name: str, known_answers: tuple[Functional[Se1Site], ...], opening: tuple[Entrusted[Se1Site], ...] = ()
) -> Sequence[Se1Site]:
    """The final test of `se1` with one set of known answers; `opening` is for dies that come locked."""
    return Sequence(
        name=name,
        version="1.1",
        product="se1",
        site=Se1Site,
        bins=StationBins(passing=GOOD, error=ERROR, default=DEFAULT, untested=UNTESTED),
        rows=(
            CONTINUITY,
            Parametric(200, leakage, Limit(-1 * uA, 1 * uA, "A"), bin=LEAKAGE, pins=INPUTS),
            While(powered, (
                IDD_IDLE,
                While(activated, (
                    *opening,
                    Functional(400, self_test, bin=SELF_TEST),
                    Functional(410, no_alarm, bin=SELF_TEST),
                    While(entropy.sampled, (
                        Functional(420, entropy.trng_health, bin=ENTROPY),
                        Parametric(430, entropy.trng_repetition, entropy.RUN, bin=ENTROPY),
                        Parametric(440, entropy.trng_proportion, entropy.PROPORTION, bin=ENTROPY),
                        Parametric(450, entropy.trng_bias, entropy.SHARE, bin=ENTROPY),
                        Parametric(460, entropy.trng_bit_bias, entropy.SHARE_AT, bin=ENTROPY, pins=PLACES),
                        Functional(470, entropy.trng_no_repeat, bin=ENTROPY),
                        Parametric(480, entropy.trng_min_entropy, Limit(5.0, None, "bit"), bin=ENTROPY),
                    ), bin=ENTROPY),
                    *known_answers,
                    Functional(800, production_state, bin=TEST_PORT),
                    Personalise(900, personalise, bin=SPOILED),
                ), bin=MUTE),
            ), bin=SUPPLY),
        ),
        retest=Retest(frozenset({CONTACT, SUPPLY}), times=1),
        rules=RULES,
    )  # fmt: skip


FINAL_TEST = final_test("se1-final-test", FULL)
LOCKED_FINAL_TEST = final_test("se1-final-test-locked", FULL, (Entrusted(350, open_test, bin=TEST_PORT),))
"""For dies as wafer sort leaves them: the vault opens the test port of each."""
SHORT_FINAL_TEST = final_test("se1-final-test-short", SHORT)
