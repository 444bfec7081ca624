"""A second pass over a closed lot: what lies in retest bins is fed once more, in no order and without names.

Such devices cannot be told from each other, so a later pass is a lot of its own with a datalog of its own;
`hardbin stdf merge` makes one of both.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from msgspec import structs

from station import assemble, events
from station.config import StationConfig
from station.custody.balance import Balance
from station.custody.journal import read
from station.datalog.store import Store
from station.engine.averages import AverageWatch
from station.engine.states import State
from station.errors import ConfigError
from station.model import ENGINEERING, LotInfo, SecondPass, TestDefinition
from station.open_lot import JOURNAL, LATER_S
from station.recipe.selection import with_recipe
from station.rules import StopRules
from station.sequence import Sequence
from station.set_up import Averaging, Temperature

STORE = "results.db"


@dataclass(frozen=True)
class Asked:
    """A second pass that can be."""

    second: SecondPass
    devices: int
    """How many lie in the bins."""
    before: Path
    """Folder of the pass before it."""
    first: LotInfo
    at: float
    """When the pass before has ended, unix time, and somebody has brought them."""

    @property
    def name(self) -> str:
        """Return the name of the lot that the second pass is."""
        return f"{self.second.lot}.{self.second.name}"


def rules_of(sequence: Sequence[Any]) -> Sequence[Any]:
    """Return the sequence as rejected devices meet it: nothing that looks at yields, no retest at an end."""
    retest = sequence.retest
    return replace(
        sequence,
        retest=replace(retest, at_end=False, other_site=False, confirm=0, times=0) if retest.late else retest,
        rules=StopRules(stuck=sequence.rules.stuck),
        stands_for=sequence.fingerprint(),
    )


def pure(sequence: Sequence[Any]) -> tuple[int, ...]:
    """Return the hard bins that hold devices of retest bins alone: whole bins are fed again."""
    wanted = sequence.retest.bins
    others = {bin_.hard for bin_ in sequence.all_bins() if bin_ not in wanted}
    return tuple(sorted({bin_.hard for bin_ in wanted} - others))


def passes(out: Path, lot: str, later: int) -> Iterator[Path]:
    """Yield the folders of a lot and of so many passes after it."""
    yield out / lot
    for number in range(1, later + 1):
        yield out / f"{lot}.R{number}"


def asked_for(
    out: Path, lot: str, config: StationConfig, recipe: Path | None, temperature: Temperature | None
) -> Asked:
    """Find the lot and what lies in its retest bins; ConfigError says why there can be no second pass."""
    named = assemble.sequence_named(config.cell.sequence)
    sequence, limit_set, _ = with_recipe(config, named, recipe, temperature)
    later = next(number for number in range(1, 1_000) if not (out / f"{lot}.R{number}").exists())
    infos, lying, at = list[LotInfo](), Counter[int](), 0.0
    folders = list(passes(out, lot, later - 1))
    for folder in folders:
        info, binned, at = _closed(folder)
        infos.append(info)
        for hard in () if info.second_pass is None else info.second_pass.bins:
            lying[hard] = 0
        lying.update(binned)
    bins = pure(sequence)
    count = sum(lying[hard] for hard in bins)
    if wrong := next(_wrong(infos[0], sequence, limit_set, config, count), ""):
        raise ConfigError(f"--second-pass {lot}: {wrong}")
    return Asked(SecondPass(lot, later, bins), count, folders[-1], infos[0], float(int(at) + LATER_S))


def _wrong(
    first: LotInfo, sequence: Sequence[Any], limit_set: str, config: StationConfig, count: int
) -> Iterator[str]:
    """Name what keeps rejected devices from being tested again as they were tested first."""
    now: dict[str, object] = {
        "product": config.cell.product,
        "sequence": sequence.name,
        "sequence_version": sequence.version,
        "limit_set": limit_set,
        "tests": sequence.definitions(),
        "bins": sequence.all_bins(),
        "flow": config.cell.insertion,
        "fingerprint": sequence.fingerprint().hex(),
    }
    for name, is_ in now.items():
        if (was := getattr(first, name)) != is_:
            told = f": {was!r} then, {is_!r} now" if isinstance(was, str) else ""
            yield f"the lot was tested with another {name.replace('_', ' ')}{told}"
    if first.mode == ENGINEERING:
        yield "the lot was for engineering: its devices are no product"
    if not (hard := pure(sequence)):
        yield f"sequence {sequence.name} has no hard bin that holds retest bins alone"
    if not count:
        yield f"no device lies in hard bin {', '.join(map(str, hard))}"


def _closed(folder: Path) -> tuple[LotInfo, Counter[int], float]:
    """Return what a pass was, how many devices lie in each hard bin, and when it ended; it must be closed."""
    if not (folder / JOURNAL).exists():
        raise ConfigError(f"{folder}: there is no lot of which this could be a second pass")
    info, state, at, balance, wafers = None, "", 0.0, Balance(), False
    for event in read(folder / JOURNAL):
        balance.add(event)
        at = event.at
        match event:
            case events.LotLoaded():
                info = event.info
            case events.StateChanged(new=new):
                state = new
            case events.TouchdownOpened(positions=positions):
                wafers = wafers or bool(positions)
            case _:
                pass
    if info is None or state != State.CLOSED.value:
        raise ConfigError(f"{folder}: the lot is not closed: no second pass begins before")
    if wafers:
        raise ConfigError(
            f"{folder}: its dies are known by their place: retest.at_end or retest.start is for them"
        )
    hard = (balance.hard_bin(part) for part in balance.parts())
    return info, Counter(one for one in hard if one is not None), at


def going_on(
    made: Averaging, out: Path, second: SecondPass, tests: Iterable[TestDefinition], sites: Iterable[int]
) -> Averaging:
    """Return part averages that stay as the passes before have left them: rejects are no measure."""
    watch = AverageWatch(made, tests)
    for folder in passes(out, second.lot, second.number - 1):
        store = Store(folder / STORE)
        try:
            for landed in store.touchdowns(1):
                watch.seen(landed)
        finally:
            store.close()
    return structs.replace(made, fixed=watch.ended(sites))
