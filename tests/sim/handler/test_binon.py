"""The simulated handler by its table, its knobs and its times, without a driver."""

import itertools

import pytest

from drivers.protocols.binon import Profile, SitesReply, profile_of
from sim.faults import FaultError, Faults, parse
from sim.handler.binon import ALARM_STB, NOBODY, TABLE, BinonHandler, State, Word
from tests.player import InstrumentPlayer
from tests.stepclock import StepClock
from tests.trays import Trays, full

BODY = "00000000,00000000,00000000,"


class Rig:
    """A handler, its trays and the station's end of its bus."""

    def __init__(
        self, trays: Trays, *faults: str, sites: int = 2, profile: Profile | None = None, seed: str = ""
    ) -> None:
        self.clock = StepClock()
        self.trays = trays
        wanted = tuple(parse(f"handler.{text}") for text in faults)
        self.handler = BinonHandler(
            self.clock,
            trays,
            profile or Profile(),
            sites=sites,
            seed=seed,
            faults=Faults("handler", BinonHandler.knobs, wanted, "rig"),
        )
        self.bus = InstrumentPlayer(self.handler, self.clock)

    def landed(self) -> "Rig":
        self.handler.start()
        assert self.bus.request() == 0x41
        return self

    def asked(self) -> "Rig":
        self.landed()
        self.ask("FULLSITES?")
        return self

    def say(self, text: str) -> None:
        self.bus.say(text.encode() + b"\r\n")

    def ask(self, text: str) -> bytes:
        self.say(text)
        return self.bus.hear(0, 0)

    def bin(self, positions: str) -> bytes:
        return self.ask(f"BINON:{BODY}{positions}")


def at(state: State) -> Rig:
    """A handler with two parts in the given state."""
    rig = Rig(full(2, 2))
    match state:
        case State.IDLE:
            pass
        case State.READY:
            rig.landed()
        case State.ASKED:
            rig.asked()
        case State.BINNED:
            rig.asked().bin("00000021")
    assert rig.handler.state is state
    return rig


SAID = {Word.SITES: "FULLSITES?", Word.BINS: f"BINON:{BODY}00000021", Word.OK: "ECHOOK", Word.BAD: "ECHONG"}


@pytest.mark.parametrize(("state", "word"), list(itertools.product(State, SAID)))
def test_each_word_in_each_state(state: State, word: Word) -> None:
    rig = at(state)
    rig.say(SAID[word])
    after = TABLE[state, word][0] if (state, word) in TABLE else state
    assert rig.handler.state is after
    if state in (State.IDLE, State.READY) and word is Word.BINS:
        assert rig.bus.request() == ALARM_STB
    rig.clock.run_until(lambda: bool(rig.trays.bins), within_s=1.0)
    sorts = (state, word) == (State.BINNED, Word.OK)
    assert rig.trays.bins == ({1: 1, 2: 2} if sorts else {}), "only ECHOOK after an echo sorts"


@pytest.mark.parametrize("noise", ["", "?", "BINON:123", "BINON:", "ECHO", "fullsites?", "\x80"])
def test_unknown_texts_have_no_answer(noise: str) -> None:
    rig = at(State.ASKED)
    rig.bus.say(noise.encode("latin-1") + b"\r\n")
    assert rig.bus.hear(0, 0) == b""
    assert rig.handler.state is State.ASKED


def test_device_clear_forgets_bins_that_were_not_confirmed() -> None:
    rig = at(State.BINNED)
    rig.bus.clear()
    rig.say("ECHOOK")
    assert rig.handler.state is State.ASKED
    assert not rig.trays.bins


@pytest.mark.parametrize(("sites", "shortest", "longest"), [(1, 0.52, 0.8), (32, 1.72, 2.6)])
def test_index_and_plunge_take_their_time(sites: int, shortest: float, longest: float) -> None:
    for seed in "abcdefgh":
        rig = Rig(full(sites, 1), sites=sites, seed=seed).landed()
        assert shortest <= rig.clock.time() <= longest


@pytest.mark.parametrize(("knob", "status"), [("dup_srq=3", [0x41] * 4), ("dup_srq", [0x41] * 2)])
def test_doubled_requests(knob: str, status: list[int]) -> None:
    rig = Rig(full(2, 1), knob)
    rig.handler.start()
    assert [rig.bus.request() for _ in range(len(status) + 1)] == [*status, None]


def test_a_lost_request_leaves_the_parts_ready() -> None:
    rig = Rig(full(2, 1), "drop_srq")
    rig.handler.start()
    assert rig.bus.request() is None
    assert rig.handler.state is State.READY


def test_a_request_whose_line_nobody_saw_can_be_polled() -> None:
    rig = Rig(full(2, 1), "drop_srq=line")
    seen: list[int] = []
    rig.handler.on_service_request.append(lambda: seen.append(1))
    rig.handler.start()
    rig.clock.sleep(5.0)
    assert (rig.bus.status(), seen) == (0x41, [])


def test_a_late_request() -> None:
    assert Rig(full(2, 1), "late_srq=5000").landed().clock.time() > 5.0


def test_replies_that_are_cut_or_empty_or_too_wide() -> None:
    for knob, reply in (("truncate", b"F"), ("truncate=11", b"Fullsites 0"), ("empty_reply", b"\r\n")):
        assert Rig(full(2, 1), knob).landed().ask("FULLSITES?") == reply
    wide = Rig(full(2, 1), "extra_site").landed().ask("FULLSITES?")
    assert SitesReply.decode(wide, Profile()).sites == {1, 2, 3}


@pytest.mark.parametrize(
    ("positions", "strict", "bins"),
    [
        ("00000021", True, {1: 1, 2: 2}),
        ("00000321", True, {}),
        ("00000001", True, {}),
        ("00000321", False, {1: 1, 2: 2}),
    ],
)
def test_codes_for_closed_sites(positions: str, strict: bool, bins: dict[int, int]) -> None:
    rig = Rig(full(2, 1), *(["strict_sites"] if strict else [])).asked()
    rig.bin(positions)
    rig.say("ECHOOK")
    rig.clock.run_until(lambda: bool(rig.trays.bins), within_s=5.0)
    assert rig.trays.bins == bins
    assert rig.handler.stopped is (not bins)
    assert (rig.bus.request() == ALARM_STB) is (not bins)


@pytest.mark.parametrize(("knob", "status"), [("jam", ALARM_STB), ("jam=0x51", 0x51), ("jam=82", 0x52)])
def test_a_jam_is_an_alarm_and_somebody_clears_it(knob: str, status: int) -> None:
    rig = Rig(full(2, 1), knob)
    rig.handler.start()
    assert rig.bus.request() == status
    assert rig.bus.request() == 0x41
    assert rig.clock.time() > 90.0


def test_an_operator_who_skips_takes_the_parts() -> None:
    rig = Rig(full(2, 2), "operator_skip@once").asked()
    assert rig.bus.request() == 0x41
    assert rig.trays.bins == {1: NOBODY, 2: NOBODY}
    assert rig.trays.landings == [(1, 2), (3, 4)]


def test_an_operator_who_starts_by_hand_presents_nothing() -> None:
    rig = Rig(full(2, 1), "manual_start").landed()
    reply = rig.ask("FULLSITES?")
    assert SitesReply.decode(reply, Profile()).sites == frozenset()


def test_the_empty_input_asks_for_nothing_more_and_the_lot_is_over() -> None:
    profile = profile_of("configure")
    rig = Rig(full(1, 0), sites=1, profile=profile)
    rig.handler.start()
    assert rig.ask("SRQKIND?") == b"SRQKIND 2\r\n"
    rig.say("REQUEST,CHECKEMPTY")
    assert rig.bus.request() == 0x44
    rig.bus.hear(0, 0)
    rig.say("ECHOOK")
    assert rig.bus.request() is None
    assert rig.ask("SRQKIND?") == b"SRQKIND 8\r\n"
    rig.trays.batches.append(frozenset({1}))
    rig.handler.start()
    assert rig.bus.request() == 0x41, "new parts, and start was pressed again"


def test_a_pause_holds_the_next_index() -> None:
    rig = Rig(full(1, 2), sites=1, profile=profile_of("configure"))
    rig.handler.start()
    rig.say("REQUEST,CHECKEMPTY")
    rig.bus.request()
    rig.bus.hear(0, 0)
    rig.say("ECHOOK")
    assert rig.bus.request() == 0x41
    for text in ("FULLSITES?", "PAUSE", f"BINON:{BODY}00000001", "ECHOOK"):
        rig.say(text)
    assert rig.bus.request() is None
    assert rig.trays.bins == {1: 1}
    rig.say("RESUME")
    assert rig.bus.request() == 0x41


def test_part_of_the_parts_plunge_again() -> None:
    rig = Rig(full(2, 2), profile=Profile(retest_code="R")).asked()
    rig.bin("000000R1")
    rig.say("ECHOOK")
    assert rig.bus.request() == 0x41
    assert rig.trays.bins == {1: 1}
    assert rig.trays.landings == [(1, 2), (2,)]


def test_a_misspelt_knob_is_refused() -> None:
    with pytest.raises(FaultError, match="no fault 'drop_src'; it has: .*drop_srq"):
        Rig(full(2, 1), "drop_src")
