"""Readings that a machine takes by itself: begun by INIT, ended by service request, fetched as a block.

Ref: SCPI-99 vol. 2 (INITiate, ABORt, FETCh); IEEE 488.2, 8.7.9 (blocks).
"""

import asyncio
from contextlib import suppress

from drivers.errors import EquipmentError, InstrumentError, ProtocolError, Silent
from drivers.links.scpi import TIMEOUT_S, ScpiLink, parsed
from drivers.links.srq import ended
from drivers.protocols.scpi import read_numbers
from drivers.transports import Conversation, Port
from drivers.uninterrupted import uninterrupted

ABORT_S = 2.0


async def read_out(
    port: Port, link: ScpiLink, *settings: str, count: int, timeout_s: float, fire: str = ""
) -> tuple[float, ...]:
    """Send the settings, start, say `fire`, wait for the service request, and fetch `count` readings.

    What has not ended in time is given up. The port is free while the machine works.
    """
    try:
        await port.run(link.exchange(*settings, ":INIT", "*OPC", *([fire] if fire else ())))
    except InstrumentError:  # else the end of what never began would be taken for that of the next one
        await port.run(link.exchange(":ABOR", "*ESR?"))
        raise
    try:
        await ended(port, link, timeout_s=timeout_s, what=f"a measurement of {count} readings")
    except (Silent, asyncio.CancelledError):  # else the machine, which still waits, would refuse the next one
        with suppress(EquipmentError, TimeoutError):  # what was to be told is told already
            await uninterrupted(port.run(link.exchange(":ABOR")), bound_s=ABORT_S)
        raise
    return await port.run(_fetching(link, count))


def _fetching(link: ScpiLink, count: int) -> Conversation[tuple[float, ...]]:
    query = f"R? {count}"
    block = yield from link.fetch_block(query, timeout_s=TIMEOUT_S + count * 1e-3)
    readings = parsed(read_numbers, query, block.decode("latin-1"))
    if len(readings) != count:
        raise ProtocolError(f"{query} brought {len(readings)} readings")
    return readings
