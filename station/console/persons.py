"""Persons at the page: logging in with badge or security key, accounts, and acts that take two of them."""

from collections.abc import Callable, Sequence
from typing import Annotated, Literal, TypeAlias, TypeVar

import msgspec
from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response

from station import commands
from station.authority import Action
from station.console.defence import body_of
from station.console.identity import COOKIE, Identity, Person
from station.console.orders import Orders
from station.console.sessions import Sessions, opened
from station.people import person as people_person
from station.people.dual_control import Act, Proof, short
from station.people.people import People
from station.people.person import PeopleError
from station.people.security_keys import Page
from station.people.sessions import Session
from station.vault.desk.roles import Role

T = TypeVar("T")
Seats: TypeAlias = tuple[tuple[str, ...], ...]
Both: TypeAlias = tuple[Act, tuple[people_person.Person, ...]]
NOBODY_LOGS_IN = "this console was started for one person: nobody logs in"


class Entered(Struct, frozen=True, forbid_unknown_fields=True):
    """How a person shows who he is: badge and PIN, or the answer of a security key."""

    badge: Annotated[str, Meta(max_length=128)] = ""
    pin: Annotated[str, Meta(max_length=64)] = ""
    key: Annotated[str, Meta(max_length=8192)] = ""


class Wanted(Struct, frozen=True, forbid_unknown_fields=True):
    """An act on an account, or a command that takes two, and the first of them."""

    do: Literal["add", "roles", "renew", "hold.release", "cell.recover", "lot.close", "config.apply"]
    name: Annotated[str, Meta(min_length=1, max_length=64)]
    roles: tuple[Role, ...] = ()
    badge: Annotated[str, Meta(max_length=128)] = ""
    pin: Annotated[str, Meta(max_length=64)] = ""
    said: dict[str, object] = {}
    """Of a command of the cell: what else it takes."""


class Shown(Struct, frozen=True):
    """An act as both persons see it."""

    digest: str
    short: str
    act: Act


class Stand(Struct, frozen=True):
    """What a command that lets the lot go on, or be closed, is consented to for: this, and nothing later."""

    lot: str
    line: int
    """Of the journal, in which the state changed last."""
    takes: Seats

    def said(self) -> dict[str, object]:
        """Return it as parameters of an act."""
        return {"lot": self.lot, "line": self.line, "takes": [list(one) for one in self.takes]}


class Persons:
    """Answers what concerns persons; `identity.people` is None where nobody logs in."""

    def __init__(self, identity: Identity, orders: Orders, stand: Callable[[str], Stand]) -> None:
        """`stand`: how the cell stands, and whom a command takes now, by its name."""
        self._identity, self._orders, self._stand = identity, orders, stand

    # -- sessions
    async def enter(self, request: Request) -> Response:
        """Log in, with badge and PIN or with a key's answer to a greeting."""
        asked = await _body(request, Entered)
        if asked.key:
            token = await self._on(lambda people: people.enter_by_key(_page(request), asked.key, "console"))
        elif not (asked.badge and asked.pin):
            raise PeopleError("bad_arguments", "badge and PIN are needed")
        else:
            token = await self._identity.enter(asked.badge, asked.pin)
        return opened(request, token)

    async def leave(self, request: Request) -> Response:
        """Log out."""
        return await Sessions(self._identity).leave(request)

    async def greeting(self, request: Request) -> Response:
        """What a security key is asked to log in."""
        return _raw(await self._on(lambda people: people.keys.greeting(_page(request))))

    # -- keys
    async def registration(self, request: Request) -> Response:
        """What a key is asked to belong to whoever has logged in."""
        session = await self._session(request)
        return _raw(await self._on(lambda people: people.keys.registration(session, _page(request))))

    async def register(self, request: Request) -> Response:
        """Take the key of whoever has logged in."""
        session, asked = await self._session(request), await _body(request, Entered)
        await self._on(lambda people: people.keys.register(session, _page(request), asked.key))
        return _json(commands.Receipt(True, "ok"))

    # -- accounts
    async def accounts(self, request: Request) -> Response:
        """The accounts and the head of their ledger, for whoever has logged in."""
        await self._session(request)
        return _json(await self._on(lambda people: {"people": people.listed(), "ledger": people.head()}))

    async def ask(self, request: Request) -> Response:
        """Begin an act; the first person shows who he is for it."""
        asked = await _body(request, Wanted)
        action, parameters = self._meant(asked)

        def begin(people: People) -> Act:
            proof = people.proof(asked.badge, asked.pin)
            return people.dual.ask(proof, action, asked.name, parameters)

        return _json(_shown(await self._on(begin)))

    def _meant(self, asked: Wanted) -> tuple[Action, dict[str, object]]:
        """Which action it is, and exactly what of it."""
        parameters: dict[str, object] = {"do": asked.do}
        if asked.do in ("add", "roles"):
            parameters["roles"] = sorted(asked.roles)
        if asked.do in ("add", "roles", "renew"):
            return Action.KEEP_PEOPLE, parameters
        if asked.do == "config.apply":
            return Action.APPLY, parameters | {"said": {**asked.said, "config": asked.name}}
        stand = self._stand(asked.do)
        if len(stand.takes) < 2 or stand.lot != asked.name:  # noqa: PLR2004 - two persons
            raise PeopleError("wrong_state", f"{asked.do} of {asked.name} does not take two persons now")
        return Action(asked.do), parameters | stand.said() | {"said": asked.said}

    async def question(self, request: Request) -> Response:
        """What a security key is asked to consent to an act."""
        digest = request.path_params["digest"]

        def ask(people: People) -> str:
            people.dual.act(digest)
            return people.keys.question(digest, _page(request))

        return _raw(await self._on(ask))

    async def approve(self, request: Request) -> Response:
        """Consent as the second person; then it is done, and what comes of it is told."""
        asked, digest, page = await _body(request, Entered), request.path_params["digest"], _page(request)

        def approve(people: People) -> tuple[str, Both | None]:
            act = people.dual.act(digest)
            proof = _proof(people, asked, digest, page)
            people.dual.approve(digest, proof)
            if act.action is Action.KEEP_PEOPLE:
                return people.carry_out(digest), None
            return "", people.consented(digest)

        told, both = await self._on(approve)
        receipt = commands.Receipt(True, "ok") if both is None else await self._commanded(digest, *both)
        return _json({**msgspec.to_builtins(receipt), "told": told})

    async def _commanded(
        self, digest: str, act: Act, persons: Sequence[people_person.Person]
    ) -> commands.Receipt:
        """Give the cell what both have consented to; the consents are used up, whatever it says."""
        if act.action is not Action.APPLY and not self._stands(act):
            return commands.Receipt(False, "wrong_state", "the cell stands otherwise than when it was asked")
        first, second, *_ = (Person(one.id, one.name, one.roles) for one in persons)
        said = msgspec.convert(act.parameters["said"], dict[str, object]) | _seen(act)
        return await self._orders.take(act.action, digest, first, msgspec.json.encode(said), second)

    def _stands(self, act: Act) -> bool:
        return all(act.parameters[name] == now for name, now in self._stand(act.action).said().items())

    async def deny(self, request: Request) -> Response:
        """End an act that waits, as either of the two."""
        asked, digest = await _body(request, Entered), request.path_params["digest"]
        await self._on(lambda people: people.dual.deny(digest, people.proof(asked.badge, asked.pin)))
        return _json(commands.Receipt(True, "ok"))

    # -- behind
    async def _session(self, request: Request) -> Session:
        token = request.cookies.get(COOKIE, "")
        found = await self._on(lambda people: people.session(token) if token else None)
        if found is None:
            raise PeopleError("denied", "log in first")
        return found

    async def _on(self, work: Callable[[People], T]) -> T:
        if self._identity.on_people is None:
            raise PeopleError("wrong_state", NOBODY_LOGS_IN)
        return await self._identity.on_people(work)


def _proof(people: People, asked: Entered, digest: str, page: Page) -> Proof:
    if asked.key:
        return people.keys.consent(digest, page, asked.key)
    return people.proof(asked.badge, asked.pin)


def _seen(act: Act) -> dict[str, object]:
    """To which lot and in which state of it; the cell looks again, since it may have gone on meanwhile."""
    return {name: act.parameters[name] for name in ("lot", "line") if name in act.parameters}


def _shown(act: Act) -> Shown:
    return Shown(act.digest, short(act.digest), act)


def _page(request: Request) -> Page:
    """The page that a key's answer must name; the host was checked before."""
    host = request.headers["host"]
    return Page(host.rpartition(":")[0] or host, f"{request.url.scheme}://{host}")


async def _body(request: Request, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(await body_of(request) or b"{}", type=kind)
    except msgspec.DecodeError as error:
        raise PeopleError("bad_arguments", str(error)) from error


def _json(what: object) -> Response:
    return Response(msgspec.json.encode(what), media_type="application/json")


def _raw(text: str) -> Response:
    return Response(text, media_type="application/json")
