"""A simulated ERS AC3 with its chuck, first order towards its target.

Ref: ERS AC3 Fusion, as comet reads it.
"""

from collections.abc import Callable, Mapping

from drivers.protocols import ers
from sim.clock import Clock
from sim.faults import NO_FAULTS, Faults
from sim.messages import MESSAGE_KNOBS, MessageInstrument
from sim.thermal.body import AMBIENT_C, Body

CHUCK_KNOBS = frozenset({"ers_error", "excursion", "slow_soak", "empty_reply", "stuck_on", "power_cycle"})
"""`ers_error=<number>`: it tells of that error; `excursion=<kelvins>`: driven off when it is asked;
`slow_soak=<times>`: so much slower; `empty_reply`: an answer
without a word; `stuck_on`: it stays in its mode;
`power_cycle`: the power has gone and come back before a line, and it is in standby."""

TIME_CONSTANT_S = 240.0
SLOWER = 10.0
NEAR_K = 0.2
QUERY_S = 0.02
DEW_POINT_C = -20.0


class ErsAc3(MessageInstrument):
    """The box; devices that are landed on have its temperature while it works."""

    knobs = (MESSAGE_KNOBS - {"scpi_error"}) | CHUCK_KNOBS

    def __init__(self, clock: Clock, faults: Faults = NO_FAULTS) -> None:
        super().__init__(clock, faults)
        self.target_c = AMBIENT_C
        self.mode = ers.STANDBY
        self.watches_dew_point = True
        self.body = Body(TIME_CONSTANT_S)
        self._queries: Mapping[str, Callable[[], str]] = {
            "RC": lambda: ers.write_value("C", self._told_c()),
            "RT": lambda: ers.write_value("T", self.target_c),
            "RF": lambda: ers.write_value("F", DEW_POINT_C),
            "RO": lambda: f"O{self.mode}",
            "RD": lambda: f"D{int(self.watches_dew_point)}",
            "RI": lambda: f"I{self._state()}",
            "RE": lambda: f"E{self._error():03d}",
            "RH": lambda: "H00",
        }

    def heat(self) -> float | None:
        """Return what it gives the devices, degrees Celsius; None while it is at rest."""
        return self.body.celsius(self.clock.time()) if self.mode == ers.NORMAL else None

    def _told_c(self) -> float:
        """Return what it tells when it is asked; the moment at which it may be driven off."""
        if (kelvins := self.faults.strikes("excursion")) is not None:
            self.body.disturb(float(kelvins or 10), self.clock.time())
        return self.body.celsius(self.clock.time())

    def obey(self, message: str) -> str | None:
        if self.faults.strikes("power_cycle") is not None:
            self._lose_power()
        self.spend(QUERY_S)
        if self.faults.strikes("empty_reply") is not None:
            return ""
        return self._answer(message.strip())

    def _lose_power(self) -> None:
        """The chuck keeps its warmth for a while, and nothing else."""
        self.target_c, self.mode, self.watches_dew_point = AMBIENT_C, ers.STANDBY, True
        self._work()

    def _answer(self, line: str) -> str:
        if (query := self._queries.get(line)) is not None:
            return query()
        return self._told(line)

    def _told(self, line: str) -> str:
        word, argument = line[:2], line[2:]
        if word == "ST":
            return self._aim(line)
        if word == "SO" and argument in ("1", "2", "3", "4"):
            if self.faults.strikes("stuck_on") is None:
                self.mode = int(argument)
            self._work()
            return "OK"
        if word in ("SD", "SH") and argument in ("0", "1"):
            self.watches_dew_point = argument == "1" if word == "SD" else self.watches_dew_point
            return "OK"
        return ers.UNKNOWN

    def _aim(self, line: str) -> str:
        try:
            self.target_c = ers.Target.decode(line).celsius
        except ValueError:
            return ers.UNKNOWN
        self._work()
        return "OK"

    def _work(self) -> None:
        slow = self.faults.strikes("slow_soak")
        self.body.time_constant_s = TIME_CONSTANT_S * (1.0 if slow is None else float(slow or SLOWER))
        self.body.go(self.target_c if self.mode == ers.NORMAL else AMBIENT_C, self.clock.time())

    def _state(self) -> int:
        away = self.target_c - self.body.celsius(self.clock.time())
        if abs(away) <= NEAR_K:
            return ers.AT_TEMPERATURE
        return ers.HEATING if away > 0 else ers.COOLING

    def _error(self) -> int:
        found = self.faults.strikes("ers_error")
        return 0 if found is None else int(found or 8)
