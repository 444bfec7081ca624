"""Rohde & Schwarz (Hameg) HMP2020 to HMP4040 supplies.

Ref: R&S HMP Series User Manual, remote control.
"""

from typing import ClassVar

from drivers.supply.selected import SelectedOptions, SelectedSupply


class RohdeSchwarzHmpOptions(SelectedOptions, frozen=True, forbid_unknown_fields=True):
    """`outputs` is `12` for an HMP2020, `123` for an HMP2030 or HMP4030, `1234` for an HMP4040."""


class RohdeSchwarzHmp(SelectedSupply):
    """An HMP with its outputs `1` to `4`; their electronic fuses are always on."""

    Options: ClassVar[type[RohdeSchwarzHmpOptions]] = RohdeSchwarzHmpOptions
    models = "HMP[24]0[234]0"
    clear = (":VOLT:PROT:CLE",)
