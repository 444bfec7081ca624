"""Key material as a type that cannot be shown, compared or stored by accident."""

from types import TracebackType
from typing import NoReturn


class Secret:
    """Bytes that are never printed, compared, hashed or pickled; wiped when their block ends.

    Wiping is a courtesy, since Python may have copied them; the process boundary is the control.
    """

    __slots__ = ("_bytes",)

    def __init__(self, content: bytes | bytearray) -> None:
        self._bytes = bytearray(content)

    def reveal(self) -> bytearray:
        """Return the bytes themselves, for a cipher; never keep them."""
        return self._bytes

    def copy(self) -> "Secret":
        """The same bytes as a secret of their own."""
        return Secret(self._bytes)

    def wipe(self) -> None:
        """Overwrite the bytes with zeros."""
        self._bytes[:] = bytes(len(self._bytes))

    def __len__(self) -> int:
        return len(self._bytes)

    def __enter__(self) -> "Secret":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.wipe()

    def __repr__(self) -> str:
        return "<secret>"

    def __eq__(self, other: object) -> bool:
        raise TypeError("a secret is not compared")

    def __hash__(self) -> int:
        raise TypeError("a secret is not hashed")

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not pickled")
