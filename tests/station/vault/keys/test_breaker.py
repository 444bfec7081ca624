"""The circuit breaker on a clock that is moved by hand."""

from station.vault.keys.breaker import PAUSE_S, SLOW_S, WINDOW_MIN, Breaker


class Watch:
    """A time that is set."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def broken() -> tuple[Breaker, Watch]:
    watch = Watch()
    breaker = Breaker(watch)
    for _ in range(3):
        assert breaker.admits()
        breaker.failed()
    return breaker, watch


def test_it_opens_after_three_failures_in_a_row() -> None:
    breaker = Breaker(Watch())
    for _ in range(5):
        breaker.failed()
        breaker.failed()
        breaker.answered(0.1)
    assert not breaker.open
    breaker, _ = broken()
    assert breaker.open
    assert not breaker.admits()


def test_one_call_tries_after_the_pause() -> None:
    breaker, watch = broken()
    watch.now = PAUSE_S - 0.1
    assert not breaker.admits()
    assert 0 < breaker.wait_s() < 1
    watch.now = PAUSE_S
    assert breaker.admits()
    assert not breaker.admits(), "one at a time"
    breaker.answered(0.1)
    assert breaker.admits()
    assert not breaker.open


def test_a_failed_try_begins_another_pause() -> None:
    breaker, watch = broken()
    watch.now = PAUSE_S
    assert breaker.admits()
    breaker.failed()
    watch.now = 2 * PAUSE_S - 0.1
    assert not breaker.admits()
    watch.now = 2 * PAUSE_S
    assert breaker.admits()


def test_a_try_that_its_caller_gave_up_lets_another_try() -> None:
    breaker, watch = broken()
    watch.now = PAUSE_S
    assert breaker.admits()
    breaker.let_go()
    assert breaker.admits()


def test_slow_answers_open_it() -> None:
    breaker = Breaker(Watch())
    for _ in range(WINDOW_MIN):
        breaker.answered(SLOW_S - 0.1)
    assert not breaker.open
    for _ in range(WINDOW_MIN):
        breaker.answered(SLOW_S + 0.1)
    assert breaker.open


def test_one_slow_answer_in_a_hundred_does_not() -> None:
    breaker = Breaker(Watch())
    for number in range(300):
        breaker.answered(9.0 if number % 100 == 0 else 0.01)
    assert not breaker.open


def test_a_start_that_is_waited_for_is_no_slow_answer() -> None:
    breaker = Breaker(Watch())
    for _ in range(WINDOW_MIN):
        breaker.answered(0.1)
    for _ in range(WINDOW_MIN):
        breaker.answered(None)
    assert not breaker.open
    breaker.failed()
    breaker.failed()
    breaker.answered(None)
    breaker.failed()
    assert not breaker.open, "it answers, whatever it took"
