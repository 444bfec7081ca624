"""PQP-0: how a virgin die gets its UID and transport keys at wafer sort, and its test port is opened again.

Nothing is shared with such a die, so it encapsulates to the plant. What it says is in the clear and proves
nothing; whether the keys arrived shows when the first channel is opened under them.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from drivers.errors import DutError
from drivers.protocols import se1
from drivers.protocols.se1_table import KeySet, LifeCycle, ObjectType, StatusWord, Token
from station.vault import transport_keys
from station.vault.asked import Purpose, Step
from station.vault.die.dossier import Unit
from station.vault.die.job import Job, Link, Means
from station.vault.die.recovery import Intent
from station.vault.die.script import Script
from station.vault.faults import Code, DoubtError, Fate, FaultError
from station.vault.secret import Secret
from station.vault.transport_keys import Transport

CIPHERTEXT = 1088
IN_TEST = (LifeCycle.RAW, LifeCycle.TEST_UNLOCKED, LifeCycle.TEST_LOCKED)
NO_RESULT = (StatusWord.DATA, StatusWord.NOT_FOUND, StatusWord.CONDITIONS)
TRIES = 8
TOKEN_ANSWERS = (
    StatusWord.OK,
    StatusWord.CONDITIONS,
    StatusWord.BLOCKED,
    *(StatusWord.TOKEN_WRONG + left for left in range(TRIES)),
)
"""The script goes on after each of them: a token is never sent twice because of a word that may be forged."""


@dataclass(frozen=True)
class Sorted:
    """What a die says of itself in the clear."""

    life_cycle: LifeCycle
    uid: bytes
    """Empty if it has none yet."""
    loaded: bool
    """Whether it has transport keys."""
    payload: int


async def sort(job: Job, link: Link, means: Means, unit: Unit) -> None:
    """Load the die, or open its test port, as the job says; FaultError, DoubtError."""
    loading = Loading(job, link, means, unit)
    try:
        await (loading.load() if job.purpose is Purpose.LOAD else loading.open_test())
    except DutError as error:
        raise DoubtError(Code.LINK, str(error)) from error


class Loading:
    """One session with a die that is in test."""

    def __init__(self, job: Job, link: Link, means: Means, unit: Unit) -> None:
        self._job, self._link, self._means, self._unit = job, link, means, unit

    async def open_test(self) -> None:
        """Bring the die to TEST_UNLOCKED: a virgin one by the mask set's token, others by their own."""
        die = await self._read()
        if die.life_cycle is not LifeCycle.TEST_UNLOCKED:
            await self._opened(die)

    async def load(self) -> None:
        """Bring the die from wherever it is to TEST_LOCKED, with UID and transport keys."""
        die = await self._read()
        if die.life_cycle is LifeCycle.RAW:
            await self._opened(die)
            die = await self._read()
        if (
            die.life_cycle is LifeCycle.TEST_LOCKED
            and await self._means.registry.sorted_dies.state(self._job.unit) == ""
        ):
            raise FaultError(Code.LIFE_CYCLE, "it is locked, and was not loaded here", Fate.UNTOUCHED)
        uid = await self._means.registry.sorted_dies.assigned(
            self._step(Intent.LOAD), self._means.profile.number
        )
        if die.uid not in (b"", uid):
            raise FaultError(Code.UID_MISMATCH, "the die has another UID than its place on the wafer gives")
        if die.life_cycle is LifeCycle.TEST_UNLOCKED:
            if not die.loaded:
                await self._keys(die, uid)
            await self._locked()
        await self._means.registry.sorted_dies.loaded(self._step(Intent.NONE))

    async def _read(self) -> Sorted:
        script = self._script("L0 read")
        silent = (StatusWord.OK, StatusWord.NOT_FOUND, StatusWord.CONDITIONS)
        script.reset()
        script.plain("SELECT", se1.select())
        script.plain("DIE STATUS", se1.command("DIE STATUS"))
        script.plain("GET UID", se1.command("GET UID"), *silent)
        script.plain("GET KEY INFO", se1.command("GET KEY INFO"), *silent)
        seen = await self._link.run(script)
        status, info = se1.die_status(seen["DIE STATUS"]), seen["GET KEY INFO"]
        if status.life_cycle not in IN_TEST:
            raise FaultError(Code.LIFE_CYCLE, f"it is {status.life_cycle.name}, out of test", Fate.UNTOUCHED)
        if status.alarms:
            raise FaultError(Code.SELF_TEST, f"alarms {status.alarms:#06x}")
        uid = se1.uid_of(seen["GET UID"]) if seen["GET UID"] else b""
        loaded = bool(info) and KeySet.TRANSPORT in se1.key_sets(info)
        return Sorted(status.life_cycle, uid, loaded, self._payload(seen["SELECT"]))

    def _payload(self, reply: bytes) -> int:
        limits = (se1.payload_size(reply), self._means.profile.payload_max, self._job.payload_max or 0xFFFF)
        return min(limits)

    async def _opened(self, die: Sorted) -> None:
        raw = die.life_cycle is LifeCycle.RAW
        store, uid, profile = self._means.store, die.uid, self._means.profile
        await self._means.registry.sorted_dies.opening(self._step(Intent.LOAD), uid)
        if raw:
            await self._present(
                Token.RAW, lambda: transport_keys.raw_token(store, profile.product, profile.number)
            )
        else:
            await self._present(Token.TEST, lambda: transport_keys.test_token(store, uid, profile.product))
        await self._means.registry.sorted_dies.opened(self._step(Intent.NONE), uid, "raw" if raw else "test")

    async def _present(self, kind: Token, token: Callable[[], Awaitable[Secret]]) -> None:
        script = self._script("L1 open test")
        with await token() as secret:
            apdu = se1.command("VERIFY TOKEN", token=bytes(secret.reveal()), kind=kind)
        script.plain("VERIFY TOKEN", apdu, *TOKEN_ANSWERS)
        script.plain("DIE STATUS", se1.command("DIE STATUS"))
        seen = await self._link.run(script)
        if se1.die_status(seen["DIE STATUS"]).life_cycle is not LifeCycle.TEST_UNLOCKED:
            raise FaultError(Code.LIFE_CYCLE, f"it does not take its {kind.name} token", Fate.REJECT_HELD)

    async def _keys(self, die: Sorted, uid: bytes) -> None:
        """Steps 3 to 5: the UID once, then the encapsulation, and the keys under what came of it."""
        kem, ciphertext = await self._encapsulated(die, uid)
        product = self._means.profile.product
        transport = await Transport.sealed(self._means.store, uid, kem, ciphertext, product)
        script = self._script("L3 keys")
        put = se1.command("PUT TRANSPORT KEYS", kvn=KeySet.TRANSPORT, wrapped=transport.wrapped)
        script.plain("PUT TRANSPORT KEYS", put)
        seen = await self._link.run(script)
        if seen["PUT TRANSPORT KEYS"] != transport.values:
            raise FaultError(Code.KEY_SETS, "the check values of the transport keys are wrong")

    async def _encapsulated(self, die: Sorted, uid: bytes) -> tuple[str, bytes]:
        """Which of the plant's keys the die knows, and what it encapsulated to it; its ROM names two."""
        kems, has_uid = self._means.store.transport_kems(), bool(die.uid)
        for kem in kems:
            script = self._script("L2 encapsulate")
            if not has_uid:
                script.plain("SET UID", se1.command("SET UID", uid=uid))
            self._offer(script, kem, die.payload)
            seen, has_uid = await self._link.run(script), True
            if se1.uid_of(seen["GET UID"]) != uid:
                raise FaultError(Code.UID_MISMATCH, "the UID reads back otherwise than it was written")
            if not seen["KEM TRANSPORT"]:
                continue
            if len(seen["READ"]) != CIPHERTEXT:
                raise DoubtError(Code.LINK, f"a ciphertext of {len(seen['READ'])} bytes, not {CIPHERTEXT}")
            return kem, seen["READ"]
        known = ", ".join(kems) or "there is none that is active"
        raise FaultError(Code.KEY_SETS, f"it knows none of the plant's keys: {known}", Fate.REJECT_HELD)

    def _offer(self, script: Script, kem: str, payload: int) -> None:
        """Have the die encapsulate to a key, if it knows that; else there is no result to read."""
        script.plain("GET UID", se1.command("GET UID"))
        for apdu in se1.write_operand_all(self._means.store.kem_public(kem), payload):
            script.plain("WRITE OPERAND", apdu)
        script.plain("KEM TRANSPORT", se1.command("KEM TRANSPORT"), StatusWord.OK, StatusWord.DATA)
        for at in range(0, CIPHERTEXT, payload):
            size = min(payload, CIPHERTEXT - at)
            read = se1.read(ObjectType.RESULT, 0, at, size)
            script.plain("READ", read, StatusWord.OK, *NO_RESULT, reply=size)

    async def _locked(self) -> None:
        script = self._script("L4 lock test")
        script.plain("SET STATUS", se1.command("SET STATUS", life_cycle=LifeCycle.TEST_LOCKED))
        script.plain("DIE STATUS", se1.command("DIE STATUS"))
        state = se1.die_status((await self._link.run(script))["DIE STATUS"]).life_cycle
        if state is not LifeCycle.TEST_LOCKED:
            raise FaultError(
                Code.LIFE_CYCLE, f"it is {state.name} after its test was locked", Fate.REJECT_HELD
            )

    def _step(self, intent: Intent) -> Step:
        return Step(self._job.unit, self._job.session, self._job.now, self._unit.standing, intent)

    def _script(self, label: str) -> Script:
        return Script(label, factor=self._means.profile.budget_factor)
