"""The station's half of the contract: scripts become steps, replies a result, nonsense is refused."""

from pathlib import Path

import pytest

from drivers.roles.card import Apdu, CardReply, Reset, ScriptReply, Stopped
from station.vault.relay import DieStream, Relay, RelayError, result_of, steps_of
from station.vault.wire import floor_pb2 as wire

SCRIPT = wire.Script(
    number=1,
    steps=[
        wire.Step(reset=wire.Reset(cold=True), budget_ms=3000),
        wire.Step(apdu=b"\x00\xa4\x04\x00", budget_ms=200),
        wire.Step(apdu=b"\x80\x50\x30\x00", expect=[0x9000, 0x6A88], budget_ms=500, reply_max=4),
    ],
)


def test_a_script_becomes_steps_in_order_with_budgets_and_expectations() -> None:
    assert steps_of(SCRIPT) == (
        Reset(cold=True, budget_s=3.0),
        Apdu(b"\x00\xa4\x04\x00", (0x9000,), 0.2),
        Apdu(b"\x80\x50\x30\x00", (0x9000, 0x6A88), 0.5),
    )


def test_a_step_that_says_nothing_is_refused() -> None:
    with pytest.raises(RelayError, match="neither reset nor command"):
        steps_of(wire.Script(number=1, steps=[wire.Step()]))


@pytest.mark.parametrize(
    ("stopped", "told"),
    [
        (Stopped.END, wire.END),
        (Stopped.STATUS_WORD, wire.STATUS_WORD),
        (Stopped.LINK, wire.LINK),
        (Stopped.TIME, wire.TIME),
    ],
)
def test_what_the_card_says_is_told_as_it_is(stopped: Stopped, told: int) -> None:
    result = result_of(SCRIPT, ScriptReply((CardReply(b"\x3b", 0, 0.001),), stopped))
    assert (result.number, result.stopped) == (1, told)
    assert [(r.data, r.sw, r.elapsed_us) for r in result.replies] == [(b"\x3b", 0, 1000)]


def test_a_reply_longer_than_allowed_is_not_passed_on() -> None:
    replies = (CardReply(b"\x3b", 0, 0.0), CardReply(b"", 0x9000, 0.0), CardReply(bytes(5), 0x9000, 0.0))
    result = result_of(SCRIPT, ScriptReply(replies, Stopped.END))
    assert result.stopped == wire.SIZE
    assert len(result.replies) == 2


@pytest.mark.parametrize(
    "said",
    [
        wire.FromVault(),
        wire.FromVault(script=wire.Script(number=2, steps=[wire.Step(apdu=b"\0")])),
        wire.FromVault(script=wire.Script(number=1)),
        wire.FromVault(script=wire.Script(number=1, steps=[wire.Step(apdu=b"\0")] * 129)),
    ],
)
def test_nonsense_of_a_vault_is_refused(tmp_path: Path, said: wire.FromVault) -> None:
    stream = DieStream(Relay(tmp_path / "socket", "cell"), 0.0)
    with pytest.raises(RelayError):
        stream._checked(said)
