"""The known answers are those of published vectors, and a sound chip gives them."""

from collections.abc import Callable
from hashlib import sha384, shake_256
from itertools import islice

import pytest
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PublicKey

from drivers.protocols import se1
from drivers.protocols.se1_table import Kat, LifeCycle
from sequences.se1 import known_answers
from tests.firmware.host import Host, specimen, twin
from tests.sequences import vectors
from tests.sequences.vectors import Case, Vector


def test_the_module_is_what_its_script_writes() -> None:
    assert vectors.TARGET.read_text() == vectors.module(), "run python -m tests.sequences.vectors"


@pytest.fixture(scope="module")
def host() -> Host:
    return twin(specimen(LifeCycle.TEST_UNLOCKED))


def answer(host: Host, kat: Kat, operand: bytes) -> bytes:
    host.done(*se1.write_operand_all(operand, 1024))
    return host.do("RUN KAT", kat=kat)


READERS: dict[Kat, tuple[str, str, Callable[[Case], Vector]]] = {
    Kat.AES_CMAC: (vectors.CMAC, "COUNT", vectors.cmac),
    Kat.SHA384: (vectors.SHA384, "Len", vectors.digest),
    Kat.MLDSA65_KEYGEN: (vectors.MLDSA65, "count", vectors.mldsa_keygen),
    Kat.MLDSA65_VERIFY: (vectors.MLDSA65, "count", vectors.mldsa_verify),
    Kat.MLKEM768_DECAPS: (vectors.MLKEM768, "count", vectors.mlkem_decaps),
    Kat.MLKEM768_KEYGEN: (vectors.MLKEM768, "count", vectors.mlkem_keygen),
}


@pytest.mark.parametrize("kat", READERS, ids=lambda kat: kat.name)
def test_a_chip_gives_the_published_answers(host: Host, kat: Kat) -> None:
    file, first, read = READERS[kat]
    tried = [read(case) for case in islice(vectors.cases(file, first), 25)]
    fitting = [vector for vector in tried if len(vector.operand) <= 8192]
    assert len(fitting) == (4 if kat is Kat.AES_CMAC else 25)
    for vector in fitting:
        assert answer(host, kat, vector.operand) == vector.answer, vector.source


def test_a_chip_judges_published_ecdsa_signatures(host: Host) -> None:
    tried = [vectors.ecdsa_verify(number, case) for number, case in enumerate(vectors.ecdsa_cases(), 1)]
    assert len({vector.answer for vector in tried}) == 2
    for vector in tried:
        assert answer(host, Kat.ECDSA_P384_VERIFY, vector.operand) == vector.answer, vector.source


def test_a_chip_rejects_ciphertexts_as_published(host: Host) -> None:
    for case in islice(vectors.cases(vectors.MLKEM768, "count"), 25):
        vector = vectors.mlkem_decaps(case, rejected=True)
        assert answer(host, Kat.MLKEM768_DECAPS, vector.operand) == vector.answer, vector.source


def test_the_rejected_secret_is_shake256_of_z_and_the_ciphertext() -> None:
    operand = known_answers.MLKEM768_REJECTS.operand
    secret = shake_256(operand[32:64] + operand[64:]).digest(32)
    assert known_answers.MLKEM768_REJECTS.answer == sha384(secret).digest()
    assert known_answers.MLKEM768_DECAPS.operand[:64] == operand[:64], "the same key as that of the good one"


def test_the_signature_of_the_mldsa_vector_is_under_its_context() -> None:
    operand = known_answers.MLDSA65_VERIFY.operand
    public, signature, rest = operand[:1952], operand[1952:5261], operand[5261:]
    context, message = rest[1 : 1 + rest[0]], rest[1 + rest[0] :]
    assert len(context) == 16
    MLDSA65PublicKey.from_public_bytes(public).verify(signature, message, context)
