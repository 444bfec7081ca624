"""A development vault's keys: made at its first start, in a store that everybody can open.

What wafer sort needs is public, hashes of known texts: simulated chips carry keys derived from it, and their
ROM knows the plant's key. The issuer master and the key that opens RMA tokens are drawn from the seed, so
that lots repeat.
"""

from hashlib import sha256, sha512
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec, mlkem
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from station.custody import durable_file
from station.errors import ConfigError
from station.vault.keys import calls
from station.vault.keys.client import KeyStoreClient
from station.vault.keys.store import FILE
from station.vault.keys.words import (
    DEVELOPMENT_CUSTODIAN,
    DEVELOPMENT_PASSPHRASE,
    Algorithm,
    Approval,
    KeyProfile,
    KeyRef,
    KeyState,
    Mode,
    Purpose,
)
from station.vault.names import (
    ISSUER_MASTER,
    ISSUING,
    ISSUING_EC,
    LOG,
    LOG_PQ,
    RAW_MASTER,
    RECEIVING,
    RECORD,
    RECORD_EC,
    RMA,
    ROOT,
    TEST_MASTER,
    TRANSPORT_KEM,
    TRANSPORT_MASTER,
)
from station.vault.secret import Secret

PUBLIC_TEXTS = {
    TRANSPORT_MASTER: b"hardbin development transport master",
    TEST_MASTER: b"hardbin development test token master",
    RAW_MASTER: b"hardbin development raw token master",
}
"""Masters that simulated chips know too."""
TRANSPORT_KEM_TEXT = b"hardbin development transport KEM 1"
APPROVAL = Approval("development", "first start of a development vault")
MADE = (
    KeyProfile(ROOT, Algorithm.ML_DSA_87, Purpose.SIGN, limit=100),
    KeyProfile(ISSUING, Algorithm.ML_DSA_65, Purpose.ISSUE, limit=20_000_000),
    KeyProfile(ISSUING_EC, Algorithm.P384, Purpose.ISSUE, limit=10_000_000),
    KeyProfile(RECORD, Algorithm.ML_DSA_65, Purpose.SIGN),
    KeyProfile(RECORD_EC, Algorithm.P384, Purpose.SIGN),
    KeyProfile(RECEIVING, Algorithm.ML_KEM_1024, Purpose.RECEIVE),
    KeyProfile(LOG, Algorithm.ED25519, Purpose.CHECKPOINT),
    KeyProfile(LOG_PQ, Algorithm.ML_DSA_44, Purpose.CHECKPOINT),
)
LOADED = (*PUBLIC_TEXTS, ISSUER_MASTER)
KEYS, SEED_FILE, RMA_FILE = "keys", "seed", "rma.pub"


async def fill(store: KeyStoreClient, folder: Path, seed: int | None) -> None:
    """Make the store and whatever of its keys is missing; ConfigError if it is of another seed."""
    _one_seed(folder, seed)
    if not (folder / KEYS / FILE).exists():
        custodian = calls.Custodian(DEVELOPMENT_CUSTODIAN, bytearray(DEVELOPMENT_PASSPHRASE))
        await store.init(calls.Init(Mode.DEVELOPMENT, (custodian,), None))
    there = {entry.id: entry for entry in await store.entries()}
    for profile in MADE:
        if profile.id not in there:
            await store.generate(profile)
    for name in LOADED:
        if name not in there:
            profile = KeyProfile(name, Algorithm.AES_256, Purpose.DERIVE)
            with Secret(master(name, seed)) as key:
                await store.load(profile, key)
    if TRANSPORT_KEM not in there:
        profile = KeyProfile(TRANSPORT_KEM, Algorithm.ML_KEM_768, Purpose.DECAPSULATE)
        with Secret(sha512(TRANSPORT_KEM_TEXT).digest()) as key:
            await store.load(profile, key)
    for entry in await store.entries():
        if entry.state is KeyState.PRE_ACTIVE:
            await store.change(KeyRef(entry.id), KeyState.ACTIVE, APPROVAL)
    if not (folder / RMA_FILE).exists():
        durable_file.replace(folder / RMA_FILE, rma_public(seed))


def _one_seed(folder: Path, seed: int | None) -> None:
    path = folder / SEED_FILE
    told = "" if seed is None else str(seed)
    if not path.exists():
        durable_file.replace(path, told.encode())
    elif seed is not None and path.read_text() != told:
        made = path.read_text() or "no seed"
        raise ConfigError(
            f"{path}: the development keys were made with {made}, not {seed}; use another folder"
        )


def master(name: str, seed: int | None) -> bytes:
    """A development master: everybody can compute it who knows the seed."""
    if name in PUBLIC_TEXTS:
        return sha256(PUBLIC_TEXTS[name]).digest()
    return _drawn(name, seed, 32)


def rma_public(seed: int | None) -> bytes:
    """The public RMA key of a development vault: ML-KEM-1024, then P-384."""
    kem = mlkem.MLKEM1024PrivateKey.from_seed_bytes(_drawn(RMA, seed, 64))
    scalar = int.from_bytes(_drawn(f"{RMA} EC", seed, 32)) or 1
    curve = ec.derive_private_key(scalar, ec.SECP384R1()).public_key()
    return kem.public_key().public_bytes_raw() + curve.public_bytes(
        Encoding.X962, PublicFormat.UncompressedPoint
    )


def _drawn(name: str, seed: int | None, size: int) -> bytes:
    """Bytes that everybody can compute who knows the seed: development keys protect nothing."""
    text = f"hardbin development {seed} {name} ".encode()
    return b"".join(sha256(text + bytes([block])).digest() for block in range(-(-size // 32)))[:size]
