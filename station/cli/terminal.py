"""What the tables of the commands are printed on: words are shown as they are, brackets and colons too."""

from rich.console import Console


def terminal(*, soft_wrap: bool = True) -> Console:
    """Return standard output, on which nothing that a person or a file has said is markup."""
    return Console(markup=False, emoji=False, highlight=False, soft_wrap=soft_wrap)
