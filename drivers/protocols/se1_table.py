"""The command table of the chip `se1`.

Generated from firmware-stubs/se1/commands.toml by firmware-stubs/generate.py; do not edit.
"""

from enum import IntEnum, IntFlag
from typing import NamedTuple


class Command(NamedTuple):
    """One row: how a command goes out, what it answers; P1 or P2 is a number or a parameter's name."""

    cla: int
    ins: int
    p1: int | str
    p2: int | str
    channel: str
    states: tuple[str, ...]
    data: tuple[tuple[str, str], ...]
    reply: tuple[tuple[str, str], ...]
    sw: tuple[str, ...]
    forward: bool
    budget_ms: int


class LifeCycle(IntEnum):
    """What the die has become; one way only."""

    RAW = 0x00
    TEST_UNLOCKED = 0xA1
    TEST_LOCKED = 0xA2
    OP_READY = 0x01
    INITIALIZED = 0x07
    SECURED = 0x0F
    CARD_LOCKED = 0x7F
    RMA = 0xA8
    TERMINATED = 0xFF


class Algorithm(IntEnum):
    """High byte: family; low byte: parameter set."""

    P256 = 0x0101
    P384 = 0x0102
    MLDSA44 = 0x0201
    MLDSA65 = 0x0202
    MLDSA87 = 0x0203
    MLKEM768 = 0x0302
    MLKEM1024 = 0x0303
    AES256 = 0x0401


class Slot(IntEnum):
    """Where keys live."""

    ID_EC = 0x01
    ID_PQ = 0x02
    ID_KEM = 0x03
    RESERVED_PQ_HIGH = 0x04
    RESERVED_KEM_HIGH = 0x05
    TRANSPORT_KEM = 0xF0


class SlotState(IntEnum):
    """What a slot holds."""

    EMPTY = 0x00
    PARTIAL = 0x01
    VALID = 0x02
    WIPED = 0xFF


class SlotAttribute(IntFlag):
    """What a key is and may do."""

    ON_CHIP = 0x01
    NO_EXPORT = 0x02
    SIGN = 0x04
    DECAPSULATE = 0x08
    FROZEN_WHEN_SECURED = 0x10
    IMPORTED = 0x20


class KeySet(IntEnum):
    """Key versions of the secure channel."""

    TRANSPORT = 0x30
    ISSUER = 0x31


class ObjectType(IntEnum):
    """What READ names and containers carry."""

    IDENTITY = 0x01
    CERTIFICATE = 0x10
    ISSUER_IDS = 0x11
    CUSTOMER = 0x12
    PUBLIC_KEY = 0x20
    TRNG_RAW = 0x7D
    RESULT = 0x7E


class ContainerKind(IntEnum):
    """Kinds of HBC1 containers."""

    IDENTITY = 0x01
    CREDENTIALS = 0x02
    CUSTOMER = 0x03


class Token(IntEnum):
    """Kinds of VERIFY TOKEN."""

    RAW = 0x01
    TEST = 0x02
    RMA = 0x03


class Kat(IntEnum):
    """Known-answer tests of RUN KAT."""

    AES_CMAC = 0x01
    SHA384 = 0x02
    ECDSA_P384_VERIFY = 0x03
    MLDSA65_KEYGEN = 0x04
    MLDSA65_VERIFY = 0x05
    MLKEM768_DECAPS = 0x06
    MLKEM768_KEYGEN = 0x07


class StatusWord(IntEnum):
    """What a command may answer."""

    OK = 0x9000
    LOCKED_WARNING = 0x6283
    AUTH_FAILED = 0x6300
    TOKEN_WRONG = 0x63C0
    NVM_FAILURE = 0x6581
    LENGTH = 0x6700
    SECURITY = 0x6982
    BLOCKED = 0x6983
    CONDITIONS = 0x6985
    SM_WRONG = 0x6988
    DATA = 0x6A80
    NO_SPACE = 0x6A84
    P1P2 = 0x6A86
    NOT_FOUND = 0x6A88
    INS = 0x6D00
    CLA = 0x6E00
    INTERNAL = 0x6F00
    CAST_FAILED = 0x6F01
    RNG_FAILED = 0x6F02
    PAIRWISE_FAILED = 0x6F03
    NVM_INTEGRITY = 0x6F04
    SENSOR = 0x6F05


CHIP = "se1"
AID = bytes.fromhex("A000000151000000")
ATR = bytes.fromhex("3B9018800109")
SCP_ID = 0x03
SCP_I = 0x61
SCP_LEVEL = 0x33
SCP_CHALLENGE = 16
SCP_MAC = 16
SCP_KEY_BITS = 256
PAYLOAD_SIZES = (223, 1024, 4096)
OPERAND_LIMIT = 8192
RESULT_LIMIT = 8192
STAGING_LIMIT = 16384
STORE_LIMIT = 32768
AUTH_FAILURES_LIMIT = 10
TOKEN_FAILURES_LIMIT = 8
TEST_TRANSITIONS_LIMIT = 24
PERSONALISED_SLOTS = (
    Slot.ID_EC,
    Slot.ID_PQ,
    Slot.ID_KEM,
)

COMMANDS: dict[str, Command] = {
    "SELECT": Command(
        cla=0x00,
        ins=0xA4,
        p1=0x04,
        p2=0x00,
        channel="plain",
        states=(
            "RAW",
            "TEST_UNLOCKED",
            "TEST_LOCKED",
            "OP_READY",
            "INITIALIZED",
            "SECURED",
            "CARD_LOCKED",
            "RMA",
        ),
        data=(("aid", "bytes:8"),),
        reply=(("fci", "bytes:19"),),
        sw=("OK", "LOCKED_WARNING", "NOT_FOUND", "CONDITIONS"),
        forward=False,
        budget_ms=200,
    ),
    "GET UID": Command(
        cla=0x80,
        ins=0xCA,
        p1=0x00,
        p2=0x45,
        channel="either",
        states=(
            "TEST_UNLOCKED",
            "TEST_LOCKED",
            "OP_READY",
            "INITIALIZED",
            "SECURED",
            "CARD_LOCKED",
            "RMA",
            "TERMINATED",
        ),
        data=(),
        reply=(("tag", "u8"), ("length", "u8"), ("uid", "bytes:16")),
        sw=("OK", "NOT_FOUND"),
        forward=False,
        budget_ms=200,
    ),
    "GET CPLC": Command(
        cla=0x80,
        ins=0xCA,
        p1=0x9F,
        p2=0x7F,
        channel="either",
        states=("TEST_UNLOCKED", "TEST_LOCKED", "OP_READY", "INITIALIZED", "SECURED", "CARD_LOCKED", "RMA"),
        data=(),
        reply=(("tag", "u16"), ("length", "u8"), ("cplc", "bytes:42")),
        sw=("OK",),
        forward=False,
        budget_ms=200,
    ),
    "GET KEY INFO": Command(
        cla=0x80,
        ins=0xCA,
        p1=0x00,
        p2=0xE0,
        channel="either",
        states=("OP_READY", "INITIALIZED", "SECURED", "CARD_LOCKED", "TEST_UNLOCKED"),
        data=(),
        reply=(("template", "bytes:*"),),
        sw=("OK",),
        forward=False,
        budget_ms=200,
    ),
    "DIE STATUS": Command(
        cla=0x80,
        ins=0xCA,
        p1=0xDF,
        p2=0x00,
        channel="either",
        states=(
            "RAW",
            "TEST_UNLOCKED",
            "TEST_LOCKED",
            "OP_READY",
            "INITIALIZED",
            "SECURED",
            "CARD_LOCKED",
            "RMA",
            "TERMINATED",
        ),
        data=(),
        reply=(
            ("format", "u8"),
            ("life_cycle", "u8"),
            ("rom_version", "u32"),
            ("firmware_version", "u32"),
            ("auth_failures", "u8"),
            ("token_failures", "u8"),
            ("test_transitions", "u8"),
            ("slot_1", "u8"),
            ("slot_2", "u8"),
            ("slot_3", "u8"),
            ("containers", "u8"),
            ("session", "u8"),
            ("alarms", "u16"),
            ("boots", "u32"),
        ),
        sw=("OK",),
        forward=False,
        budget_ms=200,
    ),
    "SELF TEST": Command(
        cla=0x80,
        ins=0xCA,
        p1=0xDF,
        p2=0x01,
        channel="either",
        states=("TEST_UNLOCKED", "OP_READY", "INITIALIZED", "SECURED", "RMA"),
        data=(),
        reply=(("run", "u32"), ("failed", "u32")),
        sw=("OK", "CAST_FAILED"),
        forward=False,
        budget_ms=5000,
    ),
    "TRNG HEALTH": Command(
        cla=0x80,
        ins=0xCA,
        p1=0xDF,
        p2=0x02,
        channel="either",
        states=("TEST_UNLOCKED", "OP_READY", "INITIALIZED", "SECURED", "RMA"),
        data=(),
        reply=(
            ("format", "u8"),
            ("state", "u8"),
            ("rct_cutoff", "u16"),
            ("rct_longest", "u16"),
            ("apt_cutoff", "u16"),
            ("apt_worst", "u16"),
            ("apt_window", "u16"),
            ("samples", "u32"),
        ),
        sw=("OK", "RNG_FAILED"),
        forward=False,
        budget_ms=500,
    ),
    "RUN KAT": Command(
        cla=0x80,
        ins=0x2A,
        p1="kat",
        p2=0x00,
        channel="plain",
        states=("TEST_UNLOCKED", "RMA"),
        data=(),
        reply=(("answer", "bytes:48"),),
        sw=("OK", "DATA", "P1P2", "CONDITIONS"),
        forward=False,
        budget_ms=8000,
    ),
    "RUN BIST": Command(
        cla=0x80,
        ins=0x2B,
        p1=0x00,
        p2=0x00,
        channel="plain",
        states=("TEST_UNLOCKED", "RMA"),
        data=(),
        reply=(("run", "u32"), ("failed", "u32")),
        sw=("OK", "CONDITIONS"),
        forward=False,
        budget_ms=5000,
    ),
    "WRITE OPERAND": Command(
        cla=0x80,
        ins=0xDA,
        p1="offset_high",
        p2="offset_low",
        channel="either",
        states=("TEST_UNLOCKED", "INITIALIZED", "SECURED", "RMA"),
        data=(("chunk", "bytes:*"),),
        reply=(),
        sw=("OK", "NO_SPACE", "DATA", "CONDITIONS"),
        forward=False,
        budget_ms=300,
    ),
    "READ": Command(
        cla=0x80,
        ins=0xCB,
        p1=0x00,
        p2=0x00,
        channel="either",
        states=("TEST_UNLOCKED", "OP_READY", "INITIALIZED", "SECURED", "CARD_LOCKED", "RMA"),
        data=(("type", "u8"), ("slot", "u8"), ("offset", "u24"), ("length", "u16")),
        reply=(("chunk", "bytes:*"),),
        sw=("OK", "NOT_FOUND", "DATA", "SECURITY", "CONDITIONS", "RNG_FAILED", "NVM_INTEGRITY"),
        forward=False,
        budget_ms=1000,
    ),
    "INITIALIZE UPDATE": Command(
        cla=0x80,
        ins=0x50,
        p1="kvn",
        p2=0x00,
        channel="plain",
        states=("OP_READY", "INITIALIZED", "SECURED", "CARD_LOCKED"),
        data=(("host_challenge", "bytes:16"),),
        reply=(
            ("diversification", "bytes:10"),
            ("kvn", "u8"),
            ("scp", "u8"),
            ("i", "u8"),
            ("card_challenge", "bytes:16"),
            ("card_cryptogram", "bytes:16"),
        ),
        sw=("OK", "NOT_FOUND", "LENGTH", "BLOCKED", "CAST_FAILED", "RNG_FAILED"),
        forward=False,
        budget_ms=500,
    ),
    "EXTERNAL AUTHENTICATE": Command(
        cla=0x80,
        ins=0x82,
        p1=0x33,
        p2=0x00,
        channel="secure",
        states=("OP_READY", "INITIALIZED", "SECURED", "CARD_LOCKED"),
        data=(("host_cryptogram", "bytes:16"),),
        reply=(),
        sw=("OK", "AUTH_FAILED", "SM_WRONG", "P1P2", "CONDITIONS", "BLOCKED"),
        forward=False,
        budget_ms=500,
    ),
    "PUT KEY": Command(
        cla=0x80,
        ins=0xD8,
        p1=0x00,
        p2=0x81,
        channel="secure",
        states=("INITIALIZED",),
        data=(("kvn", "u8"), ("enc", "bytes:47"), ("mac", "bytes:47"), ("dek", "bytes:47")),
        reply=(("kvn", "u8"), ("kcv_enc", "bytes:3"), ("kcv_mac", "bytes:3"), ("kcv_dek", "bytes:3")),
        sw=("OK", "DATA", "CONDITIONS", "NVM_FAILURE"),
        forward=True,
        budget_ms=1000,
    ),
    "DELETE KEY": Command(
        cla=0x80,
        ins=0xE4,
        p1=0x00,
        p2=0x00,
        channel="secure",
        states=("INITIALIZED",),
        data=(("tag", "u8"), ("length", "u8"), ("kvn", "u8")),
        reply=(("none", "u8"),),
        sw=("OK", "NOT_FOUND", "CONDITIONS", "NVM_FAILURE"),
        forward=True,
        budget_ms=500,
    ),
    "STORE DATA": Command(
        cla=0x80,
        ins=0xE2,
        p1="last",
        p2="block",
        channel="secure",
        states=("OP_READY", "INITIALIZED"),
        data=(("chunk", "bytes:*"),),
        reply=(),
        sw=("OK", "DATA", "NO_SPACE", "CONDITIONS", "NVM_FAILURE"),
        forward=True,
        budget_ms=2000,
    ),
    "GENERATE KEY PAIR": Command(
        cla=0x80,
        ins=0x46,
        p1="slot",
        p2=0x00,
        channel="secure",
        states=("INITIALIZED",),
        data=(("algorithm", "u16"), ("attributes", "u16")),
        reply=(("slot_state", "u8"), ("public_key_length", "u24")),
        sw=("OK", "DATA", "CONDITIONS", "PAIRWISE_FAILED", "CAST_FAILED", "RNG_FAILED", "NVM_FAILURE"),
        forward=True,
        budget_ms=8000,
    ),
    "IMPORT KEY": Command(
        cla=0x80,
        ins=0x47,
        p1="slot",
        p2=0x00,
        channel="secure",
        states=("INITIALIZED",),
        data=(("algorithm", "u16"), ("attributes", "u16"), ("public_key_check", "bytes:8")),
        reply=(("slot_state", "u8"), ("public_key_length", "u24")),
        sw=("OK", "DATA", "CONDITIONS", "PAIRWISE_FAILED", "CAST_FAILED", "NVM_FAILURE"),
        forward=True,
        budget_ms=8000,
    ),
    "INTERNAL AUTHENTICATE": Command(
        cla=0x80,
        ins=0x88,
        p1="kind",
        p2="slot",
        channel="secure",
        states=("INITIALIZED", "SECURED"),
        data=(("nonce", "bytes:32"),),
        reply=(("result_length", "u24"),),
        sw=("OK", "NOT_FOUND", "CONDITIONS", "P1P2", "CAST_FAILED"),
        forward=False,
        budget_ms=8000,
    ),
    "GENERAL AUTHENTICATE": Command(
        cla=0x80,
        ins=0x86,
        p1=0x00,
        p2="slot",
        channel="secure",
        states=("INITIALIZED", "SECURED"),
        data=(("nonce", "bytes:32"),),
        reply=(("tag", "bytes:48"),),
        sw=("OK", "NOT_FOUND", "DATA", "CONDITIONS", "CAST_FAILED"),
        forward=False,
        budget_ms=3000,
    ),
    "STORE HASH": Command(
        cla=0x80,
        ins=0xCA,
        p1=0xDF,
        p2=0x03,
        channel="secure",
        states=("INITIALIZED", "SECURED", "CARD_LOCKED"),
        data=(),
        reply=(("sha384", "bytes:48"),),
        sw=("OK", "NVM_INTEGRITY"),
        forward=False,
        budget_ms=2000,
    ),
    "SLOT INFO": Command(
        cla=0x80,
        ins=0xCA,
        p1=0xDF,
        p2=0x04,
        channel="secure",
        states=("INITIALIZED", "SECURED", "CARD_LOCKED"),
        data=(),
        reply=(("entries", "bytes:*"),),
        sw=("OK",),
        forward=False,
        budget_ms=500,
    ),
    "SET STATUS": Command(
        cla=0x80,
        ins=0xF0,
        p1=0x80,
        p2="life_cycle",
        channel="either",
        states=("TEST_UNLOCKED", "OP_READY", "INITIALIZED", "SECURED", "CARD_LOCKED", "RMA"),
        data=(),
        reply=(),
        sw=("OK", "CONDITIONS", "SECURITY", "NVM_FAILURE"),
        forward=True,
        budget_ms=500,
    ),
    "VERIFY TOKEN": Command(
        cla=0x80,
        ins=0x20,
        p1=0x00,
        p2="kind",
        channel="plain",
        states=("RAW", "TEST_LOCKED", "SECURED", "CARD_LOCKED"),
        data=(("token", "bytes:32"),),
        reply=(),
        sw=("OK", "TOKEN_WRONG", "BLOCKED", "CONDITIONS"),
        forward=True,
        budget_ms=4000,
    ),
    "SET UID": Command(
        cla=0x80,
        ins=0xDB,
        p1=0x00,
        p2=0x45,
        channel="plain",
        states=("TEST_UNLOCKED",),
        data=(("uid", "bytes:16"),),
        reply=(),
        sw=("OK", "DATA", "CONDITIONS", "NVM_FAILURE"),
        forward=True,
        budget_ms=500,
    ),
    "KEM TRANSPORT": Command(
        cla=0x80,
        ins=0x86,
        p1=0x01,
        p2=0xF0,
        channel="plain",
        states=("TEST_UNLOCKED",),
        data=(),
        reply=(("result_length", "u24"),),
        sw=("OK", "DATA", "CONDITIONS", "CAST_FAILED", "RNG_FAILED"),
        forward=False,
        budget_ms=2000,
    ),
    "PUT TRANSPORT KEYS": Command(
        cla=0x80,
        ins=0xD8,
        p1=0x00,
        p2=0xF0,
        channel="plain",
        states=("TEST_UNLOCKED",),
        data=(("kvn", "u8"), ("wrapped", "bytes:152")),
        reply=(("kvn", "u8"), ("kcv_enc", "bytes:3"), ("kcv_mac", "bytes:3"), ("kcv_dek", "bytes:3")),
        sw=("OK", "DATA", "CONDITIONS", "NVM_FAILURE"),
        forward=True,
        budget_ms=1000,
    ),
}
