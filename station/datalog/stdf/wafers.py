"""WIR and WRR: which touchdowns belong to which wafer, and what each wafer came to."""

from station.datalog.stdf.records import whole
from station.datalog.stdf.summary import Parts
from station.datalog.stdf.writer import GROUP, HEAD, plain
from station.model import Bin, DeviceResult, TouchdownResult, Verdict


class Wafer:
    """The parts of one wafer: each counts as it was contacted last."""

    def __init__(self) -> None:
        self.counts = Parts()
        self._last = dict[int, tuple[Bin, Verdict]]()

    def add(self, device: DeviceResult) -> None:
        """Count one contact; it supersedes an earlier one of the same part."""
        if (earlier := self._last.get(device.part)) is not None:
            self.counts.count(earlier[0].number, earlier[1], times=-1)
        self.counts.count(device.bin.number, device.verdict, times=1)
        self.counts.retested += device.contact > 1
        self._last[device.part] = device.bin, device.verdict


class Wafers:
    """The wafers of a file in the order in which they came; one that comes again goes on counting."""

    def __init__(self) -> None:
        self._known = dict[str, Wafer]()
        self._name, self._ended = "", 0.0

    def before(self, result: TouchdownResult) -> bytes:
        """Count a touchdown; return what stands before it: nothing, or the end of a wafer and a beginning."""
        if not (name := wafer_of(result)):
            return b""
        change = b"" if name == self._name else self.end() + _begins(name, result.started)
        self._name, self._ended = name, result.ended
        wafer = self._known.setdefault(name, Wafer())
        for device in result.devices:
            wafer.add(device)
        return change

    def end(self) -> bytes:
        """Return the WRR of the wafer that is open; nothing if none is."""
        if not self._name:
            return b""
        counts, name = self._known[self._name].counts, self._name
        self._name = ""
        return whole(
            "WRR",
            HEAD_NUM=HEAD,
            SITE_GRP=GROUP,
            FINISH_T=int(self._ended),
            PART_CNT=counts.parts,
            RTST_CNT=counts.retested,
            ABRT_CNT=counts.aborted,
            GOOD_CNT=counts.good,
            WAFER_ID=plain(name),
        )


def wafer_of(result: TouchdownResult) -> str:
    """Return the wafer that a touchdown was on; empty if on none, or on one that nobody named."""
    return next((device.place.wafer for device in result.devices if device.place is not None), "")


def _begins(name: str, started: float) -> bytes:
    return whole("WIR", HEAD_NUM=HEAD, SITE_GRP=GROUP, START_T=int(started), WAFER_ID=plain(name))
