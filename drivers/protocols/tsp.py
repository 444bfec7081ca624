"""TSP texts: values as `print` writes them, separated by tabs, and entries of the error queue.

Ref: Series 2600B Reference Manual 2600BS-901-01, sections 7 and 9 (errorqueue, print).
"""

from drivers.protocols.scpi import ErrorEntry, read_whole

EMPTY = ErrorEntry(0, "Queue Is Empty")


def fields(answer: str) -> list[str]:
    """Cut what one `print` wrote into its values."""
    return [part.strip() for part in answer.split("\t")]


def read_boolean(text: str) -> bool:
    """Read `true` or `false`; ValueError for all else."""
    match text.strip():
        case "true":
            return True
        case "false":
            return False
    raise ValueError(f"{text!r} is neither true nor false")


def read_error(answer: str) -> ErrorEntry:
    """Read what `print(errorqueue.next())` wrote: code, text, severity, node; ValueError for all else."""
    parts = fields(answer)
    if len(parts) < 2:
        raise ValueError(f"{answer!r} is not an entry of an error queue")
    return ErrorEntry(read_whole(parts[0]), parts[1].strip('"'))
