"""What is wrong with a bundle, and how that is said."""

from msgspec import Struct


class Finding(Struct, frozen=True):
    """One thing that is wrong: in which file, with which device if it concerns one, and what."""

    file: str
    what: str
    device: str = ""

    def __str__(self) -> str:
        device = f" {self.device}:" if self.device else ""
        return f"{self.file}:{device} {self.what}"
