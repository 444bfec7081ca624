"""Scanner: one multimeter behind a multiplexer, which reads many channels one after another."""

from abc import abstractmethod
from collections.abc import Collection, Mapping

from drivers.roles.dmm import DmmFunction
from drivers.roles.resource import Resource


class Scanner(Resource):
    """Reads channels, which it calls by the machine's names; in its safe state it waits for nothing."""

    exclusive = frozenset({"scan"})

    @abstractmethod
    async def scan(
        self,
        function: DmmFunction,
        channels: Collection[str],
        *,
        full_scale: float | None = None,
        nplc: float = 1.0,
        timeout_s: float = 10.0,
    ) -> Mapping[str, float]:
        """Read each channel once, by its name; over range is ±inf. Silent if it has not ended in time."""
