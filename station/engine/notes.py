"""What is told of a test beside its result: attempts, rows that a rule left out, narrow passes. Pure."""

from collections.abc import Iterable, Mapping, Sequence

from msgspec.structs import replace

from station.engine.past import Known, UnknownPastError
from station.model import SECOND_LOOK, Measurement, Note
from station.sequence import Entrusted, Judged, Parametric, S, Test, function_name

LONGEST = 180


def wanted(test: Judged[S], measured: Iterable[Measurement], past: Mapping[str, Measurement]) -> bool:
    """Tell whether a row runs, by its rule; TypeError if that answers anything but a bool.

    It runs if the rule asks for what is not known of an earlier insertion.
    """
    if isinstance(test, Entrusted) or test.when is None:
        return True
    try:
        answer: object = test.when(Known({**past, **{one.name: one for one in measured}}))
    except UnknownPastError:
        return True
    if not isinstance(answer, bool):
        rule, kind = function_name(test.when), type(answer).__name__
        raise TypeError(f"the rule {rule} answered {kind}, not a bool")
    return answer


def skipped(test: Judged[S]) -> Note:
    """Note which rule left a row out."""
    rule = "" if isinstance(test, Entrusted) or test.when is None else function_name(test.when)
    return Note("skipped", test.number, rule[:LONGEST])


def withheld(test: Test[S]) -> Note:
    """Note that a row is not run, since the vault has no part in an engineering lot."""
    return Note("withheld", test.number, "engineering lot")


def attempted(measured: Measurement) -> Note:
    """Note what an attempt came to that was not the last one."""
    values = measured.values or (() if measured.value is None else (measured.value,))
    said = [*(f"{value!r}" for value in values), measured.text]
    return Note("attempt", measured.test, " ".join(filter(None, said))[:LONGEST])


def alarmed(test: Judged[S], at_limit: Sequence[str], tripped: Sequence[str]) -> Note:
    """Note which instruments were at their limit while a row ran, and which switched themselves off."""
    kinds = {"at its limit": at_limit, "tripped": tripped}
    said = [f"{kind}: {', '.join(roles)}" for kind, roles in kinds.items() if roles]
    return Note("alarm", test.number, "; ".join(said)[:LONGEST])


def of_second_look(note: Note) -> Note:
    """Return the note of an alarm so that it does not go for that of the result that stands."""
    return replace(note, text=f"{SECOND_LOOK}{note.text}"[:LONGEST]) if note.kind == "alarm" else note


def narrow(test: Judged[S], measured: Measurement) -> list[Note]:
    """Note that a row was passed near a limit, if it asks for that; how near, as a share of the span."""
    if not isinstance(test, Parametric) or not test.marginal:
        return []
    low, high = test.limit.low, test.limit.high
    if low is None or high is None or not high > low:
        return []
    values = measured.values or (() if measured.value is None else (measured.value,))
    nearest = min(min(value - low, high - value) for value in values) / (high - low)
    return [Note("marginal", test.number, f"{nearest:.3g} of the span")] if nearest < test.marginal else []
