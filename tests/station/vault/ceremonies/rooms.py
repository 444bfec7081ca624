"""Rooms for ceremonies: persons who answer everything, and a key store in this process."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import msgspec

from station.errors import StoppedError
from station.vault.ceremonies import plan
from station.vault.ceremonies.conductor import Conductor, Outcome
from station.vault.ceremonies.plan import Given
from station.vault.keys import calls
from station.vault.keys.service import Service
from station.vault.secret import Secret
from tests.station.vault.keys.stores import OPEN, PASSPHRASES, At

T = TypeVar("T")
OFFICERS = ("dora", "emil")
SAID = {"dora": b"planted officer 1", "emil": b"planted officer 2", "fay": b"planted witness 1"}
WITNESS = "fay"
HOLDERS = {f"h{number}": b"planted backup %d" % number for number in range(1, 6)}
HOUSE: dict[str, Given] = {"organisation": "plant.example", "country": "DE"}
VAULT: dict[str, Given] = {
    "custodians": tuple(PASSPHRASES),
    "origin": "plant.example/cell-3/2027",
    **HOUSE,
}
AT = At()


class Cut(BaseException):
    """Power went."""


class Direct:
    """Asks a store of this process as `Control` asks one of another."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def ask(self, call: calls.Call, answer: type[T]) -> T:
        packed = msgspec.msgpack.decode(msgspec.msgpack.encode(call), type=type(call))
        value = self._service.answer(packed)
        if isinstance(value, Secret):
            value = value.reveal()
        return msgspec.msgpack.decode(msgspec.msgpack.encode(value), type=answer)


@contextmanager
def direct(folder: Path) -> Iterator[Direct]:
    folder.mkdir(exist_ok=True)
    service = Service(folder, AT, OPEN, production=False)
    try:
        yield Direct(service)
    finally:
        service.close()


class Room:
    """Answers to every question; `stop_at` questions later nobody does any more."""

    def __init__(self, stop_at: int | None = None, coming: Sequence[str] = tuple(PASSPHRASES)) -> None:
        self.asked: list[str] = []
        self.heard: list[str] = []
        self._stop_at = stop_at
        self._coming = [*coming]

    def _ask(self, about: str) -> None:
        if len(self.asked) == self._stop_at:
            raise StoppedError("nobody answers")
        self.asked.append(about)

    def word(self, about: str) -> str:
        self._ask(about)
        assert about == "custodian"
        self._coming.append(self._coming.pop(0))
        return self._coming[-1]

    def secret(self, about: str, *, new: bool) -> bytearray:
        del new
        self._ask(about)
        return bytearray((SAID | PASSPHRASES | HOLDERS)[about.rpartition(" ")[2]])

    def yes(self, about: str) -> bool:
        self._ask(about)
        return True

    def say(self, text: str) -> None:
        self.heard.append(text)


def planned(folder: Path, name: str = "init-vault", **given: Given) -> Path:
    """Write the plan of a ceremony, whose store lies beside it."""
    parameters = VAULT | given if name == "init-vault" else given
    attending = (*OFFICERS, WITNESS)[: len(plan.script(name).roles)]
    made = plan.made(name, str(folder / "store"), attending, parameters, AT.unix())
    plan.write(made, folder / name)
    return folder / name


def carried_out(folder: Path, room: Room | None = None) -> Outcome:
    """Begin a ceremony, or go on with it."""
    sitting = Conductor(folder, room or Room(), AT)
    return sitting.resume() if (folder / "transcript").exists() else sitting.run()
