"""Lines of Cascade's Nucleus in its command set "Summit": keywords as in SCPI, completion as text.

Follows SweepMe instrument-drivers, Cascade Nucleus.
"""

from drivers.errors import ProtocolError

CHUCK = 2
"""Number of the chuck on Elite, Summit 12000, S300 and Alessi 6100."""
COMPLETE = "COMPLETE"
MODE, RESPOND = "$:set:mode summit", "$:set:resp ON"


def completed(reply: str) -> bool:
    """Tell whether a reply says COMPLETE, if only with its first characters; anything else is an error."""
    return COMPLETE.startswith(reply.strip().upper())


def is_error(reply: str) -> bool:
    """Tell whether what cannot be read as an answer is the text of an error, and no answer cut short."""
    text = reply.strip().upper()
    cut = any(word.startswith(text) for word in ("TRUE", "FALSE", COMPLETE))
    return not cut and any(letter.isalpha() for letter in text)


def boolean(reply: str) -> bool:
    """Read TRUE or FALSE; ProtocolError."""
    match reply.strip().upper():
        case "TRUE":
            return True
        case "FALSE":
            return False
    raise ProtocolError(f"{reply!r}: TRUE or FALSE was expected")


def integers(reply: str, count: int) -> tuple[int, ...]:
    """Read so many whole numbers, and no more; ProtocolError."""
    fields = reply.split()
    try:
        found = tuple(int(field) for field in fields)
    except ValueError:
        found = ()
    if len(found) != count:
        raise ProtocolError(f"{reply!r}: {count} whole numbers were expected")
    return found


def number(reply: str) -> float:
    """Read one number; ProtocolError."""
    try:
        return float(reply)
    except ValueError:
        raise ProtocolError(f"{reply!r}: a number was expected") from None


def keywords(line: str) -> tuple[str, str]:
    """Return the keywords of a line, each cut to three letters, as a machine compares them; and the rest."""
    head, _, rest = line.strip().partition(" ")
    question = "?" if head.endswith("?") else ""
    cut = ":".join(word[:3].lower() for word in head.rstrip("?").split(":"))
    return cut + question, rest.strip()
