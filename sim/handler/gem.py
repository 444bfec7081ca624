"""A simulated handler with SECS/GEM over HSMS: the passive, equipment side.

Ref: secsgem, message and data-item definitions; what it does in a state is assumed where the maker decides.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from random import Random

from drivers.errors import ProtocolError
from drivers.protocols.gem import ALREADY, LATER, Alarm, Event, GemProfile
from drivers.protocols.hsms import Frame, Frames, Kind, Message
from drivers.protocols.secs import Format, Item, array, binary, boolean, text
from sim.clock import Clock
from sim.faults import NO_FAULTS, Faults
from sim.handler.gem_services import SERVICE_KNOBS, MapTalk, Services
from sim.sockets import Sockets
from sim.tcp.machine import TCP_KNOBS, Connection, TcpMachine

MODEL, REVISION = "HND1", "1.0"
CANNOT_NOW, NO_COMMAND, BAD_PARAMETER = 2, 1, 3
UNKNOWN_FUNCTION = 5
NOT_SELECTED = 4
JAM = 17
DROPPED = 18
FULL = 19


class State(Enum):
    """Where the devices are."""

    IDLE = auto()
    MOVING = auto()
    PRESENTED = auto()
    """In contact; waits for bins."""


@dataclass(frozen=True)
class Timing:
    """Seconds."""

    index_s: tuple[float, float] = (0.5, 2.0)
    plunge_s: float = 0.15
    reply_s: float = 0.02
    operator_s: float = 120.0


class GemHandler(TcpMachine):
    """One handler with its devices; the host starts it by a command of the profile."""

    knobs = (
        TCP_KNOBS
        | {
            "abort_reply",
            "alarm",
            "dataid",
            "drop_reply",
            "dup_event",
            "extra_site",
            "late_event",
            "local",
            "no_linktest",
            "offline",
            "output_full",
            "part_dropped",
            "reject",
        }
        | SERVICE_KNOBS
    )
    """`alarm` takes its ALID, `late_event` ms, `dataid` the DATAID of all events;
    `local`: commands are refused at the machine; `offline`: it does not go on-line;
    `abort_reply`: a message is answered by function 0."""

    def __init__(
        self,
        clock: Clock,
        sockets: Sockets,
        profile: GemProfile,
        *,
        sites: int,
        seed: str = "",
        faults: Faults = NO_FAULTS,
        timing: Timing = Timing(),  # noqa: B008 - frozen
    ) -> None:
        super().__init__(clock, faults)
        self.sockets = sockets
        self.profile = profile
        self.sites = sites
        self.timing = timing
        self.state = State.IDLE
        self.lot = ""
        self.acknowledged: list[str] = []
        """What the host has acknowledged."""
        self.services = Services(faults)
        self.map_talk: MapTalk | None = None
        self._sorted_bins: list[int] = []
        self._over = False
        self._in_contact: frozenset[int] = frozenset()
        self._wrong: frozenset[int] = frozenset()
        self._host: Connection | None = None
        self._frames: dict[Connection, Frames] = {}
        self._system = 0x100
        self._data_id = 0
        self._reports: dict[int, tuple[int, ...]] = {}
        self._links: dict[int, tuple[int, ...]] = {}
        self._enabled: frozenset[int] = frozenset()
        self._draw = Random(f"{seed}:gem")
        self._commands: Mapping[str, Callable[[Mapping[str, Item]], int]] = {
            profile.sort: self._sort,
            profile.retest or "-": self._retest,
            profile.select or "--": self._select,
            profile.start or "---": self._start,
            profile.end or "----": self._end_of_lot,
        }

    def talk_of_maps(self) -> None:
        """Ask for the map of each lot when it starts, and send one of what was sorted."""
        self.map_talk = MapTalk(self._say, self.faults)

    # -- people at the machine
    def start(self) -> None:
        """Press the start key, where no command starts it."""
        if self.state is State.IDLE:
            self._index()

    # -- frames
    def on_data(self, connection: Connection, data: bytes) -> None:
        frames = self._frames.setdefault(connection, Frames())
        try:
            for frame in frames.feed(data):
                self._take(connection, frame)
        except ProtocolError:
            connection.reset()

    def left(self, connection: Connection) -> None:
        super().left(connection)
        self._frames.pop(connection, None)
        self._host = None if self._host is connection else self._host

    def _take(self, connection: Connection, frame: Frame) -> None:
        match frame.kind:
            case Kind.SELECT_REQ:
                taken = self._host not in (None, connection)
                self._host = self._host if taken else connection
                self._send(connection, Frame(Kind.SELECT_RSP, frame.system, byte3=int(taken)))
            case Kind.LINKTEST_REQ if self.faults.strikes("no_linktest") is None:
                self._send(connection, Frame(Kind.LINKTEST_RSP, frame.system))
            case Kind.SEPARATE_REQ:
                self._host = None
            case Kind.DATA if self._host is not connection or self.faults.strikes("reject") is not None:
                reject = Frame(Kind.REJECT_REQ, frame.system, frame.session, Kind.DATA, NOT_SELECTED)
                self._send(connection, reject)
            case Kind.DATA if frame.byte3 % 2:
                self._asked(connection, frame)
            case Kind.DATA:
                self._replied(Message.of(frame))

    def _replied(self, reply: Message) -> None:
        self.acknowledged.append(str(reply))
        if self.map_talk is not None:
            self.map_talk.heard(reply)

    def _send(self, connection: Connection, frame: Frame) -> None:
        connection.send(frame.encode(), after_s=self.timing.reply_s)

    # -- messages
    def _asked(self, connection: Connection, frame: Frame) -> None:
        message = Message.of(frame)
        try:
            reply = self._reply(message)
        except ProtocolError:
            reply = Message(9, 7, Item(Format.B, frame.encode()[4:14]))
        if self.faults.strikes("drop_reply") is None:
            self._send(connection, reply.frame(frame.session, frame.system))

    def _reply(self, message: Message) -> Message:
        items = message.item.items if message.item is not None and message.item.format is Format.L else ()
        code: Item | None = None
        match message.stream, message.function:
            case 1, 1:
                code = array(text(MODEL), text(REVISION))
            case 1, 13:
                code = array(binary(0), array(text(MODEL), text(REVISION)))
            case 1, (15 | 17):
                code = binary(int(self.faults.strikes("offline") is not None))
            case 2, 33:
                code = binary(self._define(items[1].items))
            case 2, 35:
                code = binary(self._link(items[1].items))
            case 2, 37:
                code = binary(self._enable(items))
            case 2, 41:
                code = array(binary(self._ordered(items)), array())
            case _:
                code = self.services.reply(message)
        if self.faults.strikes("abort_reply") is not None:
            return Message(message.stream, 0)
        if code is None:
            return Message(9, UNKNOWN_FUNCTION, binary(*message.frame(0, 0).encode()[4:14]))
        return Message(message.stream, message.function + 1, code)

    def _define(self, reports: tuple[Item, ...]) -> int:
        if not reports:
            self._reports.clear()
            self._links.clear()
        for report in reports:
            rptid, vids = report.items
            self._reports[rptid.number] = tuple(vid.number for vid in vids.items)
        return 0

    def _link(self, links: tuple[Item, ...]) -> int:
        for link in links:
            ceid, rptids = link.items
            wanted = tuple(rptid.number for rptid in rptids.items)
            if not set(wanted) <= self._reports.keys():
                return 5
            self._links[ceid.number] = wanted
        return 0

    def _enable(self, items: tuple[Item, ...]) -> int:
        on, ceids = items
        named = frozenset(ceid.number for ceid in ceids.items)
        known = frozenset(event.ceid for event in self.profile.events)
        if not named <= known:
            return 1
        chosen = named or known
        self._enabled = self._enabled | chosen if on == boolean(True) else self._enabled - chosen
        return 0

    # -- commands
    def _ordered(self, items: tuple[Item, ...]) -> int:
        name, pairs = items
        if self.faults.strikes("local") is not None:
            return CANNOT_NOW
        if (do := self._commands.get(name.text)) is None:
            return NO_COMMAND
        return do({key.text: value for key, value in (pair.items for pair in pairs.items)})

    def _select(self, parameters: Mapping[str, Item]) -> int:
        self.lot = parameters["LOTID"].text
        return 0

    def _start(self, parameters: Mapping[str, Item]) -> int:
        del parameters
        if self.state is not State.IDLE:
            return ALREADY
        self.state = State.MOVING
        self._over = False
        self._sorted_bins.clear()
        if self.map_talk is None:
            self._index()
        else:
            self.map_talk.ask(self.lot, self._index)
        return LATER

    def _end_of_lot(self, parameters: Mapping[str, Item]) -> int:
        del parameters
        self.clock.call_later(self.timing.plunge_s, self._end)
        return LATER

    def _sort(self, parameters: Mapping[str, Item]) -> int:
        if self.state is not State.PRESENTED:
            return CANNOT_NOW
        names = {self.profile.sort_parameter.format(site=site): site for site in self._in_contact}
        if parameters.keys() != names.keys():
            return BAD_PARAMETER
        bins = {names[key]: _number(value) for key, value in parameters.items()}
        self.state = State.MOVING
        self.sockets.promised(bins)
        self.clock.call_later(self.timing.plunge_s, self._let_go, bins)
        return LATER

    def _retest(self, parameters: Mapping[str, Item]) -> int:
        del parameters
        if self.state is not State.PRESENTED:
            return CANNOT_NOW
        self.state = State.MOVING
        self.clock.call_later(self.timing.plunge_s, self._lift_and_plunge)
        return LATER

    # -- what moves
    def _index(self) -> None:
        self.state = State.MOVING
        seconds = self._draw.uniform(*self.timing.index_s)
        if (alid := self.faults.strikes("alarm")) is not None:
            self.clock.call_later(self.timing.plunge_s, self.alarm, int(alid or JAM), "JAM")
            seconds += self.timing.operator_s
        if self.faults.strikes("output_full") is not None:
            self.clock.call_later(self.timing.plunge_s, self.alarm, FULL, "OUTPUT FULL")
            seconds += self.timing.operator_s
        self.clock.call_later(seconds, self._place)

    def _place(self) -> None:
        self._in_contact = self._in_contact.union(self.sockets.load())
        if not self._in_contact:
            self._end()
            return
        self.clock.call_later(self.timing.plunge_s, self._plunge)

    def _end(self) -> None:
        """Nothing is left: the map goes to the host, then the lot is over."""
        self.state = State.IDLE
        if self._over:
            return
        self._over = True
        if self.map_talk is None:
            self._lot_over()
        else:
            self.map_talk.send(self.lot, self._sorted_bins, self._lot_over)

    def _lot_over(self) -> None:
        self._event(self.profile.lot_ended.ceid)

    def _plunge(self) -> None:
        self.sockets.land()
        self.state = State.PRESENTED
        self._present()

    def _present(self) -> None:
        """Tell of the devices; again, when an operator has looked at a wrong site."""
        if self.faults.strikes("extra_site") is not None:
            self._wrong = frozenset({self.sites + 1})
            self.clock.call_later(self.timing.operator_s, self._present)
        self._event(self.profile.presented.ceid)
        self._wrong = frozenset()

    def _lift_and_plunge(self) -> None:
        self.sockets.lift()
        self._done()
        self.clock.call_later(self.timing.plunge_s, self._plunge)

    def _let_go(self, bins: Mapping[int, int]) -> None:
        if self.faults.strikes("part_dropped") is not None:
            self.alarm(DROPPED, "PART DROPPED")
            self.clock.call_later(self.timing.operator_s, self._let_go, bins)
            return
        self.sockets.lift()
        self.sockets.sort(bins)
        self._sorted_bins += (bins[site] for site in sorted(bins))
        self._in_contact = self._in_contact.difference(bins)
        self._done()
        self._index()

    def _done(self) -> None:
        if self.profile.sorted is not None:
            self._event(self.profile.sorted.ceid)

    # -- what it says unasked
    def alarm(self, alid: int, what: str, *, on: bool = True) -> None:
        """Set or clear an alarm."""
        self._say(Alarm(on, alid, what).message())

    def _event(self, ceid: int) -> None:
        if ceid not in self._enabled:
            return
        self._data_id += 1
        reports = {rptid: self._values(self._reports[rptid]) for rptid in self._links.get(ceid, ())}
        late_ms = self.faults.strikes("late_event")
        times = 2 if self.faults.strikes("dup_event") is not None else 1
        event = Event(int(self.faults.strikes("dataid") or self._data_id), ceid, reports).message()
        self.clock.call_later(float(late_ms or 0) / 1000, self._say, event, times)

    def _values(self, vids: tuple[int, ...]) -> tuple[Item, ...]:
        """Return the variables of a report: the sites for the first of the event, else the lot."""
        first = self.profile.presented.vids[0]
        return tuple(self._where() if vid == first else text(self.lot) for vid in vids)

    def _where(self) -> Item:
        sites = sorted(self._in_contact | self._wrong)
        if self.profile.sites_as == "list":
            return array(*(Item(Format.U1, (site,)) for site in sites))
        return Item(Format.U4, (sum(1 << site - 1 for site in sites),))

    def _say(self, message: Message, times: int = 1) -> None:
        """Begin a transaction; a repeated one has the same system bytes."""
        if self._host is not None:
            self._system += 1
            for _ in range(times):
                self._send(self._host, message.frame(0, self._system))


def _number(item: Item) -> int:
    return int(item.text) if item.format is Format.A else item.number
