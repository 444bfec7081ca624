"""What a sequence for `se1` finds at a site, and how it talks to the chip."""

from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

from drivers.errors import DutError
from drivers.protocols import se1
from drivers.protocols.se1_table import StatusWord
from drivers.roles import Card, Smu, Supply
from station.sequence import Site
from station.units import V, mA
from station.vault.client import VaultClient

INPUTS = ("IO", "CLK", "RST")
PAYLOAD = 1024
"""Bytes of data that every `se1` takes in one command."""


@dataclass
class Noise:
    """A sample of a chip's noise source, shared by the rows of one block, so that it is read once."""

    sample: bytes = field(default=b"", repr=False)

    @contextmanager
    def kept(self, sample: bytes) -> Generator[None, None, None]:
        """Keep a sample for the rows within; what one device said is never judged as another's."""
        self.sample = sample
        try:
            yield
        finally:
            self.sample = b""


@dataclass(frozen=True)
class ProbedSite(Site):
    """A source-measure channel at each input, and a supply."""

    io: Mapping[str, Smu]
    vdd: Supply


@dataclass(frozen=True)
class Se1Site(ProbedSite):
    """The card interface besides, and the way to the vault."""

    chip: Card
    vault: VaultClient
    noise: Noise = field(init=False, default_factory=Noise, compare=False)
    """Raw noise of the device in contact, while a block of the sequence keeps it."""


VDD_V = 3.3 * V
VDD_LIMIT_A = 80 * mA
OVP_V = 3.8 * V


@asynccontextmanager
async def powered(site: ProbedSite) -> AsyncGenerator[None, None]:
    """VDD at 3.3 V."""
    async with site.vdd.powering(VDD_V, limit_a=VDD_LIMIT_A, ovp_v=OVP_V):
        yield


@asynccontextmanager
async def supplied(site: ProbedSite, vdd_v: float) -> AsyncGenerator[None, None]:
    """VDD at another level, inside `powered`, and back at the end; nothing is sent if it is none."""
    if vdd_v == VDD_V:
        yield
        return
    await site.vdd.switch_on(vdd_v, limit_a=VDD_LIMIT_A, ovp_v=OVP_V)
    yield
    await site.vdd.switch_on(VDD_V, limit_a=VDD_LIMIT_A, ovp_v=OVP_V)  # `powered` ends whatever fails here


@asynccontextmanager
async def activated(site: Se1Site) -> AsyncGenerator[None, None]:
    """The chip is out of reset and its application selected."""
    await site.chip.power_on()
    try:
        await ask(site, se1.select())
        yield
    finally:
        await site.chip.power_off()


async def ask(site: Se1Site, command: bytes, *, budget_s: float = 5.0) -> bytes:
    """Send a command and return its data; DutError unless the chip answers 9000."""
    reply = await site.chip.transmit(command, budget_s=budget_s)
    if reply.status != StatusWord.OK:
        raise DutError(f"{command[:4].hex(' ')}: {se1.status_name(reply.status)}")
    return reply.data
