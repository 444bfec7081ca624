"""T=1, the station's end against the simulated chip's end, over a contact that garbles and loses blocks."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import reduce
from operator import xor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.protocols.atr import parse
from drivers.protocols.t1 import (
    RETRIES,
    T1,
    BadBlockError,
    Block,
    Exchange,
    Supervision,
    T1Error,
    check_code,
    decode,
    i_block,
    lrc,
    r_block,
)
from sim.card.t1 import ChipT1

ATR = bytes.fromhex("3B848131FE455345313098")
WAITING_S = 1.0
Wire = Callable[[bytes], bytes | None]


class Chip:
    """Answers with the command turned round and 90 00; takes the seconds that its first byte says."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []

    def present(self) -> bool:
        return True

    def activate(self) -> bytes:
        return ATR

    def deactivate(self) -> None:
        pass

    def apdu(self, command: bytes) -> tuple[bytes | None, float]:
        self.taken.append(command)
        return answer_to(command), command[0] / 10


def answer_to(command: bytes) -> bytes:
    return command[::-1] + b"\x90\x00"


def clean(raw: bytes) -> bytes | None:
    return raw


def garbled(raw: bytes) -> bytes | None:
    return raw[:-1] + bytes((raw[-1] ^ 0x10,))


def lost(raw: bytes) -> bytes | None:
    del raw
    return None


def cut(raw: bytes) -> bytes | None:
    return raw[:2]


def run(exchange: Exchange, chip: ChipT1, wires: Iterator[Wire]) -> bytes:
    """Carry blocks to the chip and back; `wires` says what becomes of each."""
    try:
        send = next(exchange)
        while True:
            there = next(wires)(send.raw)
            said = chip.received(there) if there is not None else None
            answer = said.raw if said is not None else None
            send = exchange.send(next(wires)(answer) if answer is not None else None)
    except StopIteration as end:
        result: bytes = end.value
        return result


def over(faults: Mapping[int, Wire]) -> Iterator[Wire]:
    count = 0
    while True:
        yield faults.get(count, clean)
        count += 1


COMMANDS = st.binary(min_size=1, max_size=1300).map(lambda data: bytes((data[0] % 40,)) + data[1:])
WIRES = st.sampled_from([garbled, lost, cut])


@given(commands=st.lists(COMMANDS, min_size=1, max_size=4), ifsd=st.integers(1, 254))
def test_clean_contact_carries_any_length_both_ways(commands: list[bytes], ifsd: int) -> None:
    chip = Chip()
    card, host = ChipT1(chip, parse(ATR), WAITING_S), T1(ifsc=254)
    run(host.announce(ifsd), card, over({}))
    for command in commands:
        assert run(host.transmit(command), card, over({})) == answer_to(command)
    assert chip.taken == commands


@given(command=COMMANDS, at=st.integers(0, 30), wire=WIRES)
def test_one_fault_is_repaired(command: bytes, at: int, wire: Wire) -> None:
    chip = Chip()
    card, host = ChipT1(chip, parse(ATR), WAITING_S), T1(ifsc=254)
    run(host.announce(), card, over({}))
    assert run(host.transmit(command), card, over({at: wire})) == answer_to(command)
    assert run(host.transmit(command), card, over({})) == answer_to(command)
    assert chip.taken == [command, command]


@given(command=COMMANDS, faults=st.dictionaries(st.integers(0, 40), WIRES, max_size=25))
def test_many_faults_are_repaired_or_told_and_no_command_runs_twice(
    command: bytes, faults: dict[int, Wire]
) -> None:
    chip = Chip()
    card, host = ChipT1(chip, parse(ATR), WAITING_S), T1(ifsc=254)
    run(host.announce(), card, over({}))
    try:
        assert run(host.transmit(command), card, over(faults)) == answer_to(command)
        assert chip.taken == [command]
    except T1Error:
        assert chip.taken in ([], [command])
    if not host.dead:
        assert run(host.transmit(b"\0next"), card, over({})) == answer_to(b"\0next")


@given(answers=st.lists(st.none() | st.binary(max_size=20), max_size=60), crc=st.booleans())
def test_whatever_a_chip_says_no_other_error_comes_out(answers: list[bytes | None], crc: bool) -> None:
    host = T1(crc=crc)
    exchange = host.transmit(b"\0\xa4\4\0")
    next(exchange)
    with suppress(StopIteration, T1Error):
        for answer in answers:
            assert decode(exchange.send(answer).raw, crc=crc)


def test_lost_answer_of_a_command_that_ran_is_not_fetched_by_running_it_again() -> None:
    chip = Chip()
    card, host = ChipT1(chip, parse(ATR), WAITING_S), T1(ifsc=254)
    faults = {2 * n + 1: garbled for n in range(RETRIES + 1)}
    with pytest.raises(T1Error, match="may have taken"):
        run(host.transmit(b"\0once"), card, over(faults))
    assert chip.taken == [b"\0once"]
    assert run(host.transmit(b"\0next"), card, over({})) == answer_to(b"\0next")


def test_command_whose_end_never_left_is_sent_again_after_resynchronisation() -> None:
    chip = Chip()
    card, host = ChipT1(chip, parse(ATR), WAITING_S), T1(ifsc=254)
    command = bytes(600)
    assert run(host.transmit(command), card, over(dict.fromkeys(range(0, 10, 2), garbled)))
    assert chip.taken == [command]


def test_mute_chip_is_given_up_after_two_waiting_times_and_stays_dead() -> None:
    host = T1()
    exchange = host.transmit(b"\0\xa4")
    next(exchange)
    assert decode(exchange.send(None).raw).is_r
    with pytest.raises(T1Error, match="mute"):
        exchange.send(None)
    assert host.dead
    with pytest.raises(T1Error, match="dead"):
        next(host.transmit(b"\0\xa4"))


def test_waiting_time_extension_is_granted_and_lengthens_the_next_wait() -> None:
    exchange = T1().transmit(b"\0\xa4")
    assert next(exchange).waiting == 0
    granted = exchange.send(Block(Supervision.WTX, b"\x05").encode())
    assert (granted.raw, granted.waiting) == (bytes.fromhex("00E30105E7"), 5)


def test_chip_may_shorten_blocks_in_mid_command() -> None:
    exchange = T1(ifsc=254).transmit(bytes(300))
    assert len(next(exchange).raw) == 254 + 4
    exchange.send(Block(Supervision.IFS, b"\x20").encode())
    assert len(exchange.send(r_block(1).encode()).raw) == 32 + 4


@pytest.mark.parametrize("block", [Block(Supervision.RESYNCH), Block(Supervision.IFS, b"\0")])
def test_what_a_chip_may_not_ask_brings_a_resynchronisation(block: Block) -> None:
    exchange = T1().transmit(b"\0\xa4")
    next(exchange)
    assert exchange.send(block.encode()).raw == bytes.fromhex("00C000C0")


def test_abort_by_the_chip_ends_the_command_in_step() -> None:
    host = T1()
    exchange = host.transmit(b"\0\xa4")
    next(exchange)
    assert exchange.send(Block(Supervision.ABORT).encode()).raw == bytes.fromhex("00E200E2")
    assert exchange.send(r_block(0).encode()).raw == bytes.fromhex("00C000C0")
    with pytest.raises(T1Error, match="aborted"):
        exchange.send(bytes.fromhex("00E000E0"))
    assert not host.dead


@pytest.mark.parametrize(
    ("raw", "what"),
    [
        ("0000", "block of 2 bytes"),
        ("0000050000", "block of 5 bytes"),
        ("0000029000FF", "check code"),
        ("1200001200", "block of 5 bytes"),
        ("12000012", "node address"),
        ("0000FF00", "block of 4 bytes"),
    ],
)
def test_bytes_that_are_no_block(raw: str, what: str) -> None:
    with pytest.raises(BadBlockError, match=what):
        decode(bytes.fromhex(raw))


@given(pcb=st.integers(0, 255), inf=st.binary(max_size=254), crc=st.booleans())
def test_block_round_trip(pcb: int, inf: bytes, crc: bool) -> None:
    assert decode(Block(pcb, inf).encode(crc=crc), crc=crc) == Block(pcb, inf)


@given(st.binary(max_size=512))
def test_lrc_is_the_exclusive_or_of_all(data: bytes) -> None:
    assert lrc(data) == reduce(xor, data, 0)


def test_crc_is_that_of_polynomial_8408() -> None:
    assert check_code(b"123456789", crc=True) == bytes.fromhex("6F91")  # CRC-16/MCRF4XX


def test_i_block_says_its_number_and_whether_more_follows() -> None:
    assert i_block(1, b"\xaa", more=True).encode() == bytes.fromhex("006001AACB")
