"""Signal tower: what people see and hear of the cell from afar."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Literal, TypeAlias

from drivers.roles.resource import Resource

Lamp: TypeAlias = Literal["off", "on", "blink"]
Colour: TypeAlias = Literal["red", "amber", "green", "blue", "white"]


class Tower(Resource):
    """A stack of lamps and a buzzer."""

    colours: frozenset[Colour]
    """The lamps that it has."""

    @abstractmethod
    async def show(self, lamps: Mapping[Colour, Lamp], *, buzzer: bool = False) -> None:
        """Show these lamps and no others, and read back that they are."""

    @abstractmethod
    async def shown(self) -> Mapping[Colour, Lamp]:
        """Return what every lamp shows."""

    async def health(self) -> str:
        """Tell which lamps are on."""
        on = (f"{colour} {lamp}" for colour, lamp in (await self.shown()).items() if lamp != "off")
        return ", ".join(on) or "dark"

    async def make_safe(self) -> None:
        """Show red: the cell stands still."""
        await self.show({"red": "on"})
