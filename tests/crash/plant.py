"""A die, a station, a vault and its key store in one process, each of which can be lost at any cut point.

What is lost is dropped where it stands: the files are copied as they are at that moment, and the next start
finds the copy. The parts talk through the real messages of the floor service.
"""

import resource
import shutil
from collections.abc import Callable
from pathlib import Path

from sim.dut.chip import Chip
from sim.dut.memory import PowerCut
from station.vault.die.script import Answer
from station.vault.faults import Code
from station.vault.wire import floor_pb2 as wire
from tests.crash.points import Cut, Kind, Points
from tests.station.vault.dies import FINGERPRINT, NOW

LOT, UNIT, ORDER = "L1", "L1/2", "WO-1"
DATABASE, KEYS, LEDGER = "vault.sqlite", "keys", "ledger"
QUANTITY, SEED = 8, 7
LIVES, CONTACTS, CONTACT_S = 4, 5, 10.0
RESTING = (wire.DONE, wire.REJECT_HELD, wire.QUARANTINE)
STOPS = (Code.LINE_STOPPED, Code.JOURNAL, Code.INTERNAL)


class KilledError(BaseException):
    """The vault is no more; what its coroutines still do counts for nothing."""


class Plant:
    """One die and all that it meets, over as many lives of the vault as it takes."""

    def __init__(self, folder: Path, chip: Chip, cut: Cut | None = None) -> None:
        self.folder, self.chip = folder, chip
        self.points = Points(cut, self._strike)
        self.dead = self.store_lost = self.station_lost = self.power_lost = False
        self.lifted = self.link_lost = self.full = self.registry_lost = False
        self.struck: Kind | None = None
        self.station, self.now, self.fingerprint = "cell", NOW, FINGERPRINT
        self.lie: Callable[[bytes, Answer], Answer] = _truth
        """What becomes of the reply to a command on its way to the vault."""
        self.site: Path | None = None
        """The file of the plant's registry; None: the vault's own is all there is."""
        self.production = False
        """Whether the vault has a clock of its own."""
        self.notes: list[bytes] = []
        """Every checkpoint that was published."""
        self.signed: list[tuple[str, bytes]] = []
        """Key and message of every signature that the key store made."""
        self.again: list[bytes] = []
        """Bodies of certificates that were signed though they were kept when the vault started."""
        self._lives = 1
        if cut is not None and cut.place == "cell":
            self.chip.cut(PowerCut(cut.number, cut.moment))

    def _strike(self, kind: Kind) -> None:
        """Lose a part; the parts themselves notice at their next step."""
        self.struck = kind
        match kind:
            case "die power":
                self.power_lost = True
            case "link":
                self.link_lost = True
            case "contact":
                self.lifted = True
            case "vault" | "site power":
                self._freeze()
                self.dead, self.power_lost = True, kind == "site power"
            case "key store":
                self.store_lost = True
            case "station":
                self.station_lost = True
            case "registry":
                self.registry_lost = True
            case "disk full":
                self.full = True
                _room(0)

    def _freeze(self) -> None:
        """The next life begins with the files as they are now."""
        self._lives += 1
        copy = self.folder.with_name(f"life-{self._lives}")
        shutil.copytree(self.folder, copy, ignore=shutil.ignore_patterns("*-shm"))
        self.folder = copy

    def check_alive(self) -> None:
        """End whatever a dead vault still tries."""
        if self.dead:
            raise KilledError

    def revived(self) -> None:
        """Whatever died is there again."""
        self.dead = self.store_lost = self.station_lost = self.lifted = False

    def make_room(self) -> None:
        """Take the bound off what files may hold."""
        if self.full:
            self.full = False
            _room(None)


def _truth(command: bytes, answer: Answer) -> Answer:
    del command
    return answer


def _room(size: int | None) -> None:
    """Let no file of this process grow beyond `size` bytes; None: let them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    soft = hard if size is None else size
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
