"""The options that say at which temperature a lot is tested."""

import functools
from collections.abc import Callable
from typing import Any

import click

from station.set_up import Temperature

Command = Callable[..., Any]


def options(command: Command) -> Command:
    """Give a command the options, and `temperature`, None if there is none."""

    @click.option("--celsius", type=click.FloatRange(-100, 300), help="Test at this temperature.")
    @click.option(
        "--window-k",
        type=click.FloatRange(0, 20, min_open=True),
        default=2.0,
        show_default=True,
        help="How far the temperature may be away from that.",
    )
    @click.option(
        "--soak-s",
        type=click.FloatRange(0, 36_000),
        default=0.0,
        show_default=True,
        help="How long it must have been near enough before the first contact.",
    )
    @functools.wraps(command)
    def tempered(celsius: float | None, window_k: float, soak_s: float, **rest: object) -> object:
        wanted = None if celsius is None else Temperature(celsius, window_k, soak_s)
        return command(temperature=wanted, **rest)

    return tempered
