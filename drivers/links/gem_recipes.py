"""A recipe that the host has: it is in the equipment, byte by byte, or the lot does not begin."""

from drivers.errors import EquipmentError, InstrumentError
from drivers.links.hsms import HsmsLink
from drivers.protocols import gem_recipes as recipes
from drivers.protocols.gem import acknowledged
from drivers.protocols.hsms import Message
from drivers.protocols.secs import array, binary


async def provide(link: HsmsLink, name: str, body: bytes) -> None:
    """Send the recipe if it is not there, and read it back.

    EquipmentError if the equipment has another one of this name: whoever changed it must say why.
    """
    if name in recipes.names_of(await link.ask(recipes.names())):
        await _compare(link, name, body)
        return
    _agreed(await link.ask(recipes.may_send(name, len(body))), f"{link.name}: recipe {name}", recipes.GRANTS)
    _agreed(await link.ask(recipes.send(name, body)), f"{link.name}: recipe {name}", recipes.ANSWERS)
    await _compare(link, name, body)


async def _compare(link: HsmsLink, name: str, body: bytes) -> None:
    found = recipes.body_of(await link.ask(recipes.fetch(name)), name)
    if found != body:
        has = "no" if found is None else "another"
        raise EquipmentError(f"{link.name} has {has} recipe {name!r} than the station file names: no lot")


async def forget_spool(link: HsmsLink) -> None:
    """Have nothing spooled, and what was spooled thrown away: old events would be taken for new ones."""
    _agreed(await link.ask(recipes.spool_nothing()), f"{link.name}: ending the spool", {})
    reply = await link.ask(recipes.purge())
    if acknowledged(reply) not in (recipes.PURGED, recipes.NOTHING_SPOOLED):
        raise InstrumentError(acknowledged(reply), f"{link.name}: purging the spool is refused")


def answered(message: Message, name: str, body: bytes | None) -> Message | None:
    """Return what the host says when the equipment asks about recipes (S7); None if it is another matter.

    The host gives the recipe that it has, and takes none: the station file names the one that counts.
    """
    match message.stream, message.function:
        case 7, 1:
            return Message(7, 2, binary(recipes.NOT_ACCEPTED))
        case 7, 3:
            return Message(7, 4, binary(recipes.PERMISSION_DENIED))
        case 7, 5 if message.item is not None and isinstance(message.item.value, str):
            known = body is not None and message.item.text == name
            return Message(7, 6, recipes.recipe(name, body) if known and body is not None else array())
    return None


def _agreed(reply: Message, what: str, reasons: dict[int, str]) -> None:
    if (code := acknowledged(reply)) != 0:
        raise InstrumentError(code, f"{what} is refused: {reasons.get(code, f'code {code}')}")
