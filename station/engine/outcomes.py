"""What a contact came to, as the journal has it; and which die each device is."""

from collections.abc import Iterable

import msgspec

from drivers.roles import Touchdown
from station import events
from station.model import Bin, DeviceResult, Place, Verdict

STOPPED = "the station stopped"
"""Why a contact was closed that the station did not close itself before it stopped."""


def outcome(device: DeviceResult) -> events.Outcome:
    """Return what the journal keeps of a result."""
    return events.Outcome(
        site=device.site,
        part=device.part,
        contact=device.contact,
        soft=device.bin.number,
        hard=device.bin.hard,
        kind=device.bin.kind,
        verdict=device.verdict,
        test_s=device.test_s,
        cut_short=device.cut_short,
        reason=device.reason,
        notes=device.notes,
    )


def result_of(said: events.Outcome, bin_: Bin) -> DeviceResult:
    """Return what the journal still knows of a contact: its bin and verdict, and nothing measured."""
    return DeviceResult(said.site, said.part, said.contact, bin_, said.verdict, (), 0.0, said.test_s)


def unfinished(closed: events.Outcome) -> bool:
    """Tell whether a contact was closed without a result that stands."""
    return closed.reason == STOPPED or (closed.cut_short and closed.verdict is Verdict.NOT_JUDGED)


def placed(devices: Iterable[DeviceResult], arrived: Touchdown) -> list[DeviceResult]:
    """Return the results by site, each with the die that it is of, where the machine named one."""
    ordered = sorted(devices, key=lambda device: device.site)
    if not arrived.positions:
        return ordered
    return [
        msgspec.structs.replace(device, place=Place(arrived.wafer, *arrived.positions[device.site]))
        for device in ordered
    ]
