"""`hardbin perso report`: what became of all that a vault was given, on one sheet."""

from collections.abc import Iterator
from typing import Any

import click
import msgspec

from station.cli.codes import Exit
from station.cli.desk_access import Caller, at_desk
from station.cli.order import use_lines
from station.cli.perso_bodies import Balanced, Listed
from station.custody.moves import Account
from station.vault.desk.roles import Action

NAMED = (Account.MISSING, Account.QUARANTINE, Account.WIP, Account.REJECT_HELD)
"""Accounts whose units are named, the worst first: each of them still asks for something."""
MOST = 1000
"""So many units of an account are named."""


@click.command()
@click.argument("lot", metavar="[LOT]", required=False, default="")
@at_desk
def report(caller: Caller, lot: str) -> None:
    """Print what became of the units of a lot, or of all: differences first, with exit code 13."""
    asking = caller.opened()
    balances = _list(asking.ask(Action.BALANCE, lot))
    found = msgspec.convert(balances, list[Balanced])
    named = {one.lot: dict(_named(asking, one)) for one in found}
    orders = _list(asking.ask(Action.SHOW_ORDERS))
    wrong = [one for one in found if one.difference or one.accounts.get(Account.MISSING.value)]
    body = {
        "lots": [{**one, "units": named[one["lot"]]} for one in balances],
        "orders": orders,
        "differences": [one.lot for one in wrong],
    }
    head = [f"DIFFERENCE {one.line()}" for one in wrong]
    lines = [line for one in found for line in _lines(one, named[one.lot])]
    caller.show(body, [*head, *(lines or ["no lots"]), *use_lines(orders)])
    if wrong:
        click.get_current_context().exit(Exit.INTEGRITY)


def _named(asking: Caller, lot: Balanced) -> Iterator[tuple[str, list[Any]]]:
    for account in NAMED:
        if lot.accounts.get(account.value):
            wanted = {"most": MOST, "account": account.value}
            yield account.value, _list(asking.ask(Action.UNITS, lot.lot, wanted))


def _lines(lot: Balanced, named: dict[str, list[Any]]) -> Iterator[str]:
    yield lot.line()
    for account, units in named.items():
        for one in msgspec.convert(units, list[Listed]):
            yield f"  {one.row()}"
        unseen = lot.unseen if account == Account.WIP.value else 0
        if unseen:
            yield f"  {unseen} in {account} that no station has brought yet"
        if (more := lot.accounts[account] - unseen - len(units)) > 0:
            yield f"  and {more} more in {account}"


def _list(body: object) -> list[Any]:
    return msgspec.convert(body, list[Any])
