"""Which sites are out of use: what the events of a lot say of it."""

from dataclasses import dataclass

from station import events

SITE = "site "


@dataclass(frozen=True)
class Turned:
    """A site was taken out of use, and why, or is in use again."""

    site: int
    on: bool
    why: str = ""


def turned(event: events.Any) -> Turned | None:
    """Return what an event says of the use of a site; None if nothing."""
    match event:
        case events.SiteSet(site=site, on=on, reason=reason):
            return Turned(site, on, "" if on else reason)
        case events.RuleTripped(action="site off"):
            return Turned(event.site, on=False, why=f"rule {event.rule}: {event.seen}")
        case events.Quarantined(resource=resource) if resource.startswith(SITE):
            return Turned(_site(resource), on=False, why=event.reason)
        case events.Cleared(resource=resource) if resource.startswith(SITE):
            return Turned(_site(resource), on=True)
        case _:
            return None


def _site(resource: str) -> int:
    return int(resource.removeprefix(SITE))
