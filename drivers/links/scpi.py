"""SCPI over a port: every exchange ends with the error queue, in the same message.

Ref: IEEE 488.2 (units joined by `;`, their answers likewise); SCPI-99 vol. 2, 21.8 (SYSTem:ERRor).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from drivers.errors import InstrumentError, ProtocolError, Silent
from drivers.links.messages import clear_after, hear, hear_block, say
from drivers.protocols import scpi
from drivers.transports import Conversation

V = TypeVar("V")

ERROR_QUERY = ":SYST:ERR?"
TIMEOUT_S = 2.0
SETTING_TIMEOUT_S = 0.5
OFF_TIMEOUT_S = 0.3
QUEUE_LENGTH = 64


@dataclass(frozen=True, slots=True)
class ScpiLink:
    """How to hold conversations with one SCPI machine, which needs `min_gap_s` before each message."""

    min_gap_s: float = 0.0

    def exchange(self, *units: str, timeout_s: float = SETTING_TIMEOUT_S) -> Conversation[list[str]]:
        """Send the units as one message and return the answers of its queries, in order.

        InstrumentError if the machine has queued an error, also if that made it fall silent.
        """
        message = ";".join((*units, ERROR_QUERY))
        yield from say(message, gap_s=self.min_gap_s)
        try:
            answer = yield from hear(timeout_s=timeout_s)
        except Silent as silence:
            yield from self._explain(silence, timeout_s)
            raise
        *answers, last = scpi.units(answer)
        error = parsed(scpi.read_error, ERROR_QUERY, last)
        if error.code:
            yield from self._raise_queued((error,), timeout_s)
        if len(answers) != sum(map(scpi.is_query, units)):
            raise ProtocolError(f"{message} answered {answer!r}")
        return answers

    def fetch_block(
        self, query: str, *, timeout_s: float = TIMEOUT_S, size: int | None = None
    ) -> Conversation[bytes]:
        """Ask for a block, `size` bytes if it announces no length, then for errors; return its data."""
        yield from say(query, gap_s=self.min_gap_s)
        try:
            data = yield from hear_block(timeout_s=timeout_s, size=size)
        except Silent as silence:
            yield from self._explain(silence, timeout_s)
            raise
        yield from self.exchange()
        return data

    def identify(self) -> Conversation[tuple[str, str, str, str]]:
        """Ask for maker, model, serial number and firmware."""
        yield from say("*IDN?", gap_s=self.min_gap_s)
        answer = yield from hear(timeout_s=TIMEOUT_S)
        return parsed(scpi.identity, "*IDN?", answer)

    def _explain(self, silence: Silent, timeout_s: float) -> Conversation[None]:
        yield from clear_after(silence)
        yield from self._raise_queued((), timeout_s)

    def _raise_queued(self, found: tuple[scpi.ErrorEntry, ...], timeout_s: float) -> Conversation[None]:
        for _ in range(QUEUE_LENGTH):
            yield from say(ERROR_QUERY, gap_s=self.min_gap_s)
            answer = yield from hear(timeout_s=timeout_s)
            entry = parsed(scpi.read_error, ERROR_QUERY, answer)
            if not entry.code:
                break
            found = (*found, entry)
        raise_first(found)


def raise_first(errors: tuple[scpi.ErrorEntry, ...]) -> None:
    """Raise InstrumentError with the first error's code and the texts of all."""
    if errors:
        raise InstrumentError(errors[0].code, "; ".join(error.text for error in errors))


def parsed(read: Callable[[str], V], query: str, answer: str) -> V:
    """Return `read(answer)`; ProtocolError names the query and its answer."""
    try:
        return read(answer)
    except ValueError as error:
        raise ProtocolError(f"{query} answered {answer!r}: {error}") from None
