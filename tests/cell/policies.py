"""Sequences of the sort cell and the final test, each with another policy of retest."""

from dataclasses import replace
from pathlib import Path

from sequences.se1.electrical_sort import ELECTRICAL_SORT
from sequences.se1.final_test import CONTACT, FINAL_TEST
from station.model import Bin
from station.policies import Outliers, Quality
from station.rules import StopRules
from station.sequence import Retest

SIM = Path(__file__).parents[2] / "sim"
SORT = ELECTRICAL_SORT.retest
AT_ONCE = ELECTRICAL_SORT
AT_END = replace(ELECTRICAL_SORT, retest=replace(SORT, at_end=True))
OTHER_SITE = replace(ELECTRICAL_SORT, retest=replace(SORT, other_site=True))
OTHER_SITE_AT_END = replace(ELECTRICAL_SORT, retest=replace(SORT, at_end=True, other_site=True, times=2))
BY_BIN = replace(ELECTRICAL_SORT, retest=replace(SORT, turn_on=2), rules=StopRules())
TURNED_OFF = replace(BY_BIN, retest=replace(SORT, useless_after=3, min_recovered=1.0))
WATCHED = replace(
    ELECTRICAL_SORT,
    outliers=Outliers(Bin(30, "outlier", 3), sigmas=2.5, least=10, window=40),
    quality=Quality(Bin(31, "quality", 3), first=2, every=10),
    rules=StopRules(baseline_yield=0.97, compare_sites=True, yield_floor=0.5, bin_limits=((CONTACT, 0.4),)),
)
FINAL_OTHER_SITE = replace(FINAL_TEST, retest=Retest(frozenset({CONTACT}), other_site=True))
FINAL_AT_END = replace(FINAL_TEST, retest=Retest(frozenset({CONTACT}), at_end=True))


def policy_file(folder: Path, policy: str) -> Path:
    """Write the sort cell, with small wafers, or the final test with a handler that reads codes."""
    final = policy.startswith("FINAL")
    text = (SIM / ("station.toml" if final else "wafer_sort.toml")).read_text("utf-8")
    lines = [
        f'sequence = "tests.cell.policies:{policy}"' if line.startswith("sequence =") else line
        for line in text.splitlines()
    ]
    if final:
        at = lines.index(next(line for line in lines if line.startswith("[equipment.options.fields]")))
        lines[at:at] = ["[equipment.options]", "refeeds = [5]", ""]
        lines.insert(at + 4, 'ids_query = "QRC?"\nids_prefix = "QRC:"')
    else:
        lines += ["[simulation]", "wafer_radius = 2"]
    path = folder / "station.toml"
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path
