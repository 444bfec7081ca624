"""Objects of a PKCS#11 token: how keys are asked for, and how their public halves are read."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from cryptography.hazmat.primitives.asymmetric import ed25519, mldsa, mlkem
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pkcs11 import Attribute, KeyType, Mechanism, MechanismFlag, MLDSAParameterSet, MLKEMParameterSet
from pkcs11.types import PublicKey, Session
from pkcs11.util.ec import encode_ec_public_key, encode_named_curve_parameters

from station.vault.keys.words import Algorithm, KeyProfile, Purpose

Template: TypeAlias = dict[Attribute, Any]
GUARDED: Template = {
    Attribute.PRIVATE: True,
    Attribute.SENSITIVE: True,
    Attribute.EXTRACTABLE: False,
}
"""What every key of ours is asked to be, private half or symmetric."""
OCTET_STRING = 0x04
EDWARDS = b"\x13\x0cedwards25519"
"""The curve by its name, a PrintableString (PKCS#11 3.0, 2.3.10)."""
AES_BITS = 256


@dataclass(frozen=True)
class Way:
    """How a module makes and uses keys of an algorithm."""

    make: Mechanism
    use: Mechanism

    def listed(self, mechanisms: frozenset[int]) -> bool:
        """Whether the module says that it can."""
        return {self.make.value, self.use.value} <= mechanisms


WAYS = {
    Algorithm.AES_256: Way(Mechanism.AES_KEY_GEN, Mechanism.AES_CMAC),
    Algorithm.P384: Way(Mechanism.EC_KEY_PAIR_GEN, Mechanism.ECDSA),
    Algorithm.ED25519: Way(Mechanism.EC_EDWARDS_KEY_PAIR_GEN, Mechanism.EDDSA),
    Algorithm.ML_DSA_44: Way(Mechanism.ML_DSA_KEY_PAIR_GEN, Mechanism.ML_DSA),
    Algorithm.ML_DSA_65: Way(Mechanism.ML_DSA_KEY_PAIR_GEN, Mechanism.ML_DSA),
    Algorithm.ML_DSA_87: Way(Mechanism.ML_DSA_KEY_PAIR_GEN, Mechanism.ML_DSA),
    Algorithm.ML_KEM_768: Way(Mechanism.ML_KEM_KEY_PAIR_GEN, Mechanism.ML_KEM),
    Algorithm.ML_KEM_1024: Way(Mechanism.ML_KEM_KEY_PAIR_GEN, Mechanism.ML_KEM),
}
PARAMETER_SETS: dict[Algorithm, tuple[KeyType, int]] = {
    Algorithm.ML_DSA_44: (KeyType.ML_DSA, MLDSAParameterSet.ML_DSA_44),
    Algorithm.ML_DSA_65: (KeyType.ML_DSA, MLDSAParameterSet.ML_DSA_65),
    Algorithm.ML_DSA_87: (KeyType.ML_DSA, MLDSAParameterSet.ML_DSA_87),
    Algorithm.ML_KEM_768: (KeyType.ML_KEM, MLKEMParameterSet.ML_KEM_768),
    Algorithm.ML_KEM_1024: (KeyType.ML_KEM, MLKEMParameterSet.ML_KEM_1024),
}
RAW: dict[Algorithm, Callable[[bytes], PublicKeyTypes]] = {
    Algorithm.ED25519: ed25519.Ed25519PublicKey.from_public_bytes,
    Algorithm.ML_DSA_44: mldsa.MLDSA44PublicKey.from_public_bytes,
    Algorithm.ML_DSA_65: mldsa.MLDSA65PublicKey.from_public_bytes,
    Algorithm.ML_DSA_87: mldsa.MLDSA87PublicKey.from_public_bytes,
    Algorithm.ML_KEM_768: mlkem.MLKEM768PublicKey.from_public_bytes,
    Algorithm.ML_KEM_1024: mlkem.MLKEM1024PublicKey.from_public_bytes,
}


def capabilities(profile: KeyProfile) -> MechanismFlag:
    """One purpose a key."""
    match profile.purpose:
        case Purpose.WRAP:
            return MechanismFlag.WRAP | MechanismFlag.UNWRAP
        case Purpose.DECAPSULATE | Purpose.RECEIVE:
            return MechanismFlag.ENCAPSULATE | MechanismFlag.DECAPSULATE
        case _:
            return MechanismFlag.SIGN | MechanismFlag.VERIFY


def generate(session: Session, profile: KeyProfile, label: str) -> None:
    """Make a key in the token, named by its id."""
    name, may = profile.id.encode(), capabilities(profile)
    if profile.algorithm is Algorithm.AES_256:
        session.generate_key(
            KeyType.AES, AES_BITS, id=name, label=label, store=True, capabilities=may, template=GUARDED
        )
        return
    if profile.algorithm in PARAMETER_SETS:
        kind, parameter_set = PARAMETER_SETS[profile.algorithm]
        session.generate_keypair(
            kind,
            id=name,
            label=label,
            store=True,
            capabilities=may,
            public_template={Attribute.PARAMETER_SET: parameter_set},
            private_template=GUARDED,
        )
        return
    kind, curve = _curve(profile.algorithm)
    parameters = session.create_domain_parameters(kind, {Attribute.EC_PARAMS: curve}, local=True)
    parameters.generate_keypair(
        id=name,
        label=label,
        store=True,
        capabilities=may,
        mechanism=WAYS[profile.algorithm].make,
        private_template=GUARDED,
    )


def _curve(algorithm: Algorithm) -> tuple[KeyType, bytes]:
    if algorithm is Algorithm.P384:
        return KeyType.EC, encode_named_curve_parameters("secp384r1")
    return KeyType.EC_EDWARDS, EDWARDS


def spki(algorithm: Algorithm, key: PublicKey) -> bytes:
    """SubjectPublicKeyInfo of a public key object, DER."""
    if algorithm is Algorithm.P384:
        return encode_ec_public_key(key)
    if algorithm is Algorithm.ED25519:
        raw = bytes(key[Attribute.EC_POINT])
        raw = raw[2:] if len(raw) == 34 and raw[0] == OCTET_STRING else raw
    else:
        raw = bytes(key[Attribute.VALUE])
    return RAW[algorithm](raw).public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
