"""The GEM messages with which a host runs a handler, and what is its maker's own: a profile.

Ref: secsgem, message and data-item definitions; the course of a lot is common knowledge (SEMI E30).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from msgspec import Struct

from drivers.errors import ProtocolError
from drivers.protocols.hsms import Message
from drivers.protocols.secs import Format, Item, array, binary, boolean, numbers, text, u4

SET = 0x80
DONE, LATER, ALREADY = 0, 4, 5
REFUSALS = {1: "no such command", 2: "cannot now", 3: "a parameter is wrong", 6: "no such object"}
"""HCACK other than done, later, and already so."""
SitesAs: TypeAlias = Literal["mask", "list"]
Kind: TypeAlias = Literal["jam", "part dropped", "output full", "door"]
NumberAs: TypeAlias = Literal["U1", "U2", "U4", "I4", "A"]


class GemEvent(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One event of the maker's: its number, and the variables that its report tells."""

    ceid: int
    rptid: int = 0
    """0: without a report."""
    vids: tuple[int, ...] = ()


class GemProfile(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a handler's maker has decided. Nothing of it can be guessed: it is in the maker's manual."""

    presented: GemEvent
    """Devices are in contact; the first variable of its report says at which sites."""
    lot_ended: GemEvent
    sorted: GemEvent | None = None
    """Comes when a sort is done, where the handler only accepts the command at first."""
    sites_as: SitesAs = "mask"
    """A number whose lowest bit is site 1, or the numbers of the sites."""
    sort: str = "SORT"
    """The remote command that orders bins."""
    sort_parameter: str = "BIN{site}"
    """The name of its parameter for one site."""
    bin_as: NumberAs = "U1"
    retest: str = ""
    """The remote command that plunges again; empty: there is none."""
    select: str = "PP-SELECT"
    """The remote command that chooses recipe and lot; empty: none is sent."""
    recipe: str = ""
    start: str = "START"
    """The remote command that begins; empty: an operator starts it."""
    end: str = ""
    """The remote command that ends a lot; empty: the handler ends it by itself, when it is empty."""
    warnings: tuple[int, ...] = ()
    """Alarms (ALID) that stop nothing."""
    kinds: Mapping[str, Kind] = {}
    """What an alarm (ALID) is, where more is known of it than its text."""

    def __post_init__(self) -> None:
        if not self.sort or "{site}" not in self.sort_parameter:
            raise ValueError("sort and sort_parameter: a command, and a name with {site} in it, are needed")
        if not self.presented.rptid or not self.presented.vids:
            raise ValueError("presented: a report whose first variable tells the sites is needed")
        reports = [event.rptid for event in self.events if event.rptid]
        if len({event.ceid for event in self.events}) < len(self.events) or len(set(reports)) < len(reports):
            raise ValueError("presented, lot_ended, sorted: each needs a CEID and a RPTID of its own")

    @property
    def events(self) -> tuple[GemEvent, ...]:
        """All events that are asked for."""
        return tuple(event for event in (self.presented, self.lot_ended, self.sorted) if event is not None)


# -- what the host says
def establish() -> Message:
    """S1F13: are we in communication."""
    return Message(1, 13, array(), wait=True)


def go_online() -> Message:
    """S1F17."""
    return Message(1, 17, None, wait=True)


def silence() -> Message:
    """S2F37: no events."""
    return Message(2, 37, array(boolean(False), array()), wait=True)


def forget_reports() -> Message:
    """S2F33 with an empty list: all reports are deleted."""
    return Message(2, 33, array(u4(0), array()), wait=True)


def define_reports(profile: GemProfile) -> Message:
    """S2F33."""
    reports = [array(u4(one.rptid), array(*map(u4, one.vids))) for one in profile.events if one.rptid]
    return Message(2, 33, array(u4(0), array(*reports)), wait=True)


def link_reports(profile: GemProfile) -> Message:
    """S2F35."""
    links = [array(u4(one.ceid), array(u4(one.rptid))) for one in profile.events if one.rptid]
    return Message(2, 35, array(u4(0), array(*links)), wait=True)


def enable_events(profile: GemProfile) -> Message:
    """S2F37."""
    return Message(2, 37, array(boolean(True), array(*(u4(one.ceid) for one in profile.events))), wait=True)


def enable_alarms() -> Message:
    """S5F3 for all alarms."""
    return Message(5, 3, array(binary(SET), u4()), wait=True)


def command(name: str, parameters: Mapping[str, Item] | None = None) -> Message:
    """S2F41."""
    pairs = [array(text(key), value) for key, value in (parameters or {}).items()]
    return Message(2, 41, array(text(name), array(*pairs)), wait=True)


def number(value: int, kind: NumberAs) -> Item:
    """Write a number as the maker wants it."""
    return text(str(value)) if kind == "A" else Item(Format[kind], (value,))


# -- what the equipment says
@dataclass(frozen=True)
class Event:
    """S6F11: which, and the values of each report."""

    data_id: int
    ceid: int
    reports: Mapping[int, tuple[Item, ...]]

    @classmethod
    def of(cls, message: Message) -> "Event":
        """Read S6F11; ProtocolError if it is none."""
        match _items(message):
            case (data_id, ceid, reports):
                told = dict[int, tuple[Item, ...]]()
                for report in reports.items:
                    rptid, values = _two(report)
                    told[rptid.number] = values.items
                return cls(data_id.number, ceid.number, told)
        raise ProtocolError(f"S6F11 with {message.item}")

    def message(self) -> Message:
        """Write S6F11."""
        reports = [array(u4(rptid), array(*values)) for rptid, values in self.reports.items()]
        return Message(6, 11, array(u4(self.data_id), u4(self.ceid), array(*reports)), wait=True)


@dataclass(frozen=True)
class Alarm:
    """S5F1: set or cleared, its number and text."""

    on: bool
    alid: int
    text: str

    @classmethod
    def of(cls, message: Message) -> "Alarm":
        """Read S5F1; ProtocolError if it is none."""
        match _items(message):
            case (code, alid, what):
                return cls(bool(code.number & SET), alid.number, what.text)
        raise ProtocolError(f"S5F1 with {message.item}")

    def message(self) -> Message:
        """Write S5F1, as a status warning."""
        return Message(5, 1, array(binary(6 | SET * self.on), u4(self.alid), text(self.text)), wait=True)


def acknowledged(message: Message) -> int:
    """Return the code of a reply that is one code, or a list that begins with one (HCACK, COMMACK)."""
    item = message.item
    if item is None:
        raise ProtocolError(f"{message} without a code")
    return item.items[0].number if item.format is Format.L and item.items else item.number


def sites_of(values: tuple[Item, ...], kind: SitesAs) -> frozenset[int]:
    """Read the sites of a report's first variable; ProtocolError if it tells none."""
    if not values:
        raise ProtocolError("a report without the variable that tells the sites")
    found = list(numbers(values[0]))
    if kind == "list":
        return frozenset(found)
    if len(found) != 1 or found[0] < 0:
        raise ProtocolError(f"{values[0]} is no mask of sites")
    return frozenset(bit + 1 for bit in range(found[0].bit_length()) if found[0] >> bit & 1)


def _items(message: Message) -> tuple[Item, ...]:
    return message.item.items if message.item is not None else ()


def _two(item: Item) -> tuple[Item, Item]:
    match item.items:
        case (first, second):
            return first, second
    raise ProtocolError(f"{item} is no pair")
