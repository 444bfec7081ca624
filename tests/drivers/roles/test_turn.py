"""Taking turns: nobody is overtaken, and no turn is lost whatever comes while one waits."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from contextvars import copy_context
from typing import Any

import pytest

from drivers.errors import EquipmentError
from drivers.roles import Thermal, ThermalStatus
from drivers.roles.turn import LOCK_TIMEOUT_S, Turn, waiting
from drivers.roles.turn import taking as taking_all
from drivers.uninterrupted import NotUndoneError, undone
from sim.time import new_loop
from station.engine.timer import RowTimer


def virtual(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    def run() -> None:
        with asyncio.Runner(loop_factory=lambda: new_loop(None)) as runner:
            runner.run(test())

    run.__name__ = test.__name__
    return run


def shared() -> Turn:
    turn = Turn("supply")
    turn.shared = True
    return turn


async def taking(turn: Turn, seconds: float, order: list[str], name: str) -> None:
    async with turn.taken():
        order.append(name)
        await asyncio.sleep(seconds)


async def free(turn: Turn) -> bool:
    """Whether the turn can be had now."""
    try:
        async with asyncio.timeout(1.0), turn.taken():
            return True
    except TimeoutError:
        return False


@virtual
async def test_a_turn_that_comes_in_the_moment_of_giving_up_is_handed_on() -> None:
    """The holder leaves in the very turn of the loop in which the waiter's patience ends."""
    turn, context = shared(), copy_context()
    holder = turn.taken()
    context.run(at_once, holder.__aenter__())
    leaving = holder.__aexit__(None, None, None)
    asyncio.get_running_loop().call_later(LOCK_TIMEOUT_S, at_once, leaving, context=context)
    with pytest.raises(EquipmentError, match="no turn at supply"):
        await taking(turn, 0.0, [], "waiter")
    assert await free(turn)


def at_once(work: Coroutine[Any, Any, object]) -> None:
    """Run what has nothing to wait for."""
    with suppress(StopIteration):
        work.send(None)
        pytest.fail("it waits")


@pytest.mark.parametrize("after_s", [0.5, 1.0])
def test_a_waiter_that_is_cancelled_leaves_the_queue(after_s: float) -> None:
    """Before its turn comes, and in the moment in which it does."""

    @virtual
    async def run() -> None:
        turn, order = shared(), list[str]()
        async with asyncio.TaskGroup() as group:
            group.create_task(taking(turn, 1.0, order, "first"))
            second = group.create_task(taking(turn, 1.0, order, "second"))
            group.create_task(taking(turn, 1.0, order, "third"))
            await asyncio.sleep(after_s)
            second.cancel()
        assert order == ["first", "third"]
        assert await free(turn)

    run()


@virtual
async def test_a_wait_between_two_rows_does_not_touch_the_time_of_the_row_before() -> None:
    """A condition that is being undone may wait for its turn though no row runs."""
    turn, order, timer = shared(), list[str](), RowTimer()
    waiting.set(timer)
    async with timer.limited(5.0):
        await asyncio.sleep(0.0)
    async with asyncio.TaskGroup() as group:
        group.create_task(taking(turn, 2.0, order, "holder"))
        await asyncio.sleep(0.5)
        await taking(turn, 0.0, order, "clean-up")
    assert order == ["holder", "clean-up"]
    assert timer.wait_s == pytest.approx(1.5)


@virtual
async def test_clean_up_of_a_row_that_ran_out_of_time_may_wait_for_its_turn() -> None:
    turn, order, timer = shared(), list[str](), RowTimer()
    waiting.set(timer)
    async with asyncio.TaskGroup() as group:
        group.create_task(taking(turn, 3.0, order, "holder"))
        with pytest.raises(TimeoutError):
            async with timer.limited(1.0):
                try:
                    await asyncio.sleep(10.0)
                finally:
                    await taking(turn, 0.0, order, "clean-up")
    assert timer.expired()
    assert order == ["holder", "clean-up"]


@virtual
async def test_what_cannot_be_undone_says_so() -> None:
    async def fails() -> None:
        raise EquipmentError("still on")

    async def hangs() -> None:
        await asyncio.sleep(60.0)

    with pytest.raises(NotUndoneError, match="still on"):
        await undone(fails(), what="smu: switching off")
    with pytest.raises(NotUndoneError, match="smu: switching off not done within 2 s"):
        await undone(hangs(), what="smu: switching off")


# -- several at once
class Shared:
    """Something that several sites have."""

    def __init__(self, name: str) -> None:
        self.turn = Turn(name)
        self.turn.shared = True


@virtual
async def test_two_tasks_that_name_them_in_opposite_order_do_not_wait_for_each_other() -> None:
    meter, matrix = Shared("meter"), Shared("matrix")
    order = list[str]()

    async def use(name: str, *resources: Shared) -> None:
        for _ in range(20):
            async with taking_all(*resources), resources[1].turn.taken():
                order.append(name)
                await asyncio.sleep(0.01)
                order.append(name)

    async with asyncio.TaskGroup() as group:
        group.create_task(use("one", meter, matrix))
        group.create_task(use("two", matrix, meter))
    assert len(order) == 80
    assert order[::2] == order[1::2], "nobody comes in between"


@virtual
async def test_what_is_taken_is_given_back_when_the_next_cannot_be_had() -> None:
    first, second = Shared("first"), Shared("second")
    async with asyncio.TaskGroup() as group:
        holder = group.create_task(taking(second.turn, LOCK_TIMEOUT_S + 5, [], "holder"))
        await asyncio.sleep(0)
        with pytest.raises(EquipmentError, match="no turn at second within 60 s"):
            async with taking_all(first, second):
                pytest.fail("it had both")
        assert await free(first.turn)
        holder.cancel()


@virtual
async def test_more_than_was_taken_is_refused() -> None:
    first, second = Shared("first"), Shared("second")
    async with taking_all(first):
        with pytest.raises(EquipmentError, match="second asked for while first is held: take all at once"):
            async with taking_all(first, second):
                pass
        with pytest.raises(EquipmentError, match="second asked for while first is held: take both at once"):
            async with second.turn.taken():
                pass
        async with taking_all(first), first.turn.taken():
            pass
    assert await free(second.turn)


@virtual
async def test_one_that_is_quarantined_is_not_taken() -> None:
    first, second = Shared("first"), Shared("second")
    second.turn.poison("it lied")
    with pytest.raises(EquipmentError, match="second is quarantined: it lied"):
        async with taking_all(first, second):
            pass
    assert await free(first.turn)


class Oven(Thermal):
    """Reaches its temperature after so many seconds."""

    def __init__(self, seconds: float) -> None:
        super().__init__("oven")
        self.turn.shared = True
        self._seconds = seconds
        self._since = 0.0

    async def set(self, celsius: float, *, window_k: float = 1.0, soak_s: float = 0.0) -> None:
        pass

    async def status(self) -> ThermalStatus:
        passed = asyncio.get_running_loop().time() - self._since
        return ThermalStatus(85.0, at_temperature=passed >= self._seconds, active=True)

    async def start(self) -> None:
        self._since = asyncio.get_running_loop().time()

    async def stop(self) -> None:
        pass

    async def make_safe(self) -> None:
        pass


async def soaked(oven: Oven, *, silent_s: float = 0.0) -> float:
    async with oven.flowing():
        await asyncio.sleep(silent_s)
        await oven.reach(1000.0)
        return asyncio.get_running_loop().time()


@virtual
async def test_a_soak_longer_than_the_wait_for_a_turn_is_no_fault() -> None:
    oven = Oven(7 * LOCK_TIMEOUT_S)
    began = asyncio.get_running_loop().time()
    async with asyncio.TaskGroup() as group:
        sites = [group.create_task(soaked(oven)) for _ in range(3)]
    ended = [site.result() - began for site in sites]
    assert ended == sorted(ended)
    assert ended[-1] >= 3 * 7 * LOCK_TIMEOUT_S


@virtual
async def test_one_that_has_its_turn_and_is_not_heard_is_not_waited_for() -> None:
    oven = Oven(10.0)
    async with asyncio.TaskGroup() as group:
        first = group.create_task(soaked(oven, silent_s=LOCK_TIMEOUT_S + 10))
        group.create_task(refused(oven))
    assert first.result() > LOCK_TIMEOUT_S


async def refused(oven: Oven) -> None:
    began = asyncio.get_running_loop().time()
    with pytest.raises(EquipmentError, match="no turn at oven within 60 s"):
        await soaked(oven)
    assert asyncio.get_running_loop().time() - began == pytest.approx(LOCK_TIMEOUT_S)
