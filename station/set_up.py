"""What a lot is tested with, and on what: fixed when it begins."""

from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Struct


class WaferGeometry(Struct, frozen=True, forbid_unknown_fields=True):
    """How the wafers of a lot lie on the chuck, and how large they and their dies are."""

    diameter_mm: float
    die_mm: tuple[float, float]
    """Width and height of a die, along X and Y, its street included."""
    notch: Literal["D", "L", "U", "R"] = "D"
    """Where notch or flat is seen."""
    x_grows: Literal["L", "R"] = "R"
    """Where X grows: to the left or to the right."""
    y_grows: Literal["U", "D"] = "D"
    """Where Y grows: up or down."""
    center: tuple[int, int] | None = None
    """X and Y of the die in the middle."""


class Study(Struct, frozen=True, omit_defaults=True):
    """A lot whose devices are each tested several times, so that the measurement can be judged."""

    trials: int
    name: str = ""
    """What the lots of one study have in common; empty: it is a study by itself."""
    test: int = 0
    """The one that is judged; 0: all of them."""
    operator: str = ""
    """Who has put the devices in."""


class Temperature(Struct, frozen=True, forbid_unknown_fields=True):
    """At which temperature a lot is tested."""

    celsius: Annotated[float, Meta(ge=-100, le=300)]
    window_k: Annotated[float, Meta(gt=0, le=20)] = 2.0
    """How far it may be away from that."""
    soak_s: Annotated[float, Meta(ge=0, le=36_000)] = 0.0
    """How long it must have been near enough before the first contact, and after it was not."""
    reach_s: Annotated[float, Meta(gt=0, le=36_000)] = 3600.0
    """How long it may take to get there."""
    back_s: Annotated[float, Meta(gt=0, le=36_000)] = 600.0
    """How long the lot waits for it to come back into its window before it is held."""


class Instrument(Struct, frozen=True, omit_defaults=True):
    """One machine as it was when a lot began; an empty field is one that nobody tells."""

    name: str
    """As the station file has it."""
    driver: str
    maker: str = ""
    model: str = ""
    serial: str = ""
    firmware: str = ""
    calibration_due: str = ""
    """The day after which its calibration is over, YYYY-MM-DD, as the station file has it."""
    stated: bool = False
    """The machine does not tell its serial number: it is that of the station file."""
    since: int = 1
    """The touchdown from which on it was there; of another machine of this name it takes the place."""


class Binding(Struct, frozen=True, array_like=True):
    """Which machine plays a role at a site; the channel is empty where a machine has but one."""

    site: int
    role: str
    machine: str
    channel: str = ""


class Software(Struct, frozen=True, omit_defaults=True):
    """What ran the lot."""

    hardbin: str
    python: str
    lock_sha256: str
    """Of the file that names every package with its hash."""
    since: int = 1
    """The touchdown from which on it did."""


class AverageLimit(Struct, frozen=True):
    """Limits of one test at one site, and how many good devices they rest on."""

    site: int
    test: int
    low: float
    high: float
    parts: int


class StaticLimit(Struct, frozen=True):
    """Limits of one test that earlier lots have given, for all sites; None leaves a side to the test."""

    test: int
    low: float | None = None
    high: float | None = None


class Averaging(Struct, frozen=True):
    """How a lot makes limits of its own good devices, site by site, while it runs."""

    bins: tuple[int, ...]
    """Soft bins: the first of outliers, then those of devices that were held against these limits before."""
    tests: tuple[int, ...] = ()
    """All single numbers if none is named."""
    sigmas: float = 6.0
    least: int = 30
    window: int = 200
    fixed: tuple[AverageLimit, ...] = ()
    """Of a second pass: the limits with which the passes before have ended; no others are made."""
    static: tuple[StaticLimit, ...] = ()
    """They hold from the first device on, and those of the lot itself are never wider."""


Profile: TypeAlias = Literal["compact", "compat"]
"""Whether later records of a test leave out what its first one has, or every record has every field."""


class Section(Struct, frozen=True, array_like=True):
    """Rows under one condition: its name, and the numbers of the first and the last test."""

    name: str
    first: int
    last: int


class PinGroup(Struct, frozen=True, array_like=True):
    """Channels of a site that go by one name: `io` of `io.IO`, `io.CLK` and `io.RST`."""

    name: str
    pins: tuple[str, ...]


class Datalog(Struct, frozen=True, omit_defaults=True):
    """What of a lot its STDF file says beside the results."""

    profile: Profile = "compact"
    sections: tuple[Section, ...] = ()
    """In table order, a section before those inside it; empty if the file has none."""
    groups: tuple[PinGroup, ...] = ()
    card: str = ""
    """Name of the probe card, as of the two that follow: yields are compared by what touched the devices."""
    board: str = ""
    contactor: str = ""


class Traveller(Struct, frozen=True):
    """What the paper that comes with a lot says of it, besides its name and quantity; empty: nothing."""

    product: str = ""
    card: str = ""
    """Card, contactor or board."""
    program: str = ""
    """A sequence, with its version or without, or a recipe."""
