"""What the campaign says of a journal in which intents and verdicts do not agree."""

from station import events
from station.chaos.evidence import _identities
from station.model import Disposition


def intended() -> events.Any:
    return events.Intended(at=1.0, unit="L/1", part=1, site=1, session="00")


def ended(disposition: Disposition | None) -> events.Any:
    return events.PersonalisationEnded(at=2.0, unit="L/1", part=1, disposition=disposition, detail="")


def test_one_intent_has_one_verdict() -> None:
    assert not list(_identities([intended(), ended(Disposition.SEALED)]))
    assert list(_identities([intended(), ended(Disposition.SEALED), ended(Disposition.SEALED)]))
    assert list(_identities([ended(Disposition.SEALED)]))


def test_a_vault_that_could_not_say_may_be_asked_once_more() -> None:
    assert not list(_identities([intended(), ended(None), ended(Disposition.SEALED)]))
    assert list(_identities([intended(), ended(None), ended(None), ended(Disposition.SEALED)]))


def test_an_intent_that_has_no_end_is_found() -> None:
    assert list(_identities([intended()]))
    assert not list(_identities([intended()], may_lack_end=True))
