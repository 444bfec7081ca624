"""How often browsers are told, in virtual time."""

import asyncio
from contextlib import aclosing, suppress

import msgspec
import pytest

from station.console.stream import CROWD, CROWDED_S, FRAME_S, HELLO, Stream
from tests.virtually import virtually


class Nothing(msgspec.Struct):
    """A frame."""


async def frames(browsers: int, seconds: float) -> int:
    """Return how many frames are made while something happens all the time."""
    told = list[bool]()

    def frame(counted: bool) -> msgspec.Struct:  # noqa: FBT001 - as the stream calls it
        told.append(counted)
        stream.news()
        return Nothing()

    stream = Stream(frame)
    watching = [asyncio.create_task(watched(stream)) for _ in range(browsers)]
    await asyncio.sleep(0)
    stream.news()
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stream.run()
    stream.close()
    await asyncio.wait(watching)
    assert {task.result() for task in watching} == {len(told)}
    return len(told)


async def watched(stream: Stream) -> int:
    """Return how many frames one browser has had."""
    count = 0
    async with aclosing(stream.frames()) as had:
        async for data in had:
            count += data != HELLO
    return count


@pytest.mark.parametrize(("browsers", "each_s"), [(1, FRAME_S), (CROWD, FRAME_S), (CROWD + 1, CROWDED_S)])
def test_a_panel_is_told_at_once_and_a_crowd_more_seldom(browsers: int, each_s: float) -> None:
    assert virtually(frames(browsers, 3.0)) == pytest.approx(3.0 / each_s, abs=1)
