"""BPS and EPS: which records of a device were made under which condition of the sequence."""

from collections.abc import Iterable, Iterator

from station.datalog.stdf.records import encode, whole
from station.datalog.stdf.writer import plain
from station.set_up import Section

END = encode("EPS", {})


class Sections:
    """Puts the records of one device between the marks of their sections."""

    def __init__(self, sections: tuple[Section, ...]) -> None:
        """`sections`: in table order, each before those inside it."""
        self._last = [section.last for section in sections]
        self._first = [section.first for section in sections]
        self._begins = [whole("BPS", SEQ_NAME=plain(section.name)) for section in sections]

    def framed(self, records: Iterable[tuple[int, bytes]]) -> Iterator[bytes]:
        """Yield records, given with their rising test numbers; a section without any leaves no mark."""
        inside, following = list[int](), 0
        for number, record in records:
            while inside and number > self._last[inside[-1]]:
                inside.pop()
                yield END
            while following < len(self._first) and self._first[following] <= number:
                if number <= self._last[following]:
                    inside.append(following)
                    yield self._begins[following]
                following += 1
            yield record
        yield END * len(inside)
