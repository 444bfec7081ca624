"""What is told of a test beside its result: attempts that failed, rows that a rule left out. Pure."""

from collections.abc import Iterable

from station.model import Measurement, Note
from station.sequence import Entrusted, Judged, S, function_name

LONGEST = 180


def wanted(test: Judged[S], measured: Iterable[Measurement]) -> bool:
    """Tell whether a row runs, by its rule; TypeError if that answers anything but a bool."""
    if isinstance(test, Entrusted) or test.when is None:
        return True
    answer: object = test.when({one.name: one for one in measured})
    if not isinstance(answer, bool):
        rule, kind = function_name(test.when), type(answer).__name__
        raise TypeError(f"the rule {rule} answered {kind}, not a bool")
    return answer


def skipped(test: Judged[S]) -> Note:
    """Note which rule left a row out."""
    rule = "" if isinstance(test, Entrusted) or test.when is None else function_name(test.when)
    return Note("skipped", test.number, rule[:LONGEST])


def attempted(measured: Measurement) -> Note:
    """Note what an attempt came to that was not the last one."""
    values = measured.values or (() if measured.value is None else (measured.value,))
    said = [*(f"{value!r}" for value in values), measured.text]
    return Note("attempt", measured.test, " ".join(filter(None, said))[:LONGEST])
