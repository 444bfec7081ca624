"""Orders, key releases, approvals: what two persons did not sign, in time, for exactly this, is found."""

from hashlib import sha256
from pathlib import Path

import msgspec
import pytest

from station.custody.ledger import decoded as entry_of
from station.evidence.dual_control import ActionLine, PersonLine
from station.evidence.strict import base64url, decoded, encoded, unpadded
from station.vault.desk.client import approved
from station.vault.desk.documents import KeyRelease, Request, WorkOrder, digest_of
from station.vault.desk.roles import Role
from station.vault.desk.signers import PersonSigner
from station.vault.desk.statement import opened, signed
from station.vault.secret import Secret
from tests.station.evidence.desks import ENGINEER, OFFICER, OPERATOR, SECOND
from tests.station.evidence.lots import Lot
from tests.station.evidence.test_ledgers import entries, rewritten, trusting
from tests.station.vault.dies import NOW
from tests.station.vault.vaults import work_order


def action(lot: Lot) -> ActionLine:
    return decoded(lot.files["actions.jsonl"].strip(), ActionLine)


def approvals(lot: Lot, *given: str) -> dict[str, bytes | None]:
    return {"actions.jsonl": encoded(ActionLine(action(lot).request, given)) + b"\n"}


def approving(lot: Lot, signer: PersonSigner, role: Role, at: float = NOW, **changes: object) -> str:
    request = opened(action(lot).request.encode()).read(Request)
    return approved(msgspec.structs.replace(request, **changes), signer, role, int(at)).decode()


UNAPPROVED = "actions.jsonl: L1/6: has no approval of leaf "


def said(lot: Lot, path: Path, changes: dict[str, bytes | None]) -> str:
    """The first finding, of two: the approval, and so the move without one."""
    first, second = lot.judged(path, changes)
    assert second.startswith(UNAPPROVED)
    return first.removeprefix("actions.jsonl: line 1: ")


def test_two_witnesses_have_approved_the_destruction(lot: Lot) -> None:
    assert len(action(lot).approvals) == 2


def test_one_approval_twice(lot: Lot, tmp_path: Path) -> None:
    first, _ = action(lot).approvals
    found = said(lot, tmp_path / "b.tar", approvals(lot, first, first))
    assert found == "an approval of p-00000001 is used twice"


def test_one_person_twice(lot: Lot, tmp_path: Path) -> None:
    first, _ = action(lot).approvals
    again = approving(lot, ENGINEER, Role.ENGINEER)
    assert said(lot, tmp_path / "b.tar", approvals(lot, first, again)) == (
        "an approval of p-00000001 is used twice"
    )


def test_one_person_alone(lot: Lot, tmp_path: Path) -> None:
    first, _ = action(lot).approvals
    assert said(lot, tmp_path / "b.tar", approvals(lot, first)).endswith("is not approved by enough persons")


def test_a_person_in_a_role_that_he_has_not(lot: Lot, tmp_path: Path) -> None:
    first, _ = action(lot).approvals
    other = approving(lot, OPERATOR, Role.OFFICER)
    assert said(lot, tmp_path / "b.tar", approvals(lot, first, other)) == "p-00000004 is no security-officer"


@pytest.mark.parametrize("at", [NOW - 700, NOW + 10])
def test_an_approval_at_another_time(lot: Lot, tmp_path: Path, at: float) -> None:
    first, _ = action(lot).approvals
    late = approving(lot, OPERATOR, Role.OPERATOR, at)
    assert said(lot, tmp_path / "b.tar", approvals(lot, first, late)) == (
        "the approval of p-00000004 was not valid when it was used"
    )


def test_an_approval_of_another_action(lot: Lot, tmp_path: Path) -> None:
    first, _ = action(lot).approvals
    other = approving(lot, OPERATOR, Role.OPERATOR, parameters={"units": ["L1/1"]})
    assert said(lot, tmp_path / "b.tar", approvals(lot, first, other)) == (
        "the approval of p-00000004 is for another action"
    )


def test_an_approval_that_was_changed(lot: Lot, tmp_path: Path) -> None:
    first, second = action(lot).approvals
    mixed = msgspec.json.decode(second, type=dict[str, object])
    mixed["signatures"] = msgspec.json.decode(first, type=dict[str, object])["signatures"]
    found = said(lot, tmp_path / "b.tar", approvals(lot, first, msgspec.json.encode(mixed).decode()))
    assert found == "the Ed25519 signature of p-00000001 does not verify"


def test_a_request_that_was_changed(lot: Lot, tmp_path: Path) -> None:
    """What the approvals do not cover, its own signature does: who asked, and when."""
    envelope = msgspec.json.decode(action(lot).request)
    told = msgspec.json.decode(base64url(envelope["payload"]), type=dict[str, object])
    envelope["payload"] = unpadded(msgspec.json.encode(told | {"person": "p-00000003"}))
    changed = ActionLine(msgspec.json.encode(envelope).decode(), action(lot).approvals)
    found = said(lot, tmp_path / "b.tar", {"actions.jsonl": encoded(changed) + b"\n"})
    assert found == "the Ed25519 signature of p-00000002 does not verify"


def test_no_approvals_at_all(lot: Lot, tmp_path: Path) -> None:
    (found,) = lot.judged(tmp_path / "b.tar", {"actions.jsonl": b""})
    assert found.startswith(UNAPPROVED)


def test_another_key_than_the_trusted_one(lot: Lot) -> None:
    trust = msgspec.structs.replace(lot.trust, persons={"p-00000001": "00" * 32})
    found = list(map(str, lot.verdict(trust=trust).findings))
    assert found[0] == "persons.jsonl: the card of p-00000001 has another key than the trusted one"


def test_one_key_under_two_names(lot: Lot, tmp_path: Path) -> None:
    """One person with two cards is not two persons."""
    seed = sha256(b"hardbin development person p-00000001").digest()
    twin = PersonSigner("p-000000aa", Secret(seed))
    line = encoded(PersonLine(twin.kid, (Role.OPERATOR,), twin.card().decode())) + b"\n"
    changed = {"persons.jsonl": lot.files["persons.jsonl"] + line}
    wanted = "persons.jsonl: p-000000aa has the key of p-00000001"
    assert lot.judged(tmp_path / "b.tar", changed) == [wanted]


def test_a_card_of_somebody_else(lot: Lot, tmp_path: Path) -> None:
    lines = [decoded(line, PersonLine) for line in lot.files["persons.jsonl"].splitlines()]
    lines[0] = msgspec.structs.replace(lines[0], card=lines[1].card)
    changed = b"".join(encoded(line) + b"\n" for line in lines)
    assert "persons.jsonl: the card of p-00000001 has another key than the trusted one" in lot.judged(
        tmp_path / "b.tar", {"persons.jsonl": changed}
    )


# -- orders
def under(lot: Lot, folder: Path, order: WorkOrder, *signers: PersonSigner) -> list[str]:
    """What is said of the lot under another order, which the ledger tells of as if it were the one."""
    envelope = signed(order, signers)
    old = digest_of(lot.files["order.json"]).encode()
    told = [entry.replace(old, digest_of(envelope).encode()) for entry in entries(lot)]
    _, files = rewritten(lot, folder / "ledger", told)
    path = lot.forged(folder / "b.tar", files | {"order.json": envelope})
    return list(map(str, lot.verdict(path, trusting(lot)).findings))


def test_the_same_order_is_sound(lot: Lot, tmp_path: Path) -> None:
    assert under(lot, tmp_path, work_order(), ENGINEER, OFFICER) == []


def test_a_quota_that_is_exceeded(lot: Lot, tmp_path: Path) -> None:
    found = under(lot, tmp_path, work_order(quantity=2, allowance=100), ENGINEER, OFFICER)
    assert found == ["order.json: allows 2 devices, the ledger seals 3 under it"]


def test_more_begun_than_allowed(lot: Lot, tmp_path: Path) -> None:
    """Five got certificates, and the destroyed one gives its begin back."""
    assert under(lot, tmp_path, work_order(quantity=4, allowance=0), ENGINEER, OFFICER) == []
    found = under(lot, tmp_path / "less", work_order(quantity=3, allowance=0), ENGINEER, OFFICER)
    assert found == ["order.json: allows 3 to be begun; 5 got certificates, 1 of them were destroyed"]


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"fingerprints": ("00" * 32,)}, "its sequence is not one that the order allows"),
        ({"profile_hash": "00" * 32}, "its profile is not that of the order"),
        ({"not_after": int(NOW) - 1}, "outside the order's dates"),
    ],
)
def test_devices_outside_their_order(lot: Lot, tmp_path: Path, changes: dict[str, object], what: str) -> None:
    found = under(lot, tmp_path, work_order(**changes), ENGINEER, OFFICER)
    assert [(one[:20], one.endswith(what)) for one in found] == [
        (f"manifest.jsonl: L1/{number}"[:20], True) for number in (1, 2, 3)
    ]


@pytest.mark.parametrize("changes", [{"product": "se2"}, {"lots": ("L2",)}])
def test_an_order_for_something_else(lot: Lot, tmp_path: Path, changes: dict[str, object]) -> None:
    found = under(lot, tmp_path, work_order(**changes), ENGINEER, OFFICER)
    assert found == ["order.json: is not for this product and lot"]


@pytest.mark.parametrize("signers", [(ENGINEER,), (OFFICER, SECOND), (OFFICER, OPERATOR)])
def test_an_order_that_is_not_signed_by_the_right_two(
    lot: Lot, tmp_path: Path, signers: tuple[PersonSigner, ...]
) -> None:
    (found,) = under(lot, tmp_path, work_order(), *signers)
    assert found.endswith("which is not enough")


def test_an_order_that_the_ledger_does_not_know(lot: Lot, tmp_path: Path) -> None:
    envelope = signed(work_order(quantity=1000), (ENGINEER, OFFICER))
    found = lot.judged(tmp_path / "b.tar", {"order.json": envelope})
    assert found == ["order.json: no leaf of the ledger tells of it"]


@pytest.mark.parametrize(("content", "what"), [(None, "is missing"), (b"{}", "not a signed statement")])
def test_no_order(lot: Lot, tmp_path: Path, content: bytes | None, what: str) -> None:
    (found,) = lot.judged(tmp_path / "b.tar", {"order.json": content})
    assert found.startswith(f"order.json: {what}")


# -- key releases
def test_keys_that_were_not_released(lot: Lot, tmp_path: Path) -> None:
    name = next(name for name in lot.files if name.startswith("releases/"))
    found = lot.judged(tmp_path / "b.tar", {name: None})
    assert found == [f"manifest.jsonl: L1/{n}: no keys were released for it at cell" for n in (1, 2, 3)]


@pytest.mark.parametrize("signers", [(OFFICER,), (OFFICER, ENGINEER)])
def test_keys_released_by_others_than_two_officers(
    lot: Lot, tmp_path: Path, signers: tuple[PersonSigner, ...]
) -> None:
    name = next(name for name in lot.files if name.startswith("releases/"))
    release = opened(lot.files[name]).read(KeyRelease)
    found = lot.judged(tmp_path / "b.tar", {name: signed(release, signers)})
    assert found[0].startswith(f"{name}: is signed by p-0000000")
    assert found[0].endswith("which is not enough")


def test_the_ledger_tells_of_all_that_persons_did(lot: Lot) -> None:
    told = [entry_of(entry) for entry in entries(lot)]
    desk = [entry.event for entry in told if entry.src == "desk"]
    assert desk == [
        "order.added",
        "key.released",
        "approval.given",
        "approval.given",
        "approval.used",
        "unit.destroyed",
    ]
