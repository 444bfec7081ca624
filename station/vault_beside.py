"""The vault beside a station that stands ready: what it says goes into the station's own journal."""

from contextlib import ExitStack
from functools import partial

from station.between import Between
from station.config import StationConfig
from station.io_thread import beside
from station.lot_vault import relay_of
from station.vault_watch import Tell, VaultWatch, watching


class VaultBeside:
    """Watches whichever vault the station file names; a context manager that ends it."""

    def __init__(self, notes: Between) -> None:
        self._notes, self._watching = notes, ExitStack()

    def follow(self, config: StationConfig) -> None:
        """Watch the vault of a file from now on, lot or no lot; one that lives with each lot is not here."""
        self._watching.close()
        if config.vault.mode == "running":
            notes = self._notes
            watch = VaultWatch(partial(relay_of, config), notes.tell, notes.told_of, notes.ended)
            self._watching.enter_context(beside("vault", partial(watching, watch)))

    def of_a_lot(self, config: StationConfig) -> Tell | None:
        """Who is told what a vault says that lives as long as a lot."""
        return self._notes.tell if config.vault.mode == "development" else None

    def __enter__(self) -> "VaultBeside":
        return self

    def __exit__(self, *error: object) -> None:
        self._watching.close()
