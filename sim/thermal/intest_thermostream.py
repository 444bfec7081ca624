"""A simulated Temptronic TP04300: air that flows from a head, first order towards its set point.

Ref: TP04300 Interface & Applications Manual, ch. 4 and app. C.
"""

from collections.abc import Callable, Mapping
from math import inf

from drivers.protocols.thermostream import AMBIENT, Auxiliary, Condition
from sim.clock import Clock
from sim.faults import NO_FAULTS, Faults
from sim.messages import MESSAGE_KNOBS, MessageInstrument
from sim.thermal.body import AMBIENT_C, Body

STREAM_KNOBS = frozenset(
    {"head_locked", "slow_head", "no_flow", "eror", "excursion", "slow_soak", "power_cycle", "stuck_on"}
)
"""`head_locked`: the head stays up; `slow_head=<seconds>`: it takes so long to come down;
`no_flow`: no air comes;
`excursion=<kelvins>`: driven off when it is asked;
`eror=<bits>`: the error register; `slow_soak=<times>`: so much slower;
`power_cycle`: it has lost its power, and comes back with nothing set; `stuck_on`: the air flows on."""

TIME_CONSTANT_S = 15.0
SLOWER = 10.0
RESET_S = 4.0
SLOW_HEAD_S = 3.0
QUERY_S = 0.02
RANGES = {
    "SETP": (-99.9, 225.0),
    "WNDW": (0.1, 9.9),
    "SOAK": (0.0, 9999.0),
    "ULIM": (25.0, 225.0),
    "LLIM": (-99.0, 25.0),
}


class InTestThermoStream(MessageInstrument):
    """The box; devices that are landed on have its temperature while air flows on them."""

    knobs = (MESSAGE_KNOBS - {"scpi_error"}) | STREAM_KNOBS

    def __init__(self, clock: Clock, faults: Faults = NO_FAULTS) -> None:
        super().__init__(clock, faults)
        self.idn = "TEMPTRONIC,TP04300A,4000,Ver 3.2.0"
        self._power_up()
        self._queries: Mapping[str, Callable[[], str]] = {
            "*IDN?": lambda: self.idn,
            "TEMP?": lambda: f"{self._told_c():.1f}",
            "TMPA?": lambda: f"{self._told_c():.1f}",
            "TMPD?": lambda: f"{self._told_c():.1f}",
            "TECR?": lambda: str(int(self._condition())),
            "EROR?": lambda: str(self._errors()),
            "AUXC?": lambda: str(int(self._auxiliary())),
            "SETN?": lambda: str(self.point),
            "SETP?": lambda: f"{self.set['SETP']:.1f}",
            "WNDW?": lambda: f"{self.set['WNDW']:.1f}",
            "SOAK?": lambda: f"{self.set['SOAK']:.0f}",
            "WHAT?": lambda: "5",
            "HEAD?": lambda: str(int(self.head_down)),
            "FLWR?": lambda: "10" if self.flows else "0",
        }

    def _power_up(self) -> None:
        self.point, self.flows, self.remote, self.dut = AMBIENT, False, False, False
        self._down_at = inf
        self.set = {"SETP": 25.0, "WNDW": 1.0, "SOAK": 30.0, "ULIM": 225.0, "LLIM": -99.0}
        self.cleared_errors = True
        self.body = Body(TIME_CONSTANT_S)

    @property
    def head_down(self) -> bool:
        """Whether the head has come down."""
        return self.clock.time() >= self._down_at

    def heat(self) -> float | None:
        """Return what it gives the devices, degrees Celsius; None while it is at rest."""
        return self.body.celsius(self.clock.time()) if self.flows and self.head_down else None

    def _told_c(self) -> float:
        """Return what it tells when it is asked; the moment at which it may be driven off."""
        if (kelvins := self.faults.strikes("excursion")) is not None:
            self.body.disturb(float(kelvins or 10), self.clock.time())
        return self.body.celsius(self.clock.time())

    def obey(self, message: str) -> str | None:
        if self.faults.strikes("power_cycle") is not None:
            self._power_up()
            return None
        answers = [answer for unit in message.split(";") if (answer := self._unit(unit.strip().upper()))]
        return ";".join(answers) + "\r" if answers else None

    def _unit(self, unit: str) -> str | None:
        if (query := self._queries.get(unit)) is not None:
            self.spend(QUERY_S)
            return query()
        word, _, argument = unit.partition(" ")
        if self._known(word):
            return None
        try:
            self._tell(word, float(argument or 0))
        except ValueError:
            return None  # a machine without an error queue: what it does not understand, it ignores
        return None

    def _known(self, word: str) -> bool:
        """Do what has no argument."""
        match word:
            case "%RM" | "%GL" | "%LL":
                self.remote = word != "%GL"
            case "*RST" | "RSTO":
                self.flows = False
                self.spend(RESET_S)
            case "CLER":
                self.cleared_errors = True
            case _:
                return False
        return True

    def _tell(self, word: str, value: float) -> None:
        if not self.remote and word not in ("FLOW", "HEAD"):
            return
        match word:
            case "HEAD":
                self._move(down=bool(value) and self.faults.strikes("head_locked") is None)
            case "FLOW":
                if self.faults.strikes("no_flow" if value else "stuck_on") is None:
                    self.flows = bool(value)
                self._work()
            case "SETN":
                self.point = int(value)
            case "DUTM":
                self.dut = bool(value)
            case _ if word in RANGES:
                low, high = RANGES[word]
                if low <= value <= high:
                    self.set[word] = value
                self._work()

    def _move(self, *, down: bool) -> None:
        slow = self.faults.strikes("slow_head") if down and not self.head_down else None
        seconds = 0.0 if slow is None else float(slow or SLOW_HEAD_S)
        self._down_at = min(self._down_at, self.clock.time() + seconds) if down else inf
        self._work()
        if seconds:
            self.clock.call_later(seconds, self._work)

    def _work(self) -> None:
        """Air flows onto the device under a head that is down; else it goes back to what the room has."""
        slow = self.faults.strikes("slow_soak")
        self.body.time_constant_s = TIME_CONSTANT_S * (1.0 if slow is None else float(slow or SLOWER))
        active = self.flows and self.head_down
        self.body.go(self.set["SETP"] if active else AMBIENT_C, self.clock.time())

    def _condition(self) -> Condition:
        soaked_at = self.body.near_since(self.set["WNDW"]) + self.set["SOAK"]
        if self.flows and self.head_down and self.clock.time() >= soaked_at:
            return Condition.AT_TEMPERATURE
        return Condition.NOT_AT_TEMPERATURE

    def _errors(self) -> int:
        bits = self.faults.strikes("eror")
        return 0 if bits is None else int(bits or "8", 0)

    def _auxiliary(self) -> Auxiliary:
        found = Auxiliary.READY
        if not self.head_down:
            found |= Auxiliary.HEAD_UP
        if self.flows:
            found |= Auxiliary.FLOW_ON
        return found | (Auxiliary.DUT_MODE if self.dut else Auxiliary(0))
