"""Simulated SCPI machines whose operations take time, and who tell their end by service request.

Ref: IEEE 488.2, 10.18 to 10.20 (*OPC, *OPC?), 11.4 and 11.5 (*ESR, *ESE, *SRE).
"""

from abc import abstractmethod
from collections.abc import Mapping
from math import inf

from sim.clock import Clock
from sim.faults import NO_FAULTS, Faults
from sim.scpi import Action, ScpiInstrument, number

SRQ_KNOBS = frozenset({"drop_srq", "dup_srq", "late_srq", "spurious_stb"})
"""`drop_srq` loses a service request, `dup_srq=<n>` repeats it, `late_srq=<ms>` delays it;
`spurious_stb=<stb>` asks for service of another cause when an operation begins."""

POWER_KNOBS = frozenset({"power_cycle"})
"""`power_cycle`: the power has gone and come back before a message; nothing is as it was set."""

COMPLETE = 0x01
POWERED_ON = 0x80
ERROR_QUEUE = 0x04
EVENT_SUMMARY = 0x20


class _WaitingError(Exception):
    """`*OPC?` of what does not end."""


class StatusInstrument(ScpiInstrument):
    """A machine that knows what is under way, and tells its end as it was asked to."""

    told_by_status = False
    """Whether `power_cycle` strikes before a message, and the event status alone tells of it."""

    def __init__(self, clock: Clock, faults: Faults = NO_FAULTS) -> None:
        self.operations = 0
        """How many operations were begun; one that was given up ends nothing."""
        self.ends_at = -inf
        """When what is under way will be done; inf: never."""
        self._events = self._event_enable = self._request_enable = 0
        self._told = False
        self._asked = False
        super().__init__(clock, faults)

    @abstractmethod
    def commands(self) -> Mapping[str, Action]:
        """Return the machine's own table."""

    def table(self) -> Mapping[str, Action]:
        return {
            "*CLS": lambda _: self.clear_status(),
            "*ESE": self._enable_events,
            "*ESE?": lambda _: str(self._event_enable),
            "*ESR?": lambda _: self._take_events(),
            "*SRE": self._enable_requests,
            "*SRE?": lambda _: str(self._request_enable),
            "*STB?": lambda _: str(self.status()),
            "*OPC": lambda _: self._tell_end(),
            "*OPC?": lambda _: self._answer_end(),
            "*WAI": lambda _: None,
            ":SYSTem:ERRor[:NEXT]?": self.read_error,
            **self.commands(),
        }

    # -- operations
    def begin(self, seconds: float) -> None:
        """Something begins that takes so long; inf if it waits for what may never come."""
        self.operations += 1
        self.ends_at = self.clock.time() + seconds
        if (other := self.faults.strikes("spurious_stb")) is not None:
            self.request_service(int(other or str(ERROR_QUEUE), 0))
        if seconds < inf:
            self.clock.call_later(seconds, self._end, self.operations)

    def give_up(self) -> None:
        """End what is under way, without a result."""
        self.operations += 1
        self.ends_at = self.clock.time()
        self._told = self._asked = False

    @property
    def under_way(self) -> bool:
        """Whether something has begun and not ended."""
        return self.clock.time() < self.ends_at

    def ended(self) -> None:
        """Be told that an operation has come to its end."""

    def _end(self, operation: int) -> None:
        if operation != self.operations:
            return
        self.ends_at = self.clock.time()
        self.ended()
        if self._asked:
            self._asked = False
            self.respond(b"1\n")
        if self._told:
            self._complete()

    def _tell_end(self) -> None:
        self._told = True
        if not self.under_way:
            self._complete()

    def obey(self, message: str) -> str | None:
        if self.told_by_status and self.faults.strikes("power_cycle") is not None:
            self._lose_power()
        try:
            return super().obey(message)
        except _WaitingError:
            self._asked = True
            return None

    def _lose_power(self) -> None:
        """Come back as it was made, with the one event that tells of it."""
        self.give_up()
        self._do(self._actions["*RST"], "")
        self.clear_status()
        self._events, self._event_enable, self._request_enable = POWERED_ON, 0, 0

    def _answer_end(self) -> str:
        """`*OPC?` waits; if that is for ever, whatever follows in its message is lost with it."""
        if self.ends_at == inf:
            raise _WaitingError
        self.spend(max(0.0, self.ends_at - self.clock.time()))
        return "1"

    def _complete(self) -> None:
        self._told = False
        self._events |= COMPLETE
        if not (self._event_enable & COMPLETE and self._request_enable & EVENT_SUMMARY):
            return
        if self.faults.strikes("drop_srq") is not None:
            return
        late_ms = self.faults.strikes("late_srq")
        repeats = 1 + self._repeats()
        for _ in range(repeats):
            if late_ms is None:
                self.request_service(EVENT_SUMMARY)
            else:
                self.clock.call_later(float(late_ms or 100) / 1000, self.request_service, EVENT_SUMMARY)

    def _repeats(self) -> int:
        more = self.faults.strikes("dup_srq")
        return 0 if more is None else int(more or 1)

    # -- registers
    def status(self) -> int:
        summary = EVENT_SUMMARY if self._events & self._event_enable else 0
        return summary | (ERROR_QUEUE if self.errors else 0)

    def clear_status(self) -> None:
        """`*CLS`."""
        self.errors.clear()
        self._events = 0
        self._told = False

    def cleared(self) -> None:
        super().cleared()
        self._told = self._asked = False

    def _enable_events(self, argument: str) -> None:
        self._event_enable = int(number(argument, low=0, high=255))

    def _enable_requests(self, argument: str) -> None:
        self._request_enable = int(number(argument, low=0, high=255))

    def _take_events(self) -> str:
        events, self._events = self._events, 0
        return str(events)
