"""A simulated Keysight N6705C with four 20 V, 3 A modules.

Ref: Keysight N6700 Modular Power System Family, Programmer's Reference Guide (N6700-90902).
"""

from collections.abc import Mapping
from typing import ClassVar

from sim.scpi import Action
from sim.supply.keysight_e36300 import KeysightE36300


class KeysightN6700(KeysightE36300):
    """The box; its outputs hang on `loads["1"]` to `loads["4"]`."""

    idn = "Keysight Technologies,N6705C,MY56002318,E.02.10.3208"
    ranges: ClassVar[Mapping[int, tuple[float, float]]] = dict.fromkeys(range(1, 5), (20.4, 3.06))

    def table(self) -> Mapping[str, Action]:
        """It tells of trips by the questionable condition only."""
        return {header: action for header, action in super().table().items() if "TRIPped?" not in header}
