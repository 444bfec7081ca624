"""`given width`, `card` as in `0,0; 1,0`, `profile` (JSON); the rest as `probers` knows."""

import msgspec

from drivers.protocols.accretech import BinProfile
from sim.prober.accretech_uf import AccretechUf
from tests.dialogue import Dialogue
from tests.player import InstrumentPlayer
from tests.simulated.probers import stage
from tests.stepclock import StepClock


def simulator(dialogue: Dialogue) -> InstrumentPlayer:
    clock = StepClock()
    card = [tuple(map(int, site.split(","))) for site in dialogue.given.get("card", "0,0").split(";")]
    profile = dialogue.given.get("profile")
    machine = AccretechUf(
        stage(dialogue, clock, AccretechUf.knobs),
        width=int(dialogue.given.get("width", "3")),
        card=[(x, y) for x, y in card],
        profile=msgspec.json.decode(profile, type=BinProfile) if profile else None,
    )
    return InstrumentPlayer(machine, clock)
