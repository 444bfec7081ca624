"""What a command that has done something says: a line to a person, an object to a program."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

import click
import msgspec

P = ParamSpec("P")


class Said:
    """The words, and the same as facts: names of JSON with numbers, texts, lists of them."""

    def __init__(self, words: str, **facts: object) -> None:
        self.words, self.facts = words, facts


def says(command: Callable[P, Said]) -> Callable[P, None]:
    """Give a command `--json`, and print what it returns."""

    @click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
    @wraps(command)
    def said(*args: P.args, **options: P.kwargs) -> None:
        as_json = options.pop("as_json")
        found = command(*args, **options)
        if as_json:
            click.echo(msgspec.json.encode(found.facts, enc_hook=str))
        elif found.words:
            click.echo(found.words)

    return said
