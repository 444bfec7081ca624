"""Faults by name: what a machine model does wrong, when, and how often.

A fault is written `machine.knob`, `machine.knob=value`, and may end in `@every=n`, `@p=0.01` or `@once`;
`handler.drop_srq@p=0.02` loses one service request in fifty.
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
    key, _, amount = when.partition("=")
    try:
        match key:
            case "":
                pass
            case "once":
                fault.once = True
            case "every" if int(amount) >= 1:
                fault.every = int(amount)
            case "p" if 0.0 <= float(amount) <= 1.0:
                fault.probability = float(amount)
            case _:
                raise ValueError(key)
    except ValueError:
        raise FaultError(f"fault {text!r}: after @ write once, every=N (N from 1) or p=P (0 to 1)") from None
    return fault


class Faults:
    """The faults of one machine. The machine declares its knobs, so a misspelt one is refused at start."""

    def __init__(self, machine: str, knobs: frozenset[str], faults: tuple[Fault, ...], seed: str) -> None:
        mine = [fault for fault in faults if fault.machine == machine]
        for fault in mine:
            if fault.knob not in knobs:
                raise FaultError(f"{machine} has no fault {fault.knob!r}; it has: {', '.join(sorted(knobs))}")
        self._by_knob = {fault.knob: fault for fault in mine}
        self._random = Random(f"{seed}:faults:{machine}")

    def __bool__(self) -> bool:
        """Whether any knob was turned."""
        return bool(self._by_knob)

    def strikes(self, knob: str) -> str | None:
        """Ask at the moment when the fault would show: its value, maybe empty, if it strikes, else None."""
        fault = self._by_knob.get(knob)
        if fault is None or fault.spent:
            return None
        fault.asked += 1
        if fault.asked % fault.every or self._random.random() >= fault.probability:
            return None
        fault.spent = fault.once
        self.struck(knob)
        return fault.value

    def struck(self, knob: str) -> None:
        """Be told that a fault strikes; for those who keep account."""
        del knob


NO_FAULTS = Faults("", frozenset(), (), "")
