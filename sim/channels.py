"""Channel lists of SCPI machines: `(@1,3)`, `(@101:110)`.

Ref: SCPI-99 vol. 1, 8.3.2 (channel lists).
"""

import re

from sim.messages import CommandError

_LIST = re.compile(r"(?:(.*?)\s*,\s*)?\(@\s*([\d,:\s]*)\)")
MOST = 10000


def cut(argument: str) -> tuple[str, list[int]]:
    """Cut `3.3,(@1,2)` or `(@1:3)` into what comes first and the channels; CommandError without a list."""
    if (found := _LIST.fullmatch(argument.strip())) is None:
        raise CommandError(-109)
    return found[1] or "", numbers(found[2])


def lists(argument: str) -> tuple[str, list[list[int]]]:
    """Cut `(@1),(@2)` into what comes first and every list; CommandError if there is none."""
    found = re.findall(r"\(@([\d,:\s]*)\)", argument)
    if not found:
        raise CommandError(-109)
    return argument.partition("(@")[0].rstrip(" ,"), [numbers(part) for part in found]


def numbers(text: str) -> list[int]:
    """Read `1,3:5`; CommandError unless it can be read."""
    channels = list[int]()
    for part in text.split(",") if text.strip() else ():
        first, _, last = part.partition(":")
        try:
            begin, end = int(first), int(last or first)
        except ValueError:
            raise CommandError(-224) from None
        if not 0 <= end - begin < MOST:
            raise CommandError(-222)
        channels += range(begin, end + 1)
    return channels
