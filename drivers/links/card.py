"""A chip in one slot of a CCID reader: activation, protocol and rate, and APDUs at every exchange level.

ISO/IEC 7816-3, chapters 8, 9 and 11; USB device class CCID 1.1. Everything here is a conversation: a script
of many commands is one hop to the port.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from drivers.errors import ProtocolError
from drivers.links.ccid import ChipError, OutOfTimeError, ReaderLink, seconds
from drivers.protocols import t0
from drivers.protocols.atr import (
    DEFAULT_FI_DI,
    Atr,
    AtrError,
    block_waiting_s,
    etu_s,
    parse,
    pps_agreed,
    pps_request,
    work_waiting_s,
)
from drivers.protocols.ccid import HEADER, SHORT_APDU, Answer, Ask, Features, Icc, Level, Parameters
from drivers.protocols.t1 import MAX_INF, T1, Exchange, T1Error
from drivers.roles import Apdu, CardReply, CardStep, Reset, ScriptReply, Stopped
from drivers.transports import Conversation, Pause, Timestamp

Voltage = Literal["auto", "5 V", "3 V", "1.8 V"]
VOLTAGES: dict[Voltage, int] = {"auto": 0, "5 V": 1, "3 V": 2, "1.8 V": 3}
POWER_ON_S = 3.0
REST_S = 0.01
MARGIN_S = 1.0
"""What a reader may take beyond the chip's own waiting time."""
DONE = 0x9000
LONGEST_BLOCK = 259
_SPECIFIC = struct.Struct("<BH")
"""Waiting time and level of a transfer."""


@dataclass
class _Session:
    """What was agreed with the chip at its last activation."""

    atr: Atr
    protocol: int
    fi_di: int
    t1: T1 | None
    """None where the reader speaks the block protocol itself, and for T=0."""
    character_s: float = 0.0
    """One character at the rate agreed on."""
    waiting_s: float = 0.0
    """How long the chip may take for one answer."""


class SlotLink:
    """One slot. Without a session (before `power_on`, after a failure) the chip is not spoken to."""

    def __init__(self, number: int, reader: ReaderLink, voltage: Voltage = "auto") -> None:
        self._number = number
        self._reader = reader
        self._voltage = voltage
        self._clock_hz = reader.capabilities.default_clock * 1e3
        self._session: _Session | None = None

    # -- power
    def power_on(self, deadline: float | None = None) -> Conversation[bytes]:
        """Activate the chip, or reset it where it is active, agree on protocol and rate, return the ATR.

        A chip that was heard and not understood is powered off and tried a second time.
        """
        atr = yield from self._activated(deadline)
        try:
            yield from self._agreed(atr, deadline)
        except (AtrError, ChipError, T1Error):
            yield from self._rested()
            atr = yield from self._activated(deadline)
            try:
                yield from self._agreed(atr, deadline)
            except (AtrError, T1Error) as error:
                raise ChipError(str(error)) from error
        return atr

    def _activated(self, deadline: float | None) -> Conversation[bytes]:
        self._session = None
        specific = bytes((VOLTAGES[self._voltage], 0, 0))
        answer = yield from self._reader.command(
            Ask.POWER_ON, self._number, specific, wait_s=POWER_ON_S, deadline=deadline
        )
        if not answer.data:
            raise ChipError("no answer to reset", silent=True)
        return answer.data

    def power_off(self) -> Conversation[None]:
        """Deactivate the contacts."""
        self._session = None
        yield from self._reader.command(Ask.POWER_OFF, self._number)

    def _rested(self) -> Conversation[None]:
        """Power off, long enough for a cold reset."""
        yield from self.power_off()
        yield Pause(REST_S)

    def state(self) -> Conversation[Icc]:
        """Ask whether a chip is there, and whether it has power."""
        return (yield from self._reader.command(Ask.SLOT_STATUS, self._number)).icc

    def _agreed(self, raw: bytes, deadline: float | None) -> Conversation[None]:
        """Begin a session on what the ATR offers and the reader does not do by itself."""
        atr = parse(raw)
        features = self._reader.capabilities.features
        protocol = 1 if 1 in atr.protocols and atr.specific is None else atr.protocol
        session = _Session(atr, protocol, atr.rate, None)
        if features & Features.AUTO_PPS_PROPRIETARY:
            yield from self._asked(session, deadline)
        else:
            if features & Features.AUTO_PPS:
                session.fi_di = atr.fi_di
            elif atr.specific is None:
                session.fi_di = yield from self._selected(atr, protocol, deadline)
            yield from self._told(session, deadline)
        self._time(session)
        if features & Features.TPDU and session.protocol == 1:
            session.t1 = yield from self._begun(session, deadline)
        self._session = session

    def _asked(self, session: _Session, deadline: float | None) -> Conversation[None]:
        """Learn from the reader what it has agreed on with the chip by itself."""
        answer = yield from self._reader.command(Ask.GET_PARAMETERS, self._number, deadline=deadline)
        parameters = Parameters.decode(answer.extra, answer.data)
        session.protocol, session.fi_di = parameters.protocol, parameters.fi_di

    def _selected(self, atr: Atr, protocol: int, deadline: float | None) -> Conversation[int]:
        """Select protocol and rate where they are not those that hold anyway."""
        rate = atr.fi_di if self._carries(atr.fi_di) else DEFAULT_FI_DI
        if protocol == atr.protocol and rate == DEFAULT_FI_DI:
            return rate
        request = pps_request(protocol, None if rate == DEFAULT_FI_DI else rate)
        wait_s = 9600 * etu_s(DEFAULT_FI_DI, self._clock_hz) + MARGIN_S
        answer = yield from self._moved(request, wait_s, deadline)
        return pps_agreed(request, answer.data)

    def _told(self, session: _Session, deadline: float | None) -> Conversation[None]:
        """Tell the reader what the chip speaks."""
        atr, protocol = session.atr, session.protocol
        parameters = Parameters(
            protocol,
            session.fi_di,
            atr.guard,
            atr.crc,
            atr.inverse,
            atr.bwi,
            atr.cwi,
            atr.wi,
            atr.clock_stop,
            atr.ifsc,
        )
        yield from self._reader.command(
            Ask.SET_PARAMETERS, self._number, bytes((protocol, 0, 0)), parameters.encode(), deadline=deadline
        )

    def _begun(self, session: _Session, deadline: float | None) -> Conversation[T1]:
        t1 = T1(ifsc=min(session.atr.ifsc, MAX_INF), crc=session.atr.crc)
        if not self._reader.capabilities.features & Features.AUTO_IFSD:
            ifsd = min(MAX_INF, self._reader.capabilities.maximum_ifsd)
            yield from self._exchanged(t1.announce(ifsd), session, deadline)
        return t1

    # -- scripts
    def script(self, steps: Sequence[CardStep]) -> Conversation[ScriptReply]:
        """Do the steps in order, up to the first that does not end as expected."""
        replies: list[CardReply] = []
        for step in steps:
            began = seconds((yield Timestamp()))
            try:
                answer = yield from self._done(step, began + step.budget_s)
            except ChipError:
                return ScriptReply(tuple(replies), Stopped.LINK)
            except OutOfTimeError:
                return ScriptReply(tuple(replies), Stopped.TIME)
            elapsed_s = seconds((yield Timestamp())) - began
            status = int.from_bytes(answer[-2:], "big")
            replies.append(CardReply(answer[:-2], status, elapsed_s))
            if isinstance(step, Apdu) and step.expect and status not in step.expect:
                return ScriptReply(tuple(replies), Stopped.STATUS_WORD)
        return ScriptReply(tuple(replies), Stopped.END)

    def _done(self, step: CardStep, deadline: float) -> Conversation[bytes]:
        """Return data and status word; a reset has 9000."""
        match step:
            case Apdu(command):
                return self._transmitted(command, deadline)
            case Reset(cold):
                return self._reset(deadline, cold=cold)

    def _reset(self, deadline: float, *, cold: bool) -> Conversation[bytes]:
        if cold:
            yield from self._rested()
        atr = yield from self.power_on(deadline)
        return atr + DONE.to_bytes(2, "big")

    def _transmitted(self, command: bytes, deadline: float) -> Conversation[bytes]:
        session, self._session = self._session, None
        if session is None:
            raise ChipError("the chip was not activated since its last failure")
        try:
            answer = yield from self._passed(command, session, deadline)
        except (T1Error, ValueError) as error:
            if session.t1 is None or not session.t1.dead:  # the chip is as it was, or in step again
                self._session = session
            if isinstance(error, T1Error):
                raise ChipError(str(error)) from error
            raise
        if len(answer) < 2:
            raise ChipError(f"an answer of {len(answer)} bytes has no status word")
        self._session = session
        return answer

    def _passed(self, command: bytes, session: _Session, deadline: float) -> Conversation[bytes]:
        """Choose by what the reader does alone, and by the chip's protocol."""
        features = self._reader.capabilities.features
        if session.t1 is not None:
            return self._exchanged(session.t1.transmit(command), session, deadline)
        if features & Features.TPDU:
            return self._by_characters(command, session, deadline)
        if features & Features.EXTENDED_APDU:
            return self._chained(command, session, deadline)
        return self._short(command, session, deadline)

    # -- exchange levels
    def _exchanged(
        self, exchange: Exchange, session: _Session, deadline: float | None
    ) -> Conversation[bytes]:
        """Run T=1 over transfers of blocks."""
        try:
            send = next(exchange)
            while True:
                wait_s = _waits_s(session, len(send.raw), max(1, send.waiting))
                answer = yield from self._heard(send.raw, send.waiting, wait_s, deadline)
                send = exchange.send(answer)
        except StopIteration as end:
            result: bytes = end.value
            return result

    def _heard(
        self, block: bytes, waiting: int, wait_s: float, deadline: float | None
    ) -> Conversation[bytes | None]:
        """Return what came: None for a mute chip, no bytes for an answer that the reader could not read."""
        try:
            return (yield from self._moved(block, wait_s, deadline, waiting=waiting)).data
        except ChipError as error:
            if error.garbled:
                return b""
            if error.silent:
                return None
            raise

    def _by_characters(self, command: bytes, session: _Session, deadline: float) -> Conversation[bytes]:
        """Run T=0; the reader does the procedure bytes."""
        exchange = t0.transmit(command)
        wait_s = _waits_s(session, len(command), 1)
        try:
            tpdu = next(exchange)
            while True:
                tpdu = exchange.send((yield from self._moved(tpdu, wait_s, deadline)).data)
        except StopIteration as end:
            result: bytes = end.value
            return result
        except t0.T0Error as error:
            raise ChipError(str(error)) from error

    def _short(self, command: bytes, session: _Session, deadline: float) -> Conversation[bytes]:
        if len(command) > SHORT_APDU:
            raise ValueError(
                f"command of {len(command)} bytes; this reader takes short APDUs of at most {SHORT_APDU}"
            )
        wait_s = _waits_s(session, len(command), 1)
        return (yield from self._moved(command, wait_s, deadline)).data

    def _chained(self, command: bytes, session: _Session, deadline: float) -> Conversation[bytes]:
        """Move an APDU of any length in pieces that fit into the reader's messages, and its answer."""
        size = self._reader.capabilities.maximum_message - HEADER
        wait_s = _waits_s(session, size, 1)
        pieces = [command[at : at + size] for at in range(0, len(command), size)]
        for piece, level in zip(pieces, _levels(len(pieces)), strict=True):
            answer = yield from self._moved(piece, wait_s, deadline, level=level)
            if level in (Level.BEGINS, Level.CONTINUES) and answer.extra != Level.GO_ON:
                raise ProtocolError("the reader ended a command before all of it was sent")
        data = answer.data
        while answer.extra in (Level.BEGINS, Level.CONTINUES):
            answer = yield from self._moved(b"", wait_s, deadline, level=Level.GO_ON)
            data += answer.data
        return data

    def _moved(
        self,
        data: bytes,
        wait_s: float,
        deadline: float | None,
        *,
        waiting: int = 0,
        level: int = Level.WHOLE,
    ) -> Conversation[Answer]:
        specific = _SPECIFIC.pack(waiting, level)
        return self._reader.command(
            Ask.TRANSFER, self._number, specific, data, wait_s=wait_s, deadline=deadline
        )

    # -- times
    def _carries(self, fi_di: int) -> bool:
        """Whether the reader is fast enough for a rate."""
        return 1 / etu_s(fi_di, self._clock_hz) <= self._reader.capabilities.maximum_data_rate

    def _time(self, session: _Session) -> None:
        """Work out the times that hold from now on, once: each block needs them."""
        atr, fi_di = session.atr, session.fi_di
        session.character_s = (12 + atr.guard % 255) * etu_s(fi_di, self._clock_hz)
        if session.protocol == 1:
            session.waiting_s = block_waiting_s(atr.bwi, fi_di, self._clock_hz)
        else:
            session.waiting_s = work_waiting_s(atr.wi, fi_di, self._clock_hz)


def _waits_s(session: _Session, sent: int, factor: int) -> float:
    """How long an exchange may take: both ways at the rate agreed on, and the waiting time between."""
    return (sent + LONGEST_BLOCK) * session.character_s + factor * session.waiting_s + MARGIN_S


def _levels(pieces: int) -> list[Level]:
    if pieces <= 1:
        return [Level.WHOLE] * pieces
    return [Level.BEGINS, *[Level.CONTINUES] * (pieces - 2), Level.ENDS]
