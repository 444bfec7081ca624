"""The on-chip tests of `se1`, row by row: good dies pass, a bad one fails in the row that is there for it."""

from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import cast

import pytest

from drivers.errors import DutError
from drivers.protocols import se1
from drivers.roles import Supply
from sequences.se1.electrical_sort import ELECTRICAL_SORT
from sequences.se1.entropy import sampled
from sequences.se1.final_test import FINAL_TEST, FULL, LOCKED_FINAL_TEST, SHORT, SHORT_FINAL_TEST
from sequences.se1.noise_study import NOISE_STUDY
from sequences.se1.site import PAYLOAD, Se1Site
from sequences.se1.wafer_sort import WAFER_SORT
from sim.dut.chip import Chip, ChipFaults
from station.sequence import Functional, Parametric, Test
from station.vault.client import VaultClient
from tests.station.vault.dies import ChipCard

ON_CHIP = tuple(test for test in FINAL_TEST.tests() if 400 <= test.number < 800)


def site_with(chip: Chip) -> Se1Site:
    """A site where nothing but the chip is used."""
    return Se1Site(1, io={}, vdd=cast(Supply, None), chip=ChipCard(chip), vault=cast(VaultClient, None))


async def passes(site: Se1Site, test: Test[Se1Site]) -> bool:
    match test:
        case Functional():
            return await test.run(site)
        case Parametric():
            measured = await test.run(site)
            values = list(measured.values()) if isinstance(measured, Mapping) else [measured]
            return all(test.limit.holds(value) for value in values)
    raise AssertionError(test)


async def failing(index: int, faults: ChipFaults) -> list[str]:
    """The on-chip rows that a die fails, all of them tried."""
    chip = Chip.from_sort(index, seed="rows", latency="zero", payload=PAYLOAD, faults=faults)
    chip.power(3.3)
    site = site_with(chip)
    await site.chip.power_on()
    noise = b"".join([(await site.chip.transmit(read)).data for read in se1.read_all(0x7D, 0, 2048, PAYLOAD)])
    with site.noise.kept(noise):
        return [test.name for test in ON_CHIP if not await passes(site, test)]


async def test_good_dies_pass_every_row() -> None:
    for index in range(40):
        assert await failing(index, ChipFaults()) == []


@pytest.mark.parametrize(
    ("faults", "rows"),
    [
        (ChipFaults(trng="stuck"), {"trng_health", "trng_repetition", "trng_proportion", "trng_bias"}),
        (ChipFaults(trng="biased", bias=0.75), {"trng_health", "trng_proportion", "trng_bias"}),
        (ChipFaults(trng="biased", bias=0.25), {"trng_health", "trng_proportion", "trng_bias"}),
        (ChipFaults(trng="biased", bias=0.56), {"trng_bias"}),
        (ChipFaults(trng="biased", bias=0.44), {"trng_bias"}),
        (ChipFaults(trng="repeating"), {"trng_no_repeat"}),
        (ChipFaults(broken="aes"), {"self_test", "aes_cmac"}),
        (ChipFaults(broken="mldsa"), {"self_test", "mldsa65_verify"}),
        (ChipFaults(broken="mlkem"), {"mlkem768_rejects"}),
    ],
)
async def test_a_bad_die_fails_in_its_rows(faults: ChipFaults, rows: set[str]) -> None:
    for index in range(5):
        failed = await failing(index, faults)
        assert rows <= set(failed), failed
        entropy = any(row.startswith("trng") for row in rows)
        assert all(name.startswith("trng") is entropy for name in failed), "no other bin is blamed"


async def test_noise_that_the_chip_refuses_to_give_is_the_devices_fault() -> None:
    chip = Chip.from_sort(1, seed="rows", latency="zero", payload=PAYLOAD)
    chip.power(3.3)
    site = site_with(chip)
    await site.chip.power_on()
    async with sampled(site):
        assert len(site.noise.sample) == 2048
    assert site.noise.sample == b"", "what one device said is not kept for the next"
    chip.faults = ChipFaults(mute_after=0)
    with pytest.raises(DutError):
        async with sampled(site):
            raise AssertionError


def test_the_short_set_has_no_key_generation() -> None:
    names = [test.name for test in SHORT]
    assert [test.name for test in FULL] == [*names, "mldsa65_keygen", "mlkem768_keygen"]
    left_out = {test.name for test in FINAL_TEST.tests()} - {test.name for test in SHORT_FINAL_TEST.tests()}
    assert left_out == {"mldsa65_keygen", "mlkem768_keygen"}
    assert FINAL_TEST.fingerprint() != SHORT_FINAL_TEST.fingerprint()


def test_all_are_installed() -> None:
    installed = {entry.name: entry.load() for entry in entry_points(group="hardbin.sequences")}
    sorts = (WAFER_SORT, ELECTRICAL_SORT)
    sequences = (FINAL_TEST, SHORT_FINAL_TEST, LOCKED_FINAL_TEST, *sorts, NOISE_STUDY)
    assert installed == {sequence.name: sequence for sequence in sequences}
