import pytest

from drivers.errors import ProtocolError, Silent
from drivers.links.messages import hear_block
from drivers.links.scpi import ScpiLink
from drivers.protocols.scpi import read_block, write_block
from tests.replay import written


@pytest.mark.parametrize("data", [b"", b"\n", b"12\n", bytes(range(256)) * 5])
def test_block_is_read_back(data: bytes) -> None:
    whole = write_block(data) + b"\n"
    assert read_block(whole) == data
    for cut in range(len(whole)):
        assert read_block(whole[:cut]) is None


def test_block_without_length_needs_to_be_told_it() -> None:
    assert read_block(b"#0\x01\n\n", size=2) == b"\x01\n"
    assert read_block(b"#0\x01\n", size=2) is None


@pytest.mark.parametrize("message", [b"1.5\n", b"#x1\n", b"#2ab\n", b"#11ab\n"])
def test_what_is_no_block_is_refused(message: bytes) -> None:
    with pytest.raises(ValueError, match="block|invalid literal"):
        read_block(message)


async def test_block_may_come_in_pieces() -> None:
    port = written("ends none\n<x 23 31 34 0A\n<x 0A 01\n<x 02 0A")
    assert await port.run(hear_block(timeout_s=1.0)) == b"\n\n\x01\x02"


async def test_block_that_stays_short_is_refused_and_cleared() -> None:
    port = written("<x 23 31 34 01 02 03 0A\n<-\n>clear")
    with pytest.raises(ProtocolError, match="short of its length"):
        await port.run(hear_block(timeout_s=1.0))
    port.script.assert_finished()


async def test_queue_is_read_after_a_block_and_when_none_comes() -> None:
    port = written('> R?\n< #12ab\n> :SYST:ERR?\n< 0,"No error"')
    assert await port.run(ScpiLink().fetch_block("R?")) == b"ab"
    port = written('> R?\n<-\n>clear\n> :SYST:ERR?\n< 0,"No error"')
    with pytest.raises(Silent):
        await port.run(ScpiLink().fetch_block("R?"))
    with pytest.raises(ProtocolError, match="does not begin a block"):
        await written("< no\n").run(hear_block(timeout_s=1.0))
