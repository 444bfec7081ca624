"""`hardbin approve`: what waits for a second person, and that person's consent."""

import click
import msgspec

from station.cli.codes import Exit
from station.cli.desk_access import Caller, at_desk
from station.cli.key_access import stop
from station.vault.desk.documents import Request
from station.vault.desk.roles import Action


class Waiting(msgspec.Struct):
    """An action that waits, as the desk shows it, beside the request itself."""

    action_hash: str
    approved_by: list[str]


@click.command()
@click.argument("action_hash", metavar="[HASH]", required=False, default="")
@click.option("--yes", is_flag=True, help="Do not ask: what HASH stands for is known.")
@at_desk
def approve(caller: Caller, action_hash: str, *, yes: bool) -> None:
    """Print what waits for a second person; with HASH, approve it. It is done if that was the last one."""
    body = caller.ask(Action.SHOW_PROPOSALS, action_hash)
    if not action_hash:
        waiting = msgspec.convert(body, list[dict[str, object]])
        caller.show(body, [_told(one) for one in waiting] or ["nothing waits"])
        return
    named = msgspec.convert(body, list[dict[str, object]])
    if not named:
        stop(Exit.NOT_FOUND, f"no action {action_hash} waits for approval")
    found = named[0]
    request = _request(found)
    if request.action_hash() != action_hash:
        stop(Exit.TRUST, "the vault shows another action than the one with this hash")
    click.echo(_told(found), err=True)
    if not yes:
        click.confirm("Approve exactly this?", abort=True, err=True)
    signer = caller.who.signer()
    role = caller.quality(request.action, signer)
    answer = caller.wait(lambda desk: desk.approve(request, signer, role))
    caller.show(caller.settled(answer), [f"done: {request.action} {request.target}"])


def _request(shown: dict[str, object]) -> Request:
    fields = {one.encode_name for one in msgspec.structs.fields(Request)}
    return msgspec.convert({name: shown[name] for name in shown if name in fields}, Request)


def _told(shown: dict[str, object]) -> str:
    request, waiting = _request(shown), msgspec.convert(shown, Waiting)
    what = msgspec.json.encode(request.parameters).decode()
    by = f"asked by {request.person}, approved by {', '.join(waiting.approved_by) or 'nobody'}"
    return f"{waiting.action_hash} {request.action} {request.target}: {what}; {by}"
