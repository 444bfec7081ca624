"""A simulated instrument as the coroutines of a server use it: nothing blocks, all on the loop's thread."""

import asyncio
from contextlib import suppress

from sim.instrument import Instrument, ReadEnd
from sim.served.clock import ServedClock

CHUNK = 1 << 19


class Seat:
    """One instrument; several clients may use it, and share its one output queue."""

    def __init__(self, instrument: Instrument, clock: ServedClock) -> None:
        self.instrument = instrument
        self._clock = clock

    async def read(
        self, count: int = CHUNK, termination: bytes | None = None, timeout_s: float | None = None
    ) -> tuple[bytes, ReadEnd]:
        """Wait for an answer and return at most `count` bytes of it; without a time-out, for ever."""
        instrument, clock = self.instrument, self._clock
        deadline = None if timeout_s is None else clock.time() + timeout_s
        bell = clock.bell(instrument.condition)
        while True:
            bell.clear()
            now = clock.time()
            data, end = instrument.bus_read(count, termination, now)
            if end != "timeout" or (deadline is not None and now >= deadline):
                return data, end
            wakes = [at for at in (deadline, instrument.answer_due) if at is not None]
            with suppress(TimeoutError):
                async with asyncio.timeout_at(min(wakes, default=None)):
                    await bell.wait()
