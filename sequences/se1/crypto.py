"""Known answers of `se1`: one row an algorithm, with vectors that were published."""

from collections.abc import Iterable
from hashlib import sha384

from drivers.errors import DutError
from drivers.protocols import se1
from drivers.protocols.se1_table import Kat
from drivers.roles import Apdu, Stopped
from sequences.se1 import known_answers
from sequences.se1.known_answers import KnownAnswer
from sequences.se1.site import PAYLOAD, Se1Site

REFUSED = sha384(b"\0").digest()
MLDSA65_SIGNATURE_AT = 1952


async def aes_cmac(site: Se1Site) -> bool:
    """AES-256-CMAC."""
    return await answers(site, Kat.AES_CMAC, known_answers.AES_CMAC)


async def sha384_digest(site: Se1Site) -> bool:
    """SHA-384."""
    return await answers(site, Kat.SHA384, known_answers.SHA384)


async def ecdsa_p384_accepts(site: Se1Site) -> bool:
    """ECDSA verification of a good signature."""
    return await answers(site, Kat.ECDSA_P384_VERIFY, known_answers.ECDSA_P384_ACCEPTS)


async def ecdsa_p384_refuses(site: Se1Site) -> bool:
    """ECDSA verification of a signature with another r."""
    return await answers(site, Kat.ECDSA_P384_VERIFY, known_answers.ECDSA_P384_REFUSES)


async def mldsa65_verify(site: Se1Site) -> bool:
    """ML-DSA-65 verification of a good signature, and of the same one with a bit changed."""
    vector = known_answers.MLDSA65_VERIFY
    if not await answers(site, Kat.MLDSA65_VERIFY, vector):
        return False
    changed = bytes((vector.operand[MLDSA65_SIGNATURE_AT] ^ 1,))
    spoil = se1.write_operand(MLDSA65_SIGNATURE_AT, changed)
    return await _answer(site, Kat.MLDSA65_VERIFY, (spoil,)) == REFUSED


async def mlkem768_decaps(site: Se1Site) -> bool:
    """ML-KEM-768 decapsulation."""
    return await answers(site, Kat.MLKEM768_DECAPS, known_answers.MLKEM768_DECAPS)


async def mlkem768_rejects(site: Se1Site) -> bool:
    """ML-KEM-768 implicit rejection: the secret is SHAKE256(z, ciphertext)."""
    return await answers(site, Kat.MLKEM768_DECAPS, known_answers.MLKEM768_REJECTS)


async def mldsa65_keygen(site: Se1Site) -> bool:
    """ML-DSA-65 key generation from a seed."""
    return await answers(site, Kat.MLDSA65_KEYGEN, known_answers.MLDSA65_KEYGEN)


async def mlkem768_keygen(site: Se1Site) -> bool:
    """ML-KEM-768 key generation from a seed."""
    return await answers(site, Kat.MLKEM768_KEYGEN, known_answers.MLKEM768_KEYGEN)


async def answers(site: Se1Site, kat: Kat, vector: KnownAnswer) -> bool:
    """Load the operand, have the chip compute, and say whether the answer is the known one."""
    return await _answer(site, kat, se1.write_operand_all(vector.operand, PAYLOAD)) == vector.answer


async def _answer(site: Se1Site, kat: Kat, loading: Iterable[bytes]) -> bytes:
    steps = [Apdu(command) for command in loading]
    run = Apdu(se1.command("RUN KAT", kat=kat), budget_s=se1.budget_s("RUN KAT"))
    answer = await site.chip.run((*steps, run))
    if len(answer.replies) <= len(steps):
        silent = answer.stopped in (Stopped.LINK, Stopped.TIME)
        raise DutError(f"RUN KAT {kat.name}: stopped by {answer.stopped.value}", silent=silent)
    return answer.replies[-1].data
