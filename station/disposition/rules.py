"""The rules file of a disposition: which policies apply, with what numbers, and the bin of each."""

from hashlib import sha256
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from station import toml_file
from station.errors import ConfigError

Number = Annotated[str, Meta(pattern=r"^[1-9][0-9]{0,9}\Z")]
"""Of a test or a bin, as a key of a table."""
BinNumber = Annotated[int, Meta(ge=0, le=32_767)]
Share = Annotated[float, Meta(ge=0, le=1)]
Sigmas = Annotated[float, Meta(gt=0, le=20)]


class Target(Struct, frozen=True, forbid_unknown_fields=True):
    """Where a policy puts devices: a soft and a hard bin of its own."""

    bin: BinNumber
    hard: BinNumber


class Bounds(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Limits of one test; a side that is left out is open."""

    low: float | None = None
    high: float | None = None


class Static(Target, frozen=True, forbid_unknown_fields=True):
    """Part average limits made of earlier lots."""

    limits: dict[Number, Bounds]


class Dynamic(Target, frozen=True, forbid_unknown_fields=True):
    """Part average limits made of the parts themselves, wafer by wafer or over the lot."""

    sigmas: Sigmas = 6.0
    least: Annotated[int, Meta(ge=4)] = 30
    """Parts that limits need."""
    over: Literal["wafer", "lot"] = "wafer"
    tests: tuple[int, ...] = ()
    """Numbers; all parametric ones if none is named."""


class Neighbours(Target, frozen=True, forbid_unknown_fields=True):
    """Good dies in a bad neighbourhood: 2 for each bad die at an edge, 1 for each at a corner."""

    threshold: Annotated[float, Meta(gt=0, le=12)] = 7.0
    bad: tuple[int, ...] = ()
    """Soft bins that count; all failing ones if none is named."""
    edge: Literal["none", "scale", "bad"] = "scale"
    """What lies outside of the wafer: nothing, as the neighbours that are there, or bad."""


class Clusters(Target, frozen=True, forbid_unknown_fields=True):
    """Bad dies that hang together, edges or corners, and the ring of good ones around them."""

    least: Annotated[int, Meta(ge=2)] = 5
    """Dies that make a cluster."""
    dilate: Annotated[int, Meta(ge=0, le=5)] = 1
    """How wide the ring is."""
    bad: tuple[int, ...] = ()


class Levels(Struct, frozen=True, forbid_unknown_fields=True):
    """Two levels of a share: past the first the lot is held, past the second in quarantine."""

    hold: Share
    quarantine: Share


class Statistical(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Statistical yield and bin limits, as earlier lots give them."""

    good: Levels | None = None
    """Least shares of good devices."""
    bins: dict[Number, Levels] = {}
    """Largest shares of soft bins."""


class Rules(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The whole file; a policy that is left out does not apply. They come in this order."""

    name: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}\Z")]
    version: Annotated[int, Meta(ge=1)]
    product: str = ""
    """Lots of other products are refused; empty takes all."""
    static: Static | None = None
    dynamic: Dynamic | None = None
    neighbours: Neighbours | None = None
    clusters: Clusters | None = None
    statistical: Statistical | None = None

    def digest(self) -> str:
        """SHA-256 of what the rules say, hex: the same however the file is written."""
        return sha256(msgspec.json.encode(self, order="deterministic")).hexdigest()

    def toml(self) -> str:
        """Return the rules as a file has them."""
        lines, tables = list[str](), [("", msgspec.to_builtins(self))]
        while tables:
            name, table = tables.pop(0)
            inner = {key: value for key, value in table.items() if isinstance(value, dict)}
            plain = {key: value for key, value in table.items() if key not in inner}
            lines += ["", f"[{name}]"] if name and plain else []
            lines += [f"{key} = {_toml(value)}" for key, value in plain.items()]
            tables[:0] = [(f"{name}.{key}".lstrip("."), value) for key, value in inner.items()]
        return "\n".join(lines) + "\n"

    def targets(self) -> dict[str, Target]:
        """Return the policies that move devices, in order, by name."""
        found = {"static": self.static, "dynamic": self.dynamic, "neighbours": self.neighbours}
        named = found | {"clusters": self.clusters}
        return {name: policy for name, policy in named.items() if policy is not None}


def read(path: Path) -> Rules:
    """Read a rules file; ConfigError says what is wrong, where, and what is allowed."""
    rules = toml_file.read(path, Rules, str_keys=True)
    if wrong := _wrong(rules):
        raise ConfigError(f"{path}: " + "; ".join(wrong))
    return rules


def _toml(value: object) -> str:
    """Return a value as TOML has it: texts and arrays as JSON has them, numbers as they are."""
    return repr(value) if isinstance(value, float) else msgspec.json.encode(value).decode()


def _wrong(rules: Rules) -> list[str]:
    wrong = [
        f"static.limits.{number}: low {bounds.low:g} is above high {bounds.high:g}"
        for number, bounds in (rules.static.limits if rules.static else {}).items()
        if bounds.low is not None and bounds.high is not None and bounds.low > bounds.high
    ]
    numbers = [policy.bin for policy in rules.targets().values()]
    if len(set(numbers)) != len(numbers):
        wrong.append("two policies have one bin: each needs its own")
    statistical = rules.statistical or Statistical()
    if statistical.good is not None and statistical.good.quarantine > statistical.good.hold:
        wrong.append("statistical.good: quarantine must not be above hold")
    wrong += [
        f"statistical.bins.{number}: quarantine must not be below hold"
        for number, levels in statistical.bins.items()
        if levels.quarantine < levels.hold
    ]
    return wrong
