"""The ROM of `se1` on a RISC-V core: bare metal on QEMU's board `virt`, with the peripherals of a chip model.

APDUs go over the board's UART, each with its length as u16 in front; an empty frame is a reset. The HAL has a
way of its own, two pipes that the board opens by semihosting, so that the UART carries what a card interface
would carry and nothing else. `firmware-stubs/board/` has the other side of both.
"""

import os
import re
import shutil
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

from sim.dut.firmware import FAIL, LENGTHS, OK, Peripherals
from sim.dut.library import HERE, BuildError, built

QEMU = "qemu-system-riscv32"
TARGET = ("-target", "riscv32-freestanding-none", "-ffreestanding", "-nostdlib", "-fno-sanitize=all")
LINKED = ("-fno-asynchronous-unwind-tables", "-Wl,--no-eh-frame-hdr")
MACHINE = (
    *("-M", "virt", "-m", "8M", "-bios", "none", "-display", "none", "-nodefaults", "-monitor", "none"),
    *("-semihosting-config", "enable=on,target=native", "-serial", "pty"),
)
BOOT_S = 30.0
END = 0xFF
"""A call by which we tell ourselves that the board is gone."""
HEAD = struct.Struct(">BI")
NUMBER = struct.Struct(">I")
PAGE, KEY = 64, 32
KEM_PUBLIC, KEM_PRIVATE = 1184, 64


def build() -> Path:
    """Compile ROM and board with the compiler of the ziglang package unless that was done before."""
    board = HERE / "board"
    compiler = (sys.executable, "-m", "ziglang", "cc", *TARGET, *LINKED)
    flags = (f"-I{board / 'include'}", "-T", str(board / "virt.ld"))
    sources = (HERE / "se1", board, board / "include")
    return built(sources, (*compiler, *flags), HERE / ".build", "se1-{}.elf")


class Call(IntEnum):
    """The functions of the HAL, as `bus.h` numbers them."""

    NVM_READ = 0
    NVM_WRITE = 1
    OTP_READ = 2
    OTP_SET = 3
    RANDOM = 4
    AES = 5
    DIGEST = 6
    KEYPAIR = 7
    SIGN = 8
    VERIFY = 9
    ENCAPS = 10
    DECAPS = 11
    SENSOR = 12


class Bus:
    """Answers the board's calls of its HAL, one at a time, until the other side closes."""

    def __init__(self, peripherals: Peripherals) -> None:
        self._peripherals = peripherals
        self.calls = 0
        self.awake = threading.Event()
        """The board has called, so its UART listens."""

    def serve(self, calls: BinaryIO, answers: BinaryIO) -> None:
        """Answer until `END` is called; what a peripheral raises ends it too, and the board stands still."""
        while True:
            op, n = HEAD.unpack(calls.read(HEAD.size))
            if op == END:
                return
            self.awake.set()
            status, data = self._answer(op, Parts(calls.read(n)))
            answers.write(HEAD.pack(status, len(data)) + data)
            self.calls += 1

    def _answer(self, op: int, parts: "Parts") -> tuple[int, bytes]:
        hal = self._peripherals
        match op:
            case Call.NVM_READ:
                return OK, hal.nvm_read(parts.number(), parts.number())
            case Call.NVM_WRITE:
                return hal.nvm_write(parts.number(), parts.take(PAGE)), b""
            case Call.OTP_READ:
                return OK, bytes((hal.otp_read(parts.number()),))
            case Call.OTP_SET:
                return hal.otp_set(parts.number()), b""
            case Call.RANDOM:
                raw = bool(parts.number())
                return OK, hal.random(parts.number(), raw=raw)
            case Call.AES:
                operation, key, iv = parts.number(), parts.take(KEY), parts.counted()
                return OK, hal.aes(operation, key, iv, parts.rest())
            case Call.DIGEST:
                keyed, key = parts.number(), parts.counted()
                return OK, hal.digest(key if keyed else None, parts.rest())
            case _:
                return self._asymmetric(op, parts)

    def _asymmetric(self, op: int, parts: "Parts") -> tuple[int, bytes]:
        hal = self._peripherals
        match op:
            case Call.KEYPAIR:
                return OK, b"".join(hal.keypair(parts.number(), parts.rest() or None))
            case Call.SIGN:
                algorithm = parts.number()
                private, label = parts.take(LENGTHS[algorithm][0]), parts.counted()
                return OK, hal.sign(algorithm, private, label, parts.rest())
            case Call.VERIFY:
                algorithm = parts.number()
                public, signature = (parts.take(n) for n in LENGTHS[algorithm][1:])
                good = hal.verify(algorithm, public, parts.counted(), parts.rest(), signature)
                return OK if good else FAIL, b""
            case Call.ENCAPS:
                return OK, b"".join(hal.encaps(parts.take(KEM_PUBLIC)))
            case Call.DECAPS:
                return OK, hal.decaps(parts.take(KEM_PRIVATE), parts.rest())
            case Call.SENSOR:
                return OK, bytes((hal.sensor(),))
        raise ValueError(f"the board asks for {op}, which is no call of the HAL")


class Parts:
    """The payload of a call, taken from its front."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def take(self, n: int) -> bytes:
        """The next `n` bytes."""
        taken, self._data = self._data[:n], self._data[n:]
        return taken

    def number(self) -> int:
        """The next u32."""
        (value,) = NUMBER.unpack(self.take(NUMBER.size))
        return int(value)

    def counted(self) -> bytes:
        """A u32, and so many bytes."""
        return self.take(self.number())

    def rest(self) -> bytes:
        """What is left."""
        return self.take(len(self._data))


@dataclass(frozen=True)
class Board:
    """A board that runs."""

    line: str
    """The tty of its UART."""
    bus: Bus


@contextmanager
def running(peripherals: Peripherals) -> Iterator[Board]:
    """A board with these peripherals, until the block ends; BuildError where there is no QEMU."""
    if (qemu := shutil.which(QEMU)) is None:
        raise BuildError(f"no {QEMU} to run the chip's firmware on: install qemu-system-misc")
    with TemporaryDirectory() as folder, ExitStack() as stack:
        calls, call = (stack.enter_context(end) for end in _pipe(Path(folder) / "calls"))
        _, answers = (stack.enter_context(end) for end in _pipe(Path(folder) / "answers"))
        bus = Bus(peripherals)
        serving = threading.Thread(target=bus.serve, args=(calls, answers), name="bus")
        serving.start()
        stack.callback(serving.join)
        stack.callback(call.write, HEAD.pack(END, 0))
        process = subprocess.Popen(  # noqa: S603
            [qemu, *MACHINE, "-kernel", str(build())], cwd=folder, stdout=subprocess.PIPE, text=True
        )
        stack.enter_context(process)
        stack.callback(process.kill)
        line = _line(process)
        if not bus.awake.wait(BOOT_S):
            raise BuildError(f"the firmware on {QEMU} does not boot within {BOOT_S:g} s")
        yield Board(line, bus)


def _pipe(path: Path) -> tuple[BinaryIO, BinaryIO]:
    """A named pipe to read from and to write to; while we hold both ends, nobody waits to open his."""
    os.mkfifo(path)
    both = os.open(path, os.O_RDWR)
    return open(both, "rb"), open(os.dup(both), "wb", buffering=0)  # noqa: PTH123, SIM115 -- of descriptors


def _line(process: "subprocess.Popen[str]") -> str:
    said = process.stdout.readline() if process.stdout else ""
    if (found := re.search(r"/dev/\S+", said)) is None:
        raise BuildError(f"{QEMU} tells no serial line: {said.strip() or 'nothing'}")
    return found[0]
