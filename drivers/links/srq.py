"""Operations that end with a service request: `*OPC` sets event bit 0, which pulls SRQ where it is enabled.

Ref: IEEE 488.2, 10.18 (*OPC), 11.4 and 11.5 (event and service request enable).
"""

import asyncio

from drivers.errors import EquipmentError, Silent, TransportError
from drivers.links.scpi import ScpiLink, parsed
from drivers.protocols.scpi import read_whole
from drivers.transports import Conversation, Port

ENABLE = ("*ESE 1", "*SRE 32")
"""What makes the end of an operation a service request; sent once, when a machine is set up."""
COMPLETE = 0x01
POWERED_ON = 0x80
ASK_AGAIN_S = 1.0
"""How long a service request is believed to be on its way; then the machine is asked without one."""


async def ended(port: Port, link: ScpiLink, *, timeout_s: float, what: str) -> None:
    """Wait until what was begun with `*OPC` has ended; Silent after `timeout_s`.

    EquipmentError if the machine was switched off and on again: its settings are gone, and the reading with
    them. A request that was lost costs a second; one that is doubled, late or of another cause changes
    nothing.
    """
    try:
        async with asyncio.timeout(timeout_s):
            while not await _complete(port, link):
                pass
    except TimeoutError:
        raise Silent(f"{port.name}: {what} did not end within {timeout_s:g} s") from None


async def _complete(port: Port, link: ScpiLink) -> bool:
    try:
        async with asyncio.timeout(ASK_AGAIN_S):
            await port.service_request()
    except TimeoutError:
        pass
    except TransportError:  # a port that tells of no requests; one that is gone says so below
        await asyncio.sleep(ASK_AGAIN_S)
    return bool(await port.run(_asked(link, port.name)) & COMPLETE)


def _asked(link: ScpiLink, name: str) -> Conversation[int]:
    """Within the conversation, so that a port that quarantines hears of a power that went."""
    (told,) = yield from link.exchange("*ESR?")
    return events_of(told, name)


def events_of(told: str, name: str) -> int:
    """Read what `*ESR?` told; EquipmentError if the power came on, since nothing is as it was set then."""
    events = parsed(read_whole, "*ESR?", told)
    if events & POWERED_ON:
        raise EquipmentError(f"{name}: it has lost its power meanwhile, and nothing is as it was set")
    return events
