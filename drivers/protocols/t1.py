"""The block protocol T=1 of ISO/IEC 7816-3, chapter 11: blocks, and the station's side without I/O."""

from binascii import crc_hqx
from collections.abc import Generator
from enum import IntEnum

from msgspec import Struct

MAX_INF = 254
DEFAULT_IFS = 32
RETRIES = 3
"""Attempts at one block after the first, and resynchronisations of one exchange; then it is given up."""

_MORE = 0x20
_N_S = 0x40
_N_R = 0x10
_R = 0x80
_S = 0xC0
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


class T1Error(Exception):
    """The block protocol is at its end: nothing but a reset helps, or the answer of this command is lost."""


class BadBlockError(ValueError):
    """Bytes that are no block: wrong length, check code or address."""

    def __init__(self, reason: str, *, garbled: bool) -> None:
        super().__init__(reason)
        self.garbled = garbled
        """True for a wrong check code, which an R-block reports as such."""


class Supervision(IntEnum):
    """What an S-block is about; a response has bit 0x20 too."""

    RESYNCH = 0xC0
    IFS = 0xC1
    ABORT = 0xC2
    WTX = 0xC3


RESPONSE = 0x20


class Block(Struct, frozen=True):
    """One block, address and check code apart."""

    pcb: int
    inf: bytes = b""

    @property
    def is_i(self) -> bool:
        """Whether it carries data."""
        return self.pcb < _R

    @property
    def is_r(self) -> bool:
        """Whether it acknowledges."""
        return self.pcb & 0xC0 == _R

    @property
    def sequence(self) -> int:
        """N(S) of an I-block, N(R) of an R-block."""
        return self.pcb >> 6 & 1 if self.is_i else self.pcb >> 4 & 1

    @property
    def more(self) -> bool:
        """Whether an I-block is continued by another one."""
        return bool(self.pcb & _MORE)

    def encode(self, *, crc: bool = False) -> bytes:
        """Write the block as it crosses the contact."""
        pcb, inf = self.pcb, self.inf
        if not inf and not crc:  # most acknowledgements, and half of all blocks
            return bytes((0, pcb, 0, pcb))
        body = bytes((0, pcb, len(inf))) + inf
        return body + check_code(body, crc=crc)


_WTX_GRANTED = Supervision.WTX | RESPONSE


def i_block(sequence: int, inf: bytes, *, more: bool) -> Block:
    """Make a block of data."""
    return Block(sequence * _N_S | more * _MORE, inf)


def r_block(sequence: int, error: int = 0) -> Block:
    """Make an acknowledgement that wants block `sequence` next; error 1 check code, 2 other."""
    return Block(_R | sequence * _N_R | error)


def decode(raw: bytes, *, crc: bool = False) -> Block:
    """Read a block; BadBlockError says what is wrong with it."""
    if len(raw) == 4 and not crc and (bare := _BARE.get(raw)) is not None:
        return bare
    size = 2 if crc else 1
    if len(raw) < 3 + size or raw[2] == 255 or len(raw) != 3 + raw[2] + size:
        raise BadBlockError(f"block of {len(raw)} bytes: {raw[:4].hex(' ')}", garbled=False)
    if raw[-size:] != check_code(raw[:-size], crc=crc):
        raise BadBlockError("block with a wrong check code", garbled=True)
    if raw[0] != 0:
        raise BadBlockError(f"block with node address {raw[0]:02X}", garbled=False)
    return Block(raw[1], raw[3:-size])


_BARE = {block.encode(): block for block in map(Block, range(256))}
"""The blocks without data, as they cross the contact with an LRC."""


def check_code(body: bytes, *, crc: bool) -> bytes:
    """Return the LRC, or the CRC of polynomial 8408 with its high byte first and without inversion."""
    if crc:
        turned = crc_hqx(body.translate(_REVERSED), 0xFFFF)
        return bytes((_REVERSED[turned & 0xFF], _REVERSED[turned >> 8]))
    return bytes((lrc(body),))


def lrc(body: bytes) -> int:
    """Fold at most 512 bytes, more than a block has, by exclusive or: halves are quicker than bytes."""
    value = int.from_bytes(body, "big")
    for shift in (2048, 1024, 512):
        value ^= value >> shift
    value &= _LAST_64_BYTES
    for shift in (256, 128, 64, 32, 16, 8):
        value ^= value >> shift
    return value & 0xFF


_LAST_64_BYTES = (1 << 512) - 1


class Send(Struct, frozen=True):
    """Give the card this block and bring its next one; None in its place when nothing came in time."""

    raw: bytes
    waiting: int = 0
    """By how much the card asked to lengthen the block waiting time; 0 when it did not."""


Exchange = Generator[Send, bytes | None, bytes]


class T1:
    """The station's end of one chip's T=1, from its activation to the next one.

    `transmit` and `announce` are generators that yield what to send and are sent what came back.
    """

    def __init__(self, *, ifsc: int = DEFAULT_IFS, crc: bool = False) -> None:
        self.dead = False
        """True when only a reset of the chip helps."""
        self._first_ifsc = ifsc
        self._ifsc = ifsc
        self._crc = crc
        self._sends = 0
        self._wants = 0

    def announce(self, ifsd: int = MAX_INF) -> Exchange:
        """Tell the card how long its blocks may be; T1Error if it does not agree."""
        yield from self._supervised(Supervision.IFS, bytes((ifsd,)))
        return b""

    def transmit(self, command: bytes) -> Exchange:
        """Send a command and return the card's answer.

        A command whose last block never left is sent again after a resynchronisation. One that the chip may
        have taken is not: T1Error, since nobody but its sender can say whether it may run twice.
        """
        if self.dead:
            raise T1Error("the block protocol is dead until the next reset")
        for _ in range(RETRIES + 1):
            course = _Course(command)
            try:
                return (yield from self._course(course))
            except _OutOfStepError as cause:
                yield from self._resynchronise()
                if course.all_sent:
                    raise T1Error(
                        f"{cause}; resynchronised, but the chip may have taken the command"
                    ) from None
        raise self._died("out of step again after each resynchronisation")

    def _course(self, course: "_Course") -> Exchange:
        out = course.sending = self._next(course)
        while True:
            waiting = out.inf[0] if out.pcb == _WTX_GRANTED else 0
            raw = yield Send(out.encode(crc=self._crc), waiting)
            try:
                block = self._decoded(raw, course)
                if block.is_i:
                    self._take(block, course)
                    if not block.more:
                        return bytes(course.answer)
                    out = r_block(self._wants)
                elif block.is_r:
                    out = self._after_r(block, course, out)
                else:
                    out = yield from self._after_s(block, course)
            except BadBlockError as bad:
                course.failed(bad)
                out = out if out.is_r else r_block(self._wants, 1 if bad.garbled else 2)

    def _decoded(self, raw: bytes | None, course: "_Course") -> Block:
        if raw is None:
            course.silences += 1
            if course.silences > 1:
                raise self._died("the card is mute")
            raise BadBlockError("no block within the waiting time", garbled=False)
        course.silences = 0
        return decode(raw, crc=self._crc)

    def _next(self, course: "_Course") -> Block:
        inf = course.command[course.sent : course.sent + self._ifsc]
        more = course.sent + len(inf) < len(course.command)
        course.all_sent = course.all_sent or not more
        return i_block(self._sends, inf, more=more)

    def _take(self, block: Block, course: "_Course") -> None:
        chaining = course.sending is not None and course.sending.more
        if block.sequence != self._wants or chaining:
            raise BadBlockError(f"I-block {block.sequence} out of turn", garbled=False)
        if course.sending is not None:
            self._acknowledged(course, course.sending)
        self._wants ^= 1
        course.answer += block.inf

    def _acknowledged(self, course: "_Course", block: Block) -> None:
        self._sends ^= 1
        course.sent += len(block.inf)
        course.sending = None
        course.failures = 0

    def _after_r(self, block: Block, course: "_Course", out: Block) -> Block:
        sending = course.sending
        if sending is not None and sending.more and block.sequence != sending.sequence:
            self._acknowledged(course, sending)
            course.sending = self._next(course)
            return course.sending
        course.failed(BadBlockError(f"R-block {block.pcb:02X}", garbled=False))
        if sending is not None and block.sequence == sending.sequence:
            return sending
        return r_block(self._wants, 2) if out.is_i else out

    def _after_s(self, block: Block, course: "_Course") -> Generator[Send, bytes | None, Block]:
        match block:
            case Block(Supervision.WTX, inf) if len(inf) == 1:
                course.failures = 0
            case Block(Supervision.IFS, inf) if len(inf) == 1 and 1 <= inf[0] <= MAX_INF:
                self._ifsc = inf[0]
                course.failed(BadBlockError("S(IFS) again and again", garbled=False))
            case Block(Supervision.ABORT):
                yield Send(Block(block.pcb | RESPONSE).encode(crc=self._crc))
                yield from self._resynchronise()
                raise T1Error("the card aborted the exchange")
            case Block(pcb) if pcb & RESPONSE:
                raise BadBlockError(f"S-block {pcb:02X} that nobody asked for", garbled=False)
            case _:
                raise _OutOfStepError(f"S-block {block.pcb:02X} with {block.inf.hex() or 'nothing'}")
        return Block(block.pcb | RESPONSE, block.inf)

    def _resynchronise(self) -> Exchange:
        yield from self._supervised(Supervision.RESYNCH, b"")
        self._sends = self._wants = 0
        self._ifsc = self._first_ifsc
        return b""

    def _supervised(self, about: Supervision, inf: bytes) -> Exchange:
        wanted = Block(about | RESPONSE, inf)
        silences = 0
        for _ in range(RETRIES + (about != Supervision.RESYNCH)):
            raw = yield Send(Block(about, inf).encode(crc=self._crc))
            silences = silences + 1 if raw is None else 0
            if silences > 1:
                break
            if raw is not None and raw == wanted.encode(crc=self._crc):
                return inf
        raise self._died(f"no answer to S({about.name})")

    def _died(self, reason: str) -> T1Error:
        self.dead = True
        return T1Error(reason)


class _OutOfStepError(Exception):
    """The block that failed has used up its attempts, or the card broke the rules."""


class _Course:
    """One command on its way, and its answer."""

    def __init__(self, command: bytes) -> None:
        self.command = command
        self.sent = 0
        self.all_sent = False
        self.sending: Block | None = None
        self.answer = bytearray()
        self.failures = 0
        self.silences = 0

    def failed(self, why: BadBlockError) -> None:
        """Count an attempt that brought nothing."""
        self.failures += 1
        if self.failures > RETRIES:
            raise _OutOfStepError(str(why))
