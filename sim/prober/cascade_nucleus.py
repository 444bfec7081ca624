"""A simulated probe station under Nucleus, command set "Summit".

Follows SweepMe instrument-drivers, Cascade Nucleus; that a move in contact is an error, and all texts of
errors, are assumed.
"""

from collections.abc import Callable, Mapping
from typing import TypeAlias

from drivers.protocols.nucleus import COMPLETE, keywords
from sim.lines import Talker
from sim.prober.stage import STAGE_KNOBS, Reason, RefusedMove, Spot, Stage, State

Ends: TypeAlias = tuple[float, float]
Handle: TypeAlias = Callable[[list[str]], str]

TEXTS: Mapping[Reason, str] = {
    Reason.NO_WAFER: "No wafer",
    Reason.IN_CONTACT: "Chuck is in contact",
    Reason.OUTSIDE: "Location is out of range",
    Reason.DOOR_OPEN: "Door is open",
    Reason.VACUUM: "Vacuum is off",
    Reason.NO_CONTACT_HEIGHT: "Contact is not set",
}


class Failure(Exception):  # noqa: N818 - what it is
    """An error text."""


class CascadeNucleus(Talker):
    """One probe station; `put` on its stage lays a wafer onto the chuck."""

    knobs = Talker.knobs | STAGE_KNOBS | {"alarm", "empty_reply", "truncate"}

    def __init__(self, stage: Stage, *, responds: bool = False) -> None:
        """`responds`: whether the choice of answers is answered itself, which is not known."""
        super().__init__(stage.clock, stage.faults)
        self.stage = stage
        self.answers = False
        self.summit = False
        self._responds = responds
        t = stage.timing
        self._moves: dict[str, tuple[Ends, Handle]] = {
            ":mov:pro:abs:loc": (t.index_s, self._locate),
            ":mov:con": (t.contact_s, lambda _: self._raise()),
            ":mov:sep": (t.contact_s, lambda _: self._lower()),
            ":mov:loa": (t.index_s, lambda _: self._lower()),
            ":the:tem:set": (t.query_s, self._heat),
            ":the:act": (t.query_s, lambda _: COMPLETE),
        }
        self._queries: dict[str, Handle] = {
            "*id?": lambda _: "Cascade Microtech, Nucleus 4.1",
            ":mov:con?": lambda _: "TRUE" if stage.touches else "FALSE",
            ":mov:abs?": lambda _: "0 0 0",
            ":pro:nte?": lambda _: str(len(stage.dies()) or ""),
            ":pro:die:loc?": self._die,
            ":mov:pro:abs:ind?": lambda _: str(stage.index + 1),
            ":mov:pro:abs:die?": lambda _: f"{stage.spot.x} {stage.spot.y}",
            ":mov:pro:abs:sub?": lambda _: str(stage.spot.subsite),
            ":pro:sub:tot?": lambda _: "1",
            ":the:tem:cur?": lambda _: f"{stage.heater.told():.1f}",
            ":the:tem:tar?": lambda _: f"{stage.heater.target_c:.1f}",
            ":sys:err?": lambda _: "0",
        }

    # -- one line
    def seconds(self, line: str) -> float:
        name, _ = keywords(line)
        ends, _ = self._moves.get(name, (self.stage.timing.query_s, None))
        return self.stage.between(ends)

    def done(self, line: str) -> str | None:
        name, rest = keywords(line)
        if name.startswith("$"):
            return self._choose(name, rest.lower())
        _, handle = self._moves.get(name, (None, self._queries.get(name)))
        try:
            answer = self._said(handle, rest.split())
        except Failure as failure:
            answer = str(failure)
        except RefusedMove as refused:
            answer = TEXTS.get(refused.reason, "Error")
        if not name.endswith("?") and not self.answers:
            return None
        return self._worn(answer)

    def _said(self, handle: Handle | None, args: list[str]) -> str:
        if (text := self.faults.strikes("alarm")) is not None:
            raise Failure(text or "Motor fault")
        if handle is None or not self.summit:
            raise Failure("Unknown command")
        return handle(args)

    def _worn(self, answer: str) -> str:
        if self.faults.strikes("empty_reply") is not None:
            return ""
        if (length := self.faults.strikes("truncate")) is not None:
            return answer[: int(length or 1)]
        return answer

    def _choose(self, name: str, what: str) -> str | None:
        if name == "$:set:mod":
            self.summit = what == "summit"
        if name == "$:set:res":
            self.answers = what == "on"
            return COMPLETE if self._responds else None
        return None

    # -- what it does
    def _locate(self, args: list[str]) -> str:
        spot = Spot(*(_int(args, at) for at in range(3)))
        places = self.stage.dies()
        if places and not any(abs(spot.x - x) <= 8 and abs(spot.y - y) <= 8 for x, y in places):
            raise RefusedMove(Reason.OUTSIDE)
        self.stage.step(*spot)
        return COMPLETE

    def _raise(self) -> str:
        if self.stage.state is State.EMPTY:
            raise RefusedMove(Reason.NO_WAFER)
        self.stage.raise_chuck()
        return COMPLETE

    def _lower(self) -> str:
        self.stage.lower_chuck()
        return COMPLETE

    def _die(self, args: list[str]) -> str:
        places, index = self.stage.dies(), _int(args, 0)
        if not 1 <= index <= len(places):
            raise RefusedMove(Reason.OUTSIDE)
        x, y = places[index - 1]
        return f"{x} {y}"

    def _heat(self, args: list[str]) -> str:
        try:
            self.stage.heater.aim(float(args[0]))
        except (ValueError, IndexError):
            raise Failure("Bad parameter") from None
        return COMPLETE


def _int(args: list[str], at: int) -> int:
    try:
        return int(args[at])
    except (IndexError, ValueError):
        raise Failure("Bad parameter") from None
