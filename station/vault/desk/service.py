"""The desk service: what persons may ask of the vault, by signed requests and the rights of their roles."""

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

import grpc
import msgspec
import structlog

from station.custody.accounts import MoveRefusedError
from station.custody.ledger import Fact
from station.vault.desk import approvals, people
from station.vault.desk.approvals import Consent
from station.vault.desk.documents import Request, digest_of, parameters_of
from station.vault.desk.roles import RIGHTS, Action, seated
from station.vault.desk.statement import StatementError, opened
from station.vault.faults import FaultError
from station.vault.journal import Journal, JournalError
from station.vault.stops import Stops
from station.vault.teller import Teller
from station.vault.times import Times
from station.vault.wire import desk_pb2 as wire

log = structlog.get_logger()

DeskContext: TypeAlias = "grpc.aio.ServicerContext[wire.Call, wire.Answer]"
T = TypeVar("T")
SIGNED = frozenset({Action.ADD_ORDER, Action.RELEASE_KEYS, Action.ADD_DIES, Action.RELEASE_PROFILE})
"""Actions whose document two persons have signed; it needs no approvals beside."""
DOCUMENTED = SIGNED | {
    Action.ADD_PERSON,
    Action.IMPORT_CEREMONY,
    Action.OPEN_UNIT,
    Action.RELEASE_RECIPE,
}
READING = frozenset(
    {
        Action.SHOW_ORDERS,
        Action.SHOW_PROPOSALS,
        Action.SHOW_PEOPLE,
        Action.BALANCE,
        Action.UNITS,
        Action.SHOW_BOX,
    }
)


@dataclass(frozen=True)
class Acting:
    """An action that may be done now: what, by whom, when."""

    request: Request
    document: bytes
    persons: tuple[Consent, ...]
    now: float

    def parameters(self, kind: type[T]) -> T:
        """Return the parameters; StatementError if they are not those of the action."""
        return parameters_of(self.request, kind)


Handler = Callable[[sqlite3.Connection, Acting], object]
"""Does one action; what it returns is the answer's body."""


class Desk:
    """The vault as people see it. Each call is one transaction, or none if it is refused."""

    def __init__(
        self,
        journal: Journal,
        handlers: Mapping[Action, Handler],
        teller: Teller,
        times: Times,
        greeting: wire.GreetReply,
        stops: Stops,
    ) -> None:
        self._journal, self._handlers, self._teller = journal, handlers, teller
        self._times, self._greeting, self._stops = times, greeting, stops

    async def greet(self, request: wire.GreetRequest, context: DeskContext) -> wire.GreetReply:
        """Say who we are."""
        del request
        greeting = wire.GreetReply()
        greeting.CopyFrom(self._greeting)
        greeting.time = int(self._times.now(context.invocation_metadata()))
        greeting.stops.extend(self._stops.reasons.values())
        return greeting

    def answering(self, action: Action) -> Callable[[wire.Call, DeskContext], object]:
        """Return the coroutine function that serves one call."""

        async def serve(call: wire.Call, context: DeskContext) -> wire.Answer:
            try:
                now = self._times.now(context.invocation_metadata())
                answer = await self._journal.commit(lambda db: self._attempted(db, action, call, now))
            except FaultError as fault:
                return wire.Answer(code="wrong_state", detail=str(fault))
            except JournalError as error:
                return wire.Answer(code="integrity", detail=str(error))
            log.info("desk", action=action.value, code=answer.code, detail=answer.detail)
            return answer

        return serve

    def _attempted(self, db: sqlite3.Connection, action: Action, call: wire.Call, now: float) -> wire.Answer:
        """Do it, or undo all of it and keep only that it was refused."""
        db.execute("SAVEPOINT desk")
        try:
            return self._acted(db, action, call, now)
        except (StatementError, MoveRefusedError) as refused:
            db.execute("ROLLBACK TO desk")
            code = refused.code if isinstance(refused, StatementError) else "wrong_state"
            self._tell_refusal(db, action, code, call, now)
            return wire.Answer(code=code, detail=str(refused))
        finally:
            db.execute("RELEASE desk")

    def _acted(self, db: sqlite3.Connection, action: Action, call: wire.Call, now: float) -> wire.Answer:
        request = approvals.asked(db, call.request, self._greeting.vault, now)
        if request.action is not action:
            raise StatementError("wrong_audience", f"this asks for {request.action}, not for {action}")
        _same_document(request, call.document)
        if action is Action.APPROVE:
            return self._approved(db, request, call, now)
        if action in SIGNED:
            persons = signers(db, action, call.document)
            return self._done(db, Acting(request, call.document, persons, now))
        if len(RIGHTS[action]) == 1:
            return self._done(db, Acting(request, call.document, _alone(db, request), now))
        approvals.propose(db, request, call.request, call.document)
        return self._with_approvals(db, request, call, now)

    def _approved(self, db: sqlite3.Connection, request: Request, call: wire.Call, now: float) -> wire.Answer:
        proposal, document = approvals.proposed(db, request.target, now)
        full = wire.Call(document=document, approvals=call.approvals)
        return self._with_approvals(db, proposal, full, now)

    def _with_approvals(
        self, db: sqlite3.Connection, request: Request, call: wire.Call, now: float
    ) -> wire.Answer:
        """Take the approvals that came; do the action if they are enough."""
        digest = request.action_hash()
        for envelope in call.approvals:
            consent = approvals.give(db, envelope, request, now)
            data = {"action": request.action.value, "action_hash": digest, "role": consent.role.value}
            self._teller.tell(db, now, Fact("approval.given", "desk", data, actor=consent.person))
        persons = approvals.use(db, request, now)
        if not persons:
            waits = f"{request.action} {request.target} waits for another person's approval"
            return wire.Answer(code="dual_pending", detail=waits, action_hash=digest)
        used = {"action": request.action.value, "action_hash": digest, "persons": [p.person for p in persons]}
        self._teller.tell(db, now, Fact("approval.used", "desk", used))
        return self._done(db, Acting(request, call.document, persons, now))

    def _done(self, db: sqlite3.Connection, acting: Acting) -> wire.Answer:
        body = self._handlers[acting.request.action](db, acting)
        return wire.Answer(
            code="ok", body=msgspec.json.encode(body), action_hash=acting.request.action_hash()
        )

    def _tell_refusal(
        self, db: sqlite3.Connection, action: Action, code: str, call: wire.Call, now: float
    ) -> None:
        data = {"action": action.value, "code": code, "request": digest_of(call.request)}
        event = "approval.refused" if call.approvals else "session.refused"
        self._teller.tell(db, now, Fact(event, "desk", data))


def _same_document(request: Request, document: bytes) -> None:
    named = request.parameters.get("document")
    if request.action not in DOCUMENTED:
        if document:
            raise StatementError("malformed", f"{request.action} takes no document")
    elif named != digest_of(document):
        raise StatementError("malformed", "the document is not the one that the request names by its SHA-256")


def signers(db: sqlite3.Connection, action: Action, document: bytes) -> tuple[Consent, ...]:
    """Return who signed a document; StatementError unless their roles fill all seats of the action."""
    names = opened(document).signed_by(lambda kid: people.keys(db, kid))
    roles = {name: person.roles for name in names if (person := people.known(db, name))}
    if not seated(action, roles):
        needed = " and ".join("/".join(sorted(seat)) for seat in RIGHTS[action])
        raise StatementError("dual_denied", f"{action} must be signed by {needed}, two persons")
    return tuple(Consent(name, min(held)) for name, held in roles.items() if held)


def _alone(db: sqlite3.Connection, request: Request) -> tuple[Consent, ...]:
    person = people.known(db, request.person)
    fit = sorted(RIGHTS[request.action][0] & person.roles) if person else []
    return (Consent(request.person, fit[0]),)
