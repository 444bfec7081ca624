"""The back end `pkcs11` against SoftHSM2, each module in a process of its own."""

import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa
from cryptography.hazmat.primitives.keywrap import aes_key_wrap_with_padding
from cryptography.hazmat.primitives.serialization import load_der_public_key

from station.vault.die import scp03
from station.vault.keys import calls, hbks, sealing, shares
from station.vault.keys.client import KeyStoreClient
from station.vault.keys.control import own
from station.vault.keys.errors import ModuleError, PolicyError, RequestError
from station.vault.keys.header import parse
from station.vault.keys.words import (
    DEVELOPMENT_PASSPHRASE,
    SOFTWARE_PQ,
    Algorithm,
    Entry,
    Health,
    KeyProfile,
    KeyRef,
    KeyState,
    PqPolicy,
    Purpose,
    Ticket,
)
from station.vault.secret import Secret
from tests.station.vault.keys import token_tool, unruly
from tests.station.vault.keys.stores import (
    LABEL,
    OFFICER,
    PASSPHRASES,
    development,
    files,
    production,
    profile,
)

PLACES = (
    "/usr/lib/softhsm",
    "/usr/lib64",
    "/usr/lib64/softhsm",
    "/usr/local/lib/softhsm",
    "/opt/homebrew/lib",
)
MASTER = bytes(range(3, 35))
GUARDED = {"present": True, "token": True, "sensitive": True, "never_extractable": True, "local": True}
Tool = Callable[..., list[str]]


def module() -> str:
    """SoftHSM2's library, wherever the system keeps it; empty if it is not installed."""
    folders = [Path(place) for place in PLACES] + [*Path("/usr/lib").glob("*/softhsm")]
    found = [folder / "libsofthsm2.so" for folder in folders]
    return next((str(path) for path in found if path.exists()), "")


MODULE = module()
pytestmark = pytest.mark.skipif(
    not MODULE or shutil.which("softhsm2-util") is None, reason="SoftHSM2 is not installed"
)


@pytest.fixture
def token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh token, in a folder of its own."""
    folder = tmp_path / "tokens"
    folder.mkdir()
    config = tmp_path / "softhsm2.conf"
    config.write_text(f"directories.tokendir = {folder}\nobjectstore.backend = file\nlog.level = ERROR\n")
    monkeypatch.setenv("SOFTHSM2_CONF", str(config))
    command = ["softhsm2-util", "--init-token", "--free", "--label", token_tool.TOKEN]
    subprocess.run(
        [*command, "--so-pin", "12345678", "--pin", token_tool.PIN], check=True, capture_output=True
    )
    return tmp_path / "store"


@pytest.fixture
def tool(token: Path) -> Tool:
    """Look into the token, or tamper with it."""
    del token

    def run(*what: str) -> list[str]:
        command = [sys.executable, token_tool.__file__, MODULE, *what]
        said = subprocess.run(command, check=True, capture_output=True, text=True)
        return said.stdout.splitlines()

    return run


def plan(pq: PqPolicy = PqPolicy.REFUSE, pin: str = token_tool.PIN) -> calls.TokenPlan:
    return calls.TokenPlan(MODULE, token_tool.TOKEN, pq, bytearray(pin.encode()))


@asynccontextmanager
async def served(folder: Path, made: calls.Init | None = None) -> AsyncIterator[KeyStoreClient]:
    """A store; a production one is activated."""
    store = KeyStoreClient(folder, command=(sys.executable, str(Path(unruly.__file__))))
    store.begin()
    try:
        if made is not None:
            await store.init(made)
        if (await store.health()).state == "sealed":
            for name in ("anna", "ben"):
                await store.activate(name, bytearray(PASSPHRASES[name]))
        yield store
    finally:
        await store.aclose()


async def activated(store: KeyStoreClient, wanted: KeyProfile) -> KeyRef:
    key = await store.generate(wanted)
    await store.change(key, KeyState.ACTIVE, OFFICER)
    return key


async def test_keys_live_and_work_in_the_token(token: Path, tool: Tool) -> None:
    async with served(token, production(plan())) as store:
        health = await store.health()
        assert health.backend == "pkcs11"
        assert "SoftHSM" in health.module
        assert {"AES-256", "P-384", "AES-KWP"} <= set(health.mechanisms)
        signer = await activated(store, profile("ICA-EC-1"))
        master = await activated(store, profile("IM-1", Algorithm.AES_256, Purpose.DERIVE))
        kek = await activated(store, profile("KEK-1", Algorithm.AES_256, Purpose.WRAP))
        edwards = await activated(store, profile("LOG-1", Algorithm.ED25519))
        for key in (signer, master, kek, edwards):
            assert await store.attest(key) == GUARDED
        public = load_der_public_key(await store.public(signer))
        assert isinstance(public, ec.EllipticCurvePublicKey)
        signature = await store.sign(signer, b"message", Ticket())
        public.verify(signature, b"message", ec.ECDSA(hashes.SHA384()))
        log = load_der_public_key(await store.public(edwards))
        assert isinstance(log, ed25519.Ed25519PublicKey)
        log.verify(await store.sign(edwards, b"message", Ticket()), b"message")
        derived = await store.derive(master, LABEL, b"die", 256)
        content = Secret(bytes(range(40)))
        wrapped = await store.wrap(kek, content)
        assert len(wrapped) == 48
        assert len(await store.random(100)) == 100
    async with served(token) as again:
        assert (await again.health()).findings == ()
        assert (await again.derive(master, LABEL, b"die", 256)).reveal() == derived.reveal()
        assert (await again.unwrap(kek, wrapped)).reveal() == content.reveal()
        assert await again.prove(signer, bytes(16))
    assert tool("list") == [
        "hardbin:ICA-EC-1", "hardbin:ICA-EC-1", "hardbin:IM-1", "hardbin:KEK-1",
        "hardbin:LOG-1", "hardbin:LOG-1",
    ]  # fmt: skip
    assert b"planted" not in files(token), "the PIN lies sealed"


async def test_derivation_and_wrapping_agree_with_software(token: Path) -> None:
    async with served(token, development(plan())) as store:
        for key, purpose in (("TM-1", Purpose.DERIVE), ("KEK-1", Purpose.WRAP)):
            await store.load(profile(key, Algorithm.AES_256, purpose), Secret(MASTER))
            await store.change(KeyRef(key), KeyState.ACTIVE, OFFICER)
        for bits in (128, 256):
            derived = await store.derive(KeyRef("TM-1"), LABEL, b"uid", bits)
            assert derived.reveal() == scp03.kdf(Secret(MASTER), LABEL, b"uid", bits).reveal()
        wrapped = await store.wrap(KeyRef("KEK-1"), Secret(bytes(range(32))))
        assert wrapped == aes_key_wrap_with_padding(MASTER, bytes(range(32)))
        changed = wrapped[:-1] + bytes([wrapped[-1] ^ 1])
        with pytest.raises(PolicyError, match="changed, or is under another key"):
            await store.unwrap(KeyRef("KEK-1"), changed)
        with pytest.raises(RequestError, match="whole 8 bytes"):
            await store.wrap(KeyRef("KEK-1"), Secret(bytes(21)))
        attributes = await store.attest(KeyRef("TM-1"))
        assert (attributes["sensitive"], attributes["never_extractable"]) == (True, False)
        with pytest.raises(PolicyError, match="is there to derive, not to wrap"):
            await store.wrap(KeyRef("TM-1"), Secret(bytes(32)))


async def test_a_post_quantum_key_that_the_module_cannot_hold_is_refused_or_marked(token: Path) -> None:
    async with served(token, development(plan(PqPolicy.REFUSE))) as store:
        if "ML-DSA-65" in (await store.health()).mechanisms:
            pytest.skip("this SoftHSM2 has ML-DSA")
        with pytest.raises(PolicyError, match="the module has no ML-DSA-65, and the policy is refuse"):
            await store.generate(profile("ICA-PQ-1", Algorithm.ML_DSA_65))
        assert await store.entries() == []
    shutil.rmtree(token)
    async with served(token, development(plan(PqPolicy.SOFT))) as store:
        key = await activated(store, profile("ICA-PQ-1", Algorithm.ML_DSA_65))
        ecdsa = await activated(store, profile("ICA-EC-1"))
    async with served(token) as again:
        marks = {entry.id: (entry.where, entry.mark) for entry in await again.entries()}
        assert marks == {"ICA-PQ-1": ("soft", SOFTWARE_PQ), "ICA-EC-1": ("token", "")}
        public = load_der_public_key(await again.public(key))
        assert isinstance(public, mldsa.MLDSA65PublicKey)
        public.verify(await again.sign(key, b"message", Ticket()), b"message")
        assert await again.sign(ecdsa, b"message", Ticket())


async def test_what_differs_from_the_register_stops_production(token: Path, tool: Tool) -> None:
    async with served(token, production(plan())) as store:
        await activated(store, profile("ICA-EC-1"))
        for name in ("IM-1", "IM-2"):
            await activated(store, profile(name, Algorithm.AES_256, Purpose.DERIVE))
    tool("remove", "hardbin:ICA-EC-1")
    tool("plant", "hardbin:X")
    tool("plant", "hardbin:IM-1")
    tool("remove", "hardbin:IM-2")
    tool("plant", "hardbin:IM-2")
    async with served(token) as again:
        found = (await again.health()).findings
        assert {
            "key ICA-EC-1 is missing",
            "key X is not in the register",
            "key IM-1 is there more than once",
            "key IM-2 is not sensitive",
            "key IM-2 is not never_extractable",
            "the value of IM-2 can be read",
            "key IM-2 can be wrapped",
        } <= set(found)
        with pytest.raises(PolicyError, match="register and objects differ"):
            await again.derive(KeyRef("IM-1"), LABEL, b"die", 256)


def half_made(folder: Path, key: str) -> None:
    """Enter a key in the register as one whose making was begun."""
    path = folder / "keys.hbks"
    content = path.read_bytes()
    header = parse(content, "file").header
    share = shares.unseal(header.shares[0], bytearray(DEVELOPMENT_PASSPHRASE), header.store)
    kek = shares.combine([share])
    header, records = hbks.decode(content, kek, "file")
    begun = Entry(profile(key), KeyState.PRE_ACTIVE, "token", "generated", b"", made=False)
    hbks.write(path, hbks.encode(msgspec.structs.replace(header, keys=(*header.keys, begun)), records, kek))


async def test_an_object_of_a_key_that_was_never_finished_is_removed(
    token: Path, tool: Tool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with served(token, development(plan())) as store:
        await activated(store, profile("A"))
    monkeypatch.setattr(sealing, "MEMORY_KIB", 8)
    half_made(token, "HALF")
    tool("plant", "hardbin:HALF")
    async with served(token) as again:
        assert (await again.health()).findings == ()
        assert [entry.id for entry in await again.entries()] == ["A"]
    assert tool("list") == ["hardbin:A", "hardbin:A"]


async def test_destroying_and_zeroising_reach_into_the_token(token: Path, tool: Tool) -> None:
    async with served(token, development(plan())) as store:
        for name in ("A", "B"):
            await activated(store, profile(name))
        await store.change(KeyRef("A"), KeyState.DEACTIVATED, OFFICER)
        await store.destroy(KeyRef("A"), OFFICER)
        assert await store.attest(KeyRef("A")) == {"present": False}
    assert tool("list") == ["hardbin:B", "hardbin:B"]
    tool("plant", "somebody else's")
    async with served(token) as store:
        assert (await store.health()).findings == (), "objects of others are not ours to judge"
        await store.zeroise()
        assert (await store.health()).state == "zeroised"
    assert tool("list") == ["somebody else's"]


async def test_zeroising_a_sealed_store_says_what_it_could_not_reach(token: Path, tool: Tool) -> None:
    async with served(token, production(plan())) as store:
        await activated(store, profile("A"))
    with own(token) as people:
        health = people.ask(calls.Health(), Health)
        assert health.state == "sealed"
        left = people.ask(calls.Zeroise(health.store), Health)
    assert left.findings == ("the store was sealed: its token's keys are still there",)
    assert tool("list") == ["hardbin:A", "hardbin:A"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (plan(pin="planted-wrong"), "token 'hardbin-test': the module says PinIncorrect"),
        (calls.TokenPlan(MODULE, "other", PqPolicy.REFUSE, bytearray(b"1234")), "NoSuchToken"),
        (
            calls.TokenPlan("/nowhere/module.so", "t", PqPolicy.REFUSE, bytearray(b"1234")),
            "cannot be loaded as a PKCS#11 module",
        ),
    ],
)
async def test_a_token_that_cannot_be_used_makes_no_store(
    token: Path, wrong: calls.TokenPlan, message: str
) -> None:
    with pytest.raises(ModuleError, match=message) as caught:
        async with served(token, development(wrong)):
            pytest.fail("it was made")
    assert "planted" not in str(caught.value)
    assert not (token / "keys.hbks").exists()
