"""SE1 final test: contact, leakage, supply, self-test, entropy, known answers, then the device's identity."""

from hashlib import sha384

from drivers.errors import DutError
from drivers.protocols import se1
from drivers.protocols.se1_table import Kat, LifeCycle, ObjectType
from drivers.roles import Apdu, Stopped
from sequences.estimators import most_common_value
from sequences.se1 import known_answers
from sequences.se1.site import INPUTS, PAYLOAD, Se1Site, activated, ask, powered
from station.model import Bin, BinKind, Limit, Personalisation
from station.sequence import (
    CONTINUE,
    Die,
    Functional,
    Parametric,
    Personalise,
    Retest,
    Sequence,
    StationBins,
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

NOISE_BYTES = 2048


async def continuity(site: Se1Site) -> dict[str, float]:
    """Pull 100 uA out of each input; its clamp diode to ground shows about -0.6 V."""
    drops: dict[str, float] = {}
    for pin in INPUTS:
        async with site.io[pin].forcing_current(-100 * uA, limit_v=2.0 * V):
            drops[pin] = await site.io[pin].measure()
    return drops


async def leakage(site: Se1Site) -> dict[str, float]:
    """Each input at 3.6 V in turn, everything else off."""
    currents: dict[str, float] = {}
    for pin in INPUTS:
        async with site.io[pin].forcing_voltage(3.6 * V, limit_a=10 * uA):
            currents[pin] = await site.io[pin].measure()
    return currents


async def idd_idle(site: Se1Site) -> float:
    """Supply current with the chip in reset."""
    return await site.vdd.measure_current()


async def self_test(site: Se1Site) -> bool:
    """Every self-test that the chip has runs and passes."""
    outcome = se1.self_test(await ask(site, se1.command("SELF TEST"), budget_s=se1.budget_s("SELF TEST")))
    return outcome.run != 0 and outcome.failed == 0


async def trng_health(site: Se1Site) -> bool:
    """The chip's own repetition and proportion tests of its noise source are quiet."""
    return se1.trng_health(await ask(site, se1.command("TRNG HEALTH"))).state == "sound"


async def trng_min_entropy(site: Se1Site) -> float:
    """Raw noise before conditioning, bytes as samples."""
    noise = b""
    for command in se1.read_all(ObjectType.TRNG_RAW, 0, NOISE_BYTES, PAYLOAD):
        noise += await ask(site, command)
    if len(noise) != NOISE_BYTES:
        raise DutError(f"{len(noise)} bytes of noise, {NOISE_BYTES} asked for")
    return most_common_value(noise)


async def aes_cmac(site: Se1Site) -> bool:
    """AES-256-CMAC."""
    operand, answer = known_answers.AES_CMAC_OPERAND, known_answers.AES_CMAC_ANSWER
    return await known_answer(site, Kat.AES_CMAC, operand) == answer


async def sha384_digest(site: Se1Site) -> bool:
    """SHA-384."""
    return await known_answer(site, Kat.SHA384, known_answers.SHA384_OPERAND) == known_answers.SHA384_ANSWER


async def mldsa65_keygen(site: Se1Site) -> bool:
    """ML-DSA-65 key generation from a seed."""
    operand, answer = known_answers.MLDSA65_KEYGEN_OPERAND, known_answers.MLDSA65_KEYGEN_ANSWER
    return await known_answer(site, Kat.MLDSA65_KEYGEN, operand) == answer


async def mldsa65_refuses(site: Se1Site) -> bool:
    """ML-DSA-65 verification refuses a signature of zeros."""
    operand = bytes(1952) + bytes(3309) + b"abc"
    return await known_answer(site, Kat.MLDSA65_VERIFY, operand) == sha384(b"\0").digest()


async def mlkem768_decaps(site: Se1Site) -> bool:
    """ML-KEM-768 decapsulation."""
    operand = known_answers.MLKEM768_SEED + known_answers.MLKEM768_CIPHERTEXT
    return await known_answer(site, Kat.MLKEM768_DECAPS, operand) == known_answers.MLKEM768_DECAPS_ANSWER


async def mlkem768_rejects(site: Se1Site) -> bool:
    """ML-KEM-768 implicit rejection of a ciphertext with one changed byte."""
    changed = known_answers.MLKEM768_CIPHERTEXT[:-1] + bytes((known_answers.MLKEM768_CIPHERTEXT[-1] ^ 1,))
    answer = await known_answer(site, Kat.MLKEM768_DECAPS, known_answers.MLKEM768_SEED + changed)
    return answer == known_answers.MLKEM768_REJECTED_ANSWER


async def production_state(site: Se1Site) -> bool:
    """Leave the test life cycle for good: OP_READY."""
    await ask(site, se1.command("SET STATUS", life_cycle=LifeCycle.OP_READY))
    status = se1.die_status(await ask(site, se1.command("DIE STATUS")))
    return status.life_cycle is LifeCycle.OP_READY


async def personalise(site: Se1Site, die: Die) -> Personalisation:
    """The vault drives the chip; the station only carries the bytes."""
    return await site.vault.personalise(die, site.chip)


async def known_answer(site: Se1Site, kat: Kat, operand: bytes) -> bytes:
    """Load the operand, run a known-answer test and return the SHA-384 of what the chip computed."""
    steps = [Apdu(command) for command in se1.write_operand_all(operand, PAYLOAD)]
    run = se1.command("RUN KAT", kat=kat)
    answer = await site.chip.run((*steps, Apdu(run, budget_s=se1.budget_s("RUN KAT"))))
    if len(answer.replies) <= len(steps):
        silent = answer.stopped in (Stopped.LINK, Stopped.TIME)
        raise DutError(f"RUN KAT {kat.name}: stopped by {answer.stopped.value}", silent=silent)
    return answer.replies[-1].data


FINAL_TEST = Sequence(
    name="se1-final-test",
    version="1.0",
    product="se1",
    site=Se1Site,
    bins=StationBins(passing=GOOD, error=ERROR, default=DEFAULT, untested=UNTESTED),
    rows=(
        Parametric(100, continuity, Limit(-0.9, -0.3, "V"), bin=CONTACT, pins=INPUTS),
        Parametric(200, leakage, Limit(-1 * uA, 1 * uA, "A"), bin=LEAKAGE, pins=INPUTS),
        While(powered, (
            Parametric(300, idd_idle, Limit(2 * mA, 9 * mA, "A"), bin=SUPPLY, on_fail=CONTINUE),
            While(activated, (
                Functional(400, self_test, bin=SELF_TEST),
                Functional(410, trng_health, bin=ENTROPY),
                Parametric(420, trng_min_entropy, Limit(5.0, None, "bit"), bin=ENTROPY),
                Functional(500, aes_cmac, bin=CRYPTO),
                Functional(510, sha384_digest, bin=CRYPTO),
                Functional(520, mldsa65_keygen, bin=CRYPTO, timeout_s=15.0),
                Functional(530, mldsa65_refuses, bin=CRYPTO),
                Functional(540, mlkem768_decaps, bin=CRYPTO),
                Functional(550, mlkem768_rejects, bin=CRYPTO),
                Functional(800, production_state, bin=TEST_PORT),
                Personalise(900, personalise, bin=SPOILED),
            ), bin=MUTE),
        ), bin=SUPPLY),
    ),
    retest=Retest(frozenset({CONTACT, SUPPLY}), times=1),
)  # fmt: skip
