"""Published vectors of the package `cryptography-vectors`, and the known answers taken from them.

`python -m tests.sequences.vectors` writes `sequences/se1/known_answers.py`; a test compares.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha384
from pathlib import Path

import cryptography_vectors

TARGET = Path(__file__).resolve().parents[2] / "sequences" / "se1" / "known_answers.py"
MLDSA65 = "asymmetric/MLDSA/kat_MLDSA_65_det_pure.rsp"
MLKEM768 = "asymmetric/MLKEM/kat_MLKEM_768.rsp"
ECDSA = "asymmetric/ECDSA/FIPS_186-3/SigVer.rsp"
CMAC = "CMAC/nist-800-38b-aes256.txt"
SHA384 = "hashes/SHA2/SHA384LongMsg.rsp"
SIGNATURE = 3309
WIDTH = 96

Case = Mapping[str, str]


@dataclass(frozen=True)
class Vector:
    """What a chip is given, and the SHA-384 of what it must compute."""

    source: str
    operand: bytes
    answer: bytes


def cases(file: str, first: str, section: str = "") -> Iterator[dict[str, str]]:
    """The cases of a file, or of one section of it; each begins with the key `first`."""
    case: dict[str, str] = {}
    inside = not section
    with cryptography_vectors.open_vector_file(file, "r") as lines:
        for line in lines:
            name, equals, value = (part.strip() for part in line.partition("="))
            if name.startswith("["):
                inside = not section or line.strip() == section
            elif equals and inside and not name.startswith("#"):
                if name == first and case:
                    yield case
                    case = {}
                case[name] = value
    if case:
        yield case


def cmac(case: Case) -> Vector:
    """RUN KAT 01."""
    tag = bytes.fromhex(case["OUTPUT"])
    operand = bytes.fromhex(case["KEY"] + case["MESSAGE"])
    return Vector(f"{CMAC}, COUNT {case['COUNT']}", operand, sha384(tag).digest())


def digest(case: Case) -> Vector:
    """RUN KAT 02."""
    return Vector(f"{SHA384}, Len {case['Len']}", bytes.fromhex(case["Msg"]), bytes.fromhex(case["MD"]))


def ecdsa_verify(number: int, case: Case) -> Vector:
    """RUN KAT 03."""
    key = "04" + case["Qx"] + case["Qy"]
    result = case["Result"]
    accepted = bytes((result.startswith("P"),))
    source = f"{ECDSA}, P-384 with SHA-384, case {number}, Result {result}"
    operand = bytes.fromhex(key + case["R"] + case["S"] + case["Msg"])
    return Vector(source, operand, sha384(accepted).digest())


def mldsa_keygen(case: Case) -> Vector:
    """RUN KAT 04."""
    public = bytes.fromhex(case["pk"])
    return Vector(f"{MLDSA65}, count {case['count']}", bytes.fromhex(case["xi"]), sha384(public).digest())


def mldsa_verify(case: Case) -> Vector:
    """RUN KAT 05."""
    context = bytes.fromhex(case["ctx"])
    signature, message = bytes.fromhex(case["sm"])[:SIGNATURE], bytes.fromhex(case["msg"])
    operand = bytes.fromhex(case["pk"]) + signature + bytes((len(context),)) + context + message
    return Vector(f"{MLDSA65}, count {case['count']}", operand, sha384(b"\1").digest())


def mlkem_decaps(case: Case, *, rejected: bool = False) -> Vector:
    """RUN KAT 06: a good ciphertext, or one that is implicitly rejected."""
    ciphertext, secret = ("ct_n", "ss_n") if rejected else ("ct", "ss")
    operand = bytes.fromhex(case["d"] + case["z"] + case[ciphertext])
    source = f"{MLKEM768}, count {case['count']}, {ciphertext}"
    return Vector(source, operand, sha384(bytes.fromhex(case[secret])).digest())


def mlkem_keygen(case: Case) -> Vector:
    """RUN KAT 07."""
    public = bytes.fromhex(case["pk"])
    operand = bytes.fromhex(case["d"] + case["z"])
    return Vector(f"{MLKEM768}, count {case['count']}", operand, sha384(public).digest())


@cache
def ecdsa_cases() -> tuple[dict[str, str], ...]:
    """P-384 with SHA-384: some good, some spoilt in one place."""
    return tuple(cases(ECDSA, "Msg", "[P-384,SHA-384]"))


def first_ecdsa(result: str) -> Vector:
    """The first case that is good (P) or bad (F)."""
    return next(
        ecdsa_verify(number, case)
        for number, case in enumerate(ecdsa_cases(), 1)
        if case["Result"].startswith(result)
    )


def chosen() -> dict[str, Vector]:
    """What the final test of `se1` asks its chips, by the name of the constant."""
    mldsa, mlkem = next(cases(MLDSA65, "count")), next(cases(MLKEM768, "count"))
    *_, longest = cases(CMAC, "COUNT")
    return {
        "AES_CMAC": cmac(longest),
        "SHA384": digest(next(cases(SHA384, "Len"))),
        "ECDSA_P384_ACCEPTS": first_ecdsa("P"),
        "ECDSA_P384_REFUSES": first_ecdsa("F"),
        "MLDSA65_VERIFY": mldsa_verify(mldsa),
        "MLKEM768_DECAPS": mlkem_decaps(mlkem),
        "MLKEM768_REJECTS": mlkem_decaps(mlkem, rejected=True),
        "MLDSA65_KEYGEN": mldsa_keygen(mldsa),
        "MLKEM768_KEYGEN": mlkem_keygen(mlkem),
    }


HEAD = '''"""Known answers of published vectors: what a sound chip must compute. Do not edit.

Written by `python -m tests.sequences.vectors` from files of the package cryptography-vectors.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class KnownAnswer:
    """What a chip is given, and the SHA-384 of what it must compute."""

    operand: bytes
    answer: bytes


'''


def spelt(data: bytes) -> Iterator[str]:
    """Bytes in Python, as an argument, formatted as ruff would."""
    text = data.hex()
    if len(text) <= WIDTH - len('bytes.fromhex("")'):
        yield f'    bytes.fromhex("{text}"),'
        return
    yield "    bytes.fromhex("
    yield from (f'        "{text[at : at + WIDTH]}"' for at in range(0, len(text), WIDTH))
    yield "    ),"


def lines() -> Iterator[str]:
    """The constants, line by line."""
    for name, vector in chosen().items():
        yield f"{name} = KnownAnswer("
        yield from (*spelt(vector.operand), *spelt(vector.answer))
        yield ")"
        yield f'"""{vector.source}."""'


def module() -> str:
    """What the module must hold."""
    return HEAD + "\n".join(lines()) + "\n"


if __name__ == "__main__":
    TARGET.write_text(module())
