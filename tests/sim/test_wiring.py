"""Cells that can be wired, and those that cannot."""

from collections.abc import Mapping

import pytest

from sim.wiring import Channel, Placed, Wire, WorldError, wires

SMU = Placed("smu-1", "keithley_2600b", "visa:GPIB0::1::INSTR")
FINE = Placed("fine-1", "keithley_2450", "visa:GPIB0::2::INSTR")


def test_channels_find_their_pins() -> None:
    found = wires([SMU, FINE], {3: {"io.IO": "smu-1.a", "io.CLK": "fine-1"}})
    assert found == {Channel("smu-1", "a"): Wire(3, "io.IO"), Channel("fine-1", ""): Wire(3, "io.CLK")}


@pytest.mark.parametrize(
    ("equipment", "sites", "message"),
    [
        ([SMU], {1: {"io.IO": "smu-2.a"}}, "site 1, io.IO = 'smu-2.a': no machine 'smu-2'"),
        ([SMU], {1: {"io.SWP": "smu-1.a"}}, "no pin of se1 is called 'io.SWP'; there are io.IO,"),
        ([SMU], {0: {"io.IO": "smu-1.a"}}, "sites count from 1"),
        ([SMU], {1: {"io.IO": "smu-1.a"}, 2: {"io.IO": "smu-1.a"}}, "wired to io.IO of site 1"),
        ([SMU, SMU], {}, "'smu-1': the name is taken"),
        ([Placed("dut", "ccid", "usb:1209:0001:R1")], {}, "belongs to the simulator"),
        ([SMU, Placed("other", "keithley_2450", SMU.port)], {}, "is taken by 'smu-1'"),
    ],
)
def test_what_cannot_be_wired_is_refused(
    equipment: list[Placed], sites: Mapping[int, Mapping[str, str]], message: str
) -> None:
    with pytest.raises(WorldError, match=message):
        wires(equipment, sites)


def test_a_machine_that_needs_no_pin_has_any_role() -> None:
    meter = Placed("meter", "keysight_34465a", "visa:GPIB0::3::INSTR")
    assert wires([SMU, meter], {1: {"io.IO": "smu-1.a", "vdd_sense": "meter"}}, shared=["meter"]) == {
        Channel("smu-1", "a"): Wire(1, "io.IO")
    }


def test_a_pin_stays_a_pin_whatever_is_wired_to_it() -> None:
    meter = Placed("meter", "keysight_34465a", "visa:GPIB0::3::INSTR")
    assert wires([meter], {1: {"vdd": "meter"}}, shared=["meter"]) == {Channel("meter", ""): Wire(1, "vdd")}
