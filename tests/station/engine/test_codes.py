"""Who a device is, by the code that was read on it; and who it cannot be."""

from collections.abc import Mapping, Sequence

import pytest

from drivers.errors import DeviceLost
from drivers.roles import IdReader, Touchdown
from station.engine.codes import Codes
from station.engine.stops import Hold

TWO = Touchdown(frozenset({1, 2}))
PARTS = {1: 1, 2: 2}


class Reader(IdReader):
    """Reads what it is told, one after the other."""

    def __init__(self, codes: Sequence[str | None]) -> None:
        super().__init__("reader")
        self._codes = list(codes)

    async def read(self) -> str | None:
        code = self._codes.pop(0)
        if code == "gone":
            raise DeviceLost("reader is gone")
        return code


async def named(
    codes: Codes, arrived: Touchdown, parts: Mapping[int, int], known: Mapping[int, str]
) -> Touchdown:
    return codes.named(await codes.read(arrived), parts, known)


def of(one: str | None, two: str | None) -> Codes:
    return Codes({1: Reader([one]), 2: Reader([two])})


async def test_a_lot_without_codes_has_none() -> None:
    assert (await named(Codes({}), TWO, PARTS, {})).ids == {}


async def test_each_device_has_the_code_of_its_site() -> None:
    codes = of("A", "B")
    assert (await named(codes, TWO, PARTS, {})).ids == {1: "A", 2: "B"}
    assert (codes.refused, codes.doubled) == ({}, [])


async def test_the_machine_may_read_them() -> None:
    codes = Codes({})
    arrived = Touchdown(frozenset({1, 2}), ids={1: "A"})
    assert (await named(codes, arrived, PARTS, {})).ids == {1: "A", 2: "#2"}
    assert codes.refused == {2: "no code was read"}


@pytest.mark.parametrize(
    ("code", "why"),
    [
        (None, "no code was read"),
        ("  ", "no code was read"),
        ("gone", "no code: reader is gone"),
        ("#17", "code '#17' cannot be a device's: "),
        ("A\x07", "code 'A\\x07' cannot be a device's: "),
        ("Ä", "code 'Ä' cannot be a device's: "),
        ("A" * 65, "up to 64 ASCII characters"),
    ],
)
async def test_a_device_without_a_name_is_not_tested(code: str | None, why: str) -> None:
    codes = of(code, "B")
    assert (await named(codes, TWO, PARTS, {})).ids == {1: "#1", 2: "B"}
    assert why in codes.refused[1]
    assert codes.doubled == []


async def test_one_code_at_two_sites_is_neither_s() -> None:
    codes = of("A", "A")
    assert (await named(codes, TWO, PARTS, {})).ids == {1: "#1", 2: "#2"}
    assert codes.refused.keys() == {1, 2}
    assert codes.doubled[0] == "device 1: code A is that of another, at sites [1, 2], too"


async def test_a_code_of_before_is_not_the_next_device_s() -> None:
    codes = Codes({1: Reader(["A", "A", "C"])})
    alone = Touchdown(frozenset({1}))
    await named(codes, alone, {1: 1}, {})
    assert (await named(codes, alone, {1: 2}, {})).ids == {1: "#2"}
    assert codes.doubled == ["device 2: code A is that of device 1 too"]
    assert (await named(codes, alone, {1: 3}, {})).ids == {1: "C"}
    assert codes.refused == {}


async def test_after_a_stop_the_same_devices_must_be_there() -> None:
    codes = of("A", "B")
    codes.seen |= {"A": 7, "B": 8}
    assert (await named(codes, TWO, {1: 7, 2: 8}, {1: "A", 2: "B"})).ids == {1: "A", 2: "B"}
    assert codes.doubled == []


@pytest.mark.parametrize(("now", "says"), [("C", "now it is C"), (None, "now no code was read")])
async def test_after_a_stop_another_device_holds_the_lot(now: str | None, says: str) -> None:
    codes = of(now, "B")
    with pytest.raises(Hold, match=f"site 1 held the device with code A when the station stopped, {says}"):
        await named(codes, TWO, {1: 7, 2: 8}, {1: "A", 2: "B"})


async def test_after_a_stop_a_device_without_code_stays_without() -> None:
    codes = of(None, "B")
    assert (await named(codes, TWO, {1: 7, 2: 8}, {1: "#7", 2: "B"})).ids == {1: "#7", 2: "B"}
