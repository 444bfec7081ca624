"""Exatron 3000B and 5000 handlers on a serial line: one site, eight sorts.

Follows the Exatron 3000B User's Manual, ch. 3, in its three modes. The handler speaks first and answers no
queries but in Super mode, so what it does not say is not known: a sort is never repeated unless the handler
says that it did not understand it.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping
from itertools import dropwhile

from msgspec import Struct

from drivers.errors import EquipmentError, ProtocolError
from drivers.protocols.exatron import (
    ABORT,
    AGAIN,
    ALARMS,
    ATTENTION,
    READY,
    SORTS,
    Info,
    Light,
    Lines,
    Message,
    Mode,
    Other,
    Word,
    decode,
    sort_of,
)
from drivers.roles.feeder import Touchdown
from drivers.roles.handler import Handler
from drivers.roles.happening import AlarmRaised, Happening, InputEmpty, PartDropped, Warned
from drivers.roles.resource import Identity, Machine
from drivers.transports import Stream
from drivers.transports.serial import SerialSettings

SITE = 1
GIVEN_S = 0.1
"""A sort that the handler does not confirm counts as given when it has surely left this computer: a station
that is killed before has told nobody that the device is sorted."""
NOISE_LIMIT = 3
"""Unreadable lines in a row after which the line counts as down."""

log = logging.getLogger(__name__)

TOLD: Mapping[Light, Callable[[str, str], Happening]] = {
    Light.ERROR: AlarmRaised,
    Light.DROPPED: PartDropped,
    Light.WARNING: Warned,
}
"""What a light and its text are to whoever listens."""


class ExatronOptions(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the station's configuration says of one Exatron handler."""

    mode: Mode = "exatron"
    """As chosen on the handler."""
    retest_sort: int | None = None
    """Super mode: the sort on which the handler is set to plunge again; it is then no hard bin."""
    close_s: float = 10.0
    """How long the contacts may take to close."""
    sort_request_s: float = 60.0
    """Super mode: how long after the start of test the handler may take to ask for the sort."""
    confirm_s: float = 0.25
    """Super mode: how long to wait for `ERROR` after a sort; silence means taken."""
    quiet_s: float = 0.0
    """How long the handler may be silent when no part is in contact; 0: for ever."""
    empty_ends_lot: bool = False
    """HP mode: whether an empty input ends the lot; otherwise more parts are waited for."""

    def __post_init__(self) -> None:
        if self.retest_sort is not None and (self.mode != "super" or self.retest_sort not in SORTS):
            raise ValueError(f"retest_sort {self.retest_sort}: 1 to 8 are allowed, in Super mode only")
        if self.empty_ends_lot and self.mode != "hp":
            raise ValueError("empty_ends_lot: only the HP mode tells that the input is empty")
        for field in ("close_s", "sort_request_s", "confirm_s"):
            if (value := getattr(self, field)) <= 0:
                raise ValueError(f"{field} {value:g}: more than 0 is allowed")
        if self.quiet_s < 0:
            raise ValueError(f"quiet_s {self.quiet_s:g}: 0 (for ever) or more is allowed")


class ExatronHandler(Machine, Handler):
    """One handler with its single site, which is site 1."""

    Options = ExatronOptions
    port = Stream
    line = SerialSettings(baud=9600, bits=8, parity="N", stop=1)

    def __init__(self, name: str, port: Stream, options: ExatronOptions) -> None:
        super().__init__(name)
        self.channels = {"": self}
        self._stream = port
        self._options = options
        self._super = options.mode == "super"
        self.can_replunge = not self._super or options.retest_sort is not None
        self.hard_bins = frozenset(SORTS) - {options.retest_sort}
        self._lines = Lines()
        self._messages: deque[Message] = deque()
        self._garbled = 0
        self._empty = False
        self._in_contact = False
        self._again = False
        self._unsure = False
        """A device may be in contact of which it is not known whether it may be tested."""
        self._retested = False

    # -- the machine
    async def connect(self) -> None:
        """Open the line; the handler cannot be asked who it is, and speaks when a part is at the site."""
        self._lines = Lines()
        self._messages.clear()
        self._in_contact = self._again = self._empty = self._unsure = False
        await self._stream.open()

    async def identify(self) -> Identity:
        """Name what is configured: the handler does not tell."""
        return Identity(maker="Exatron", model=f"RS-232 handler in {self._options.mode} mode")

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def make_safe(self) -> None:
        """Send nothing: a part in contact stays there until it is sorted. There is nothing to read back."""

    async def raw(self, command: str) -> str:
        """Super mode: send an engineer's command, as `A90`; return the answer, empty if none comes."""
        if not self._super:
            raise EquipmentError(f"{self.name}: commands are known in Super mode only")
        await self._stream.write(ATTENTION)
        if (word := await self._word(within_s=self._options.close_s)) is not Word.ATTENTION:
            raise ProtocolError(f"{self.name}: answered {word} to '+'")
        await self._stream.write(command.encode("ascii") + b"\r")
        answer = await self._message(within_s=self._options.confirm_s)
        if isinstance(answer, Other):
            return answer.line.decode("ascii", "replace")
        if answer is not None:
            self._messages.appendleft(answer)
        return ""

    async def abort(self) -> None:
        """Send the part in contact, or on its way there, to the home bin (tube 5)."""
        if self._super:
            raise EquipmentError(f"{self.name}: the manual knows no abort in Super mode")
        self._in_contact = self._again = False
        await self._stream.write(ABORT)

    # -- the handler
    async def start_lot(self, lot: str) -> None:
        """Forget the lot before; the handler cannot be told of a new one."""
        log.info("%s: lot %s begins", self.name, lot)
        self._in_contact = self._again = self._empty = self._unsure = False

    async def touchdowns(self) -> AsyncGenerator[Touchdown, None]:
        if self._in_contact and not self._super:
            self._unsure = True
        self._in_contact = False
        while await (self._landed_super() if self._super else self._landed()):
            self._in_contact = True
            yield Touchdown(frozenset({SITE}))
            if self._in_contact:
                raise EquipmentError(f"{self.name}: the device was neither sorted nor plunged again")

    async def sort(self, bins: Mapping[int, int]) -> None:
        self._need_contact()
        if set(bins) != {SITE}:
            raise EquipmentError(f"{self.name}: bins for sites {sorted(bins)}, not {SITE}: nothing was sent")
        allowed = frozenset(SORTS) if self._retested else self.hard_bins
        if bins[SITE] not in allowed:
            raise EquipmentError(
                f"{self.name}: no hard bin {bins[SITE]}; allowed: {sorted(allowed)}: nothing was sent"
            )
        await self._answer(sort_of(bins[SITE]))

    async def replunge(self) -> None:
        self._need_contact()
        if not self.can_replunge:
            raise EquipmentError(f"{self.name}: Super mode plunges again only with retest_sort set")
        await self._answer(AGAIN if self._options.retest_sort is None else sort_of(self._options.retest_sort))
        self._again = True

    def _need_contact(self) -> None:
        if not self._in_contact:
            raise EquipmentError(
                f"{self.name}: no device in contact that waits for its bin: nothing was sent"
            )

    async def _answer(self, character: bytes) -> None:
        """Send a sort or a replunge, once for this contact; what the handler said meanwhile comes first."""
        self._in_contact = False
        if self._super:
            await self._answer_super(character)
            return
        if (word := await self._word(within_s=0.0)) is not None:
            self._messages.appendleft(word)
            raise EquipmentError(f"{self.name}: said {word.value!r} during the test: no bin was sent")
        await self._stream.write(character)
        await asyncio.sleep(GIVEN_S)

    # -- Exatron and HP mode
    async def _landed(self) -> bool:
        """Wait until the contacts are closed; false when the lot is over."""
        if await self._closed_anew():
            return True
        if not self._again:
            if not await self._part():
                return False
            await self._ready()
        self._again = False
        if not await self._closed():
            raise EquipmentError(f"{self.name}: contacts not closed within {self._options.close_s:g} s")
        return True

    async def _closed_anew(self) -> bool:
        """Have a device that may be in contact plunged again, after a person has let the lot go on.

        The start of its test came too late, garbled or unasked for, and the handler says it once. One that
        has none in contact ignores this.
        """
        if not self._unsure:
            return False
        word = await self._word(within_s=0.0)  # what it said before says nothing of what it does now,
        told = Word.PART in (word, *self._messages)  # but that a part waits, which it says once
        self._messages.clear()
        await self._stream.write(AGAIN)
        closed = await self._closed()
        self._unsure = False
        if told and not closed:
            self._messages.appendleft(Word.PART)
        return closed

    async def _closed(self) -> bool:
        """Wait for the start of a test, not longer than contacts take to close."""
        self._unsure = True
        while (word := await self._word(within_s=self._options.close_s)) is Word.PART:
            await self._ready()  # the operator made the handler ask again
        self._unsure = word is None
        return word is not None

    async def _ready(self) -> None:
        """Answer a part once, however often it was told while the lot was held: more would delay its sort."""
        self._messages = deque(dropwhile(lambda message: message is Word.PART, self._messages))
        await self._stream.write(READY)

    async def _part(self) -> bool:
        word = await self._word(within_s=self._options.quiet_s or None, until_empty=True)
        if self._empty:
            return False
        if word is Word.START:
            self._unsure = True
            raise EquipmentError(f"{self.name}: start of test that nobody asked for")
        if word is None:
            raise EquipmentError(
                f"{self.name}: silent for {self._options.quiet_s:g} s; is the input empty, or a sort lost?"
            )
        return True

    # -- Super mode
    async def _landed_super(self) -> bool:
        """Wait for the start of a test; RETEST is one only if it was asked for."""
        again, self._again = self._again or await self._plunged_anew(), False
        within_s = self._options.close_s if again else self._options.quiet_s or None
        word = await self._word(within_s=within_s)
        if word is Word.END_LASER:
            raise EquipmentError(f"{self.name}: waits for a laser, and this station has none")
        if word is not (expected := Word.RETEST if again else Word.TEST):
            self._unsure = word is Word.END_TEST and self.can_replunge
            raise EquipmentError(f"{self.name}: said {word}, expected was {expected}")
        self._retested = again
        return True

    async def _plunged_anew(self) -> bool:
        """Have a device plunged again whose start of test was lost, once a person has let the lot go on."""
        unsure, self._unsure = self._unsure, False
        if unsure and self._options.retest_sort is not None:
            await self._stream.write(sort_of(self._options.retest_sort))
        return unsure

    async def _answer_super(self, character: bytes) -> None:
        expected = Word.END_RETEST if self._retested else Word.END_TEST
        if (word := await self._word(within_s=self._options.sort_request_s)) is not expected:
            raise EquipmentError(f"{self.name}: said {word}, not {expected}: no bin was sent")
        for _ in range(2):
            await self._stream.write(character)
            if (word := await self._word(within_s=self._options.confirm_s)) is not Word.ERROR:
                if word is not None:
                    self._messages.appendleft(word)
                return
        raise EquipmentError(f"{self.name}: did not understand sort {character!r}, twice: the bin is unknown")

    # -- listening
    async def _word(self, *, within_s: float | None, until_empty: bool = False) -> Word | None:
        """Return the next word; None if none comes in time. What only informs is dealt with on the way."""
        try:
            async with asyncio.timeout(within_s):
                while not (until_empty and self._empty):
                    if (word := self._heard(await self._next_message())) is not None:
                        return word
        except TimeoutError:
            pass
        return None

    async def _message(self, *, within_s: float) -> Message | None:
        try:
            async with asyncio.timeout(within_s):
                return await self._next_message()
        except TimeoutError:
            return None

    async def _next_message(self) -> Message:
        while not self._messages:
            for line in self._lines.feed(await self._stream.receive()):
                self._messages.append(decode(line, self._options.mode))
        return self._messages.popleft()

    def _heard(self, message: Message) -> Word | None:
        match message:
            case Word.MARK:
                log.info("%s: mark preloaded", self.name)
            case Word():
                self._garbled = 0
                self._empty = False
                return message
            case Info():
                self._informed(message)
            case Other():
                self._unreadable(message.line)
        return None

    def _informed(self, info: Info) -> None:
        log.info("%s: %s %s", self.name, info.light.name.lower(), info.text)
        self._garbled = 0
        if (tell := TOLD.get(info.light)) is not None:
            self.heard(tell("", info.text))
        elif info.light is Light.EMPTY:
            self.heard(InputEmpty())
        if info.light in ALARMS:
            raise EquipmentError(f"{self.name}: alarm {info.light.name}: {info.text or 'no text'}")
        self._empty = self._options.empty_ends_lot and info.light is Light.EMPTY

    def _unreadable(self, line: bytes) -> None:
        self._garbled += 1
        log.warning("%s: unreadable in %s mode: %r", self.name, self._options.mode, line)
        if self._garbled >= NOISE_LIMIT:
            self._garbled = 0
            raise ProtocolError(f"{self.name}: {NOISE_LIMIT} unreadable lines in a row, the last {line!r}")
