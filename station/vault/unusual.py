"""What is not forbidden, and not as it is wont to be: too many dies in an hour, dies outside all shifts."""

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from msgspec import Meta, Struct

from station.custody.ledger import Fact

EVENT = "rate.unusual"
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY, WEEK = 24 * 60, 7 * 24 * 60
"""In minutes."""
HOUR_S = 3600.0
_SHIFT = re.compile(r"([a-z]{3})(?:-([a-z]{3}))? ([0-9]{2}):([0-9]{2})-([0-9]{2}):([0-9]{2})")
EXAMPLE = "mon-fri 06:00-22:00"


@dataclass(frozen=True)
class Shift:
    """When work is expected on some days of each week; one that ends before it begins does so a day later."""

    begins: tuple[int, ...]
    """Minutes of the week."""
    lasts: int

    @classmethod
    def read(cls, text: str) -> "Shift":
        """Read `mon-fri 06:00-22:00` or `sat 22:00-06:00`; ValueError."""
        found = _SHIFT.fullmatch(text)
        if found is None:
            raise ValueError(f"{text[:40]!r} is no shift such as {EXAMPLE!r}")
        first, last = found[1], found[2] or found[1]
        if first not in DAYS or last not in DAYS:
            raise ValueError(f"{text[:40]!r}: days are {', '.join(DAYS)}")
        start, end = _minute(found[3], found[4], text), _minute(found[5], found[6], text)
        one, count = DAYS.index(first), (DAYS.index(last) - DAYS.index(first)) % 7 + 1
        begins = tuple((one + day) % 7 * DAY + start for day in range(count))
        return cls(begins, (end - start) % DAY or DAY)

    def has(self, minute: int) -> bool:
        """Whether a minute of the week lies in it."""
        return any((minute - start) % WEEK < self.lasts for start in self.begins)


def _minute(hours: str, minutes: str, text: str) -> int:
    if int(hours) > 24 or int(minutes) > 59 or int(hours) * 60 + int(minutes) > DAY:
        raise ValueError(f"{text[:40]!r}: times are from 00:00 to 24:00")
    return int(hours) * 60 + int(minutes)


class AlarmsTable(Struct, frozen=True, forbid_unknown_fields=True):
    """What the plant expects; what is beyond it is told to the ledger as an alarm, and stops nothing."""

    issued_per_hour_max: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    """How many dies may get certificates within an hour; 0: as many as come."""
    shifts: tuple[str, ...] = ()
    """When dies are expected; empty: always."""
    quota_low_percent: Annotated[int, Meta(ge=0, le=100)] | None = None
    """When so much of an order is left, it is told; 0: never. By default 10 in production, else never."""
    zone: str = "UTC"
    """The time zone of the shifts, by its name in the IANA database."""

    def fault(self) -> str:
        """Say what is wrong with it; empty if nothing is."""
        try:
            _zone(self.zone)
            list(map(Shift.read, self.shifts))
        except ValueError as error:
            return str(error)
        return ""


def _zone(name: str) -> tzinfo:
    """UTC is known without any database."""
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"this machine knows no zone {name[:64]!r}; 'Europe/Amsterdam' is one") from error


class Unusual:
    """Looks at each die that comes and each that gets certificates. One thread."""

    def __init__(self, table: AlarmsTable | None = None) -> None:
        table = AlarmsTable() if table is None else table
        self._shifts, self._zone = tuple(map(Shift.read, table.shifts)), _zone(table.zone)
        self._issued = deque[float](maxlen=table.issued_per_hour_max + 1)
        self._limit = table.issued_per_hour_max
        self._loud_until = 0.0
        self._outside: set[str] = set()
        """Stations of which it was told since their last die within a shift."""

    def issued(self, now: float) -> Iterator[Fact]:
        """A die gets certificates: the alarm that this is, once an hour."""
        if not self._limit:
            return
        self._issued.append(now)
        within_s = now - self._issued[0]
        if len(self._issued) > self._limit and within_s < HOUR_S and now >= self._loud_until:
            self._loud_until = now + HOUR_S
            count = len(self._issued)
            why = f"{count} dies got certificates within {within_s:.0f} s, {self._limit} an hour are expected"
            yield Fact(EVENT, data={"kind": "rate", "issued": count, "why": why})

    def came(self, station: str, now: float) -> Iterator[Fact]:
        """A station brings a die: the alarm that this is, once until it brings one within a shift."""
        if not self._shifts:
            return
        at = datetime.fromtimestamp(now, UTC).astimezone(self._zone)
        minute = at.weekday() * DAY + at.hour * 60 + at.minute
        if any(shift.has(minute) for shift in self._shifts):
            self._outside.discard(station)
        elif station not in self._outside:
            self._outside.add(station)
            why = f"{station} brings dies outside all shifts, {DAYS[at.weekday()]} {at:%H:%M} {self._zone}"
            yield Fact(EVENT, data={"kind": "shift", "station": station, "why": why})
