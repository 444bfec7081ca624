"""A simulated Keithley 707B with a matrix card of eight rows and twelve columns in slots 1 and 2.

Ref: Models 707B and 708B Reference Manual (707B-901-01), section 7.
"""

from collections.abc import Mapping

from sim.clock import Clock
from sim.faults import NO_FAULTS, Faults
from sim.messages import MESSAGE_KNOBS, CommandError
from sim.tsp import TspInstrument, Value, Values, number, runtime_error

RELAY_KNOBS = frozenset({"stuck", "interlock_open", "power_cycle"})
"""`stuck=1A01`: that relay, or every one, stays as it is; `interlock_open`: the interlock is not engaged;
`power_cycle`: the power has gone and come back before a message: all are open, nothing is as it was set."""

SWITCH_S = 0.005
ROWS = "ABCDEFGH"
COLUMNS = range(1, 13)
SLOTS: Mapping[int, str] = {
    1: "7174A,8x12 Low Current Matrix,01.00a,1234567",
    2: "7174A,8x12 Low Current Matrix,01.00a,1234568",
}
SLOT_COUNT = 6
PATHS = frozenset(f"{slot}{row}{column:02d}" for slot in SLOTS for row in ROWS for column in COLUMNS)


class Keithley707B(TspInstrument):
    """The box and its relays; nothing is wired to them."""

    knobs = MESSAGE_KNOBS | RELAY_KNOBS

    def __init__(self, clock: Clock, faults: Faults = NO_FAULTS) -> None:
        super().__init__(clock, faults)
        self.closed: set[str] = set()
        self.forbidden: set[str] = set()
        self.idn = "Keithley Instruments Inc., Model 707B, 1234567, 01.20a"
        self._rule = 1.0
        self.common["*IDN?"] = lambda: self.idn
        self.sets["channel.connectrule"] = self._set_rule
        self.gets["channel.connectrule"] = lambda: self._rule
        self.gets.update({"channel.BREAK_BEFORE_MAKE": lambda: 1.0, "channel.MAKE_BEFORE_BREAK": lambda: 2.0})
        for slot in range(1, SLOT_COUNT + 1):
            self._add_slot(slot)
        self.functions |= {
            "channel.reset": self._reset,
            "channel.close": self._close,
            "channel.open": self._open,
            "channel.exclusiveclose": self._close_only,
            "channel.getclose": self._get_closed,
            "channel.getstate": self._get_state,
            "channel.setdelay": lambda _: [],
            "channel.setforbidden": self._forbid,
            "channel.getforbidden": self._get_forbidden,
            "channel.clearforbidden": self._allow,
        }

    def _add_slot(self, slot: int) -> None:
        self.gets[f"slot[{slot}].idn"] = lambda: SLOTS.get(slot, "Empty Slot")
        self.gets[f"slot[{slot}].interlock.state"] = lambda: self._interlock(slot)

    def lose_power(self) -> None:
        super().lose_power()
        self.closed.clear()
        self.forbidden.clear()
        self._rule = 1.0

    # -- what calls do
    def _reset(self, arguments: Values) -> Values:
        self.forbidden.clear()
        return self._open(arguments)

    def _close(self, arguments: Values) -> Values:
        wanted = self._paths(arguments)
        if refused := wanted & self.forbidden:
            raise CommandError(1114, f"Channel {min(refused)} is forbidden to close")
        return self._move(closing=wanted, opening=set())

    def _open(self, arguments: Values) -> Values:
        return self._move(closing=set(), opening=self._paths(arguments))

    def _close_only(self, arguments: Values) -> Values:
        wanted = self._paths(arguments)
        if refused := wanted & self.forbidden:
            raise CommandError(1114, f"Channel {min(refused)} is forbidden to close")
        return self._move(closing=wanted, opening=self.closed - wanted)

    def _move(self, *, closing: set[str], opening: set[str]) -> Values:
        """Move what is not where it shall be, but for a relay that sticks."""
        stuck = self.faults.strikes("stuck") if closing - self.closed or opening & self.closed else None
        held = {path for path in closing | opening if stuck in ("", path)}
        self.closed |= closing - held
        self.closed -= opening - held
        self.spend(SWITCH_S)
        return []

    def _get_closed(self, arguments: Values) -> Values:
        found = self.closed & self._paths(arguments)
        return [";".join(sorted(found)) if found else None]

    def _get_state(self, arguments: Values) -> Values:
        return [",".join(str(int(path in self.closed)) for path in sorted(self._paths(arguments)))]

    def _forbid(self, arguments: Values) -> Values:
        self.forbidden |= self._paths(arguments)
        return []

    def _allow(self, arguments: Values) -> Values:
        self.forbidden -= self._paths(arguments)
        return []

    def _get_forbidden(self, arguments: Values) -> Values:
        found = self.forbidden & self._paths(arguments)
        return [",".join(sorted(found)) if found else None]

    def _paths(self, arguments: Values) -> set[str]:
        """Read `"1A01,1B02"`, `"slot1"` or `"allslots"`; CommandError for what this machine has not."""
        found = set[str]()
        for name in _text(arguments).split(","):
            if name == "allslots":
                found |= PATHS
            elif name.startswith("slot"):
                found |= {path for path in PATHS if path[0] == name.removeprefix("slot")}
            elif name in PATHS:
                found.add(name)
            else:
                raise CommandError(1115, f"Parameter error: no such channel {name}")
        return found

    def _set_rule(self, value: Value) -> None:
        self._rule = number(value, low=0.0, high=2.0)

    def _interlock(self, slot: int) -> Value:
        if slot not in SLOTS:
            return None
        return float(self.faults.strikes("interlock_open") is None)


def _text(arguments: Values) -> str:
    if len(arguments) != 1 or not isinstance(arguments[0], str):
        raise runtime_error("channel list expected")
    return arguments[0]
