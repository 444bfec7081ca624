"""The command set of the chip `se1`: builds commands, reads replies; the rows come from `se1_table`.

Integers are big-endian. A command always carries Le and takes the extended form where its data or its reply
needs it. What a caller asks wrongly raises `ValueError`, what a device answers wrongly `DutError`.
"""

from collections.abc import Container
from functools import cache, lru_cache

import msgspec

from drivers.errors import DutError
from drivers.protocols.se1_replies import (
    HEALTH,
    SLOT_ENTRY,
    Challenge,
    CheckValues,
    DieStatus,
    NewKey,
    SelfTest,
    SlotInfo,
    TrngHealth,
)
from drivers.protocols.se1_table import AID, COMMANDS, LifeCycle, SlotState, StatusWord

SIZES = {"u8": 1, "u16": 2, "u24": 3, "u32": 4, "u64": 8}
SHORT_DATA = 255
SHORT_REPLY = 256
SHOWN = 64
"""Bytes of a reply that a message shows."""
KEPT = 1024
"""Commands of numbers only that are not built again."""
LIFE_CYCLES, SLOT_STATES = frozenset(LifeCycle), frozenset(SlotState)


class Reply(msgspec.Struct, frozen=True):
    """What a chip answered: data and status word."""

    data: bytes
    sw: int

    @property
    def ok(self) -> bool:
        """Whether the command succeeded, without a warning."""
        return self.sw == StatusWord.OK


def command(name: str, **fields: int | bytes) -> bytes:
    """Build a command by the names of its table row: `command("GENERATE KEY PAIR", slot=2, algorithm=…)`."""
    if any(isinstance(value, bytes) for value in fields.values()):
        return _command(name, fields)
    return _of_numbers(name, tuple(fields.items()))


@lru_cache(maxsize=KEPT)
def _of_numbers(name: str, fields: tuple[tuple[str, int | bytes], ...]) -> bytes:
    """A command without data of its own: every die is sent the same ones."""
    return _command(name, dict(fields))


def _command(name: str, fields: dict[str, int | bytes]) -> bytes:
    row, wanted = COMMANDS[name], _wanted(name)
    if wanted != fields.keys():
        raise ValueError(f"{name} takes {sorted(wanted) or 'no fields'}, not {sorted(fields)}")
    data = b"".join(_encode(name, label, kind, fields[label]) for label, kind in row.data)
    header = bytes((row.cla, row.ins, _parameter(name, row.p1, fields), _parameter(name, row.p2, fields)))
    asked = fields.get("length") if name == "READ" else None
    return apdu(header, data, extended=isinstance(asked, int) and asked > SHORT_REPLY)


@cache
def _wanted(name: str) -> frozenset[str]:
    """The fields of a command."""
    row = COMMANDS[name]
    parameters = (value for value in (row.p1, row.p2) if isinstance(value, str))
    return frozenset((*(label for label, _ in row.data), *parameters))


def apdu(header: bytes, data: bytes = b"", *, extended: bool = False) -> bytes:
    """CLA INS P1 P2, then Lc, data and Le; extended when asked for or when the data need it."""
    if extended or len(data) > SHORT_DATA:
        length = b"\0" + len(data).to_bytes(2, "big") if data else b"\0"
        return header + length + data + b"\0\0"
    return header + (bytes((len(data),)) if data else b"") + data + b"\0"


def select() -> bytes:
    """SELECT the one application there is."""
    return command("SELECT", aid=AID)


def write_operand(offset: int, chunk: bytes) -> bytes:
    """WRITE OPERAND; offset 0 empties the buffer first."""
    return command("WRITE OPERAND", offset_high=offset >> 8, offset_low=offset & 0xFF, chunk=chunk)


def write_operand_all(data: bytes, payload: int) -> tuple[bytes, ...]:
    """The WRITE OPERAND commands that bring `data` into the buffer in chunks of `payload` bytes."""
    return tuple(write_operand(at, data[at : at + payload]) for at in range(0, len(data), payload))


def read(kind: int, slot: int, offset: int, length: int) -> bytes:
    """READ `length` bytes of an object from `offset`; what lies beyond its end is left out."""
    return command("READ", type=kind, slot=slot, offset=offset, length=length)


def read_all(kind: int, slot: int, length: int, payload: int) -> tuple[bytes, ...]:
    """The READ commands that bring an object of `length` bytes in chunks of `payload` bytes."""
    return tuple(read(kind, slot, at, min(payload, length - at)) for at in range(0, length, payload))


def store_data(container: bytes, payload: int) -> tuple[bytes, ...]:
    """The STORE DATA commands that bring a container in blocks of `payload` bytes."""
    starts = range(0, len(container), payload)
    if len(starts) > SHORT_REPLY:
        raise ValueError(f"container of {len(container)} bytes: more than 256 blocks of {payload}")
    return tuple(
        command("STORE DATA", last=0x80 * (at == starts[-1]), block=n, chunk=container[at : at + payload])
        for n, at in enumerate(starts)
    )


def delete_key(kvn: int) -> bytes:
    """DELETE KEY of one key set."""
    return command("DELETE KEY", tag=0xD2, length=1, kvn=kvn)


def budget_s(name: str, factor: float = 1.0) -> float:
    """How long a command may take."""
    return COMMANDS[name].budget_ms * 1e-3 * factor


def split(answer: bytes) -> Reply:
    """Divide an answer into data and status word."""
    if len(answer) < 2:
        raise DutError(f"answer of {len(answer)} bytes has no status word")
    return Reply(answer[:-2], int.from_bytes(answer[-2:], "big"))


def status_name(sw: int) -> str:
    """Name a status word as people read it, `6985 CONDITIONS`."""
    if sw & 0xFFF0 == StatusWord.TOKEN_WRONG:
        return f"{sw:04X} TOKEN_WRONG, {sw & 0xF} tries left"
    return f"{sw:04X} {StatusWord(sw).name}" if sw in list(StatusWord) else f"{sw:04X} unknown"


def fields(name: str, data: bytes) -> dict[str, int | bytes]:
    """Take a reply apart by the layout of its table row."""
    found: dict[str, int | bytes] = {}
    at = 0
    for label, known, is_number in _layout(name):
        size = len(data) - at if known is None else known
        piece = data[at : at + size]
        if len(piece) != size:
            raise DutError(f"{name}: reply of {len(data)} bytes ends in field {label}")
        found[label] = int.from_bytes(piece, "big") if is_number else piece
        at += size
    if at != len(data):
        raise DutError(f"{name}: reply of {len(data)} bytes, {at} expected")
    return found


@cache
def _layout(name: str) -> tuple[tuple[str, int | None, bool], ...]:
    """The fields of a reply: label, size if it has a fixed one, whether it is a number."""
    rows = COMMANDS[name].reply
    return tuple((label, None if kind == "bytes:*" else _size(kind), kind in SIZES) for label, kind in rows)


def payload_size(data: bytes) -> int:
    """Bytes of plaintext per command, from the reply to SELECT."""
    expected = b"\x6f\x11\x84\x08" + AID + b"\xa5\x05\x9f\x65\x02"
    if len(data) != 19 or data[:17] != expected:
        raise DutError(f"SELECT: not the FCI of an se1: {_shown(data)}")
    return int.from_bytes(data[17:], "big")


def die_status(data: bytes) -> DieStatus:
    """Read the reply to DIE STATUS."""
    got = _Numbers("DIE STATUS", data)
    _format("DIE STATUS", got["format"])
    return DieStatus(
        life_cycle=LifeCycle(_member("life cycle", LIFE_CYCLES, got["life_cycle"])),
        rom_version=got["rom_version"],
        firmware_version=got["firmware_version"],
        auth_failures=got["auth_failures"],
        token_failures=got["token_failures"],
        test_transitions=got["test_transitions"],
        slots=(_state(got["slot_1"]), _state(got["slot_2"]), _state(got["slot_3"])),
        containers=got["containers"],
        in_session=got["session"] != 0,
        alarms=got["alarms"],
        boots=got["boots"],
    )


def self_test(data: bytes) -> SelfTest:
    """Read the reply to SELF TEST or RUN BIST."""
    got = _Numbers("SELF TEST", data)
    return SelfTest(got["run"], got["failed"])


def trng_health(data: bytes) -> TrngHealth:
    """Read the reply to TRNG HEALTH."""
    got = _Numbers("TRNG HEALTH", data)
    _format("TRNG HEALTH", got.pop("format"))
    state = _member("TRNG state", range(len(HEALTH)), got.pop("state"))
    return TrngHealth(state=HEALTH[state], **got)


def uid_of(data: bytes) -> bytes:
    """Read the 16 bytes of the reply to GET UID."""
    if data[:2] != b"\x45\x10" or len(data) != 18:
        raise DutError(f"GET UID: not a UID: {_shown(data)}")
    return data[2:]


def key_sets(data: bytes) -> tuple[int, ...]:
    """Read the key versions present from the reply to GET KEY INFO; all keys must be AES-256, ids 1 to 3."""
    body = data[2:]
    if data[:1] != b"\xe0" or len(data) < 2 or data[1] != len(body) or len(body) % 18:
        raise DutError(f"GET KEY INFO: malformed: {_shown(data)}")
    versions = tuple(body[at + 3] for at in range(0, len(body), 18))
    expected = b"".join(bytes((0xC0, 4, key, kvn, 0x88, 0x20)) for kvn in versions for key in (1, 2, 3))
    if body != expected:
        raise DutError(f"GET KEY INFO: not three AES-256 keys a set: {_shown(data)}")
    return versions


def slot_info(data: bytes) -> tuple[SlotInfo, ...]:
    """Read the reply to SLOT INFO: 54 bytes per slot."""
    if len(data) % SLOT_ENTRY:
        raise DutError(f"slot entries of {len(data)} bytes: {SLOT_ENTRY} each")
    return tuple(_slot(data[at : at + SLOT_ENTRY]) for at in range(0, len(data), SLOT_ENTRY))


def challenge(data: bytes) -> Challenge:
    """Read the reply to INITIALIZE UPDATE."""
    got = fields("INITIALIZE UPDATE", data)
    return msgspec.convert(got, Challenge)


def check_values(data: bytes) -> CheckValues:
    """Read the reply to PUT KEY or PUT TRANSPORT KEYS."""
    fields("PUT KEY", data)
    return CheckValues(data[0], data[1:4], data[4:7], data[7:10])


def new_key(data: bytes) -> NewKey:
    """Read the reply to GENERATE KEY PAIR or IMPORT KEY."""
    got = _Numbers("GENERATE KEY PAIR", data)
    return NewKey(_state(got["slot_state"]), got["public_key_length"])


def result_length(data: bytes) -> int:
    """Read the reply to INTERNAL AUTHENTICATE or KEM TRANSPORT: bytes in the RESULT buffer."""
    return _Numbers("INTERNAL AUTHENTICATE", data)["result_length"]


class _Numbers(dict[str, int]):
    """A reply whose fields are all numbers."""

    def __init__(self, name: str, data: bytes) -> None:
        super().__init__((key, value) for key, value in fields(name, data).items() if isinstance(value, int))


def _slot(entry: bytes) -> SlotInfo:
    algorithm, attributes = int.from_bytes(entry[1:3], "big"), int.from_bytes(entry[4:6], "big")
    return SlotInfo(entry[0], algorithm, _state(entry[3]), attributes, entry[6:])


def _state(value: int) -> SlotState:
    return SlotState(_member("slot state", SLOT_STATES, value))


def _member(what: str, allowed: Container[int], value: int) -> int:
    if value not in allowed:
        raise DutError(f"{what} {value:02X} is not known")
    return value


def _format(name: str, value: int) -> None:
    if value != 1:
        raise DutError(f"{name}: format {value} is not known")


def _shown(data: bytes) -> str:
    """The beginning of a reply, for a message."""
    return data[:SHOWN].hex() + ("..." if len(data) > SHOWN else "")


def _size(kind: str) -> int:
    return SIZES[kind] if kind in SIZES else int(kind.removeprefix("bytes:"))


def _parameter(name: str, parameter: int | str, given: dict[str, int | bytes]) -> int:
    if isinstance(parameter, int):
        return parameter
    value = given[parameter]
    if not isinstance(value, int) or not 0 <= value <= 0xFF:
        raise ValueError(f"{name}: {parameter} is {value!r}, not 0 to 255")
    return value


def _encode(name: str, label: str, kind: str, value: int | bytes) -> bytes:
    if kind in SIZES:
        if not isinstance(value, int) or not 0 <= value < 1 << 8 * SIZES[kind]:
            raise ValueError(f"{name}: {label} is {value!r}, not a {kind}")
        return value.to_bytes(SIZES[kind], "big")
    if not isinstance(value, bytes) or kind != "bytes:*" and len(value) != _size(kind):
        raise ValueError(f"{name}: {label} must be {kind}")
    return value
