"""What a simulated GEM equipment does beside its lots: alarms, recipes, a spool, maps that go both ways.

Ref: secsgem, message and data-item definitions (S7, S12); S2F43 and S6F23 are common knowledge (SEMI E30).
"""

from collections.abc import Callable, Iterator, Sequence

from drivers.protocols import gem_maps as maps
from drivers.protocols import gem_recipes as recipes
from drivers.protocols.gem_maps import SubstrateMap
from drivers.protocols.hsms import Message
from drivers.protocols.secs import Item, array, binary, text
from sim.faults import Faults

SERVICE_KNOBS = frozenset({"other_recipe", "recipe_refused", "no_spool", "map_beside"})
"""`other_recipe`: it has the recipe, and somebody has changed it; `recipe_refused`: with the code of PPGNT;
`no_spool`: purging is refused, it is busy; `map_beside`: its map has a place beside itself."""

NO_SPACE = 2
BUSY = 1
KEPT_IN_MEMORY = 3
CODES = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class Services:
    """Recipes and spool: what is asked is answered from here."""

    def __init__(self, faults: Faults) -> None:
        self.recipes: dict[str, bytes] = {}
        self._faults = faults
        self._spooled = 1

    def reply(self, message: Message) -> Item | None:
        """Return the content of a reply; None if the message is none of these."""
        match message.stream, message.function:
            case 2, 43:
                return array(binary(0), array())
            case 5, 3:
                return binary(0)
            case 6, 23:
                return binary(self._purge())
            case 7, _:
                return self._about_recipes(message)
        return None

    def _about_recipes(self, message: Message) -> Item | None:
        match message.function:
            case 1:
                return binary(int(self._faults.strikes("recipe_refused") or 0))
            case 3:
                name, body = self._items(message)
                self.recipes[name.text] = recipes.bytes_of(body)
                return binary(0)
            case 5 if message.item is not None:
                return self._recipe(message.item.text)
            case 17:
                for one in self._items(message):
                    self.recipes.pop(one.text, None)
                return binary(0)
            case 19:
                return array(*map(text, sorted(self.recipes)))
        return None

    def _purge(self) -> int:
        if self._faults.strikes("no_spool") is not None:
            return BUSY
        spooled, self._spooled = self._spooled, 0
        return recipes.PURGED if spooled else recipes.NOTHING_SPOOLED

    def _recipe(self, name: str) -> Item:
        if (body := self.recipes.get(name)) is None:
            return array()
        changed = self._faults.strikes("other_recipe") is not None
        return recipes.recipe(name, body + b"!" if changed else body)

    @staticmethod
    def _items(message: Message) -> tuple[Item, ...]:
        return message.item.items if message.item is not None else ()


class MapTalk:
    """The conversation about the map of a lot: one message after the reply to the last."""

    def __init__(self, say: Callable[[Message], None], faults: Faults) -> None:
        self.given: SubstrateMap | None = None
        """What the host has told of the map that was asked for."""
        self.given_bins = ""
        self.refused = 0
        """How many replies said no."""
        self._say = say
        self._faults = faults
        self._talk: Iterator[Message] = iter(())
        self._then: Callable[[], None] = lambda: None

    def ask(self, mid: str, then: Callable[[], None]) -> None:
        """Ask the host for a map, then do something else."""
        self._begin([maps.ask_about(mid), maps.ask_array(mid)], then)

    def send(self, mid: str, bins: Sequence[int], then: Callable[[], None]) -> None:
        """Send a strip of devices in the order in which they were sorted, then do something else."""
        codes = "".join(CODES[one % len(CODES)] for one in bins)
        one = SubstrateMap(mid=mid, id_type=2, columns=max(1, len(codes)), bins=codes or ".")
        sent = maps.send_array(one)
        if self._faults.strikes("map_beside") is not None:
            sent = Message(12, 11, array(text(mid), binary(2), array(_beside(one))), wait=True)
        self._begin([maps.setup(one), maps.may_send(one), sent], then)

    def _begin(self, messages: list[Message], then: Callable[[], None]) -> None:
        self._talk, self._then = iter(messages), then
        self._next()

    def _next(self) -> None:
        if (message := next(self._talk, None)) is not None:
            self._say(message)
            return
        then, self._then = self._then, lambda: None
        then()

    def heard(self, reply: Message) -> None:
        """Take a reply of the host; an aborted one ends the talk."""
        if reply.stream != 12:  # noqa: PLR2004 - maps
            return
        match reply.function:
            case 0:
                self._talk = iter(())
            case 4:
                self.given = maps.about_of(reply)
            case 16 if reply.item is not None and reply.item.items:
                self.given_bins = maps.codes_of(reply.item.items[-1])
            case 2 | 6 | 8 | 10 | 12 if reply.item is not None:
                self.refused += bool(reply.item.number)
        self._next()


def _beside(one: SubstrateMap) -> Item:
    return (
        maps.coordinates_of(SubstrateMap(mid=one.mid, columns=one.columns + 1, bins="." * one.columns + "1"))
        .items[2]
        .items[0]
    )
