"""Whether a machine has lost its power since it was set up, as its event status tells.

The register is one for all channels, and reading it clears it: what was read is kept here for all of them.
Ref: IEEE 488.2, 11.5.1 (standard event status register; bit 7: power on). A TSP machine has it as
`status.standard.event` (Series 2600B Reference Manual 2600BS-901-01, section 9).
"""

from drivers.errors import EquipmentError
from drivers.links.scpi import parsed
from drivers.links.srq import POWERED_ON
from drivers.protocols.scpi import read_whole


class PowerWatch:
    """One for a machine, shared by its channels."""

    def __init__(self) -> None:
        self._lost = False

    def renew(self) -> None:
        """The machine was set up: all is as it was set."""
        self._lost = False

    def note(self, told: str) -> None:
        """Keep what the register told."""
        self._lost = self._lost or bool(parsed(read_whole, "*ESR?", told) & POWERED_ON)

    def heed(self, told: str, name: str) -> None:
        """Keep what the register told; EquipmentError as `check`."""
        self.note(told)
        self.check(name)

    def check(self, name: str) -> None:
        """EquipmentError if the power came on since the machine was set up: its settings are gone."""
        if self._lost:
            raise EquipmentError(f"{name}: it has lost its power meanwhile, and nothing is as it was set")
