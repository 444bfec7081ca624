import pytest

from drivers.errors import EquipmentError, InstrumentError, ProtocolError, Silent, TransportError
from drivers.links.messages import clear_after, insisting
from drivers.links.scpi import QUEUE_LENGTH, ScpiLink, parsed
from drivers.links.tsp import TspLink
from drivers.protocols.scpi import read_number
from drivers.transports import Conversation
from tests.replay import written


@pytest.mark.parametrize(
    "answer",
    ['0,"No error"', '1;2;0,"No error"', "1", "1;2", '1;nonsense,"No error"', "1;caf\\xE9"],
    ids=["missing", "too many", "no error entry", "no entry either", "bad entry", "not ASCII"],
)
async def test_answer_that_the_manual_does_not_allow(answer: str) -> None:
    port = written(f"> A?;:SYST:ERR?\n< {answer}")
    with pytest.raises(ProtocolError):
        await port.run(ScpiLink().exchange("A?"))


async def test_garbled_number_names_query_and_answer() -> None:
    with pytest.raises(ProtocolError, match=r":READ\? answered '1\.2\.3'"):
        parsed(read_number, ":READ?", "1.2.3")


async def test_error_is_found_also_where_answers_are_missing() -> None:
    port = written('> A?;B?;:SYST:ERR?\n< 1;-222,"Out of range"\n> :SYST:ERR?\n< 0,"No error"')
    with pytest.raises(InstrumentError, match="error -222: Out of range"):
        await port.run(ScpiLink().exchange("A?", "B?"))
    port.script.assert_finished()


async def test_queue_that_never_empties_ends_all_the_same() -> None:
    again = '> :SYST:ERR?\n< -350,"Queue overflow"\n' * QUEUE_LENGTH
    port = written(f'> A;:SYST:ERR?\n< -100,"Command error"\n{again}')
    with pytest.raises(InstrumentError, match="error -100"):
        await port.run(ScpiLink().exchange("A"))
    port.script.assert_finished()


async def test_tsp_answer_with_a_value_missing() -> None:
    port = written("> print(x,errorqueue.count)\n< 0.00000e+00")
    with pytest.raises(ProtocolError, match=r"print\(x,errorqueue.count\) answered"):
        await port.run(TspLink().exchange(values=("x",)))


async def test_gap_is_kept_before_every_message() -> None:
    port = written('> A;:SYST:ERR?\n< 0,"No error"\n> B;:SYST:ERR?\n< 0,"No error"')
    link = ScpiLink(min_gap_s=0.05)
    await port.run(link.exchange("A"))
    await port.run(link.exchange("B"))
    assert port.paused_s == pytest.approx(0.1)


async def test_insisting_tries_twice_and_no_more() -> None:
    tries = 0

    def attempt() -> Conversation[None]:
        nonlocal tries
        tries += 1
        yield from ScpiLink().exchange("A")

    silent = "> A;:SYST:ERR?\n<-\n>clear\n> :SYST:ERR?\n<-\n"
    with pytest.raises(Silent):
        await written(silent * 2).run(insisting(attempt))
    assert tries == 2


async def test_other_errors_are_not_tried_again() -> None:
    port = written("> A;:SYST:ERR?\n< nonsense")
    with pytest.raises(EquipmentError):
        await port.run(insisting(lambda: ScpiLink().exchange("A")))
    port.script.assert_finished()


def test_port_without_device_clear_leaves_the_silence_as_it_was() -> None:
    silence = Silent("no answer in 2 s")
    clearing = clear_after(silence)
    next(clearing)
    with pytest.raises(Silent) as raised:
        clearing.throw(TransportError("a socket cannot be cleared"))
    assert raised.value is silence
