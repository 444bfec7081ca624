"""A machine behind a pseudo-terminal: what a serial port is to pySerial and everybody."""

import asyncio
import os
import pty
import termios
import tty

from sim.served.lines import Exchange, Line

CHUNK = 4096
_RATES = {
    getattr(termios, name): float(name[1:])
    for name in dir(termios)
    if name.startswith("B") and name[1:].isdigit() and name != "B0"
}
OUTPUT_SPEED = 5


class Terminal:
    """Both ends of one; the far one stays open, so a client may come and go."""

    def __init__(self, exchange: Exchange) -> None:
        self._here, self._there = pty.openpty()
        tty.setraw(self._there)
        os.set_blocking(self._here, False)
        self.path = os.ttyname(self._there)
        self._line: Line = exchange.line(self._send, self._hang_up)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._here, self._take)

    def _take(self) -> None:
        self._line.take(os.read(self._here, CHUNK), bits_per_s=self._rate())

    def _rate(self) -> float:
        """What the client has set, in bits a second."""
        return _RATES.get(termios.tcgetattr(self._here)[OUTPUT_SPEED], 0.0)

    def _send(self, data: bytes) -> None:
        try:
            os.write(self._here, data)
        except BlockingIOError:  # nobody reads: a serial line loses what nobody takes
            termios.tcflush(self._there, termios.TCIFLUSH)

    def _hang_up(self) -> None:
        self._loop.remove_reader(self._here)

    def close(self) -> None:
        """Take the terminal away."""
        self._hang_up()
        self._line.close()
        os.close(self._here)
        os.close(self._there)
