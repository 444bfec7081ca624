"""Faults by name: what a machine model does wrong, when, and how often.

A fault is written `machine.knob`, `machine.knob=value`, and may end in `@every=n`, `@p=0.01`, `@once` and
`@after=n`, more than one of them too; `handler.drop_srq@p=0.02` loses one service request in fifty.
"""

from dataclasses import dataclass
from random import Random


@dataclass
class Fault:
    """One knob that was turned."""

    machine: str
    knob: str
    value: str = ""
    every: int = 1
    probability: float = 1.0
    once: bool = False
    after: int = 0
    """How often it does not strike at first."""
    asked: int = 0
    spent: bool = False


class FaultError(ValueError):
    """A fault that cannot be meant as it is written."""


def parse(text: str) -> Fault:
    """Read one fault as the command line or TOML writes it."""
    body, _, when = text.partition("@")
    name, _, value = body.partition("=")
    machine, dot, knob = name.partition(".")
    if not dot or not machine or not knob:
        raise FaultError(f"fault {text!r}: write machine.knob, as in handler.drop_srq@p=0.02")
    fault = Fault(machine, knob, value)
    try:
        for condition in when.split("@") if when else ():
            _restrict(fault, condition)
    except ValueError:
        raise FaultError(
            f"fault {text!r}: after @ write once, every=N (N from 1), after=N or p=P (0 to 1)"
        ) from None
    return fault


def _restrict(fault: Fault, condition: str) -> None:
    key, _, amount = condition.partition("=")
    match key:
        case "once":
            fault.once = True
        case "every" if int(amount) >= 1:
            fault.every = int(amount)
        case "after" if int(amount) >= 0:
            fault.after = int(amount)
        case "p" if 0.0 <= float(amount) <= 1.0:
            fault.probability = float(amount)
        case _:
            raise ValueError(key)


class Faults:
    """The faults of one machine. The machine declares its knobs, so a misspelt one is refused at start."""

    def __init__(self, machine: str, knobs: frozenset[str], faults: tuple[Fault, ...], seed: str) -> None:
        mine = [fault for fault in faults if fault.machine == machine]
        self._machine = machine
        self._knobs = knobs
        self._by_knob = dict[str, Fault]()
        for fault in mine:
            self.turn(fault)
        self._random = Random(f"{seed}:faults:{machine}")

    def turn(self, fault: Fault) -> None:
        """Turn a knob; FaultError if the machine does not have it."""
        if fault.knob not in self._knobs:
            known = ", ".join(sorted(self._knobs)) or "none"
            raise FaultError(f"{self._machine} has no fault {fault.knob!r}; it has: {known}")
        self._by_knob[fault.knob] = fault

    def clear(self, knob: str) -> None:
        """Turn a knob back; nothing happens if it was not turned."""
        self._by_knob.pop(knob, None)

    def turned(self) -> tuple[Fault, ...]:
        """Return the knobs that are turned."""
        return tuple(self._by_knob.values())

    def __bool__(self) -> bool:
        """Whether any knob was turned."""
        return bool(self._by_knob)

    def strikes(self, knob: str) -> str | None:
        """Ask at the moment when the fault would show: its value, maybe empty, if it strikes, else None."""
        fault = self._by_knob.get(knob)
        if fault is None or fault.spent:
            return None
        fault.asked += 1
        if (
            fault.asked <= fault.after
            or (fault.asked - fault.after) % fault.every
            or self._random.random() >= fault.probability
        ):
            return None
        fault.spent = fault.once
        self.struck(knob)
        return fault.value

    def struck(self, knob: str) -> None:
        """Be told that a fault strikes; for those who keep account."""
        del knob


NO_FAULTS = Faults("", frozenset(), (), "")
