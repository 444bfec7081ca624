"""A simulated Prologix or AR488 adapter: `++` lines are for it, the rest for the device that is addressed.

Ref: `drivers/protocols/prologix.py`. It works on one line after the other; a `++read` takes until the answer
has come or its time-out is over.
"""

from collections import deque
from collections.abc import Callable, Mapping
from functools import partial

from drivers.protocols.prologix import ESCAPE
from sim.clock import Clock
from sim.instrument import Instrument
from sim.serial.machine import SerialMachine
from sim.tcp.machine import Connection, TcpMachine

VERSION = "Prologix GPIB-ETHERNET Controller version 01.06.06.00 (simulated)"
UNKNOWN = "Unrecognized command"
LOOK_S = 0.001
CHUNK = 65536
ENDS = {0: b"\r\n", 1: b"\r", 2: b"\n", 3: b""}
Send = Callable[[bytes], None]


class GpibAdapter:
    """The adapter itself, whatever line it is at."""

    def __init__(self, clock: Clock, devices: Mapping[int, Instrument]) -> None:
        """`devices` by their address: the primary one, and with a secondary 100 times that more."""
        self._clock = clock
        self._devices = devices
        self._settings = {
            "mode": 1,
            "auto": 0,
            "eoi": 1,
            "eos": 0,
            "eot_enable": 0,
            "eot_char": 0,
            "savecfg": 1,
        }
        self._settings["read_tmo_ms"] = 200
        self._address = (0, 0)
        self._partial = bytearray()
        self._escaped = False
        self._lines: deque[tuple[bytes, bool, Send]] = deque()
        self._plain = True
        self._reading = False

    def take(self, data: bytes, send: Send) -> None:
        """Take bytes of the station."""
        for byte in data:
            if self._escaped:
                self._partial.append(byte)
                self._escaped = False
            elif byte == ESCAPE:
                self._plain = self._plain and bool(self._partial)
                self._escaped = True
            elif byte in b"\r\n":
                if self._partial:
                    self._lines.append((bytes(self._partial), self._plain, send))
                self._partial.clear()
                self._plain = True
            else:
                self._partial.append(byte)
        self._work()

    def _work(self) -> None:
        while self._lines and not self._reading:
            line, plain, send = self._lines.popleft()
            if plain and line.startswith(b"++"):
                self._command(line[2:].decode("latin-1").split(), send)
            elif (device := self._device()) is not None:
                device.bus_write(line + ENDS[self._settings["eos"] & 3], end=bool(self._settings["eoi"]))
                if self._settings["auto"]:
                    self._read(send)

    def _device(self) -> Instrument | None:
        primary, secondary = self._address
        return self._devices.get(primary + 100 * secondary)

    # -- commands
    def _command(self, words: list[str], send: Send) -> None:
        name, *arguments = words or [""]
        numbers = [int(word) for word in arguments if word.isdigit()]
        match name:
            case "addr" if numbers:
                self._address = (numbers[0], numbers[1] - 96 if len(numbers) > 1 else 0)
            case "addr":
                _say(send, str(self._address[0]))
            case "ver":
                _say(send, VERSION)
            case "read":
                self._read(send)
            case "spoll":
                self._poll(numbers, send)
            case "srq":
                _say(send, str(int(any(device.asks_for_service for device in self._devices.values()))))
            case "clr" | "trg" | "ifc" | "loc" | "llo" | "rst":
                self._bus(name)
            case _ if name in self._settings and numbers:
                self._settings[name] = numbers[0]
            case _ if name in self._settings:
                _say(send, str(self._settings[name]))
            case _:
                _say(send, UNKNOWN)

    def _bus(self, name: str) -> None:
        if (device := self._device()) is None:
            return
        if name == "clr":
            device.bus_clear()
        elif name == "trg":
            device.triggered()

    def _poll(self, numbers: list[int], send: Send) -> None:
        device = self._devices.get(numbers[0]) if numbers else self._device()
        _say(send, "0" if device is None else str(device.bus_status()))

    # -- reading
    def _read(self, send: Send) -> None:
        self._reading = True
        self._look(self._clock.time() + self._settings["read_tmo_ms"] / 1000, send)

    def _look(self, deadline: float, send: Send) -> None:
        """Take the answer if it is due; a read whose time is over brings nothing."""
        now = self._clock.time()
        device = self._device()
        data, end = (b"", "timeout") if device is None else device.bus_read(CHUNK, None, now)
        if end == "timeout" and now < deadline:
            self._clock.call_later(LOOK_S, self._look, deadline, send)
            return
        if data:
            send(data)
        if end == "count":
            self._look(deadline, send)
            return
        self._reading = False
        self._work()


def _say(send: Send, text: str) -> None:
    send(text.encode("latin-1") + b"\r\n")


class EthernetAdapter(TcpMachine):
    """An adapter on Ethernet; clients share its state, as with the real one."""

    def __init__(self, clock: Clock, devices: Mapping[int, Instrument], *, latency_s: float = 0.0) -> None:
        """`latency_s`: how long all that it says takes, as behind the timer of a USB chip."""
        super().__init__(clock)
        self._adapter = GpibAdapter(clock, devices)
        self._latency_s = latency_s

    def on_data(self, connection: Connection, data: bytes) -> None:
        def send(said: bytes) -> None:
            self.clock.call_later(self._latency_s, connection.send, said)

        self._adapter.take(data, send if self._latency_s else connection.send)


class SerialAdapter(SerialMachine):
    """An adapter on a serial line."""

    def __init__(self, clock: Clock, devices: Mapping[int, Instrument], *, latency_s: float = 0.0) -> None:
        """`latency_s` as EthernetAdapter has it; the baud rate takes its time besides."""
        super().__init__(clock)
        self._adapter = GpibAdapter(clock, devices)
        self._send = partial(self.send, after_s=latency_s)

    def on_data(self, data: bytes) -> None:
        self._adapter.take(data, self._send)
