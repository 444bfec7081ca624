"""A browser before the console of a campaign: follows its stream as the page does, cut off or not."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse
from threading import Condition, Event, Thread

import msgspec

from station.console import shown, stream
from station.console.way import API

HOST = "127.0.0.1"
SILENT_S = 5.0
"""A page without a word for so long connects anew; there is one each second."""
AGAIN_S = 0.2
_GAP = stream.GAP.strip()
_STATE = msgspec.json.Decoder(shown.State)
_FRAME = msgspec.json.Decoder(shown.Frame)


class Browser:
    """Shows what the console says, in a thread of its own, until it is closed."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._ended, self._news = Event(), Condition()
        self._state: shown.State | None = None
        self._thread = Thread(target=self._run, name="browser", daemon=True)
        self._thread.start()

    @property
    def sees(self) -> shown.State | None:
        """What it shows; None while it has no console, or its console has no cell."""
        state = self._state
        return state if state is not None and state.there else None

    def until(self, true: Callable[[], bool], within_s: float) -> bool:
        """Wait until something is true, looking again whenever it has heard something; whether it is."""
        with self._news:
            return self._news.wait_for(true, within_s)

    def close(self) -> None:
        """Have it follow no more. It hears of that with the next frame, or when its console is dead."""
        self._ended.set()
        self._thread.join(2 * SILENT_S)

    def _run(self) -> None:
        while not self._ended.wait(AGAIN_S):
            with suppress(OSError, HTTPException, msgspec.MsgspecError):
                self._follow()
            self._show(None)

    def _follow(self) -> None:
        connection = HTTPConnection(HOST, self._port, timeout=SILENT_S)
        try:
            connection.request("GET", f"{API}/events")
            for said in _events(connection.getresponse()):
                self._take(said)
                if self._ended.is_set():
                    return
        finally:
            connection.close()

    def _take(self, said: bytes) -> None:
        """Go on with a frame; begin anew where one is missing, as the page does."""
        state = self._state
        if state is None or said == _GAP:
            self._show(self._fetched())
            return
        frame = _FRAME.decode(said.removeprefix(b"data: "))
        if frame.epoch != state.epoch or frame.seq - len(frame.dies) > state.seq:
            self._show(self._fetched())
            return
        seq, counted = max(frame.seq, state.seq), frame.sum or state.sum
        self._show(msgspec.structs.replace(state, seq=seq, there=frame.there, sum=counted))

    def _fetched(self) -> shown.State:
        connection = HTTPConnection(HOST, self._port, timeout=SILENT_S)
        try:
            connection.request("GET", f"{API}/state")
            return _STATE.decode(connection.getresponse().read())
        finally:
            connection.close()

    def _show(self, state: shown.State | None) -> None:
        with self._news:
            self._state = state
            self._news.notify_all()


def _events(stream: HTTPResponse) -> Iterator[bytes]:
    """Yield the data lines of a stream of events; the first is that of its greeting."""
    while line := stream.readline():
        if line.startswith(b"data: "):
            yield line.strip()
