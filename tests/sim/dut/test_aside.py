"""Signatures made beside the cell: the chip's answer and its seconds stay what they are."""

import asyncio
import threading
from collections.abc import Callable

from drivers.protocols.se1_table import Algorithm
from sim.dut.aside import LONGEST_S, Aside
from sim.dut.chip import Chip
from sim.dut.latency import Latency
from sim.time import VirtualLoop, new_loop


def on_a_port(aside: Aside, work: Callable[[], bytes], free_s: float) -> tuple[bytes, float]:
    """Ask on a thread of virtual time; the result, and how much time it took."""

    async def main() -> tuple[bytes, float]:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        aside.open(loop.clock)
        made = await loop.run_in_executor(None, aside.do, work, free_s)
        return made, loop.time()

    try:
        with asyncio.Runner(loop_factory=lambda: new_loop(None)) as runner:
            return runner.run(main())
    finally:
        aside.close()


def name() -> bytes:
    return threading.current_thread().name.encode()


def test_work_is_done_on_another_thread_while_time_passes() -> None:
    made, took_s = on_a_port(Aside(), name, 0.25)
    assert made.startswith(b"chips") and took_s == 0.25


def test_without_time_to_spend_or_a_cell_the_caller_works() -> None:
    made, took_s = on_a_port(Aside(), name, 0.0)
    assert not made.startswith(b"chips") and took_s == 0.0
    assert Aside().do(name, 0.25) == name()


def test_no_more_may_pass_than_was_charged_nor_than_is_allowed() -> None:
    latency = Latency("qvault", Chip(1).drbg)
    assert latency.advance(LONGEST_S) == 0.0
    latency.asymmetric("verify", Algorithm.MLDSA65)
    first = latency.advance(LONGEST_S)
    latency.asymmetric("keypair", Algorithm.MLDSA65)
    assert 0.1 < first < 0.25 and first + latency.advance(LONGEST_S) == LONGEST_S
    assert latency.advance(LONGEST_S) == 0.0
    assert latency.take() > 1.9
    assert latency.advance(LONGEST_S) == 0.0
