"""Lots and units as a vault's desk shows them."""

import msgspec


class Balanced(msgspec.Struct):
    """A lot's balance as the desk shows it."""

    lot: str
    state: str
    received: int
    accounts: dict[str, int]
    unseen: int
    difference: int
    hindrance: str

    def line(self) -> str:
        """Say it in one line."""
        held = ", ".join(f"{count} {name}" for name, count in self.accounts.items() if count)
        zero = "zero" if not self.difference else f"NOT ZERO: {self.difference}"
        why = f"; stays open: {self.hindrance}" if self.hindrance else ""
        return (
            f"{self.lot}: {self.state}, {self.received} received = {held or 'none'}; difference {zero}{why}"
        )


class Listed(msgspec.Struct):
    """A unit as the desk shows it."""

    unit: str
    account: str
    standing: str
    intent: str
    uid: str
    unchecked: int = 0
    """Claims that the registry of the plant has not confirmed."""

    def row(self) -> str:
        """One line."""
        open_ = f", {self.unchecked} claims not confirmed by the plant" if self.unchecked else ""
        return f"{self.unit}: {self.account}, {self.standing}{self.intent and ' ' + self.intent}{open_}"
