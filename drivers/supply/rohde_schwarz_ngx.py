"""Rohde & Schwarz NGE100, NGL200, NGM200 and NGP800 supplies.

Ref: R&S NGE100, NGL200, NGM200 and NGP800 User Manuals, remote control.
"""

from typing import Annotated, ClassVar

from msgspec import Meta

from drivers.supply.selected import SelectedOptions, SelectedSupply


class RohdeSchwarzNgxOptions(SelectedOptions, frozen=True, forbid_unknown_fields=True):
    """What a station file may say of an NGx."""

    outputs: Annotated[str, Meta(pattern="^12?3?4?$")] = "123"
    """`12` for an NGE102, NGL202 or NGM202, `1234` for an NGP804 or NGP824."""


class RohdeSchwarzNgx(SelectedSupply):
    """An NGx with its outputs `1` to `4`; their electronic fuses are always on."""

    Options: ClassVar[type[RohdeSchwarzNgxOptions]] = RohdeSchwarzNgxOptions
    models = "NG[ELMPAU][0-9]{3}"
    clear = (":VOLT:PROT:CLE", ":FUSE:TRIP:CLE")
