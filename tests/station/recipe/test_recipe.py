"""Recipes: what they may change, whose are believed, and what a lot makes of one."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sequences.se1.final_test import CONTACT, FINAL_TEST, SPOILED
from station.engine.judge import judged
from station.errors import ConfigError, UntrustedError
from station.model import Bin, DeviceResult, Limit, TouchdownResult, Verdict
from station.policies import Offset
from station.recipe.application import applied
from station.recipe.content import Draft, Recipe, draft_of, recipe_of
from station.recipe.difference import differences
from station.recipe.rehearsal import Changed, rehearsed
from station.recipe.trust import Trust, TrustedPerson, trust_of
from station.sequence import Parametric
from station.set_up import StaticLimit
from station.vault.desk.signers import PersonSigner, development
from station.vault.desk.statement import countersigned, signed
from tests.station.engine.doubles import BAD, GOOD, OTHER_BAD, returning, sequence

ANNA, BEN = development("p-00000001"), development("p-00000002")
DRAFT = """
name = "se1-ft"
version = 4
product = "se1"
sequence = "se1-final-test"

[limits]
100 = { low = -0.8, high = -0.35 }
300 = { high = 8e-3 }

[retest]
bins = [2]
times = 2

[rules]
baseline_yield = 0.95
bin_limits = { 10 = 0.01 }
contact_bins = [2]
no_touch = 2
stuck = 20
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "draft.toml"
    path.write_text(DRAFT)
    return path


def recipe(file: Path, **changes: object) -> Recipe:
    made = recipe_of(draft_of(file), FINAL_TEST.fingerprint(), 1000, 2000)
    fields = {name: getattr(made, name) for name in made.__struct_fields__ if name != "typ"}
    return Recipe(**(fields | changes))


def entry(signer: PersonSigner) -> TrustedPerson:
    first, second = signer.both()
    return TrustedPerson(first.kid, first.public().hex(), second.public().hex())


TRUST = Trust((entry(ANNA), entry(BEN)))


def released(made: Recipe, *by: PersonSigner) -> bytes:
    return signed(made, [key for person in by for key in person.both()])


# -- what it changes
def test_a_recipe_narrows_limits_and_sets_retest_and_rules(file: Path) -> None:
    made = applied(recipe(file), FINAL_TEST)
    limits = {test.number: test.limit for test in made.tests() if isinstance(test, Parametric)}
    assert limits[100] == Limit(-0.8, -0.35, "V")
    assert limits[300] == Limit(2e-3, 8e-3, "A"), "what is left out stays"
    assert limits[200] == Limit(-1e-6, 1e-6, "A")
    assert (made.retest.bins, made.retest.times) == (frozenset({CONTACT}), 2)
    assert (made.rules.bin_limits, made.rules.contact_bins) == (((SPOILED, 0.01),), (CONTACT,))
    assert (made.rules.compare_sites, made.rules.yield_floor) == (False, None)
    assert made.fingerprint() != FINAL_TEST.fingerprint()
    assert [test.number for test in made.tests()] == [test.number for test in FINAL_TEST.tests()]


POLICIES = """
[guard_bands]
300 = 1e-4

[offsets.300]
2 = 5e-5

[outliers]
bin = 30
hard = 3
static.300 = { low = 2.5e-3, high = 7.5e-3 }
"""


def test_a_recipe_sets_guard_bands_offsets_and_outliers(file: Path) -> None:
    file.write_text(DRAFT + POLICIES)
    made = applied(recipe(file), FINAL_TEST)
    limits = {test.number: test.limit for test in made.tests() if isinstance(test, Parametric)}
    assert limits[300] == Limit(2e-3 + 1e-4, 8e-3 - 1e-4, "A"), "the bounds first, then the guard band"
    assert made.offsets == (Offset(300, 2, 5e-5),)
    assert made.outliers is not None
    assert (made.outliers.bin, made.outliers.sigmas) == (Bin(30, "outlier", 3), 6.0)
    assert made.outliers.bin in made.all_bins()
    assert made.outliers.static == (StaticLimit(300, 2.5e-3, 7.5e-3),)
    plain = applied(recipe(file, guard_bands={}, offsets={}, outliers=None), FINAL_TEST)
    assert made.fingerprint() != plain.fingerprint()


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("300 = 1e-4", "300 = 1.0", "guard_bands.300: nothing is left"),
        ("300 = 1e-4", "301 = 1.0", "guard_bands.301: the sequence has no parametric test"),
        ("2 = 5e-5", "2 = 5e-3", "offsets.300.2: 0.005 A is over a fifth of the span"),
        ("offsets.300", "offsets.301", "offsets.301: the sequence has no parametric test"),
        ("bin = 30", "bin = 3", "outliers.bin: bin 3 is 'leakage'"),
        ("hard = 3", "hard = 1", "outliers.hard: hard bin 1 is none of rejects"),
        ("static.300", "static.301", "outliers.static.301: the sequence has no parametric test"),
        ("7.5e-3 }", "1e-3 }", "outliers.static.300: nothing is left"),
    ],
)
def test_policies_that_a_recipe_may_not_set(file: Path, old: str, new: str, text: str) -> None:
    file.write_text(DRAFT + POLICIES.replace(old, new))
    with pytest.raises(ConfigError, match=text):
        applied(recipe(file), FINAL_TEST)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ("100 = { low = -1.0 }", "limits.100 .continuity.: low -1 V is below -0.9 V"),
        (
            "300 = { high = 1e-2 }",
            "limits.300 .idd_idle.: high 0.01 A is above 0.009 A; a recipe only",
        ),
        ("100 = { low = -0.4, high = -0.5 }", "limits.100 .continuity.: low -0.4 V is above high -0.5 V"),
        ("400 = { low = 1.0 }", "limits.400: the sequence has no parametric test of this number"),
        ("7 = { low = 1.0 }", "limits.7: the sequence has no parametric test of this number"),
    ],
)
def test_limits_that_a_recipe_may_not_set(file: Path, change: str, text: str) -> None:
    file.write_text(
        DRAFT.replace("300 = { high = 8e-3 }", "").replace("100 = { low = -0.8, high = -0.35 }", change)
    )
    with pytest.raises(ConfigError, match=text):
        applied(recipe(file), FINAL_TEST)


def test_all_that_is_wrong_is_said_at_once(file: Path) -> None:
    file.write_text(DRAFT.replace("bins = [2]", "bins = [77]").replace("10 = 0.01", "78 = 0.01"))
    with pytest.raises(ConfigError) as caught:
        applied(recipe(file, product="se2", base="00" * 32), FINAL_TEST)
    for part in ("it is for product 'se2'", "another state of se1-final-test", "no bin 77", "no bin 78"):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("version = 4", "", "missing required field `version`"),
        ("version = 4", "version = 0", "version: Expected `int` >= 1"),
        (
            "[limits]",
            "[limit]",
            "unknown field `limit`; limits\\?; allowed here: name, version",
        ),
        ("baseline_yield = 0.95", "baseline_yield = 95.0", "rules.baseline_yield: Expected `float` < 1"),
        ("times = 2", "times = 99", "retest.times: Expected `int` <= 10"),
        ("name =", "name", "not TOML"),
    ],
)
def test_a_draft_that_cannot_be_meant(file: Path, old: str, new: str, text: str) -> None:
    file.write_text(DRAFT.replace(old, new, 1))
    with pytest.raises(ConfigError, match=text):
        draft_of(file)


@given(low=st.floats(-0.9, -0.3), high=st.floats(-0.9, -0.3), value=st.floats(-2, 2))
def test_whatever_a_recipe_passes_the_sequence_passes_too(low: float, high: float, value: float) -> None:
    bounds = {"100": {"low": min(low, high), "high": max(low, high)}}
    draft = {"name": "r", "version": 1, "product": "se1", "sequence": "x", "limits": bounds}
    made = recipe_of(_draft(draft), FINAL_TEST.fingerprint(), 0, 1)
    before, after = (
        next(test for test in table.tests() if isinstance(test, Parametric))
        for table in (FINAL_TEST, applied(made, FINAL_TEST))
    )
    assert before.limit.holds(value) or not after.limit.holds(value)


def _draft(table: dict[str, object]) -> Draft:
    return msgspec.convert(table, Draft, str_keys=True)


# -- whose are believed
def test_two_persons_release_a_recipe(file: Path) -> None:
    made = recipe(file)
    assert TRUST.believed(released(made, ANNA, BEN), 1500) == made
    envelope = countersigned(countersigned(signed(made, ()), ANNA.both()), BEN.both())
    assert TRUST.believed(envelope, 1500) == made


def test_one_person_twice_or_alone_or_a_stranger_does_not(file: Path) -> None:
    made = recipe(file)
    for envelope, text in (
        (signed(made, ()), "nobody has signed it"),
        (released(made, ANNA), "signed by p-00000001 alone, 2 persons must"),
        (released(made, ANNA, ANNA), "has no such key, or signed twice"),
        (released(made, ANNA, development("p-00000003")), "p-00000003' has no such key"),
        (signed(made, [*ANNA.both(), BEN]), "p-00000002 has not signed with ML-DSA-65"),
        (signed(made, [*ANNA.both(), BEN.both()[1]]), "p-00000002 has not signed with Ed25519"),
    ):
        with pytest.raises(UntrustedError, match=text):
            TRUST.believed(envelope, 1500)


@pytest.mark.parametrize(("now", "text"), [(999, "not yet valid"), (2001, "no longer valid")])
def test_a_recipe_has_its_time(file: Path, now: float, text: str) -> None:
    with pytest.raises(UntrustedError, match=f"recipe se1-ft 4 is {text}"):
        TRUST.believed(released(recipe(file), ANNA, BEN), now)


def test_any_other_byte_is_refused(file: Path) -> None:
    sound = released(recipe(file), ANNA, BEN)
    refused = 0
    for at in range(0, len(sound), 97):
        with pytest.raises(UntrustedError):
            TRUST.believed(sound[:at] + bytes([sound[at] ^ 1]) + sound[at + 1 :], 1500)
        refused += 1
    assert refused > 50


@pytest.mark.parametrize("persons", [(), (ANNA,), (ANNA, ANNA)])
def test_a_trust_file_has_two_persons(tmp_path: Path, persons: tuple[PersonSigner, ...]) -> None:
    path = tmp_path / "trust.toml"
    path.write_text("trusted = []" if not persons else "".join(map(_toml, persons)))
    with pytest.raises(ConfigError, match="2 or more different persons are needed"):
        trust_of(path)


def _toml(signer: PersonSigner) -> str:
    one = entry(signer)
    return f'[[trusted]]\nperson = "{one.person}"\ned25519 = "{one.ed25519}"\nml_dsa_65 = "{one.ml_dsa_65}"\n'


def test_a_trust_file_is_read(tmp_path: Path, file: Path) -> None:
    path = tmp_path / "trust.toml"
    path.write_text(_toml(ANNA) + _toml(BEN))
    assert trust_of(path).believed(released(recipe(file), ANNA, BEN), 1500).title == "se1-ft 4"


def test_differences_name_what_changed(file: Path) -> None:
    old = recipe(file)
    file.write_text(DRAFT.replace("version = 4", "version = 5").replace("high = 8e-3", "high = 7e-3"))
    assert differences(old, old) == []
    assert differences(old, recipe(file)) == ["limits.300.high: 0.008 -> 0.007", "version: 4 -> 5"]


# -- what it would have changed
def test_devices_that_would_have_got_another_bin() -> None:
    first, second = returning(0.0, 1, BAD, Limit(0, 10, "V")), returning(0.0, 2, OTHER_BAD, Limit(0, 10, "A"))
    narrow = sequence(
        returning(0.0, 1, BAD, Limit(0, 5, "V")),
        returning(0.0, 2, OTHER_BAD, Limit(0, 5, "A")),
        returning(0.0, 3),
    )

    def device(part: int, bin_: Bin, *values: float) -> DeviceResult:
        measured = tuple(judged(row, value) for row, value in zip((first, second), values, strict=False))
        return DeviceResult(1, part, 1, bin_, Verdict.PASSED, measured, 0.0, 0.0)

    devices = (
        device(1, GOOD, 1.0, 1.0),
        device(2, GOOD, 7.0, 1.0),
        device(3, GOOD, 1.0, 7.0),
        device(4, OTHER_BAD, 7.0, 11.0),
        device(5, BAD, 11.0),
        device(6, GOOD, 7.0, 7.0),
    )
    landings = [TouchdownResult(n, 0.0, 1.0, (one,)) for n, one in enumerate(devices, 1)]
    outcome = rehearsed([*landings, TouchdownResult(7, 0.0, 1.0, (device(6, GOOD, 1.0, 1.0),))], narrow)
    assert outcome.devices == 6
    assert outcome.changed == (
        Changed(2, GOOD, BAD, "1 row_1"),
        Changed(3, GOOD, OTHER_BAD, "2 row_2"),
        Changed(4, OTHER_BAD, BAD, "1 row_1"),
    )
    assert outcome.moves() == {(1, 3): 1, (1, OTHER_BAD.number): 1, (OTHER_BAD.number, 3): 1}
