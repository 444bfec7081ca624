"""A clock that somebody sets is doubted, one that a time server sets is not."""

from dataclasses import dataclass

from station.clock import DOUBT_S, ClockWatch, RealClock


@dataclass
class Times:
    """What time it is, how long the machine runs, and whether a time server is followed."""

    wall: float = 1e9
    runs: float = 100.0
    followed: bool = False

    def pass_by(self, seconds: float) -> None:
        self.wall += seconds
        self.runs += seconds

    def watch(self) -> ClockWatch:
        return ClockWatch(lambda: self.wall, lambda: self.runs, lambda: self.followed)


def test_a_step_is_doubted_until_a_time_server_stands_for_it() -> None:
    times = Times()
    watch = times.watch()
    times.pass_by(1e6)
    assert watch.doubt() == ""
    times.wall += DOUBT_S / 2
    assert watch.doubt() == "", "so much a client's clock may be away too"
    times.wall -= 3600
    assert "-3599.0 s" in watch.doubt()
    times.pass_by(60)
    assert watch.doubt() != ""
    times.followed = True
    assert watch.doubt() == ""
    times.followed = False
    assert watch.doubt() == "", "it was right then"


def test_a_clock_that_is_set_back_to_where_it_was_is_believed_again() -> None:
    times = Times()
    watch = times.watch()
    times.wall += 10
    assert watch.doubt() != ""
    times.wall -= 10
    assert watch.doubt() == ""


def test_the_clock_of_this_machine() -> None:
    assert ClockWatch(RealClock().unix, believed=lambda: False).doubt() == ""
