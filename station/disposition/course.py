"""One disposition: the policies of a rules file over the stored results of a lot, in their order. Pure."""

from collections.abc import Callable, Collection, Iterator

from msgspec import Struct

from station.analysis.shares import Share, share
from station.by_policy import PolicyTruth
from station.disposition.neighbourhood import clusters, neighbours
from station.disposition.outliers import Found, dynamic, static
from station.disposition.parts import Parts
from station.disposition.rules import Rules, Target
from station.disposition.statistical import Beyond, beyond
from station.errors import ConfigError
from station.model import ENGINEERING, BinKind


class Moved(Struct, frozen=True):
    """A device that passed and goes to another bin."""

    policy: str
    part: int
    wafer: str
    x: int | None
    y: int | None
    was: int
    becomes: int
    hard: int
    seen: str
    name: str = ""
    """Its code, in a lot whose devices have codes."""


class Stage(Struct, frozen=True):
    """The lot behind one policy and those before it. Escapes and overkill only where the truth is known."""

    policy: str
    moved: int
    good: int
    escapes: Share | None = None
    """Bad devices in a passing bin, of all bad ones."""
    overkill: Share | None = None
    """Good devices elsewhere, of all good ones."""


class Disposition(Struct, frozen=True):
    """What came of it. The same rules over the same rows give the same, byte for byte."""

    lot: str
    product: str
    rules: str
    rules_sha256: str
    results_sha256: str
    devices: int
    moved: tuple[Moved, ...]
    beyond: tuple[Beyond, ...]
    stages: tuple[Stage, ...]
    live: tuple[PolicyTruth, ...] = ()
    """What the policies of the running lot did, where its truth is known."""


def disposed(
    parts: Parts,
    rules: Rules,
    *,
    bad: Collection[int] | None = None,
    live: tuple[PolicyTruth, ...] = (),
) -> Disposition:
    """Apply rules to a lot; `bad`: the numbers of devices that are bad in truth, where a simulation knows.

    `live`: what is known of the policies before. A lot beyond its limits ships nothing.
    """
    _must_fit(parts, rules)
    gone = dict[int, Moved]()
    stages = [_stage("measured", parts, gone, 0, bad)]
    for policy, target in rules.targets().items():
        before = len(gone)
        for at, seen in _found(policy, parts, rules):
            if at not in gone:
                gone[at] = _moved(parts, policy, target, at, seen)
        stages.append(_stage(policy, parts, gone, len(gone) - before, bad))
    over = tuple(beyond(parts, rules.statistical)) if rules.statistical is not None else ()
    if rules.statistical is not None:
        stages.append(_stage("statistical", parts, gone, 0, bad, held=bool(over)))
    moved = tuple(gone[at] for at in sorted(gone))
    return Disposition(
        parts.info.lot,
        parts.info.product,
        f"{rules.name} {rules.version}",
        rules.digest(),
        parts.digest,
        len(parts.numbers),
        moved,
        over,
        tuple(stages),
        live,
    )


def _found(policy: str, parts: Parts, rules: Rules) -> Iterator[Found]:
    """Yield what one policy finds; only what was measured as bad makes neighbours bad: one pass."""
    made: dict[str, Callable[[], Iterator[Found]]] = {}
    if (by_static := rules.static) is not None:
        made["static"] = lambda: static(parts, by_static)
    if (by_dynamic := rules.dynamic) is not None:
        made["dynamic"] = lambda: dynamic(parts, by_dynamic)
    if (by_neighbours := rules.neighbours) is not None:
        made["neighbours"] = lambda: neighbours(parts, by_neighbours)
    if (by_clusters := rules.clusters) is not None:
        made["clusters"] = lambda: clusters(parts, by_clusters)
    return made[policy]()


def _must_fit(parts: Parts, rules: Rules) -> None:
    info, wrong = parts.info, list[str]()
    if info.mode == ENGINEERING:
        wrong.append(f"lot {info.lot} was for engineering: its devices are no product")
    if rules.product and rules.product != info.product:
        wrong.append(f"they are for {rules.product}, lot {info.lot} is of {info.product}")
    if parts.sealed and rules.targets():
        wrong.append("its devices have identities: outliers belong to an insertion before that")
    if (rules.neighbours or rules.clusters) and not parts.wafers():
        wrong.append("neighbours and clusters need dies with a place on a wafer, the lot has none")
    taken = {bin_.number: bin_.name for bin_ in info.bins}
    hard = {bin_.hard for bin_ in info.bins if bin_.kind is not BinKind.FAIL}
    for policy, target in rules.targets().items():
        if target.bin in taken:
            wrong.append(
                f"{policy}: bin {target.bin} is {taken[target.bin]!r} of the sequence, take a free one"
            )
        if target.hard in hard:
            wrong.append(f"{policy}: devices of hard bin {target.hard} are no rejects")
    numbers = {str(test.number) for test in info.tests}
    named = [*(rules.static.limits if rules.static else ())]
    named += map(str, rules.dynamic.tests) if rules.dynamic else ()
    wrong += [f"the lot has no test {number}" for number in dict.fromkeys(named) if number not in numbers]
    if wrong:
        raise ConfigError(f"rules {rules.name} {rules.version}: " + "; ".join(wrong))


def _moved(parts: Parts, policy: str, target: Target, at: int, seen: str) -> Moved:
    place = parts.places[at]
    return Moved(
        policy,
        int(parts.numbers[at]),
        "" if place is None else place.wafer,
        None if place is None else place.x,
        None if place is None else place.y,
        int(parts.bins[at]),
        target.bin,
        target.hard,
        seen,
        parts.codes[at],
    )


def _stage(  # noqa: PLR0913 - what a lot is at one point
    policy: str,
    parts: Parts,
    gone: dict[int, Moved],
    moved: int,
    bad: Collection[int] | None,
    *,
    held: bool = False,
) -> Stage:
    all_passing = {
        int(parts.numbers[at]) for at in range(len(parts.numbers)) if parts.good[at] and at not in gone
    }
    passing = set[int]() if held else all_passing
    if bad is None:
        return Stage(policy, moved, len(passing))
    everyone = {int(number) for number in parts.numbers}
    wrong = everyone & set(bad)
    escapes = share(len(wrong & passing), len(wrong))
    overkill = share(len(everyone - wrong - passing), len(everyone - wrong))
    return Stage(policy, moved, len(passing), escapes, overkill)
