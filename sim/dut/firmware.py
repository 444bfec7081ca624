"""The firmware stub behind a Python face: one library, one set of callbacks, one context per powered chip."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Protocol, TypeAlias, cast

import cffi
from _cffi_backend import from_handle

from sim.dut.library import build

OK, FAIL, CUT = 0, 1, 2
REPLY_SIZE = 8192
PAGE = 64
HASH = 48
BLOCK = 16

LENGTHS = {0x0102: (48, 97, 96), 0x0202: (32, 1952, 3309), 0x0302: (64, 1184, 0)}
"""Bytes of private key (or seed), public key and signature by algorithm."""

DECLARATIONS = """
typedef struct se1_hal {
  int (*nvm_read)(void *, uint32_t, uint32_t, uint8_t *);
  int (*nvm_write)(void *, uint32_t, const uint8_t *);
  int (*otp_read)(void *, uint32_t);
  int (*otp_set)(void *, uint32_t);
  int (*random)(void *, int, uint8_t *, size_t);
  int (*aes)(void *, int, const uint8_t *, const uint8_t *, const uint8_t *, size_t, uint8_t *);
  int (*digest)(void *, int, const uint8_t *, size_t, const uint8_t *, size_t, uint8_t *);
  int (*keypair)(void *, uint16_t, const uint8_t *, uint8_t *, uint8_t *);
  int (*sign)(void *, uint16_t, const uint8_t *, const uint8_t *, const uint8_t *, size_t, uint8_t *);
  int (*verify)(void *, uint16_t, const uint8_t *, const uint8_t *, size_t, const uint8_t *, size_t,
                const uint8_t *);
  int (*encaps)(void *, const uint8_t *, uint8_t *, uint8_t *);
  int (*decaps)(void *, const uint8_t *, const uint8_t *, uint8_t *);
  int (*sensor)(void *);
} se1_hal;
typedef struct se1 se1;
size_t se1_size(void);
void se1_power_on(se1 *, const se1_hal *, void *);
void se1_reset(se1 *);
size_t se1_apdu(se1 *, const uint8_t *, size_t, uint8_t *, size_t);
"""


class Peripherals(Protocol):
    """What the firmware finds around it: memory, noise, mathematics. An exception comes out of the call."""

    def nvm_read(self, page: int, count: int) -> bytes:
        """64 bytes for each of `count` pages."""

    def nvm_write(self, page: int, data: bytes) -> int:
        """OK, or CUT when the power goes."""

    def otp_read(self, bit: int) -> int:
        """0 or 1."""

    def otp_set(self, bit: int) -> int:
        """OK, or CUT when the power goes."""

    def random(self, n: int, *, raw: bool) -> bytes:
        """Noise: conditioned, or from the source itself."""

    def aes(self, op: int, key: bytes, iv: bytes, data: bytes) -> bytes:
        """ECB and CBC, each encrypt and decrypt, then CMAC: ops 0 to 4; nothing if it is broken."""

    def digest(self, key: bytes | None, data: bytes) -> bytes:
        """SHA-384, or HMAC with a key."""

    def keypair(self, algorithm: int, seed: bytes | None) -> tuple[bytes, bytes]:
        """Private key (or seed) and public key; a fresh one without a seed."""

    def sign(self, algorithm: int, private: bytes, label: bytes, message: bytes) -> bytes:
        """Sign under a context string."""

    def verify(self, algorithm: int, public: bytes, label: bytes, message: bytes, signature: bytes) -> bool:
        """Whether the signature is good under a context string."""

    def encaps(self, public: bytes) -> tuple[bytes, bytes]:
        """Ciphertext and shared secret."""

    def decaps(self, private: bytes, ciphertext: bytes) -> bytes:
        """Shared secret, the implicitly rejected one if the ciphertext is bad."""

    def sensor(self) -> int:
        """1 while something is done to the chip, else 0."""


ffi = cffi.FFI()
ffi.cdef(DECLARATIONS)
Pointer: TypeAlias = "cffi.FFI.CData"
_raised = threading.local()


_buffer = ffi.buffer
_peripherals: Callable[[Pointer], Peripherals] = from_handle  # of the backend: FFI's own only calls it


def _bytes(pointer: Pointer, n: int) -> bytes:
    return _buffer(pointer, n)[:] if n else b""


def _keep(_kind: Exception, error: BaseException, _trace: object) -> None:
    _raised.error = error


def _nvm_read(ctx: Pointer, page: int, count: int, out: Pointer) -> int:
    _buffer(out, PAGE * count)[:] = _peripherals(ctx).nvm_read(page, count)
    return OK


def _nvm_write(ctx: Pointer, page: int, data: Pointer) -> int:
    return _peripherals(ctx).nvm_write(page, _bytes(data, PAGE))


def _otp_read(ctx: Pointer, bit: int) -> int:
    return _peripherals(ctx).otp_read(bit)


def _otp_set(ctx: Pointer, bit: int) -> int:
    return _peripherals(ctx).otp_set(bit)


def _random(ctx: Pointer, raw: int, out: Pointer, n: int) -> int:
    ffi.memmove(out, _peripherals(ctx).random(n, raw=bool(raw)), n)
    return OK


def _aes(ctx: Pointer, op: int, key: Pointer, iv: Pointer, data: Pointer, n: int, out: Pointer) -> int:
    block = _bytes(iv, BLOCK) if iv else b""
    result = _peripherals(ctx).aes(op, _bytes(key, 32), block, _bytes(data, n))
    _buffer(out, len(result))[:] = result
    return OK if result else FAIL


def _digest(ctx: Pointer, op: int, key: Pointer, key_n: int, data: Pointer, n: int, out: Pointer) -> int:
    ffi.memmove(out, _peripherals(ctx).digest(_bytes(key, key_n) if op else None, _bytes(data, n)), HASH)
    return OK


def _keypair(ctx: Pointer, algorithm: int, seed: Pointer, private: Pointer, public: Pointer) -> int:
    given = _bytes(seed, LENGTHS[algorithm][0]) if seed else None
    made, shown = _peripherals(ctx).keypair(algorithm, given)
    ffi.memmove(private, made, len(made))
    ffi.memmove(public, shown, len(shown))
    return OK


def _sign(
    ctx: Pointer, algorithm: int, private: Pointer, label: Pointer, message: Pointer, n: int, out: Pointer
) -> int:
    key = _bytes(private, LENGTHS[algorithm][0])
    signature = _peripherals(ctx).sign(algorithm, key, _bytes(label, 8) if label else b"", _bytes(message, n))
    ffi.memmove(out, signature, len(signature))
    return OK


def _verify(  # noqa: PLR0913, PLR0917 -- as the HAL has it
    ctx: Pointer,
    algorithm: int,
    public: Pointer,
    label: Pointer,
    label_n: int,
    message: Pointer,
    n: int,
    signature: Pointer,
) -> int:
    _, public_n, signature_n = LENGTHS[algorithm]
    key, signed = _bytes(public, public_n), _bytes(signature, signature_n)
    good = _peripherals(ctx).verify(algorithm, key, _bytes(label, label_n), _bytes(message, n), signed)
    return OK if good else FAIL


def _encaps(ctx: Pointer, public: Pointer, ciphertext: Pointer, secret: Pointer) -> int:
    sent, shared = _peripherals(ctx).encaps(_bytes(public, 1184))
    ffi.memmove(ciphertext, sent, 1088)
    ffi.memmove(secret, shared, 32)
    return OK


def _decaps(ctx: Pointer, private: Pointer, ciphertext: Pointer, secret: Pointer) -> int:
    ffi.memmove(secret, _peripherals(ctx).decaps(_bytes(private, 64), _bytes(ciphertext, 1088)), 32)
    return OK


def _sensor(ctx: Pointer) -> int:
    return _peripherals(ctx).sensor()


CALLBACKS: dict[str, Callable[..., int]] = {
    "nvm_read": _nvm_read,
    "nvm_write": _nvm_write,
    "otp_read": _otp_read,
    "otp_set": _otp_set,
    "random": _random,
    "aes": _aes,
    "digest": _digest,
    "keypair": _keypair,
    "sign": _sign,
    "verify": _verify,
    "encaps": _encaps,
    "decaps": _decaps,
    "sensor": _sensor,
}


class Stub(Protocol):
    """The functions of the library."""

    def se1_size(self) -> int:
        """Bytes of a context."""

    def se1_power_on(self, chip: Pointer, hal: Pointer, ctx: Pointer) -> None:
        """Boot."""

    def se1_reset(self, chip: Pointer) -> None:
        """Warm reset."""

    def se1_apdu(self, chip: Pointer, command: bytes, n: int, reply: Pointer, limit: int) -> int:
        """Bytes of the answer; 0 if there is none."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A library, its HAL, and what must live as long as they."""

    stub: Stub
    hal: Pointer
    callbacks: tuple[object, ...]


@cache
def load(path: Path) -> Loaded:
    """Load a library and give it its callbacks; once, for ever."""
    stub = cast(Stub, ffi.dlopen(str(path)))
    hal = ffi.new("se1_hal *")
    made = []
    for name, function in CALLBACKS.items():
        kind = ffi.typeof(getattr(hal, name))
        made.append(ffi.callback(kind, function, error=FAIL, onerror=_keep))
        setattr(hal, name, made[-1])
    return Loaded(stub, hal, tuple(made))


@cache
def default() -> Loaded:
    """The library of this checkout, built if need be."""
    return load(build())


class Firmware:
    """The firmware of one chip from power-on to power-off; what peripherals raise comes out of the call."""

    def __init__(self, peripherals: Peripherals) -> None:
        self._loaded = default()
        self._stub = self._loaded.stub
        self._handle = ffi.new_handle(peripherals)
        self._memory = ffi.new("uint64_t[]", self._stub.se1_size() // 8 + 1)
        self._context = ffi.cast("se1 *", self._memory)
        self._reply = ffi.new("uint8_t[]", REPLY_SIZE)
        _raised.error = None
        self._stub.se1_power_on(self._context, self._loaded.hal, self._handle)
        _reraise()

    def reset(self) -> None:
        """Warm reset."""
        _raised.error = None
        self._stub.se1_reset(self._context)
        _reraise()

    def apdu(self, command: bytes) -> bytes | None:
        """The answer to one command; None if the chip does not answer."""
        _raised.error = None
        n = self._stub.se1_apdu(self._context, command, len(command), self._reply, REPLY_SIZE)
        _reraise()
        return _bytes(self._reply, n) or None


def _reraise() -> None:
    error: BaseException | None = _raised.error
    if error is not None:
        raise error
