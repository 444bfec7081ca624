"""What the journal says of commands: that they were taken or refused, and what persons say by them."""

from station import authority, commands, events
from station.engine.states import State

MINUTE_S = 60.0
REASONED = (
    commands.Release
    | commands.Close
    | commands.Apply
    | commands.Reason
    | commands.SetSite
    | commands.Retest
    | commands.Shelve
    | commands.Waive
)
"""Commands that take a reason."""


def name_of(command: commands.Any) -> str:
    """Return the command's name."""
    return str(command.__struct_config__.tag)


def unreasoned(command: commands.Any) -> tuple[str, str] | None:
    """Return as code and reason that somebody has not said why, though he must."""
    if isinstance(command, REASONED) and not command.reason:
        return "bad_arguments", f"{name_of(command)} needs a reason"
    return None


def denied(command: commands.Waive | commands.Load) -> tuple[str, str] | None:
    """Return as code and reason that he may not ask for this: what these ask for decides who may."""
    if isinstance(command, commands.Waive):
        return authority.no_waiver(command.check, command.roles)
    return authority.not_an_engineer(command.mode, command.roles)


def accepted(command: commands.Any, at: float) -> events.CommandAccepted:
    """Return the durable receipt of a command that takes effect."""
    return events.CommandAccepted(
        at=at,
        id=command.id,
        command=name_of(command),
        actor=command.actor,
        source=command.source,
        reason=command.reason,
        roles=tuple(sorted(command.roles)),
        second=command.second if isinstance(command, commands.Seconded) else "",
    )


def refused(command: commands.Any, at: float, code: str, reason: str) -> events.CommandRefused:
    """Return the durable receipt of a command that has no effect."""
    return events.CommandRefused(
        at=at,
        id=command.id,
        command=name_of(command),
        actor=command.actor,
        code=code,
        reason=reason,
        source=command.source,
        roles=tuple(sorted(command.roles)),
    )


def said(command: commands.Any, at: float) -> events.Any | None:
    """Return what a person says by a command that is nothing more than that; None of any other."""
    who = command.actor
    match command:
        case commands.Reason(state=state, reason=reason, source=source):
            return events.ReasonGiven(at=at, state=state, reason=reason, actor=who, source=source)
        case commands.SetSite(site=site, on=on, reason=reason):
            return events.SiteSet(at=at, site=site, on=on, actor=who, reason=reason)
        case commands.Unload():
            return events.StateChanged(at=at, old=State.CLOSED.value, new=State.EMPTY.value)
        case commands.Waive(check=check, reason=reason):
            return events.CheckWaived(at=at, check=check, actor=who, reason=reason)
        case commands.Acknowledge(alarm=alarm):
            return events.Acknowledged(at=at, alarm=alarm, actor=who)
        case commands.Shelve(alarm=alarm, minutes=minutes, reason=reason):
            until = at + minutes * MINUTE_S
            return events.Shelved(at=at, alarm=alarm, until=until, actor=who, reason=reason)
        case _:
            return None
