"""Who answers for a machine or an asset, as options: by badge and PIN where the station has accounts."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click

from station.authority import Action, denied
from station.cli import listening, people_access
from station.cli.codes import ANSWERS
from station.cli.key_access import stop

T = TypeVar("T")


def vouching(command: Callable[..., T]) -> Callable[..., T]:
    """Give a command `by`, the person who answers, and his `reason`; accounts say whether he may."""

    @wraps(command)
    def run(
        by: str,
        reason: str,
        folder: Path,
        files: tuple[Path, ...],
        fds: tuple[int, ...],
        **rest: Any,  # noqa: ANN401 - what the command has besides
    ) -> T:
        if not by.strip() or not reason.strip():
            raise click.UsageError("--by and --reason must say something")
        (person,) = people_access.persons(folder, (by,), (), people_access.pins(files, fds))
        if people_access.has_accounts(folder) and (why := denied(Action.VOUCH, person.roles)):
            stop(ANSWERS["denied"], why)
        return command(by=person.id, reason=reason, **rest)

    for option in (
        people_access.PIN_FDS,
        people_access.PIN_FILES,
        listening.people,
        click.option("--reason", required=True, help="Why: what was seen, and done."),
        click.option("--by", required=True, help="Who answers for it: a badge, where there are accounts."),
    ):
        run = option(run)
    return run
