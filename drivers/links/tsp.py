"""TSP over a port: every exchange is one chunk that ends by printing the length of the error queue.

Ref: Series 2600B Reference Manual 2600BS-901-01, sections 7 and 9 (errorqueue).
"""

from dataclasses import dataclass

from drivers.errors import ProtocolError, Silent
from drivers.links.messages import clear_after, hear, hear_block, say
from drivers.links.scpi import QUEUE_LENGTH, SETTING_TIMEOUT_S, parsed, raise_first
from drivers.links.srq import POWERED_ON
from drivers.protocols import tsp
from drivers.protocols.scpi import ErrorEntry, read_whole
from drivers.transports import Conversation

NEXT_ERROR = "print(errorqueue.next())"
EVENTS = "events"
READ_EVENTS = f"{EVENTS}=status.standard.event"
"""Read the event status, and so forget it; its last bit is that the power came on."""
STILL_SET = f"{EVENTS}<{POWERED_ON}"
"""What a chunk asks after it, before it switches on: the power has not gone."""


@dataclass(frozen=True, slots=True)
class TspLink:
    """How to hold conversations with one TSP machine, which needs `min_gap_s` before each message."""

    min_gap_s: float = 0.0

    def exchange(
        self, *statements: str, values: tuple[str, ...] = (), timeout_s: float = SETTING_TIMEOUT_S
    ) -> Conversation[list[str]]:
        """Run the statements as one chunk, then print `values`; return these as they were printed.

        InstrumentError if the machine has queued an error, also if that made it fall silent.
        """
        printed = f"print({','.join((*values, 'errorqueue.count'))})"
        chunk = " ".join((*statements, printed))
        yield from say(chunk, gap_s=self.min_gap_s)
        try:
            answer = yield from hear(timeout_s=timeout_s)
        except Silent as silence:
            yield from clear_after(silence)
            yield from self._raise_queued(timeout_s)
            raise
        *answers, count = tsp.fields(answer)
        if parsed(read_whole, printed, count):
            yield from self._raise_queued(timeout_s)
        if len(answers) != len(values):
            raise ProtocolError(f"{printed} answered {answer!r}")
        return answers

    def fetch_block(self, statement: str, *, size: int, timeout_s: float) -> Conversation[bytes]:
        """Run a statement that prints `size` bytes as a block without length; return them."""
        yield from say(statement, gap_s=self.min_gap_s)
        try:
            return (yield from hear_block(timeout_s=timeout_s, size=size))
        except Silent as silence:
            yield from clear_after(silence)
            yield from self._raise_queued(timeout_s)
            raise

    def _raise_queued(self, timeout_s: float) -> Conversation[None]:
        found: tuple[ErrorEntry, ...] = ()
        for _ in range(QUEUE_LENGTH):
            yield from say(NEXT_ERROR, gap_s=self.min_gap_s)
            answer = yield from hear(timeout_s=timeout_s)
            entry = parsed(tsp.read_error, NEXT_ERROR, answer)
            if not entry.code:
                break
            found = (*found, entry)
        raise_first(found)
