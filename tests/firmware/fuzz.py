"""The ROM under commands that nobody thought of: greybox fuzzing under the sanitisers.

Short dialogues are drawn, mutated, and kept where they reach code that none reached before. Whatever comes,
the chip answers with a status word or not at all, and with no secret.
`python -m tests.firmware.fuzz COUNT SEED` is a campaign.
"""

import os
import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from random import Random

import cffi

from drivers.protocols import se1
from drivers.protocols.se1_table import COMMANDS, Command, KeySet, LifeCycle, StatusWord
from sim.dut import firmware, library
from sim.dut.memory import PAGE
from tests.firmware.host import Host, personalise, ready, specimen, twin
from tests.firmware.test_table import body, header

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SANITISED = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g")
TRACED = "-fsanitize-coverage=trace-pc"
PLACES = 0x40000
SIZES = (0, 1, 2, 7, 16, 31, 32, 33, 142, 153, 255, 256, 1024, 1025, 1100, 4160)
LONGEST = 6
SESSIONS = {
    LifeCycle.OP_READY: KeySet.TRANSPORT,
    LifeCycle.INITIALIZED: KeySet.TRANSPORT,
    LifeCycle.SECURED: KeySet.ISSUER,
    LifeCycle.CARD_LOCKED: KeySet.ISSUER,
}
"""The states in which a session can be opened, and the keys for it."""
SECRET = 16


class FuzzError(Exception):
    """The chip did what it must never do."""


@dataclass(frozen=True)
class Dialogue:
    """What is said to a fresh die, in a session or not."""

    state: LifeCycle
    session: bool
    commands: tuple[bytes, ...]


# -- drawing
def seeds() -> Iterator[Dialogue]:
    """Every command of the table as it should be, in every state, in the clear and in a session."""
    for state in LifeCycle:
        for row in COMMANDS.values():
            for session in {False, state in SESSIONS}:
                yield Dialogue(state, session, (se1.apdu(header(row), body(row)),))


def mutated(random: Random, dialogue: Dialogue, corpus: "list[Dialogue]") -> Dialogue:
    """A dialogue like this one, with something changed, added or left out."""
    commands = list(dialogue.commands)
    at = random.randrange(len(commands))
    match random.randrange(6):
        case 0:
            commands[at] = flipped(random, commands[at])
        case 1:
            commands[at] = resized(random, commands[at])
        case 2:
            commands[at] = redrawn(random, COMMANDS[random.choice(list(COMMANDS))])
        case 3 if len(commands) > 1:
            del commands[at]
        case 4:
            commands[at] = commands[at][: random.randrange(len(commands[at]) + 1)]
        case _:
            commands += random.choice(corpus).commands
    return replace(dialogue, commands=tuple(commands[:LONGEST]))


def flipped(random: Random, command: bytes) -> bytes:
    """One byte changed, most often near the front."""
    if not command:
        return b"\0"
    at = min(int(random.expovariate(0.2)), len(command) - 1)
    return command[:at] + bytes((random.randrange(256),)) + command[at + 1 :]


def resized(random: Random, command: bytes) -> bytes:
    """The same header with data of another length."""
    return se1.apdu(command[:4].ljust(4, b"\0"), random.randbytes(random.choice(SIZES)))


def redrawn(random: Random, row: Command) -> bytes:
    """A command of the table with parameters and data drawn."""
    p1, p2 = (value if isinstance(value, int) else random.randrange(256) for value in (row.p1, row.p2))
    data = random.choice(
        (body(row), random.randbytes(len(body(row))), random.randbytes(random.choice(SIZES)))
    )
    return se1.apdu(bytes((row.cla, row.ins, p1, p2)), data)


# -- judging
KNOWN = frozenset(int(word) for word in StatusWord) | {StatusWord.TOKEN_WRONG + left for left in range(16)}


@cache
def secrets(state: LifeCycle) -> frozenset[bytes]:
    """Every sixteen bytes of what must never leave a die: its key sets, private keys and token hash."""
    pages = specimen(state).memory.pages
    areas = ((32, 144), (40, 96), (64, 48), (128, 32), (192, 64))
    kept = (b"".join(pages.get(page + n, bytes(PAGE))[:60] for n in range(3))[:size] for page, size in areas)
    windows = (secret[at : at + SECRET] for secret in kept for at in range(len(secret) - SECRET + 1))
    return frozenset(window for window in windows if len(set(window)) > 2)


def run(dialogue: Dialogue) -> None:
    """Say it to a fresh die; FuzzError if an answer is none that a chip may give."""
    host = twin(specimen(dialogue.state))
    if dialogue.session:
        host.open(SESSIONS[dialogue.state])
    for command in dialogue.commands:
        said, clear = exchanged(host, command)
        if said is None:
            return
        if len(said) < 2 or int.from_bytes(said[-2:], "big") not in KNOWN:
            raise FuzzError(f"{dialogue}: {said[-2:].hex()} is no status word")
        if any(window in reply for window in secrets(dialogue.state) for reply in (said, clear)):
            raise FuzzError(f"{dialogue}: a secret in {said.hex()} {clear.hex()}")


def exchanged(host: Host, command: bytes) -> tuple[bytes | None, bytes]:
    """The answer as it went over the wire, and its data in the clear."""
    channel = host.channel
    if channel is None or len(command) < 5:
        return host.chip.apdu(command)[0], b""
    said, _ = host.chip.apdu(channel.wrap(command))
    if said is None or int.from_bytes(said[-2:], "big") in (StatusWord.SM_WRONG, StatusWord.SECURITY):
        host.channel = None
        return said, b""
    return said, channel.unwrap(said).data


# -- the campaign
def campaign(count: int, seed: int, reached: "cffi.FFI.buffer") -> tuple[int, int]:
    """Run so many dialogues; how many places of the code the table reached, and how many all of them."""
    random, corpus = Random(seed), list[Dialogue]()  # noqa: S311
    for dialogue in seeds():
        run(dialogue)
        corpus.append(dialogue)
    personalise(ready())
    began = covered = reached[:].count(1)
    for _ in range(count):
        dialogue = mutated(random, random.choice(corpus), corpus)
        run(dialogue)
        if (now := reached[:].count(1)) > covered:
            covered = now
            corpus.append(dialogue)
    return began, covered


def built(*flags: str) -> Path:
    """The ROM with the sanitisers and the trace of what is reached; BuildError where there are none."""
    sources = (library.HERE / "se1", HERE / "coverage")
    command = (*library.compiler(), *library.SHARED, *SANITISED, TRACED, *flags)
    return library.built(sources, command, library.HERE / ".build", "se1-fuzz-{}.so")


def environment() -> dict[str, str]:
    """What a process needs into which the sanitised library is loaded later."""
    asked = [library.compiler()[0], "-print-file-name=libasan.so"]
    runtime = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    found = {"LD_PRELOAD": runtime, "ASAN_OPTIONS": "detect_leaks=0", "PYTHONMALLOC": "malloc"}
    return {**os.environ, **found}


def main() -> int:
    """One campaign, in a process of its own."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int)
    parser.add_argument("seed", type=int)
    parser.add_argument("--library", type=Path)
    given = parser.parse_args()
    if given.library is None:
        again = [sys.executable, "-m", "tests.firmware.fuzz", str(given.count), str(given.seed)]
        again += ["--library", str(built())]
        return subprocess.run(again, env=environment(), cwd=ROOT, check=False).returncode
    loaded = firmware.load(given.library)
    setattr(firmware, "default", lambda: loaded)  # noqa: B010 -- a cached function is replaced by a plain one
    ffi = cffi.FFI()
    ffi.cdef(f"extern uint8_t se1_coverage[{PLACES}];")
    reached = ffi.buffer(getattr(ffi.dlopen(str(given.library)), "se1_coverage"))  # noqa: B009 -- untyped
    began, covered = campaign(given.count, given.seed, reached)
    sys.stdout.write(f"{given.count} dialogues, {began} places reached by the table, {covered} by all\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
