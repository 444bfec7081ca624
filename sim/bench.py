"""The load board: wires the pins of whatever device is in contact to instruments, reader and handler."""

from array import array
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from sim.clock import Clock
from sim.diary import Diary
from sim.dut.device import CARD_PINS, Contact, Device
from sim.dut.electrical import SupplyPin
from sim.dut.lot import Lot
from sim.dut.population import INPUTS
from sim.sockets import OpenCircuit

OPEN = OpenCircuit()
STOPPED = "the station stopped"
"""What befell a device that was in its socket then: a test port that was closed is not opened again."""


class Circuit(Protocol):
    """What a pin shows at this landing."""

    def current(self, volts: float) -> float:
        """Amps that flow into the pin."""


class InputLoad:
    """An input pin of a site, as the SMU at it sees it."""

    def __init__(self) -> None:
        self.circuit: Circuit = OPEN
        self.volts: float | None = None
        self.used = False
        """Whether it was driven since the contacts have closed."""

    def current(self, volts: float) -> float:
        return self.circuit.current(volts)

    def driven(self, volts: float | None) -> None:
        self.volts = volts
        self.used = self.used or volts is not None


class SupplyLoad:
    """VDD of a site, as the supply at it sees it."""

    def __init__(self, socket: "Socket") -> None:
        self._socket = socket
        self.circuit: SupplyPin | None = None
        self.volts: float | None = None

    def current(self, volts: float) -> float:
        return 0.0 if self.circuit is None else self.circuit.current(volts, self._socket.busy_a())

    def driven(self, volts: float | None) -> None:
        self.volts = volts
        self._socket.power()


@dataclass(frozen=True, slots=True)
class TiedToSupply:
    """An input that is shorted to VDD."""

    vdd: SupplyLoad
    ohm: float

    def current(self, volts: float) -> float:
        """Into the supply if that is on; else into the die, whose VDD the pin then feeds."""
        if self.vdd.volts is not None:
            return (volts - self.vdd.volts) / self.ohm
        return self.vdd.circuit.current(volts) if self.vdd.circuit is not None else 0.0


class EmptySlot:
    """A slot of a reader that leads nowhere."""

    def present(self) -> bool:
        return False

    def activate(self) -> bytes | None:
        return None

    def deactivate(self) -> None:
        pass

    def apdu(self, command: bytes) -> tuple[bytes | None, float]:
        del command
        return None, 0.0


EMPTY = EmptySlot()


class CardSlot:
    """The card interface of a site, as a reader sees it."""

    def __init__(self, socket: "Socket") -> None:
        self._socket = socket

    def present(self) -> bool:
        return self._socket.landed is not None

    def activate(self) -> bytes | None:
        device = self._socket.heard
        return None if device is None else device.activate()

    def deactivate(self) -> None:
        if (device := self._socket.landed) is not None:
            device.deactivate()

    def apdu(self, command: bytes) -> tuple[bytes | None, float]:
        device, began = self._socket.heard, self._socket.clock.time()
        reply, seconds = (None, 0.0) if device is None else device.apdu(command)
        self._socket.busy_until = began + seconds
        return reply, seconds


class Socket:
    """One site: a place for a device, and contacts that close on it."""

    def __init__(self, number: int, clock: Clock) -> None:
        self.number = number
        self.clock = clock
        self.device: Device | None = None
        self.landed: Device | None = None
        self.busy_until = 0.0
        self.open_before = ""
        """The pin that was open when the device in contact was last measured."""
        self.vdd = SupplyLoad(self)
        self.inputs = {pin: InputLoad() for pin in INPUTS}
        self.slot = CardSlot(self)

    @property
    def heard(self) -> Device | None:
        """The device in contact, unless an SMU that is still on holds one of its lines."""
        held = any(load.volts is not None for load in self.inputs.values())
        return None if held else self.landed

    @property
    def hot(self) -> bool:
        """Whether there is voltage at VDD's contact."""
        return self.vdd.volts is not None and self.vdd.volts > 0.0

    @property
    def measured(self) -> bool:
        """Whether an input was driven since the contacts have closed."""
        return any(load.used for load in self.inputs.values())

    def land(self, contact: Contact) -> None:
        """Close the contacts on the device."""
        if (device := self.device) is None:
            return
        for load in self.inputs.values():
            load.used = load.volts is not None
        self.landed, device.contact = device, contact
        self.vdd.circuit = device.supply_pin() if device.holds("VDD") else None
        for pin, load in self.inputs.items():
            load.circuit = self._circuit(device, pin)
        self.power()

    def _circuit(self, device: Device, pin: str) -> Circuit:
        if not device.holds(pin):
            return OPEN
        if (ohm := device.short_to_vdd_ohm) is not None and device.die.pin == pin:
            return TiedToSupply(self.vdd, ohm)
        return device.input_pin(pin)

    def lift(self) -> None:
        """Open the contacts; whoever still had power has lost it."""
        if (device := self.landed) is None:
            return
        self.landed = None
        self.vdd.circuit = None
        for load in self.inputs.values():
            load.circuit = OPEN
        device.supplied(None)
        device.contact = None

    def power(self) -> None:
        """Pass what is at VDD on to the device in contact."""
        if self.landed is not None:
            self.landed.supplied(self.vdd.volts)

    def busy_a(self) -> float:
        """Amps on top of the idle current, while a command is being worked on."""
        if self.landed is None or self.clock.time() >= self.busy_until:
            return 0.0
        return self.landed.die.busy_a


@dataclass(frozen=True, slots=True)
class Landing:
    """One device meeting the contacts of one site."""

    plunge: int
    """From 1; all sites of a plunge close at once."""
    site: int
    index: int
    contact: int
    open_pin: str
    hot: bool
    """VDD was on when the contacts closed."""


class Bench:
    """All sockets of the cell, as the handler fills and empties them (`Sockets`), and what happened there."""

    def __init__(self, sites: tuple[int, ...], lot: Lot, clock: Clock, diary: Diary | None = None) -> None:
        """`diary`: what was before, open, and where it goes on."""
        self.lot = lot
        self.sockets = {site: Socket(site, clock) for site in sorted(sites)}
        self.plunges = 0
        self.diary = diary
        self._next = 1
        self._left = frozenset[int]()
        self._fed = Counter[int]()
        self._refed = deque[int]()
        self._landings = array("I")
        if diary is not None:
            self._go_on(diary)

    def _go_on(self, diary: Diary) -> None:
        """Put the devices back that were in their sockets; what the machine had accepted, it has done."""
        came_again = bool(diary.again or diary.fed_again)
        self._next = self.lot.size + 1 if came_again else diary.next
        self._refed.extend(diary.again)
        self._fed.update(diary.fed)
        for site, index in diary.inside.items():
            device = self.sockets[site].device = self.lot.device(index)
            device.contacts = self.lot.fates.contacts(index)
            if diary.knows(index):
                device.have_chip()
        self.sort({site: diary.promised[site] for site in diary.inside.keys() & diary.promised.keys()})
        self._left = frozenset(site for site, socket in self.sockets.items() if socket.device is not None)
        self.note(self._left, STOPPED)

    # -- the handler's side
    def load(self) -> frozenset[int]:
        """Fill empty sockets in site order; a device that was left in its socket stays, and is not told.

        What was in the sockets before the station stopped is told first, and alone.
        """
        filled = set[int]()
        if self._left:
            left, self._left = self._left, frozenset()
            return left
        for site, socket in self.sockets.items():
            if socket.device is not None:
                continue
            if self._next <= self.lot.size:
                self._fill(site, socket, self._next)
                self._next += 1
            elif self._refed:
                self._fill(site, socket, self._refed.popleft())
            else:
                continue
            filled.add(site)
        return frozenset(filled)

    def refeed(self, bins: frozenset[int]) -> int:
        """Put the devices of these hard bins that were fed once back into the input; return how many."""
        fed = range(1, self._next) if bins else ()
        again = [n for n in fed if self._fed[n] == 1 and self.lot.fates.hard_bin(n) in bins]
        self._refed.extend(again)
        return len(again)

    def code(self, site: int) -> str:
        """Return the number that is written on the device at a site."""
        device = self.sockets[site].device
        return "" if device is None else f"P{device.index:06d}"

    def put(self, devices: Mapping[int, int]) -> None:
        """Have these devices, by running number, at the sites, and none at the others: a prober's way."""
        for site, socket in self.sockets.items():
            index = devices.get(site)
            if index is not None and not 1 <= index <= self.lot.size:
                raise ValueError(f"the lot has no device {index}")
            if socket.device is None or socket.device.index != index:
                self._empty(site, socket)
                if index is not None:
                    self._fill(site, socket, index)

    def _fill(self, site: int, socket: Socket, index: int) -> None:
        device = socket.device = self.lot.device(index)
        device.contacts = self.lot.fates.contacts(index)
        self._fed[index] += 1
        if self.diary is not None:
            self.diary.placed(site, index)

    def _empty(self, site: int, socket: Socket) -> None:
        device, socket.device = socket.device, None
        if self.diary is not None and device is not None:
            self.diary.taken(site, device.index)

    def number(self, wafer: int, x: int, y: int) -> None:
        """A die was landed on for the first time, and has the next running number."""
        if self.diary is not None:
            self.diary.write("number", wafer, x, y)

    def promised(self, bins: Mapping[int, int]) -> None:
        """The machine has accepted these bins: it carries them out, whatever becomes of the station."""
        if self.diary is not None:
            for site, hard_bin in bins.items():
                self.diary.write("promised", site, hard_bin)

    def mark(self, index: int, hard_bin: int) -> None:
        """A device got its bin in the map of its wafer, where it stays."""
        for socket in self.sockets.values():
            if socket.device is not None and socket.device.index == index:
                self._mark(socket.device)
        self.lot.fates.sorted(index, hard_bin)

    def land(self) -> None:
        self.lift()
        self.plunges += 1
        for site, socket in self.sockets.items():
            if (device := socket.device) is not None:
                self._land(site, socket, device)

    def _land(self, site: int, socket: Socket, device: Device) -> None:
        self.lot.landed(device)
        contact = self.lot.contact(device, site)
        socket.open_before = self.lot.fates.open_pin(device.index)
        device.contacts = self.lot.fates.landed(device.index, contact.open_pin)
        pin = CARD_PINS.index(contact.open_pin) + 1 if contact.open_pin else 0
        self._landings.extend((self.plunges, site, device.index, device.contacts, pin, socket.hot))
        socket.land(contact)

    def lift(self) -> None:
        for socket in self.sockets.values():
            if socket.landed is not None and socket.hot:
                self.lot.fates.noted(socket.landed.index, "contact lost under power")
            if (device := socket.landed) is not None and device.contacts > 1 and not socket.measured:
                self.lot.fates.passed_over(device.index, socket.open_before)
            socket.lift()

    def sort(self, bins: Mapping[int, int]) -> None:
        self.lift()
        for site in sorted(bins):
            socket = self.sockets[site]
            if (device := socket.device) is not None:
                self._mark(device)
                self.lot.fates.sorted(device.index, bins[site])
                self._empty(site, socket)

    def _mark(self, device: Device) -> None:
        progress = device.progress()
        self.lot.fates.marked(device.index, sealed=progress.sealed, personalised=progress.personalised)

    # -- what is known afterwards
    def note(self, sites: Iterable[int], reason: str) -> None:
        """Write down for the devices in these sockets what befell them."""
        for site in sites:
            if (device := self.sockets[site].device) is not None:
                self.lot.fates.noted(device.index, reason)

    def mark_all(self) -> None:
        """Write down how far the devices are that are still in their sockets."""
        for socket in self.sockets.values():
            if socket.device is not None:
                self._mark(socket.device)

    def landings(self) -> Iterator[Landing]:
        """Yield every landing in order."""
        log = self._landings
        for at in range(0, len(log), 6):
            plunge, site, index, contact, pin, hot = log[at : at + 6]
            yield Landing(plunge, site, index, contact, CARD_PINS[pin - 1] if pin else "", bool(hot))
