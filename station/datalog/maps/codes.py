"""Bin codes of map files: how a row of dies stands in a file, by bin type."""

from collections.abc import Iterable
from string import ascii_uppercase, digits

from msgspec import Struct

from station.datalog.maps.wafer import Die, DieState, MapBin, WaferMap
from station.errors import MapError

LETTERS = digits + ascii_uppercase
QUALITIES = {
    DieState.UNTESTED: "Untested",
    DieState.REFERENCE: "Reference",
    DieState.SKIP: "Skip",
    DieState.EDGE: "Edge",
}
STATES = {quality.lower(): state for state, quality in QUALITIES.items()}
GOOD = frozenset({"pass", "good"})


class BinType(Struct, frozen=True):
    """One way of writing bins: how wide a code is, which means no die, what stands between codes."""

    name: str
    width: int
    null: str
    most: int
    base: int
    gap: str = ""

    def code(self, number: int) -> str:
        """Return the code of a bin; MapError if this type cannot hold it."""
        if not 0 <= number <= self.most:
            raise MapError(
                f"bin {number} does not fit the bin type {self.name}, which holds 0 to {self.most}"
            )
        if self.base == 36:
            return LETTERS[number]
        return f"{number:0{self.width}X}" if self.base == 16 else f"{number:0{self.width}}"

    def number(self, code: str) -> int:
        """Return the bin of a code; ValueError if it is none."""
        return int(code, self.base)

    def split(self, row: str) -> list[str]:
        """Return the codes of a row."""
        if self.gap:
            return row.split()
        text = row.strip("\r\n\t") if self.null == " " else row.strip()
        if len(text) % self.width:
            raise ValueError(f"{len(text)} characters are no multiple of {self.width}")
        return [text[at : at + self.width] for at in range(0, len(text), self.width)]


TYPES = {
    kind.name: kind
    for kind in (
        BinType("Ascii", 1, ".", 35, 36),
        BinType("Decimal", 3, "255", 254, 10, " "),
        BinType("HexaDecimal", 2, "FF", 254, 16),
        BinType("Integer2", 4, "FFFF", 65534, 16),
    )
}


def bin_type(name: str) -> BinType:
    """Return a bin type by its name."""
    if name not in TYPES:
        raise MapError(f"BinType {name!r} is not known: {', '.join(TYPES)} are")
    return TYPES[name]


class Definition(Struct, frozen=True):
    """One line of a bin table: its code, what it means, how many dies it says it has."""

    code: str
    quality: str
    name: str = ""
    count: int | None = None


class Coding(Struct, frozen=True):
    """Which code each die of a map gets, and the table that says so."""

    kind: BinType
    states: dict[DieState, str]

    def of(self, die: Die | None) -> str:
        """Return the code of a die, or of none."""
        if die is None:
            return self.kind.null
        return self.kind.code(die.hard) if die.state is DieState.TESTED else self.states[die.state]

    def table(self, found: WaferMap) -> list[Definition]:
        """Return the table of a map: its bins, then what is no bin."""
        counts = found.counts()
        lines = [
            Definition(self.kind.code(b.number), "Pass" if b.good else "Fail", b.name, counts[b.number])
            for b in found.bins
        ]
        states = [die.state for die in found.dies.values()]
        return lines + [
            Definition(code, QUALITIES[state], state.value, states.count(state))
            for state, code in self.states.items()
        ]


def coding(found: WaferMap, name: str) -> Coding:
    """Choose codes: those of bins are their numbers, the highest free ones are for what has no bin."""
    kind = bin_type(name)
    used = {bin_.number for bin_ in found.bins} | set(found.counts())
    free = (number for number in range(kind.most, -1, -1) if number not in used)
    needed = [state for state in QUALITIES if any(die.state is state for die in found.dies.values())]
    states = dict[DieState, str]()
    for state in needed:
        number = next(free, None)
        if number is None:
            raise MapError(f"the bin type {name} has no code left for dies that are {state.value}")
        states[state] = kind.code(number)
    return Coding(kind, states)


class Decoding:
    """Reads the codes of a file by its table."""

    def __init__(self, kind: BinType, null: str, table: Iterable[Definition], where: str) -> None:
        self._kind, self._where = kind, where
        self._null = null or kind.null
        self._table = {line.code: line for line in table if line.code != self._null}
        self._known = dict[str, Die | None]({self._null: None})

    def die(self, code: str) -> Die | None:
        """Return the die of a code; MapError if it means nothing."""
        if code not in self._known:
            self._known[code] = self._read(code)
        return self._known[code]

    def _read(self, code: str) -> Die | None:
        quality = self._table[code].quality.lower() if code in self._table else ""
        if quality == "null":
            return None
        if quality in STATES:
            return Die(STATES[quality], contacts=0)
        try:
            number = self._kind.number(code)
        except ValueError:
            raise MapError(f"{self._where}: {code!r} is no code of the bin type {self._kind.name}") from None
        return Die(hard=number, soft=number)

    def bins(self) -> tuple[MapBin, ...]:
        """Return the bins of the table."""
        found = dict[int, MapBin]()
        for line in self._table.values():
            die = self.die(line.code)
            if die is not None and die.state is DieState.TESTED:
                found[die.hard] = MapBin(die.hard, line.name, line.quality.lower() in GOOD)
        return tuple(sorted(found.values(), key=lambda bin_: bin_.number))

    def counted(self, codes: dict[str, int]) -> None:
        """Refuse a map whose counts are not those of its rows."""
        for line in self._table.values():
            count = codes.get(line.code, 0)
            if line.count is not None and line.count != count:
                raise MapError(
                    f"{self._where}: BinCount of {line.code!r} is {line.count}, the rows have {count}"
                )
