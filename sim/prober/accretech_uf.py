"""A simulated Accretech UF: letters in, answers and service requests out.

Follows SweepMe instrument-drivers, UF series, and the table of states of its stage; error codes of the
machine itself, and what an operator does, are assumed.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeAlias

from drivers.errors import ProtocolError
from drivers.protocols import accretech
from drivers.protocols.accretech import BinProfile, ChuckState, Place, Stb, place
from sim.instrument import RQS, Instrument
from sim.prober.stage import (
    CASSETTES,
    LOADER_KNOBS,
    SLOTS,
    STAGE_KNOBS,
    Move,
    Reason,
    RefusedMove,
    Stage,
    State,
)

SPURIOUS_STB = 0x02
OPERATOR_S = 20.0
ALARM_CODE = "S0001"
TEXTS: Mapping[str, str] = {
    **accretech.ERRORS,
    ALARM_CODE: "VACUUM",
    "I0002": "DOOR OPEN",
    "E0150": "LOADER",
}
CODES: Mapping[Reason, str] = {
    Reason.VACUUM: ALARM_CODE,
    Reason.DOOR_OPEN: "I0002",
    Reason.LOADER: "E0150",
}
"""Error codes of refusals; all others are `cannot execute now`."""

Effect: TypeAlias = Callable[[], int]


class Malformed(Exception):  # noqa: N818 - what it is
    """A command that cannot be read."""


class AccretechUf(Instrument):
    """One prober. A command that moves ends with a status byte; a query is answered at once."""

    knobs = (
        STAGE_KNOBS
        | LOADER_KNOBS
        | {
            "alarm",
            "coord_width",
            "drop_srq",
            "dup_srq",
            "extra_site",
            "late_srq",
            "manual_start",
            "pause",
            "split_srq",
            "spurious_stb",
            "warning",
        }
    )

    def __init__(
        self,
        stage: Stage,
        *,
        width: int = 3,
        card: Sequence[tuple[int, int]] = ((0, 0),),
        profile: BinProfile | None = None,
    ) -> None:
        """`width` of coordinates, `card` and bin coding as they are set at the machine."""
        super().__init__(stage.clock, stage.faults)
        self.stage = stage
        self._width = width
        self._card = tuple(card)
        self._profile = profile
        self._error = ""
        self._moving = False
        self._ended = False
        """No die of the route is left."""
        t = stage.timing
        self._exact: dict[str, tuple[tuple[float, float], Effect]] = {
            "L": (t.exchange_s, self._load_next),
            "U": (t.exchange_s, self._unload),
            "N1": (t.align_s, partial(self._move, Move.ALIGN, Stb.ALIGNED)),
            "G": (t.index_s, partial(self._to, 0, Stb.FIRST_DIE)),
            "J": (t.index_s, self._next),
            "Z": (t.contact_s, self._up),
            "D": (t.contact_s, self._down),
            "jv": (t.exchange_s, self._end_lot),
            "le": (t.exchange_s, self._end_lot),
            "jw": (t.clean_s, lambda: Stb.NORMAL),
            "es": (t.query_s, self._clear_alarm),
            "NC": (t.clean_s, lambda: Stb.CLEANED),
        }
        self._queries: dict[str, Callable[[], str]] = {
            "B": lambda: "BUF300001",
            "PV": lambda: "PVUF3000V1.02.3",
            "b": lambda: "b" + (stage.name() if stage.wafer else ""),
            "Q": lambda: "Q" + self._where(stage.spot.x, stage.spot.y),
            "QS": lambda: f"QSY{stage.spot.y:03d}X{stage.spot.x:03d}S{stage.spot.subsite:03d}",
            "q": lambda: "q" + self._where(*(stage.dies() or [(0, 0)])[0]),
            "O": self._sites,
            "S1": self._chuck,
            "w": self._slots,
            "f": lambda: f"f{self._tenths(stage.heater.told())}{self._tenths(stage.heater.target_c)}",
            "E": lambda: "E" + self._error,
            "e": lambda: "e" + TEXTS.get(self._error, ""),
            "ms": lambda: "msE" if self._error else "msI",
            "OP": lambda: "OPSMITH",
            "ku": lambda: "kuSE1",
        }

    # -- what the station says
    def handle(self, message: bytes) -> None:
        text = message.decode("latin-1").strip()
        if text in self._queries:
            self.clock.call_later(self.stage.between(self.stage.timing.query_s), self._answer, text)
            return
        if self._moving:
            self._refuse(accretech.NOT_NOW)
            return
        try:
            seconds, effect = self._command(text)
        except Malformed:
            self._refuse(accretech.FORMAT)
            return
        self._moving = True
        self.clock.call_later(self.stage.between(seconds), self._finish, effect)

    def bus_status(self) -> int:
        """Serial poll: a service request has its byte and no more."""
        with self.condition:
            return self._statuses.popleft() if self._statuses else 0

    def _command(self, text: str) -> tuple[tuple[float, float], Effect]:
        t = self.stage.timing
        if text in self._exact:
            return self._exact[text]
        if self._profile is not None and text.startswith(self._profile.command):
            return t.query_s, partial(self._bins, text)
        match text[:2]:
            case "j2":
                return t.exchange_s, partial(self._load, _number(text[2:3]), _number(text[3:5]))
            case "ST":
                return t.query_s, partial(int, _number(text[3:]))
            case "JY" | "JS":
                return t.index_s, partial(self._step, self._read_place(text))
        if text[:1] == "h" and len(text) == 5:
            return t.query_s, partial(self._heat, _number(text[1:]) / 10)
        raise Malformed(text)

    def _read_place(self, text: str) -> Place:
        letters = "JS" if text.startswith("JS") else "J"
        try:
            found = Place.decode(text, letters)
        except ProtocolError:
            raise Malformed(text) from None
        if found.width != self._width_now():
            raise Malformed(text)
        return found

    # -- what ends it
    def _finish(self, effect: Effect) -> None:
        self._moving = False
        if (code := self.faults.strikes("alarm")) is not None:
            self._refuse(code or ALARM_CODE)
            return
        try:
            status = effect()
        except RefusedMove as refused:
            self._refused_move(refused)
            return
        if status in (Stb.DIE_DONE, Stb.FIRST_DIE) and self._strikes("split_srq"):
            self.request_service(Stb.XY_DONE)
        if (code := self.faults.strikes("warning")) is not None:
            self._error = code or ALARM_CODE
            self.request_service(Stb.WARNING)
        if (seconds := self.faults.strikes("pause")) is not None:
            self.request_service(Stb.STOPPED)
            self.clock.call_later(float(seconds or OPERATOR_S), self._go_on, status)
            return
        self._announce(status)

    def _go_on(self, status: int) -> None:
        self.request_service(Stb.STARTED)
        self._announce(status)

    def _refused_move(self, refused: RefusedMove) -> None:
        match refused.reason:
            case Reason.OUTSIDE:
                self._announce(Stb.OUTSIDE)
            case Reason.END_OF_ROUTE:
                self._ended = True
                self._announce(Stb.WAFER_END)
            case Reason.SLOT_EMPTY | Reason.NO_CASSETTE | Reason.BAD_SLOT:
                self._announce(Stb.LOT_END)
            case reason:
                self._refuse(refused.code or CODES.get(reason, accretech.NOT_NOW))

    def _refuse(self, code: str) -> None:
        self._error = code
        self.request_service(Stb.ERROR)

    def _announce(self, status: int) -> None:
        late_s = float(self.faults.strikes("late_srq") or 0) / 1000
        if self._strikes("spurious_stb"):
            self._poll_only(SPURIOUS_STB)
        if self._strikes("drop_srq"):
            return
        times = 1
        if (more := self.faults.strikes("dup_srq")) is not None:
            times += int(more or 1)
        for _ in range(times):
            self.clock.call_later(late_s, self.request_service, status)
        if status == Stb.DIE_DONE and self._strikes("manual_start"):
            self.clock.call_later(late_s, self._raised_by_hand)

    def _poll_only(self, status: int) -> None:
        with self.condition:
            self._statuses.append(status & ~RQS)
        for listener in tuple(self.on_service_request):
            listener()

    def _raised_by_hand(self) -> None:
        self.stage.raise_chuck()
        self.request_service(Stb.UP)

    # -- moving
    def _move(self, what: Move, status: Stb) -> int:
        self.stage.move(what)
        return status

    def _to(self, index: int, status: Stb) -> int:
        self.stage.step_to_number(index)
        return status

    def _next(self) -> int:
        return self._to(self.stage.index + 1, Stb.DIE_DONE)

    def _step(self, where: Place) -> int:
        self._near(where)
        self.stage.step(where.x, where.y, where.subsite)
        return Stb.DIE_DONE

    def _near(self, where: Place) -> None:
        places = self.stage.dies()
        if places and not any(abs(where.x - x) <= 8 and abs(where.y - y) <= 8 for x, y in places):
            raise RefusedMove(Reason.OUTSIDE)

    def _up(self) -> int:
        if self.stage.touches:
            raise RefusedMove(Reason.IN_CONTACT)
        self.stage.raise_chuck()
        return Stb.UP

    def _down(self) -> int:
        self.stage.lower_chuck()
        return Stb.DOWN

    # -- wafers
    def _load(self, cassette: int, slot: int) -> int:
        self._ended = False
        self.stage.load(cassette, slot)
        if self.stage.dies():
            self.stage.step_to_number(0)
        return Stb.FIRST_DIE

    def _load_next(self) -> int:
        if not self.stage.slots:
            return Stb.LOT_END
        return self._load(*min(self.stage.slots))

    def _unload(self) -> int:
        self.stage.unload()
        return Stb.UNLOADED

    def _end_lot(self) -> int:
        if self.stage.state is State.UP:
            self.stage.lower_chuck()
        if self.stage.state is not State.EMPTY:
            self.stage.unload()
        return Stb.LOT_END

    # -- bins
    def _bins(self, text: str) -> int:
        profile = self._profile
        if profile is None:
            raise RefusedMove(Reason.NO_WAFER)
        for site, number in profile.decode(text, len(self._card)).items():
            dx, dy = self._card[site - 1]
            self.stage.mark(self.stage.spot.x + dx, self.stage.spot.y + dy, number)
        if profile.counts_for_next:
            self._moving = True
            self.clock.call_later(self.stage.between(self.stage.timing.index_s), self._finish, self._next)
        return profile.done_stb[0]

    # -- answers
    def _answer(self, query: str) -> None:
        self.respond((self._queries[query]() + "\r\n").encode("latin-1"))

    def _chuck(self) -> str:
        occupied = self.stage.state is not State.EMPTY
        return ChuckState(self.stage.touches, occupied, bool(self._error)).encode()

    def _width_now(self) -> int:
        return 7 - self._width if self._strikes("coord_width") else self._width

    def _where(self, x: int, y: int) -> str:
        return place(x, y, self._width_now())

    def _sites(self) -> str:
        spot, places = self.stage.spot, self.stage.dies()
        there = [(spot.x + dx, spot.y + dy) in places for dx, dy in self._card]
        if self._strikes("extra_site"):
            there.append(True)
        nibbles = [there[at : at + 4] for at in range(0, len(there), 4)]
        return "O" + "".join(chr(0x40 | sum(1 << bit for bit, on in enumerate(n) if on)) for n in nibbles)

    def _slots(self) -> str:
        texts = list[str]()
        for cassette in CASSETTES:
            if not self.stage.has_cassette(cassette):
                texts.append("0" * (SLOTS + 1))
                continue
            states = (self._slot(cassette, slot) for slot in range(1, SLOTS + 1))
            texts.append("1" + "".join(states))
        return "w" + ".".join(texts)

    def _slot(self, cassette: int, slot: int) -> str:
        if self.stage.place == (cassette, slot) and self.stage.state is not State.EMPTY:
            return "3"
        return "1" if (cassette, slot) in self.stage.slots else "0"

    def _clear_alarm(self) -> int:
        self._error = ""
        return Stb.ALARM_RESET

    # -- temperature
    def _heat(self, celsius: float) -> int:
        if not -55 <= celsius <= 200:
            return Stb.ABNORMAL
        self.stage.heater.aim(celsius)
        return Stb.TEMPERATURE_TAKEN

    @staticmethod
    def _tenths(celsius: float) -> str:
        return f"{round(celsius * 10):04d}"

    def _strikes(self, knob: str) -> bool:
        return self.faults.strikes(knob) is not None


def _number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise Malformed(text) from None
