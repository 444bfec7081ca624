"""What people and machines may ask of a cell. Every command enters by `Cell.request`, whoever sends it."""

from typing import Literal, TypeAlias

from msgspec import Struct

from station.model import Axis, Whereabouts
from station.set_up import Traveller

WAIVABLE: TypeAlias = Literal[
    "calibration",
    "assets",
    "clean block",
    "lot data",
    "temperature",
    "empty contacts",
    "golden",
    "previous lot",
]
"""The checks before a lot for which somebody may answer."""


class Command(Struct, frozen=True, kw_only=True, tag_field="command"):
    """Who asks, in which quality, from where; the same `id` twice has one effect."""

    id: str
    actor: str
    roles: frozenset[str] = frozenset()
    """In what quality: roles of persons, or `host`; whoever lets the command in has made sure of them."""
    source: str = "local"
    reason: str = ""


class Seconded(Command, frozen=True, kw_only=True):
    """What may take two persons: the other one, who wants it too."""

    second: str = ""
    second_roles: frozenset[str] = frozenset()
    lot: str = ""
    """Which lot its persons saw; empty: whichever is in the cell."""
    line: int = 0
    """Of the lot's journal, in which the state that they saw began; 0: they do not say."""

    @property
    def persons(self) -> dict[str, frozenset[str]]:
        """Who wants it, each in his roles; the same person twice is one."""
        return ({self.second: self.second_roles} if self.second else {}) | {self.actor: self.roles}


class Load(Command, frozen=True, kw_only=True, tag="lot.load"):
    """Bring a lot's data together."""

    lot: str
    quantity: int
    sublot: str = ""
    recipe: str = ""
    """Of one that is staged: SHA-256 of what was signed, or its beginning; empty: that of the station."""
    product: str = ""
    """What the traveller says that its devices are; empty: it says nothing of that."""
    card: str = ""
    """Which card, contactor or board the traveller says; empty: none."""
    program: str = ""
    """Which program the traveller says: a sequence, with its version or without, or a recipe; empty: none."""
    mode: Literal["", "P", "E"] = ""
    """E: an engineering lot, which a test engineer loads; else production."""

    @property
    def says(self) -> Traveller | None:
        """What the traveller says besides lot and quantity; None: nothing."""
        found = Traveller(self.product, self.card, self.program)
        return None if found == Traveller() else found


class Study(Load, frozen=True, kw_only=True, tag="study.load"):
    """Bring a lot's data together in which each device is tested several times: no product, no keys."""

    study: str
    """What the lots of one study have in common."""
    trials: int
    operator: str
    """Who puts the devices in."""
    test: int = 0
    """The one that is judged; 0: all of them."""


class Unload(Command, frozen=True, kw_only=True, tag="lot.unload"):
    """Put a lot back of which nothing was tested, or one that is closed: the cell is empty."""


class Check(Command, frozen=True, kw_only=True, tag="lot.check"):
    """Look at all that can be found out before a device is touched; the lot is then ready, or held."""


class Start(Command, frozen=True, kw_only=True, tag="lot.start"):
    """Test it."""


class Pause(Command, frozen=True, kw_only=True, tag="lot.pause"):
    """No new touchdown; the one in contact finishes and is sorted."""


class Resume(Command, frozen=True, kw_only=True, tag="lot.resume"):
    """Go on after a pause."""


class End(Command, frozen=True, kw_only=True, tag="lot.end"):
    """Finish the touchdown, sort it, write the summaries."""


class Abort(Command, frozen=True, kw_only=True, tag="lot.abort"):
    """Safe state; no bin is sent, the lot stays open."""


class CutOff(Abort, frozen=True, kw_only=True, tag="lot.abort"):
    """An abort that waits for nothing, not for a personalisation either: an interlock is open.

    It is none of `Any`: only what guards a cell can say it.
    """


class Release(Seconded, frozen=True, kw_only=True, tag="hold.release"):
    """Say that the cause of a hold is gone; `reason` is mandatory. The lot is then paused."""


class Reason(Command, frozen=True, kw_only=True, tag="e10.set"):
    """Say why the cell is in its class of E10; `reason` is mandatory."""

    state: Literal["", "SDT", "ENG"] = ""
    """Where standby is moved to; empty: the class stays as it is."""


class Close(Seconded, frozen=True, kw_only=True, tag="lot.close"):
    """Sign for the difference with which a lot could not be closed; `reason` is mandatory."""


class Recover(Seconded, frozen=True, kw_only=True, tag="cell.recover"):
    """Say that somebody has looked at a stopped cell; `reason` is mandatory. The lot is then paused."""

    found: dict[int, Whereabouts] = {}
    """By site, where the device is that was in contact there; needed where the station cannot know."""
    cleared: frozenset[int] = frozenset()
    """Sites that are in use again, though they were quarantined or switched off before the stop."""


class SetSite(Command, frozen=True, kw_only=True, tag="site.set"):
    """Test at a site from the next touchdown on, or no more; `reason` is mandatory."""

    site: int
    on: bool


class Clean(Command, frozen=True, kw_only=True, tag="probe.clean"):
    """Clean the tips of the card at the next touchdown boundary."""


class Retest(Command, frozen=True, kw_only=True, tag="retest.start"):
    """Land once more on dies of the wafer on the chuck: those in `bins`, else all rejects; none with keys."""

    bins: frozenset[int] = frozenset()
    """Soft bins of the last contact; empty: every bin that is not a pass bin."""
    sites: frozenset[int] = frozenset()
    """By which they were tested; empty: whichever."""
    area: Literal["", "edge", "centre"] = ""


class Step(Command, frozen=True, kw_only=True, tag="lot.step"):
    """Of an engineering lot: stand still behind rows, with outputs as they are, until somebody goes on."""

    sites: frozenset[int] = frozenset()
    """Empty: all of the lot."""
    go: Literal["next", "to", "on"] = "next"
    """One row further; behind a row; on without standing still. A site that runs stands at the next row."""
    row: int = 0
    """Of `to`: the number of the test behind which to stand."""
    bound_s: float = 300.0
    """How long a site stands before its device is given up and the cell made safe."""


class Shmoo(Command, frozen=True, kw_only=True, tag="lot.shmoo"):
    """Run the row behind which a site stands over a grid of one or two of its parameters."""

    site: int
    row: int
    x: Axis
    y: Axis | None = None


class Stage(Command, frozen=True, kw_only=True, tag="recipe.stage"):
    """Let lots run by a recipe that lies with the station; the station trusts its signatures alone."""

    recipe: str
    """SHA-256 of what was signed, or its beginning."""


class Apply(Seconded, frozen=True, kw_only=True, tag="config.apply"):
    """Take a file that lies with the station as its own from the next lot on; `reason` is mandatory."""

    config: str
    """SHA-256 of the file, or its beginning."""


class Test(Command, frozen=True, kw_only=True, tag="selftest.run"):
    """Open every machine between lots, ask it who it is, make the cell safe and read it back."""


class ReleaseKeys(Command, frozen=True, kw_only=True, tag="key.release"):
    """Carry a key release, which two officers have signed, to the vault: it verifies them itself."""

    release: str
    """SHA-256 of the signed release, or its beginning; it lies with the station."""


class Waive(Command, frozen=True, kw_only=True, tag="check.waive"):
    """Answer for a check that the lot would not begin with; `reason` is mandatory."""

    check: WAIVABLE


class Acknowledge(Command, frozen=True, kw_only=True, tag="alarm.ack"):
    """Say that somebody has seen an alarm."""

    alarm: str


class Shelve(Command, frozen=True, kw_only=True, tag="alarm.shelve"):
    """Let an alarm be quiet for a while; `reason` is mandatory."""

    alarm: str
    minutes: int


Any: TypeAlias = (
    Load
    | Study
    | Unload
    | Check
    | Start
    | Pause
    | Resume
    | End
    | Abort
    | Release
    | Close
    | Recover
    | Reason
    | SetSite
    | Clean
    | Retest
    | Step
    | Shmoo
    | Stage
    | Apply
    | Test
    | ReleaseKeys
    | Waive
    | Acknowledge
    | Shelve
)
"""Every command."""


class Receipt(Struct, frozen=True):
    """What became of a command."""

    ok: bool
    code: str
    reason: str = ""
