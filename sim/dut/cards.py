"""Dies at the card interface, without reader and contacts: what a bench of the vault personalises."""

import asyncio
from collections.abc import Sequence

from drivers.protocols.se1_table import LifeCycle
from drivers.roles.card import Apdu, Card, CardReply, CardStep, ScriptReply, Stopped
from sim.dut.chip import NOMINAL_VOLTS, Chip
from sim.dut.latency import Profile


class DieCard(Card):
    """One die in contact and powered; it takes its time on the loop that runs it."""

    def __init__(self, chip: Chip) -> None:
        super().__init__(f"die-{chip.index}")
        self._chip = chip
        chip.power(NOMINAL_VOLTS)
        chip.atr()

    async def power_on(self) -> bytes:
        self._chip.power(NOMINAL_VOLTS)
        return self._chip.atr() or b""

    async def power_off(self) -> None:
        self._chip.power(None)

    async def make_safe(self) -> None:
        await self.power_off()

    async def run(self, script: Sequence[CardStep]) -> ScriptReply:
        loop, replies = asyncio.get_running_loop(), list[CardReply]()
        begun_s = loop.time()
        stopped = Stopped.END
        for step in script:
            answer = self._answer(step)
            if answer is None:
                stopped = Stopped.LINK
                break
            replies.append(answer)
            if isinstance(step, Apdu) and answer.status not in step.expect:
                stopped = Stopped.STATUS_WORD
                break
        ready_s = begun_s + sum(reply.elapsed_s for reply in replies)
        await asyncio.sleep(ready_s - loop.time())  # its mathematics, done here, is no time on top of its own
        return ScriptReply(tuple(replies), stopped)

    def _answer(self, step: CardStep) -> CardReply | None:
        if not isinstance(step, Apdu):
            atr = self._chip.atr()
            return None if atr is None else CardReply(atr, 0, 0.0)
        reply, took_s = self._chip.apdu(step.command)
        return CardReply(reply[:-2], int.from_bytes(reply[-2:]), took_s) if reply else None


def cards(indices: range, *, payload: int, latency: Profile) -> list[DieCard]:
    """Good dies of one made-up lot, in OP_READY."""
    return [
        DieCard(
            Chip.from_sort(index, seed="bench", payload=payload, latency=latency, state=LifeCycle.OP_READY)
        )
        for index in indices
    ]
