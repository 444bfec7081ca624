"""Recovery as a table: what the journal says, what the die reads, what follows."""

from itertools import product

import pytest

from drivers.protocols.se1_table import LifeCycle
from station.vault.die.recovery import (
    ISSUER,
    TRANSPORT,
    Action,
    End,
    Go,
    Intent,
    Phase,
    Reading,
    Standing,
    recover,
)

READY, INITIALIZED, SECURED = LifeCycle.OP_READY, LifeCycle.INITIALIZED, LifeCycle.SECURED
BOTH = frozenset({TRANSPORT, ISSUER})
OLD, NEW = frozenset({TRANSPORT}), frozenset({ISSUER})


def die(life_cycle: LifeCycle, key_sets: frozenset[int] = OLD) -> Reading:
    return Reading(life_cycle, key_sets, life_cycle is not READY)


@pytest.mark.parametrize(
    ("standing", "intent", "reading", "action"),
    [
        (Standing.ADMITTED, Intent.NONE, die(READY), Go(Phase.SCREEN)),
        (Standing.SCREENED, Intent.KEYS, die(READY), Go(Phase.IDENTITY)),
        (Standing.SCREENED, Intent.KEYS, die(INITIALIZED), Go(Phase.KEYS)),
        (Standing.KEYS_READY, Intent.KEYS, die(INITIALIZED), Go(Phase.PROVE)),
        (Standing.POP_OK, Intent.ISSUE, die(INITIALIZED), Go(Phase.WRITE)),
        (Standing.ISSUED, Intent.WRITE, die(INITIALIZED), Go(Phase.WRITE)),
        (Standing.ATTESTED, Intent.ROTATE, die(INITIALIZED), Go(Phase.ROTATE)),
        (Standing.ATTESTED, Intent.ROTATE, die(INITIALIZED, BOTH), Go(Phase.LOCK, ISSUER, Go(Phase.ROTATE))),
        (Standing.KEYS_ROTATED, Intent.LOCK, die(INITIALIZED, BOTH), Go(Phase.LOCK, ISSUER)),
        (Standing.KEYS_ROTATED, Intent.LOCK, die(INITIALIZED, NEW), Go(Phase.LOCK, ISSUER)),
        (Standing.KEYS_ROTATED, Intent.LOCK, die(SECURED, NEW), Go(Phase.LOCK_PROOF, ISSUER)),
        (Standing.SECURED, Intent.LOCK, die(SECURED, NEW), Go(Phase.LOCK_PROOF, ISSUER)),
        (Standing.REGISTERED, Intent.NONE, die(SECURED, NEW), Go(Phase.LOCK_PROOF, ISSUER)),
        (Standing.ADMITTED, Intent.NONE, die(READY, BOTH), End.KEY_SETS),
        (Standing.ADMITTED, Intent.NONE, die(INITIALIZED), End.FOREIGN),
        (Standing.ADMITTED, Intent.NONE, die(SECURED, NEW), End.FOREIGN),
        (Standing.ATTESTED, Intent.ROTATE, die(SECURED, NEW), End.FOREIGN),
        (Standing.ISSUED, Intent.WRITE, die(READY), End.FOREIGN),
        (Standing.ISSUED, Intent.WRITE, die(INITIALIZED, BOTH), End.KEY_SETS),
        (Standing.KEYS_ROTATED, Intent.LOCK, die(INITIALIZED, OLD), End.KEY_SETS),
        (Standing.SECURED, Intent.LOCK, die(SECURED, BOTH), End.KEY_SETS),
    ],
)
def test_what_follows(standing: Standing, intent: Intent, reading: Reading, action: Action) -> None:
    assert recover(standing, intent, reading) == action


@pytest.mark.parametrize(
    ("life_cycle", "end"),
    [
        (LifeCycle.RAW, End.NOT_ITS_TURN),
        (LifeCycle.TEST_UNLOCKED, End.NOT_ITS_TURN),
        (LifeCycle.TEST_LOCKED, End.NOT_ITS_TURN),
        (LifeCycle.TERMINATED, End.TERMINATED),
        (LifeCycle.CARD_LOCKED, End.FOREIGN),
        (LifeCycle.RMA, End.FOREIGN),
    ],
)
def test_other_states_of_the_die_decide_alone(life_cycle: LifeCycle, end: End) -> None:
    for standing, intent in product(Standing, Intent):
        assert recover(standing, intent, die(life_cycle)) is end


@pytest.mark.parametrize("key_sets", [OLD, NEW, BOTH])
@pytest.mark.parametrize("life_cycle", [READY, INITIALIZED, SECURED])
def test_a_session_opens_only_with_keys_that_the_die_says_it_has_and_never_goes_back(
    life_cycle: LifeCycle, key_sets: frozenset[int]
) -> None:
    earliest = {READY: 1, INITIALIZED: 3, SECURED: 8}[life_cycle]
    for standing, intent in product(Standing, Intent):
        action = recover(standing, intent, die(life_cycle, key_sets))
        if isinstance(action, Go):
            assert action.kvn in key_sets
            assert action.phase.value >= earliest
            untouched = intent is Intent.NONE and standing is not Standing.REGISTERED
            assert not untouched or action.phase is Phase.SCREEN
