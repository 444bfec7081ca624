"""SCP03 (GlobalPlatform Card Specification, Amendment D), host side, without I/O.

Dies get AES-256, challenges, cryptograms and MACs of 16 bytes (S16), and security level 33; S8 and AES-128
exist for tests. A card that offers anything else is refused, never adapted to.
"""

from dataclasses import dataclass, field
from hmac import compare_digest
from typing import ClassVar

import msgspec
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, algorithms, modes
from cryptography.hazmat.primitives.cmac import CMAC
from cryptography.hazmat.primitives.keywrap import aes_key_wrap_with_padding

from station.vault.secret import Secret

LEVEL = 0x33
SCP = 0x03
SECURE = 0x04
"""The bit of the class byte that marks a protected command."""
BLOCK = 16
SHORT_DATA = 255
SHORT_REPLY = 256
PROTECTED = (0x62, 0x63)
"""High bytes of warnings, whose replies carry a MAC as those of 9000 do."""

CARD_CRYPTOGRAM, HOST_CRYPTOGRAM, S_ENC, S_MAC, S_RMAC = 0x00, 0x01, 0x04, 0x06, 0x07

PUT_KEY = 47
"""Bytes of one AES-256 key in PUT KEY: type, lengths, the wrapped key, its check value."""

SESSION_KEK = b"PQP1-SESSKEK"


class ChannelError(Exception):
    """The secure channel is not, or no longer, one."""


class OfferError(ChannelError):
    """The card offers another protocol, key set or key size than the one demanded."""


class CryptogramError(ChannelError):
    """The card does not know the keys it should have; no authentication attempt was spent."""


class ReplyMacError(ChannelError):
    """A reply's MAC is wrong or missing: somebody changed it, or the link did."""


@dataclass(frozen=True)
class Suite:
    """Key size and size of challenges, cryptograms and MACs, in bytes, and the card's `i` parameter."""

    key: int = 32
    mac: int = 16
    i: int = 0x61


PQP = Suite()


@dataclass(frozen=True)
class KeySet:
    """The static keys of one key version."""

    kvn: int
    enc: Secret
    mac: Secret
    dek: Secret

    def copy(self) -> "KeySet":
        """The same keys, to be wiped apart."""
        return KeySet(self.kvn, self.enc.copy(), self.mac.copy(), self.dek.copy())

    def wipe(self) -> None:
        """Overwrite the keys."""
        for key in (self.enc, self.mac, self.dek):
            key.wipe()


class Command(msgspec.Struct, frozen=True):
    """A command before it is wrapped."""

    ins: int
    p1: int = 0
    p2: int = 0
    data: bytes = b""
    reply: int = 223
    """The most plain bytes that the reply may have; decides the form of Le."""
    cla: int = 0x80

    @classmethod
    def of(cls, apdu: bytes, reply: int = 223) -> "Command":
        """Take a plain command apart: header, data in short or extended form, and Le, which every one has."""
        extended = apdu[4] == 0 and len(apdu) > 5
        data = apdu[7:-2] if extended else apdu[5:-1]
        return cls(apdu[1], apdu[2], apdu[3], data, reply, apdu[0])


class Ticket(msgspec.Struct, frozen=True):
    """Chaining value and counter of one command: what its reply is checked with."""

    chain: bytes
    counter: int


def kdf(key: Secret, label: bytes, context: bytes, bits: int) -> Secret:
    """SP 800-108 counter mode in SCP03's order: label (12 bytes), 00, L, i, context."""
    return _kdf(_keyed_mac(key), label, context, bits)


def _kdf(mac: CMAC, label: bytes, context: bytes, bits: int) -> Secret:
    head, blocks = label + b"\0" + bits.to_bytes(2), -(-bits // 128)
    joined = b"".join(_mac(mac, head + bytes([i]) + context) for i in range(1, blocks + 1))
    return Secret(joined[: bits // 8])


def check_value(key: Secret) -> bytes:
    """The first 3 bytes of AES-ECB over sixteen 01."""
    return _ecb(key).update(b"\x01" * BLOCK)[:3]


def check_values(put: bytes) -> bytes:
    """The check values of the three keys in the data of PUT KEY, as the card must return them."""
    return b"".join(put[end - 3 : end] for end in range(1 + PUT_KEY, len(put) + 1, PUT_KEY))


def initialize_update(kvn: int, host_challenge: bytes) -> bytes:
    """The command that asks the card for its challenge and cryptogram."""
    return bytes([0x80, 0x50, kvn, 0, len(host_challenge)]) + host_challenge + b"\0"


def open_session(keys: KeySet, host_challenge: bytes, reply: bytes, suite: Suite = PQP) -> "Session":
    """Check the card's offer and its cryptogram before anything is sent that costs an attempt."""
    if len(reply) != 13 + 2 * suite.mac or reply[10:13] != bytes([keys.kvn, SCP, suite.i]):
        raise OfferError(
            f"the card offers {reply[10:13].hex()} in {len(reply)} bytes, not key set {keys.kvn:02x}"
        )
    if len(keys.enc) != suite.key:
        raise OfferError(f"keys of {len(keys.enc)} bytes, the suite has {suite.key}")
    card_challenge, cryptogram = reply[13 : 13 + suite.mac], reply[13 + suite.mac :]
    session = Session(keys, host_challenge + card_challenge, suite)
    if not compare_digest(session.cryptogram(CARD_CRYPTOGRAM), cryptogram):
        session.close()
        raise CryptogramError(f"wrong card cryptogram under key set {keys.kvn:02x}")
    return session


@dataclass
class Session:
    """An open channel at level 33. After an error it is closed and nothing of it is used again."""

    keys: KeySet = field(repr=False)
    context: bytes
    """Host challenge and card challenge."""
    suite: Suite = PQP

    alive: ClassVar[int] = 0
    """Channels of this process whose keys are not wiped yet."""

    def __post_init__(self) -> None:
        Session.alive += 1
        bits, mac = self.suite.key * 8, _keyed_mac(self.keys.mac)
        self._enc = self._derived(_keyed_mac(self.keys.enc), S_ENC, bits)
        self._mac, self._rmac = self._derived(mac, S_MAC, bits), self._derived(mac, S_RMAC, bits)
        self._ciphers: _Ciphers | None = _Ciphers(self._enc, self._mac, self._rmac)
        self._chain = bytes(BLOCK)
        self._counter = 0

    @property
    def challenge(self) -> bytes:
        """What the card drew for this session."""
        return self.context[-self.suite.mac :]

    @property
    def kvn(self) -> int:
        """The key version that opened it."""
        return self.keys.kvn

    def cryptogram(self, constant: int) -> bytes:
        """The card's or the host's cryptogram."""
        return bytes(self._derived(self._checked().mac, constant, self.suite.mac * 8).reveal())

    def authenticate(self) -> bytes:
        """EXTERNAL AUTHENTICATE: it has a C-MAC but is not encrypted, and its reply has no MAC."""
        self._checked()
        return self._maced(bytes([0x84, 0x82, LEVEL, 0]), self.cryptogram(HOST_CRYPTOGRAM))

    def wrap(self, command: Command) -> tuple[bytes, Ticket]:
        """Encrypt and MAC a command; the ticket checks its reply, however many commands follow meanwhile."""
        ciphers = self._checked()
        self._counter += 1
        data = ciphers.encrypted(_padded(command.data), self._counter) if command.data else b""
        header = bytes([command.cla | SECURE, command.ins, command.p1, command.p2])
        extended = len(data) + self.suite.mac > SHORT_DATA or self._protected(command.reply) > SHORT_REPLY
        apdu = self._maced(header, data, extended=extended)
        return apdu + bytes(1 + extended), Ticket(self._chain, self._counter)

    def unwrap(self, ticket: Ticket, data: bytes, status: int) -> bytes:
        """Check and decrypt a reply; an error word comes without data and MAC, and so proves nothing."""
        ciphers = self._checked()
        if status != 0x9000 and status >> 8 not in PROTECTED:
            return b""
        body, mac = data[: -self.suite.mac], data[-self.suite.mac :]
        expected = _mac(ciphers.rmac, ticket.chain + body + status.to_bytes(2))[: self.suite.mac]
        if len(body) % BLOCK or not compare_digest(expected, mac):
            self.close()
            raise ReplyMacError(f"wrong MAC in the reply to command {ticket.counter}")
        return self._opened(ciphers.decrypted(body, ticket.counter), ticket) if body else b""

    def wrapped_keys(self, keys: KeySet) -> bytes:
        """The data of PUT KEY: each key in AES-KWP (RFC 5649) under the session's KEK, and check values."""
        with kdf(self.keys.dek, SESSION_KEK, self.context, 256) as kek:
            parts = [self._wrapped(kek, key) for key in (keys.enc, keys.mac, keys.dek)]
        return bytes([keys.kvn]) + b"".join(parts)

    def wrapped(self, content: Secret) -> bytes:
        """AES-KWP (RFC 5649) of a content under the session's KEK."""
        with kdf(self.keys.dek, SESSION_KEK, self.context, 256) as kek:
            return aes_key_wrap_with_padding(bytes(kek.reveal()), bytes(content.reveal()))

    def close(self) -> None:
        """Wipe the session's keys and the static ones it came from."""
        if self._ciphers is not None:
            Session.alive -= 1
        self._ciphers = None
        self.keys.wipe()
        for key in (self._enc, self._mac, self._rmac):
            key.wipe()

    def _checked(self) -> "_Ciphers":
        if self._ciphers is None:
            raise ChannelError("the session is closed")
        return self._ciphers

    def _derived(self, mac: CMAC, constant: int, bits: int) -> Secret:
        return _kdf(mac, bytes(11) + bytes([constant]), self.context, bits)

    def _maced(self, header: bytes, data: bytes, *, extended: bool = False) -> bytes:
        length = len(data) + self.suite.mac
        lc = b"\0" + length.to_bytes(2) if extended else bytes([length])
        self._chain = _mac(self._checked().mac, self._chain + header + lc + data)
        return header + lc + data + self._chain[: self.suite.mac]

    def _opened(self, padded: bytes, ticket: Ticket) -> bytes:
        plain = padded.rstrip(b"\0")
        if plain[-1:] != b"\x80":
            self.close()
            raise ReplyMacError(f"wrong padding in the reply to command {ticket.counter}")
        return plain[:-1]

    def _protected(self, size: int) -> int:
        return (size // BLOCK + 1) * BLOCK + self.suite.mac

    @staticmethod
    def _wrapped(kek: Secret, key: Secret) -> bytes:
        wrapped = aes_key_wrap_with_padding(bytes(kek.reveal()), bytes(key.reveal()))
        return bytes([0x88, len(wrapped) + 1, len(key)]) + wrapped + b"\x03" + check_value(key)


class _Ciphers:
    """The session's keys as ciphers that are made once: what is made anew for each command is what costs.

    CBC runs on from command to command. Its first block is one that brings it to the ICV wanted, which is the
    cipher block before the first of the data; that block's own output is left out.
    """

    def __init__(self, enc: Secret, mac: Secret, rmac: Secret) -> None:
        self.mac, self.rmac = _keyed_mac(mac), _keyed_mac(rmac)
        cbc = Cipher(algorithms.AES(enc.reveal()), modes.CBC(bytes(BLOCK)))
        self._encryptor, self._decryptor, self._block = cbc.encryptor(), cbc.decryptor(), _ecb(enc)
        self._last = 0
        """The cipher block that the encryptor ended with, as a number."""

    def encrypted(self, data: bytes, counter: int) -> bytes:
        """A command's data under the ICV that the counter's block is encrypted to."""
        body = self._encryptor.update((counter ^ self._last).to_bytes(BLOCK) + data)
        self._last = int.from_bytes(body[-BLOCK:])
        return body[BLOCK:]

    def decrypted(self, data: bytes, counter: int) -> bytes:
        """The data of a reply, whose counter block begins with 80."""
        icv = self._block.update(b"\x80" + counter.to_bytes(BLOCK - 1))
        return self._decryptor.update(icv + data)[BLOCK:]


def _padded(data: bytes) -> bytes:
    return data + b"\x80" + bytes(-(len(data) + 1) % BLOCK)


def _keyed_mac(key: Secret) -> CMAC:
    return CMAC(algorithms.AES(key.reveal()))


def _mac(keyed: CMAC, data: bytes) -> bytes:
    mac = keyed.copy()
    mac.update(data)
    return mac.finalize()


def _ecb(key: Secret) -> CipherContext:
    return Cipher(algorithms.AES(key.reveal()), modes.ECB()).encryptor()  # noqa: S305 - the block cipher itself
