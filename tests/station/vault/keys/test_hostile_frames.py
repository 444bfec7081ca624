"""Whatever comes over a line, the store answers or closes it, and no answer and no log shows a secret."""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from station.vault.keys import calls, operations
from station.vault.keys.frames import LENGTH, value_of
from station.vault.keys.process import Line, Server, _answered
from station.vault.keys.service import Service
from station.vault.keys.words import Algorithm, Approval, BackupShare, KeyProfile, KeyState, Purpose
from tests.station.vault.keys.stores import OFFICER, OPEN, PASSPHRASES, At, active, give, production, profile

SECRETS = (*PASSPHRASES.values(), b"a planted wrong one", b"a planted new pass.", bytes(range(40, 72)))
HYPOTHESIS = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.text(max_size=20)
    | st.binary(max_size=40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)


@pytest.fixture
def opened(tmp_path: Path, cheap: None) -> Iterator[Service]:
    del cheap
    made = Service(tmp_path, At(), OPEN, production=False)
    made.answer(production())
    give(made, "anna", "ben")
    active(made, profile("K-1", limit=1000))
    active(made, profile("TM", Algorithm.AES_256, Purpose.DERIVE))
    yield made
    made.close()


def asked(service: Service, request: bytes, *, people: bool = False) -> bytes:
    return bytes(_answered(service, bytearray(request), people=people))


@given(st.sampled_from(sorted(operations.CALLS)), JSON)
@HYPOTHESIS
def test_no_arguments_break_it(opened: Service, name: str, arguments: object) -> None:
    reply = asked(opened, msgspec.msgpack.encode((7, name, arguments)), people=True)
    number, verdict, _ = msgspec.msgpack.decode(reply[LENGTH.size :], type=tuple[int, str, msgspec.Raw])
    assert number in {0, 7}
    assert verdict in {"ok", "error"}
    assert b"internal" not in reply


@given(st.binary(max_size=120))
@HYPOTHESIS
def test_no_bytes_break_it(opened: Service, content: bytes) -> None:
    reply = asked(opened, content)
    assert b"internal" not in reply


def test_people_are_not_the_vault(opened: Service) -> None:
    """Each operation that people may not ask for is refused before anything is looked at."""
    for name, call in operations.CALLS.items():
        reply = asked(opened, msgspec.msgpack.encode((1, name, [])), people=True)
        if call not in operations.OF_PEOPLE:
            assert b"is the vault's to ask" in reply or b"not a request" in reply, name


def custodian(name: str, said: bytes) -> calls.Custodian:
    return calls.Custodian(name, bytearray(said))


WRONG = custodian("anna", SECRETS[3])
SHARE = BackupShare("00" * 16, "anna", 2, 3, bytes(16), bytes(12), SECRETS[5])
MADE: tuple[Callable[[], calls.Call], ...] = (
    lambda: calls.Activate("anna", bytearray(SECRETS[3])),
    lambda: calls.Restore(SHARE, bytearray(SECRETS[3])),
    lambda: calls.Decide("K-1", KeyState.DEACTIVATED, OFFICER, (WRONG,)),
    lambda: calls.Decide("K-9", KeyState.SUSPENDED, Approval("", ""), (WRONG,)),
    lambda: calls.Repassphrase("anna", bytearray(SECRETS[3]), bytearray(SECRETS[4])),
    lambda: calls.Repassphrase("nobody", bytearray(SECRETS[0]), bytearray(SECRETS[4])),
    lambda: calls.Reshare((WRONG,), (custodian("a", SECRETS[4]), custodian("b", SECRETS[4])), 2, False, 0),
    lambda: calls.Backup((custodian("anna", SECRETS[0]),), (custodian("x y", SECRETS[4]),), 3),
    lambda: calls.Trust((WRONG,), ()),
    lambda: calls.Load(KeyProfile("K-1", Algorithm.AES_256, Purpose.DERIVE), bytearray(SECRETS[5])),
    lambda: calls.Load(KeyProfile("X/Y", Algorithm.AES_256, Purpose.DERIVE), bytearray(SECRETS[5])),
    lambda: calls.Wrap("TM", bytearray(SECRETS[5])),
    lambda: calls.LoadSealed(KeyProfile("N", Algorithm.AES_256, Purpose.DERIVE), "K-1", b"", SECRETS[5]),
    lambda: calls.Init(production().mode, (WRONG,), None),
)


@pytest.mark.parametrize("number", range(len(MADE)))
def test_no_refusal_shows_a_secret(opened: Service, number: int, capsys: pytest.CaptureFixture[str]) -> None:
    request = msgspec.msgpack.encode((1, *operations.operation(MADE[number]())))
    reply = asked(opened, request)
    with pytest.raises(Exception) as refused:  # noqa: PT011 - whichever it is
        value_of(bytearray(reply[LENGTH.size :]), object)
    said = reply + str(refused.value).encode() + "".join(capsys.readouterr()).encode()
    for secret in SECRETS:
        assert secret not in said
        assert secret.hex().encode() not in said


@given(st.lists(st.binary(max_size=60), max_size=8))
@HYPOTHESIS
def test_a_line_of_rubbish_is_closed(opened: Service, parts: list[bytes]) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        server = Server(opened, None, None)
        line = Line(theirs, people=True)
        ours.setblocking(False)
        for part in parts:
            if part:
                ours.sendall(part)
                if not server._served(line):
                    return
        ours.shutdown(socket.SHUT_WR)
        assert not server._served(line)


def test_a_frame_that_is_too_long_closes_the_line(opened: Service) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        server = Server(opened, None, None)
        ours.sendall(LENGTH.pack(1 << 30) + b"x" * 100)
        assert not server._served(Line(theirs, people=True))
