"""A whole vault for production: from its ceremonies to the evidence of a lot. No development key is in it."""

import asyncio
import os
import threading
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest

from drivers.protocols import se1, se1_objects
from drivers.protocols.se1_table import LifeCycle, Token
from sim.dut import transport
from sim.dut.chip import Chip
from station.clock import RealClock
from station.custody.balance import Binned
from station.errors import CustodyError
from station.evidence.bundle import BUNDLE, TRUST
from station.evidence.trust import read as read_trust
from station.evidence.verification import verified
from station.io_thread import IoThread
from station.model import Disposition
from station.vault import development
from station.vault.ceremonies import bundle, plan
from station.vault.ceremonies.conductor import Conductor
from station.vault.ceremonies.plan import Given
from station.vault.client import VaultClient, VaultProcess, VaultRefusedError
from station.vault.desk.client import Asked, DeskClient
from station.vault.desk.documents import KeyRelease, ProfileRelease, WorkOrder
from station.vault.desk.founders import FOUNDERS, Founder
from station.vault.desk.people import card_of
from station.vault.desk.roles import Action, Role
from station.vault.desk.signers import PersonSigner
from station.vault.desk.signers import development as development_person
from station.vault.desk.statement import Statement, signed
from station.vault.keys import calls, sealed_keys
from station.vault.keys.control import own, running
from station.vault.keys.words import Health, SealedKey, Signatory
from station.vault.profiles import SE1, Profile
from station.vault.secret import Secret
from station.vault_answers import LotClosing
from tests.station.vault.ceremonies.rooms import HOLDERS, HOUSE, OFFICERS, VAULT, WITNESS, Room
from tests.station.vault.dies import FINGERPRINT, ChipCard, die_of
from tests.station.vault.keys.stores import PASSPHRASES

CUSTODIANS = tuple(PASSPHRASES)
PROFILE = msgspec.structs.replace(SE1, organisation="plant.example", policy_oid="1.3.6.1.4.1.99999.1.1")
ENGINEER, OFFICER, SECOND = (PersonSigner(f"p-0000010{n}", Secret(bytes([n]) * 32)) for n in range(3))
ROLES = {ENGINEER: Role.ENGINEER, OFFICER: Role.OFFICER, SECOND: Role.OFFICER}
DAY_S = 86_400


def held(folder: Path, name: str, store: Path, **given: Given) -> Path:
    """Hold a ceremony on a store, all of whose persons are there."""
    attending = (*OFFICERS, WITNESS)[: len(plan.script(name).roles)]
    made = plan.made(name, str(store), attending, given, RealClock().unix())
    plan.write(made, folder / name)
    Conductor(folder / name, Room(), RealClock()).run()
    return folder / name


def sealed_to(vault: Path, folder: Path, name: str, key: bytes) -> str:
    told = bundle.read((vault / "bundle.json").read_bytes())
    (public,) = [one.public for one in told.keys if one.profile.id == "IN-1"]
    sent = sealed_keys.seal(bytearray(key), name, bytes.fromhex(told.store), public)
    path = folder / f"{name}.sealed"
    path.write_bytes(msgspec.json.encode(SealedKey(told.store, "IN-1", name, sent.ciphertext, sent.box)))
    return str(path)


def ceremonies(folder: Path, vault: Path) -> list[Path]:
    """Every ceremony that a vault needs before it can start; the mask set is the one of simulated chips."""
    store, offline = vault / "keys", folder / "offline"
    root = held(folder, "init-root", offline, custodians=CUSTODIANS, holders=tuple(HOLDERS), **HOUSE)
    made = held(folder, "init-vault", store, **VAULT)
    requests: Mapping[str, Given] = {one: str(made / f"ICA-{one.upper()}-1.csr") for one in ("pq", "ec")}
    answers = held(folder, "issue-ica", offline, root=str(root / "root.der"), **requests, **HOUSE)
    certificates: Mapping[str, Given] = {
        "pq": str(answers / "issuing.der"),
        "ec": str(answers / "issuing-ec.der"),
    }
    taken = held(
        folder, "import-ica", store, root=str(root / "root.der"), vault=str(vault), **certificates, **HOUSE
    )
    rma = folder / "rma.pub"
    rma.write_bytes(development.rma_public(99))
    products = [
        held(
            folder / product,
            "load-product",
            store,
            product=product,
            sealed=sealed_to(made, folder, f"IM-{product}-1", product[-1:].encode() * 32),
            rma=str(rma),
            vault=str(vault),
        )
        for product in ("se1", "se2")
    ]
    mask = held(
        folder,
        "take-mask",
        store,
        product="se1",
        number="1",
        tkem=sealed_to(made, folder, "TKEM-1", transport.PLANT_KEY_SEED),
        raw=sealed_to(made, folder, "RAW-se1-1", transport.RAW_TOKEN_MASTER),
    )
    return [made, taken, *products, mask]


def trusted_persons(store: Path) -> None:
    """The custodians tell the store whose orders count."""
    persons = tuple(
        Signatory(who.kid, (role.value,), bytes.fromhex(card_of(who.card()).ed25519))
        for who, role in ROLES.items()
    )
    with own(store) as control:
        for name in CUSTODIANS[:2]:
            control.ask(calls.Activate(name, bytearray(PASSPHRASES[name])), Health)
        by = tuple(calls.Custodian(name, bytearray(PASSPHRASES[name])) for name in CUSTODIANS[:2])
        control.ask(calls.Trust(by, persons), type(None))


def opened_by_custodians(store: Path) -> None:
    """Two custodians come as soon as there is a process to speak to."""
    given = list(CUSTODIANS[:2])
    while given:
        with running(store) as control:
            if control is None:
                threading.Event().wait(0.05)
                continue
            control.ask(calls.Activate(given[0], bytearray(PASSPHRASES[given.pop(0)])), Health)


def configured(vault: Path) -> None:
    root = sha256((vault / "root.der").read_bytes()).hexdigest()
    (vault / "vault.toml").write_text(
        f'mode = "production"\nplant = "plant.example"\nname = "vault-9"\n'
        f'[ledger]\norigin = "{VAULT["origin"]}"\n'
        f'[authorities]\nroot = "{root}"\ncountry = "DE"\norganisation = "plant.example"\n'
    )
    founders = [Founder(who.card(), (role,)) for who, role in ROLES.items()]
    (vault / FOUNDERS).write_bytes(msgspec.json.encode(founders))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Path]]:
    folder = tmp_path_factory.mktemp("production")
    vault = folder / "vault"
    vault.mkdir(mode=0o700)
    done = ceremonies(folder, vault)
    trusted_persons(vault / "keys")
    configured(vault)
    return vault, done


@pytest.fixture
def process(made: tuple[Path, list[Path]]) -> Iterator[VaultProcess]:
    vault, _ = made
    custodians = threading.Thread(target=opened_by_custodians, args=(vault / "keys",))
    custodians.start()
    process = VaultProcess.start(vault)
    custodians.join()
    yield process
    process.stop()


@pytest.fixture
def io() -> Iterator[IoThread]:
    thread = IoThread()
    thread.start()
    yield thread
    thread.stop()


def shielded(pid: int) -> bool:
    """Whether a process leaves no core dump, and its memory is locked where that is allowed here."""
    told = Path(f"/proc/{pid}/limits").read_text("utf-8").splitlines()
    limits = {line[:26].strip(): line[26:].split() for line in told}
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text("utf-8").splitlines())
    allowed = limits["Max locked memory"][0] == "unlimited" or os.geteuid() == 0
    return limits["Max core file size"][:2] == ["0", "0"] and (int(status["VmLck"].split()[0]) > 0) == allowed


class Desk:
    """The desk of a running vault, and who comes to it."""

    def __init__(self, process: VaultProcess) -> None:
        self._process = process

    async def bring(self, action: Action, target: str, document: Statement, *signers: PersonSigner) -> str:
        return await self.ask(Asked(action, target, document=signed(document, signers)), signers[-1])

    async def ask(self, asked: Asked, *persons: PersonSigner, role: Role = Role.OFFICER) -> str:
        """Ask, and have all but the first approve it too where they are more than one."""
        client = DeskClient(self._process.desk)
        approving = [(one, role) for one in persons] if len(persons) > 1 else []
        answer = await client.ask(asked, persons[0], approving)
        await client.aclose()
        return answer.code


def order_of(profile: Profile, name: str = "WO-77") -> WorkOrder:
    now = int(RealClock().unix())
    return WorkOrder(
        id=name,
        customer="a customer",
        product=profile.product,
        quantity=3,
        not_before=now - DAY_S,
        not_after=now + DAY_S,
        profile_hash=profile.hash().hex(),
        fingerprints=(FINGERPRINT.hex(),),
        sites=("vault-9",),
        policy_oid=profile.policy_oid,
    )


async def governed(process: VaultProcess, done: list[Path]) -> None:
    """What persons bring before a lot can be opened; nothing of it is believed of development persons."""
    desk, order = Desk(process), order_of(PROFILE)
    stranger = development_person("p-00000002")
    profile = ProfileRelease(profile=PROFILE)
    assert await desk.bring(Action.RELEASE_PROFILE, "se1", profile, ENGINEER, stranger) == "unknown_key"
    assert await desk.bring(Action.RELEASE_PROFILE, "se1", profile, ENGINEER) == "dual_denied"
    assert await desk.bring(Action.ADD_ORDER, "WO-77", order, ENGINEER, OFFICER) == "invalid_order"
    weak = ProfileRelease(profile=SE1)
    assert await desk.bring(Action.RELEASE_PROFILE, "se1", weak, ENGINEER, OFFICER) == "malformed"
    assert await desk.bring(Action.RELEASE_PROFILE, "se1", profile, ENGINEER, OFFICER) == "ok"
    anywhere = msgspec.structs.replace(order, sites=())
    assert await desk.bring(Action.ADD_ORDER, "WO-77", anywhere, ENGINEER, OFFICER) == "invalid_order"
    assert await desk.bring(Action.ADD_ORDER, "WO-77", order, ENGINEER, OFFICER) == "ok"
    release = KeyRelease(
        key_set="KS-1", order="WO-77", stations=("cell-1",), not_after=int(RealClock().unix()) + 3600
    )
    assert await desk.bring(Action.RELEASE_KEYS, "WO-77", release, OFFICER, SECOND) == "ok"
    for folder in done:
        asked = Asked(Action.IMPORT_CEREMONY, folder.name, document=(folder / "bundle.json").read_bytes())
        assert await desk.ask(asked, OFFICER, SECOND) == "ok"
        assert await desk.ask(asked, OFFICER, SECOND) == "wrong_state"


async def sealed_lot(client: VaultClient) -> None:
    """Three virgin dies through wafer sort and final test; a fourth of no sort is not taken."""
    await client.open_lot("W8", product="se1", quantity=3, sorts=True)
    await client.open_lot("L9", product="se1", quantity=4, order="WO-77")
    for n in range(3):
        chip = Chip(n, seed="production", latency="zero")
        chip.power(3.3)
        chip.atr()
        card, unit = ChipCard(chip), f"W8/1/0/{n}"
        assert await client.load(die_of(unit, lot="W8"), card)
        assert await client.open_test(die_of(f"L9/T1/{n}", lot="L9"), card)
        chip.apdu(se1.command("SET STATUS", life_cycle=LifeCycle.OP_READY))
        outcome = await client.personalise(die_of(f"L9/T1/{n}", lot="L9"), card)
        assert outcome.disposition is Disposition.SEALED
    await client.claim("W8", [Binned(f"W8/1/0/{n}", 1, "pass") for n in range(3)])
    assert await client.close_lot("W8") == LotClosing({"PASSED": 3})


async def ordered(process: VaultProcess, profile: Profile, order: str) -> None:
    """A product is released, ordered, and its keys are released for the order."""
    desk, product = Desk(process), profile.product
    release = KeyRelease(
        key_set="KS-1", order=order, stations=("cell-1",), not_after=int(RealClock().unix()) + 3600
    )
    released = ProfileRelease(profile=profile)
    assert await desk.bring(Action.RELEASE_PROFILE, product, released, ENGINEER, OFFICER) == "ok"
    assert await desk.bring(Action.ADD_ORDER, order, order_of(profile, order), ENGINEER, OFFICER) == "ok"
    assert await desk.bring(Action.RELEASE_KEYS, order, release, OFFICER, SECOND) == "ok"


async def a_second_product(process: VaultProcess, client: VaultClient, io: IoThread) -> None:
    """It has masters of its own; a third, for which no ceremony was held, is refused."""
    second, third = (msgspec.structs.replace(PROFILE, product=f"se{n}", number=n) for n in (2, 3))
    for profile, order in ((second, "WO-78"), (third, "WO-79")):
        await asyncio.wrap_future(io.submit(ordered(process, profile, order)))
    later = KeyRelease(
        key_set="KS-1", order="WO-78", stations=("cell-2",), not_after=int(RealClock().unix()) + 7200
    )
    assert (await client.release_keys(signed(later, [OFFICER])))[0] == "dual_denied"
    assert await client.release_keys(signed(later, [OFFICER, SECOND])) == ("ok", "WO-78")
    with pytest.raises(CustodyError, match="107: the key store has no TM-se3-1, IM-se3-1"):
        await client.open_lot("L13", product="se3", quantity=1, order="WO-79")
    await client.open_lot("W12", product="se2", quantity=1, sorts=True)
    await client.open_lot("L12", product="se2", quantity=2, order="WO-78")
    chip = Chip(9, seed="production", latency="zero")
    chip.power(3.3)
    chip.atr()
    # the simulated mask set is the first product's, and so is its token
    chip.apdu(se1.command("VERIFY TOKEN", kind=Token.RAW, token=transport.RAW_TOKEN))
    assert await client.load(die_of("W12/1/0/0", lot="W12"), ChipCard(chip))
    assert await client.open_test(die_of("L12/T1/0", lot="L12"), ChipCard(chip))
    chip.apdu(se1.command("SET STATUS", life_cycle=LifeCycle.OP_READY))
    outcome = await client.personalise(die_of("L12/T1/0", lot="L12"), ChipCard(chip))
    assert (outcome.disposition, outcome.serial[:3]) == (Disposition.SEALED, "SE2")
    assert se1_objects.decode_uid(outcome.uid).product == 2
    first = Chip.from_sort(8, seed="production", latency="zero", state=LifeCycle.OP_READY)
    first.power(3.3)
    first.atr()
    with pytest.raises(VaultRefusedError, match="106: a die of product 0x0001"):
        await client.personalise(die_of("L12/T1/1", lot="L12"), ChipCard(first))


async def test_from_the_ceremonies_to_the_evidence(
    process: VaultProcess, made: tuple[Path, list[Path]], io: IoThread, tmp_path: Path
) -> None:
    await asyncio.wrap_future(io.submit(governed(process, made[1])))
    client = VaultClient(process.socket, clock=RealClock(), io=io, station="cell-1")
    assert await client.connect() == "production"
    assert shielded(process.pid)
    with pytest.raises(CustodyError, match="102"):
        await client.open_lot("L8", product="se1", quantity=1, order="DEV-L8")
    await sealed_lot(client)
    with pytest.raises(VaultRefusedError, match="103: order WO-77"):
        await client.personalise(die_of("L9/T1/3", lot="L9"), ChipCard(_foreign()))
    await client.claim(
        "L9", [*(Binned(f"L9/T1/{n}", 1, "pass") for n in range(3)), Binned("L9/T1/3", 7, "other")]
    )
    assert "rejects in containers that are not sealed: L9/bin-7" in (await client.close_lot("L9")).open
    seal = Asked(Action.SEAL, "L9", {"container": "L9/bin-7", "seal": "S-1"})
    assert await asyncio.wrap_future(io.submit(Desk(process).ask(seal, ENGINEER))) == "ok"
    assert await client.close_lot("L9") == LotClosing({"SECURED": 3, "REJECT_HELD": 1})
    await client.export("L9", tmp_path)
    verdict = verified(tmp_path / BUNDLE, read_trust(tmp_path / TRUST))
    assert (verdict.findings, verdict.devices, verdict.mode) == ((), 3, "production")
    ledger = b"".join(
        path.read_bytes() for path in made[0].glob("ledger/tile/entries/**/*") if path.is_file()
    )
    for event in ("ceremony.imported", "profile.released", "order.added", "die.loaded", "clock.offset"):
        assert event.encode() in ledger
    await a_second_product(process, client, io)
    await client.aclose()


def _foreign() -> Chip:
    chip = Chip.from_sort(8, seed="elsewhere", latency="zero", state=LifeCycle.OP_READY)
    chip.power(3.3)
    chip.atr()
    return chip


def test_what_is_for_development_does_not_start(made: tuple[Path, list[Path]], tmp_path: Path) -> None:
    vault = tmp_path / "vault"
    vault.mkdir()
    (vault / "vault.toml").write_text((made[0] / "vault.toml").read_text())
    with pytest.raises(CustodyError, match="ended before it served"):
        VaultProcess.start(vault)
    assert "hardbin-vault:" in (vault / "vault.log").read_text()
