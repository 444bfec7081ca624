"""The ROM on a RISC-V core in QEMU, bare metal, spoken to over its UART by the serial port of the drivers."""

import asyncio
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from drivers.protocols import se1
from drivers.protocols.se1_replies import SelfTests
from drivers.protocols.se1_table import ATR, Kat, KeySet, LifeCycle, StatusWord
from drivers.transports.serial import SerialSettings, SerialStream
from sequences.se1 import known_answers
from sim.dut import board
from sim.dut.chip import Chip, Hal
from sim.dut.library import BuildError
from tests.firmware.host import Host, personalise, specimen

LONGEST_S = 60.0
pytestmark = pytest.mark.skipif(shutil.which(board.QEMU) is None, reason=f"no {board.QEMU} here")


class UartChip(Chip):
    """A chip model whose ROM runs on the board: commands go by its UART; memory and noise are the model's."""

    def __init__(self, like: Chip) -> None:
        super().__init__(like.index, seed="uart", latency="zero")
        self.memory.adopt(like.memory)
        self.bus: board.Bus
        self._runner = asyncio.Runner()
        self._stream: SerialStream
        self._received = bytearray()

    @contextmanager
    def running(self) -> Iterator[Host]:
        """Its board under power; what one says to it."""
        with board.running(Hal(self)) as made, self._runner:
            self.bus = made.bus
            self._stream = SerialStream("board", made.line, SerialSettings(baud=115200))
            self._runner.run(self._stream.open())
            try:
                yield Host(self)
            finally:
                self._runner.run(self._stream.aclose())

    def atr(self) -> bytes | None:
        return self._asked(b"")

    def apdu(self, command: bytes) -> tuple[bytes | None, float]:
        return self._asked(command), 0.0

    def _asked(self, frame: bytes) -> bytes:
        return self._runner.run(self._exchanged(frame))

    async def _exchanged(self, frame: bytes) -> bytes:
        async with asyncio.timeout(LONGEST_S):
            await self._stream.write(len(frame).to_bytes(2, "big") + frame)
            length = int.from_bytes(await self._taken(2), "big")
            return await self._taken(length)

    async def _taken(self, n: int) -> bytes:
        while len(self._received) < n:
            self._received += await self._stream.receive()
        taken = bytes(self._received[:n])
        del self._received[:n]
        return taken


def test_a_die_is_personalised_over_the_uart() -> None:
    chip = UartChip(specimen(LifeCycle.OP_READY))
    with chip.running() as host:
        assert chip.atr() == ATR
        outcome = se1.self_test(host.do("SELF TEST"))
        assert (outcome.run, outcome.failed) == (SelfTests.ALL, 0)
        personalise(host)
        assert se1.key_sets(host.do("GET KEY INFO")) == (KeySet.ISSUER,)
        host.power()
        assert se1.die_status(host.plain("DIE STATUS").data).life_cycle is LifeCycle.SECURED
        assert chip.bus.calls > 500, "all that the ROM needs goes over the bus"


def test_the_board_answers_as_the_shared_library_does() -> None:
    """Byte for byte, with the same memory, noise and number of boots."""
    test = specimen(LifeCycle.TEST_UNLOCKED)
    here = Chip(test.index, seed="uart", latency="zero")
    here.memory.adopt(test.memory)
    kat = known_answers.MLDSA65_VERIFY
    commands = [
        *(se1.command(name) for name in ("DIE STATUS", "GET UID", "GET CPLC", "GET KEY INFO")),
        *(se1.command(name) for name in ("SELF TEST", "RUN BIST", "TRNG HEALTH")),
        *se1.read_all(0x7D, 0, 2048, 1024),
        *se1.write_operand_all(kat.operand, 1024),
        se1.command("RUN KAT", kat=Kat.MLDSA65_VERIFY),
        se1.command("SET STATUS", life_cycle=LifeCycle.OP_READY),
        se1.command("INITIALIZE UPDATE", kvn=KeySet.TRANSPORT, host_challenge=bytes(16)),
        bytes.fromhex("80ff000000"),
        bytes(5000),
    ]
    with UartChip(test).running() as host:
        here.power(3.3)
        here.atr()  # the board boots as it gets power, and again when it is reset
        library = Host(here)
        for command in commands:
            assert host.raw(command) == library.raw(command), command[:4].hex()
        assert se1.split(host.replies[-1]).sw == StatusWord.LENGTH
    assert host.chip.memory.pages == here.memory.pages
    assert host.chip.memory.bits == here.memory.bits


def test_no_qemu_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(BuildError, match="install qemu-system-misc"), board.running(Hal(Chip(0))):
        raise AssertionError


def test_a_board_that_does_not_boot_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(board, "BOOT_S", 0.2)
    monkeypatch.setattr(board, "MACHINE", (*board.MACHINE, "-S"))
    with pytest.raises(BuildError, match="does not boot within 0.2 s"), board.running(Hal(Chip(0))):
        raise AssertionError
