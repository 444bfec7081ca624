"""The GEM messages about recipes (process programs, S7) and about what was spooled (S2F43, S6F23).

Ref: secsgem, message and data-item definitions; spooling is common knowledge (SEMI E30).
"""

from drivers.errors import ProtocolError
from drivers.protocols.hsms import Message
from drivers.protocols.secs import Format, Item, array, text, u4

GRANTED, NOT_ACCEPTED = 0, 5
PERMISSION_DENIED = 1
GRANTS = {
    1: "it has it already",
    2: "it has no space",
    3: "the name is bad",
    4: "it is busy",
    5: "not accepted",
}
"""PPGNT other than granted."""
ANSWERS = {
    1: "no permission",
    2: "wrong length",
    3: "its memory is full",
    4: "no such recipe",
    5: "its mode does not allow it",
    6: "it will be done later",
}
"""ACKC7 other than done."""
PURGED, NOTHING_SPOOLED = 0, 2
"""RSDA: done, or there was nothing."""
PURGE = 1


def names() -> Message:
    """S7F19: which recipes are there."""
    return Message(7, 19, None, wait=True)


def may_send(name: str, length: int) -> Message:
    """S7F1: may a recipe of so many bytes be sent."""
    return Message(7, 1, array(text(name), u4(length)), wait=True)


def send(name: str, body: bytes) -> Message:
    """S7F3."""
    return Message(7, 3, recipe(name, body), wait=True)


def fetch(name: str) -> Message:
    """S7F5."""
    return Message(7, 5, text(name), wait=True)


def delete(name: str) -> Message:
    """S7F17."""
    return Message(7, 17, array(text(name)), wait=True)


def recipe(name: str, body: bytes) -> Item:
    """Return name and body, as S7F3 and S7F6 have them."""
    return array(text(name), Item(Format.B, body))


def names_of(reply: Message) -> tuple[str, ...]:
    """Read S7F20; ProtocolError."""
    if reply.item is None:
        raise ProtocolError(f"{reply} without a list")
    return tuple(item.text for item in reply.item.items)


def body_of(reply: Message, name: str) -> bytes | None:
    """Read S7F6; None if there is no such recipe; ProtocolError, also for another one."""
    match reply.item.items if reply.item is not None else ():
        case ():
            return None
        case (found, body) if found.text == name:
            return bytes_of(body)
    raise ProtocolError(f"{reply} is not recipe {name!r}")


def bytes_of(item: Item) -> bytes:
    """Return what a recipe is made of: bytes, or a text."""
    if isinstance(item.value, bytes):
        return item.value
    return item.text.encode("latin-1", "replace")


# -- spooling
def spool_nothing() -> Message:
    """S2F43 with an empty list: nothing is spooled from here on."""
    return Message(2, 43, array(), wait=True)


def purge() -> Message:
    """S6F23: what was spooled is thrown away."""
    return Message(6, 23, Item(Format.U1, (PURGE,)), wait=True)
