"""States of keys: the legal transitions and no other, and what each state allows."""

import itertools

import pytest

from station.vault.keys.errors import PolicyError, RequestError
from station.vault.keys.register import LEGAL, Act, Register
from station.vault.keys.words import ALLOWED, Algorithm, Approval, Entry, KeyProfile, KeyState, Purpose

S = KeyState
NOW = 1000.0
WHO = Approval("p-1", "because")


def register(state: KeyState, purpose: Purpose = Purpose.SIGN, **more: int) -> Register:
    algorithm = min(ALLOWED[purpose])
    key = KeyProfile("K", algorithm, purpose, **more)
    return Register([Entry(key, state, "soft", "generated", b"", made=True)])


def test_the_transitions_are_those_of_the_plan() -> None:
    straight = {
        ("pre-active", "active"), ("active", "suspended"), ("suspended", "active"),
        ("active", "deactivated"), ("deactivated", "destroyed"), ("compromised", "destroyed"),
    }  # fmt: skip
    any_ = {(state, "compromised") for state in ("pre-active", "active", "suspended", "deactivated")}
    assert {(str(before), str(after)) for before, after in LEGAL} == straight | any_


@pytest.mark.parametrize(("before", "after"), [*itertools.product(S, S)])
def test_legal_transitions_happen_and_others_are_refused(before: KeyState, after: KeyState) -> None:
    keys = register(before)
    if (before, after) in LEGAL:
        moved = keys.moved("K", after, WHO, NOW)
        assert moved.state is after
        assert (moved.history[-1].actor, moved.history[-1].at) == ("p-1", 1000)
    else:
        with pytest.raises(PolicyError, match=f"key K is {before}"):
            keys.moved("K", after, WHO, NOW)


@pytest.mark.parametrize("who", [Approval("", "because"), Approval("p-1", "")])
def test_a_change_names_actor_and_reason(who: Approval) -> None:
    with pytest.raises(RequestError, match="names its actor and its reason"):
        register(S.ACTIVE).moved("K", S.SUSPENDED, who, NOW)


PURPOSE_OF = {
    Act.DERIVE: Purpose.DERIVE,
    Act.WRAP: Purpose.WRAP,
    Act.UNWRAP: Purpose.WRAP,
    Act.SIGN: Purpose.ISSUE,
    Act.DECAPSULATE: Purpose.DECAPSULATE,
    Act.RECEIVE: Purpose.RECEIVE,
    Act.OPEN: Purpose.OPEN,
    Act.PROVE: Purpose.SIGN,
}
MAY = {
    S.PRE_ACTIVE: {Act.PROVE},
    S.ACTIVE: set(Act),
    S.DEACTIVATED: {Act.UNWRAP, Act.DECAPSULATE, Act.RECEIVE, Act.OPEN},
}


@pytest.mark.parametrize(("state", "act"), [*itertools.product(S, Act)])
def test_each_state_allows_what_it_allows(state: KeyState, act: Act) -> None:
    keys = register(state, PURPOSE_OF[act])
    if act in MAY.get(state, set()):
        assert keys.permitted("K", act, NOW).id == "K"
    else:
        with pytest.raises(PolicyError, match=f"key K is {state}: it cannot {act.value}"):
            keys.permitted("K", act, NOW)


@pytest.mark.parametrize("act", [Act.DERIVE, Act.WRAP, Act.DECAPSULATE])
def test_a_key_serves_one_purpose(act: Act) -> None:
    with pytest.raises(PolicyError, match="key K is there to sign, not to"):
        register(S.ACTIVE).permitted("K", act, NOW)


def test_a_key_signs_in_its_period_only_and_opens_after_it() -> None:
    keys = register(S.ACTIVE, not_before=1000, not_after=2000)
    assert keys.permitted("K", Act.SIGN, 1000.0)
    assert keys.permitted("K", Act.SIGN, 1999.9)
    with pytest.raises(PolicyError, match="has not begun"):
        keys.permitted("K", Act.SIGN, 999.9)
    with pytest.raises(PolicyError, match="is over"):
        keys.permitted("K", Act.SIGN, 2000.0)
    wrapping = register(S.ACTIVE, Purpose.WRAP, not_after=2000)
    assert wrapping.permitted("K", Act.UNWRAP, 3000.0)
    with pytest.raises(PolicyError, match="is over"):
        wrapping.permitted("K", Act.WRAP, 3000.0)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (KeyProfile("!leases", Algorithm.P384, Purpose.SIGN), "letters, digits"),
        (KeyProfile("", Algorithm.P384, Purpose.SIGN), "letters, digits"),
        (
            KeyProfile("K", Algorithm.AES_256, Purpose.SIGN),
            "AES-256 cannot sign; allowed: Ed25519, ML-DSA-44",
        ),
        (KeyProfile("K", Algorithm.ML_KEM_768, Purpose.DERIVE), "cannot derive"),
        (KeyProfile("K", Algorithm.P384, Purpose.SIGN, limit=0), "limit 0 is not from 1"),
        (KeyProfile("K", Algorithm.P384, Purpose.SIGN, not_before=9, not_after=9), "ends before it begins"),
    ],
)
def test_impossible_profiles_are_refused(wrong: KeyProfile, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        Register().begun(wrong, "soft", "generated", "")


def test_a_name_is_used_once() -> None:
    for state in S:
        with pytest.raises(PolicyError, match="a name is used once"):
            register(state).begun(KeyProfile("K", Algorithm.P384, Purpose.SIGN), "soft", "generated", "")


def test_an_unknown_key_is_named() -> None:
    with pytest.raises(RequestError, match="there is no key 'X'"):
        register(S.ACTIVE).permitted("X", Act.SIGN, NOW)
