"""What a recipe says: tighter limits, what is landed again, when to stop; for one state of a sequence."""

from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct

from station import toml_file
from station.set_up import Temperature
from station.vault.desk.documents import Digest, Name, Seconds
from station.vault.desk.statement import Statement

Number = Annotated[str, Meta(pattern=r"^[1-9][0-9]{0,9}\Z")]
"""Of a test or a bin, as a key of a table."""
Share = Annotated[float, Meta(gt=0, lt=1)]
Guard = Annotated[float, Meta(ge=0)]
Count = Annotated[int, Meta(ge=1, le=1000)]


class Bounds(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The bounds of one test that take the place of the sequence's; what is left out stays."""

    low: float | None = None
    high: float | None = None


class Again(Struct, frozen=True, forbid_unknown_fields=True):
    """Which bins are landed again, how often and when (`station.policies.Retest`)."""

    bins: tuple[int, ...]
    times: Annotated[int, Meta(ge=0, le=10)] = 1
    at_end: bool = False
    other_site: bool = False
    confirm: Annotated[int, Meta(ge=0, le=1000)] = 0
    turn_on: Annotated[int, Meta(ge=0, le=1000)] = 0
    useless_after: Annotated[int, Meta(ge=0, le=10**6)] = 0
    min_recovered: Annotated[float, Meta(ge=0, le=1)] = 0.1


class RejectBin(Struct, frozen=True, forbid_unknown_fields=True):
    """A bin of rejects that the sequence does not have."""

    bin: Annotated[int, Meta(ge=0, le=32_767)]
    hard: Annotated[int, Meta(ge=0, le=32_767)]


class Averages(RejectBin, frozen=True, forbid_unknown_fields=True):
    """Part average testing (`station.policies.Outliers`)."""

    tests: tuple[int, ...] = ()
    sigmas: Annotated[float, Meta(gt=0, le=20)] = 6.0
    least: Annotated[int, Meta(ge=4)] = 30
    window: Annotated[int, Meta(ge=4, le=100_000)] = 200
    static: dict[Number, Bounds] = {}
    """Limits that earlier lots have given, by test."""


class SecondLook(RejectBin, frozen=True, forbid_unknown_fields=True):
    """Inline QA (`station.policies.Quality`)."""

    first: Annotated[int, Meta(ge=0)] = 0
    every: Annotated[int, Meta(ge=0)] = 0


class Rules(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Stop rules (`station.rules.StopRules`), with bins by their numbers."""

    baseline_yield: Share | None = None
    all_sites: Count | None = None
    yield_floor: Share | None = None
    compare_sites: bool = False
    bin_limits: dict[Number, Share] = {}
    contact_bins: tuple[int, ...] = ()
    no_touch: Count | None = None
    stuck: Annotated[int, Meta(ge=3)] | None = None
    clean_every: Count | None = None
    retries: Share | None = None


class Draft(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A recipe as an engineer writes it."""

    name: Name
    version: Annotated[int, Meta(ge=1, le=10**6)]
    product: Name
    sequence: str
    """Entry point, or module:NAME."""
    limits: dict[Number, Bounds] = {}
    retest: Again | None = None
    rules: Rules | None = None
    outliers: Averages | None = None
    quality: SecondLook | None = None
    guard_bands: dict[Number, Guard] = {}
    """By test: how far its limits move inwards, in its unit."""
    offsets: dict[Number, dict[Number, float]] = {}
    """By test and site: what is added to a reading, in the unit of the test."""
    temperature: Temperature | None = None


class Recipe(Statement, frozen=True, kw_only=True):
    """A recipe as it is signed: the draft, what it was made for, and when it may be used."""

    typ: Literal["hardbin.recipe.v1"] = "hardbin.recipe.v1"
    name: Name
    version: Annotated[int, Meta(ge=1, le=10**6)]
    product: Name
    sequence: str
    base: Digest
    """SHA-256 of the sequence without the recipe."""
    not_before: Seconds
    not_after: Seconds
    limits: dict[Number, Bounds] = {}
    retest: Again | None = None
    rules: Rules | None = None
    outliers: Averages | None = None
    quality: SecondLook | None = None
    guard_bands: dict[Number, Guard] = {}
    """By test: how far its limits move inwards, in its unit."""
    offsets: dict[Number, dict[Number, float]] = {}
    """By test and site: what is added to a reading, in the unit of the test."""
    temperature: Temperature | None = None

    @property
    def title(self) -> str:
        """Name and version, as people say them."""
        return f"{self.name} {self.version}"


def draft_of(path: Path) -> Draft:
    """Read a draft; ConfigError says what is wrong, where, and what is allowed."""
    return toml_file.read(path, Draft, str_keys=True)


def recipe_of(draft: Draft, base: bytes, not_before: int, not_after: int) -> Recipe:
    """Bind a draft to the sequence whose fingerprint is `base`, and to a time."""
    fields = {name: getattr(draft, name) for name in draft.__struct_fields__}
    return Recipe(base=base.hex(), not_before=not_before, not_after=not_after, **fields)
