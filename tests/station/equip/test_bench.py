"""The bench of ports: every figure is there, and a chain of ten really is one hop."""

from collections.abc import Iterator

import pytest

from drivers.transports.usb import UsbPort
from drivers.transports.visa import VisaPort
from station.equip import bench
from station.equip.ends import EchoProcess, SerialEnds, UsbEnds, VisaEnds, asker, opened, unasked


@pytest.fixture
def echo() -> Iterator[EchoProcess]:
    process = EchoProcess(4)
    yield process
    process.close()


async def test_a_chain_of_ten_is_one_hop(echo: EchoProcess) -> None:
    for ends in (VisaEnds(2, echo), UsbEnds(2)):
        async with opened(ends, 2) as ports:
            for port in ports:
                assert isinstance(port, VisaPort | UsbPort)
                before = port.load.jobs
                await asker(port, bench.CHAIN)()
                assert port.load.jobs == before + 1
        ends.close()


async def test_far_ends_speak_by_themselves(echo: EchoProcess) -> None:
    for ends in (SerialEnds(2, echo), UsbEnds(2)):
        async with opened(ends, 1) as (port,):
            first, second = await unasked(port), await unasked(port)
        assert 0 < first < second


def test_every_figure_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "INSTRUMENTS", (1, 2))
    monkeypatch.setattr(bench, "MOST", 2)
    said = list[str]()
    report = bench.measured(64, 2, said.append)
    assert said == [f"{name}, {count}" for name in ("visa", "serial", "usb") for count in (1, 2)]
    for rows in report.transports.values():
        assert [row.instruments for row in rows] == [1, 2]
        for row in rows:
            assert min(row.call_us, row.bare_us, row.handoff_us, row.chain10_us, row.p99_us) > 0
            assert min(row.call_cpu_us, row.handoff_cpu_us) > 0
    assert set(report.unsolicited) == {"serial", "usb"}
