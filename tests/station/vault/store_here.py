"""A key store in the test's own process: the client's words, answered without a second one."""

import shutil
import weakref
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from station.clock import RealClock
from station.vault import development
from station.vault.keyring import Keyring
from station.vault.keys import calls
from station.vault.keys.client import KeyStoreClient
from station.vault.keys.frames import frame, value_of
from station.vault.keys.hardening import Hardening
from station.vault.keys.service import Service
from station.vault.secret import Secret
from tests.station.vault.keys.stores import work_order_of

T = TypeVar("T")


class StoreHere(KeyStoreClient):
    """Asks a service instead of a process; what crosses is encoded and decoded all the same."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self._service = self._opened()

    def reopen(self) -> None:
        """Be the store's next process: all that is not in its files is forgotten."""
        self._service.close()
        self._service = self._opened()

    def _opened(self) -> Service:
        hardening = Hardening(memory_locked=False, dumpable=True)
        service = Service(self._folder, RealClock(), hardening, production=False)
        weakref.finalize(self, service.close)  # most tests only drop it, and it holds a file open
        return service

    async def _ask(self, call: calls.Call, answer: type[T]) -> T:
        value = self._service.answer(call)
        content = value.reveal() if isinstance(value, Secret) else value
        return value_of(frame((0, "ok", content))[4:], answer)

    async def aclose(self) -> None:
        self._service.close()


async def keys_in(folder: Path, seed: int | None = 1, orders: tuple[str, ...] = ()) -> Keyring:
    """The keys of a development vault in a folder, made once for each seed and copied."""
    if not (folder / development.KEYS).exists():
        shutil.copytree(await _made(seed), folder, dirs_exist_ok=True)
    keys = await Keyring.open(StoreHere(folder / development.KEYS), folder, production=False, seed=seed)
    for order in orders:
        await keys.open_order(work_order_of(order))
    return keys


async def _made(seed: int | None) -> Path:
    if seed not in _MADE:
        made = TemporaryDirectory(prefix="hardbin-keys-")
        store = StoreHere(Path(made.name) / development.KEYS)
        await Keyring.open(store, Path(made.name), production=False, seed=seed)
        await store.aclose()
        _MADE[seed] = made
    return Path(_MADE[seed].name)


_MADE: "dict[int | None, TemporaryDirectory[str]]" = {}
