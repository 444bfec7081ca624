"""The picture of the README can be looked at without a network."""

import re
from pathlib import Path

PICTURE = Path(__file__).parent.parent.parent / "docs" / "picture.svg"


def test_it_names_no_address() -> None:
    addresses = set(re.findall(r"\w+://[^\"\s<)]+", PICTURE.read_text("utf-8")))
    assert addresses == {"http://www.w3.org/2000/svg"}  # the name of the format
