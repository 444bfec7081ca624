"""An order for one lot of a development vault, signed by persons whom anybody can sign for."""

from dataclasses import dataclass

from station.errors import CustodyError
from station.vault.desk.client import Asked, DeskClient
from station.vault.desk.documents import KeyRelease, WorkOrder
from station.vault.desk.roles import Action
from station.vault.desk.signers import PersonSigner, development
from station.vault.desk.statement import Statement, signed
from station.vault.profiles import PRODUCTS

ENGINEER, OFFICER, SECOND_OFFICER = "p-00000001", "p-00000002", "p-00000003"
VALID_S = 30 * 86_400


@dataclass(frozen=True)
class Lot:
    """What the order is to allow."""

    name: str
    product: str
    quantity: int
    fingerprint: bytes
    station: str
    now: float
    """Unix seconds."""


async def order(desk: DeskClient, lot: Lot) -> str:
    """Add an order for exactly this lot if it has none, release the keys for it, and return its id.

    CustodyError if the vault refuses: one that is not of development mode knows none of these persons.
    """
    try:
        greeting = await desk.greet()
        work = _work_order(lot)
        engineer, officer = development(ENGINEER), development(OFFICER)
        if (await desk.ask(Asked(Action.SHOW_ORDERS, work.id), engineer)).code == "not_found":
            await _settled(desk, Action.ADD_ORDER, work.id, work, (engineer, officer))
        release = KeyRelease(
            key_set=greeting.key_set, order=work.id, stations=(lot.station,), not_after=work.not_after
        )
        officers = (officer, development(SECOND_OFFICER))
        await _settled(desk, Action.RELEASE_KEYS, work.id, release, officers)
    finally:
        await desk.aclose()
    return work.id


def _work_order(lot: Lot) -> WorkOrder:
    profile = PRODUCTS.get(lot.product)
    if profile is None:
        raise CustodyError(f"product {lot.product!r} is none of {', '.join(PRODUCTS)}")
    return WorkOrder(
        id=f"DEV-{lot.name}",
        customer="development",
        product=lot.product,
        quantity=lot.quantity,
        not_before=int(lot.now),
        not_after=int(lot.now) + VALID_S,
        profile_hash=profile.hash().hex(),
        fingerprints=(lot.fingerprint.hex(),),
        lots=(lot.name,),
        policy_oid=profile.policy_oid,
    )


async def _settled(
    desk: DeskClient, action: Action, target: str, document: Statement, signers: tuple[PersonSigner, ...]
) -> None:
    asked = Asked(action, target, document=signed(document, signers))
    answer = await desk.ask(asked, signers[-1])
    if answer.code != "ok":
        raise CustodyError(f"the vault refused {action} of {target}: {answer.code}: {answer.detail}")
