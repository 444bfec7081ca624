"""`hardbin mqtt send`: each argument goes out as the type that the command takes."""

import msgspec
import pytest
from click import UsageError

from station.authority import Action
from station.cli.mqtt import given
from station.remote.reception import ARGS


def test_a_text_of_digits_stays_a_text() -> None:
    texts = dict.fromkeys(("lot", "sublot", "product", "card", "program"), "007")
    args = given("lot.load", (*(f"{name}={text}" for name, text in texts.items()), "quantity=16"))
    assert args == texts | {"quantity": 16}
    assert given("recipe.stage", ("recipe=12345678",)) == {"recipe": "12345678"}


def test_what_is_no_text_is_what_the_station_takes() -> None:
    args = given("site.set", ("lot=1", "site=2", "on=true"))
    assert args == {"lot": "1", "site": 2, "on": True}
    msgspec.convert(args, ARGS[Action.SET_SITE])


def test_what_does_not_fit_is_left_to_the_station() -> None:
    assert given("site.set", ("site=two", "nobody=7")) == {"site": "two", "nobody": "7"}
    assert given("no.command", ("site=2",)) == {"site": "2"}
    with pytest.raises(UsageError, match="NAME=VALUE"):
        given("lot.load", ("lot",))
