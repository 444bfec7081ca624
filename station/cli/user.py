"""`hardbin user`: the same as `hardbin people`, in the words of whoever thinks of users."""

import click

from station.cli.people import add, disable, enrol, roles_


@click.group()
def user() -> None:
    """Users of a station: `hardbin people` does the same, and more."""


user.add_command(add)
user.add_command(enrol, "enrol-badge")
user.add_command(roles_, "role")
user.add_command(disable)
