"""Readers of the codes on devices, trays and carriers."""

from abc import abstractmethod

from drivers.roles.resource import Resource


class IdReader(Resource):
    """One reader at one place."""

    @abstractmethod
    async def read(self) -> str | None:
        """Trigger it and return the one code that it reads; None if it reads none in time.

        A code that came before belongs to nobody and is dropped.
        """

    async def make_safe(self) -> None:
        """Do nothing: a reader moves and powers nothing."""
