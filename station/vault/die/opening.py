"""How a session begins: read the die in the clear (S0), open the channel, read it again through it (S1)."""

from drivers.errors import DutError
from drivers.protocols import se1, se1_objects
from drivers.protocols.se1_replies import HEALTH, DieStatus
from drivers.protocols.se1_table import LifeCycle, StatusWord
from station.vault.die import scp03
from station.vault.die.dossier import Unit
from station.vault.die.job import Die, Job, Link, Means
from station.vault.die.recovery import ISSUER, TRANSPORT, End, Go, Intent, Phase, Reading, Standing, recover
from station.vault.die.script import Script
from station.vault.faults import Code, DoubtError, Fate, FaultError

ALARM_RNG = 0x0004
IDENTITY_COMMITTED = 0x01
ENDS = {
    End.NOT_ITS_TURN: (Fate.UNTOUCHED, "it is still in sort or test"),
    End.TERMINATED: (Fate.REJECT_HELD, "it is terminated"),
    End.FOREIGN: (Fate.QUARANTINE, "somebody else personalised or locked it"),
}
"""What each end by the life cycle means for the die."""


class Opening:
    """One attempt to open one die."""

    def __init__(self, job: Job, link: Link, means: Means, unit: Unit) -> None:
        self._job, self._link, self._means, self._unit = job, link, means, unit

    async def open(self) -> tuple[Die, Go]:
        """Return the die with its channel, and where to go on; FaultError, DoubtError."""
        try:
            return await self._open()
        except DutError as error:
            raise DoubtError(Code.LINK, str(error)) from error

    async def _open(self) -> tuple[Die, Go]:
        host_challenge = self._means.store.random(16)
        guess = self._guess()
        seen = await self._link.run(self._clear(guess.kvn, host_challenge))
        status = se1.die_status(seen["DIE STATUS"])
        reading = _reading(status, seen["GET KEY INFO"])
        go = self._action(reading)
        self._check_alarms(status)
        uid, payload = self._uid(seen["GET UID"]), self._payload(seen["SELECT"])
        offer = seen["INITIALIZE UPDATE"]
        if go.kvn != guess.kvn:
            offer = await self._ask_again(go.kvn, host_challenge)
        try:
            session = await self._session(uid, go.kvn, host_challenge, offer)
        except scp03.CryptogramError as error:
            go, session = await self._instead(go, uid, error)
        die = Die(uid, payload, reading, status.slots, session)
        if go.phase.value >= Phase.LOCK.value:
            return die, go
        try:
            return await self._screened(die, go)
        except BaseException:
            session.close()
            raise

    async def open_as_it_is(self) -> Die:
        """Return the die with its channel, under whichever keys it has, not authenticated; to end it."""
        try:
            return await self._open_as_it_is()
        except DutError as error:
            raise DoubtError(Code.LINK, str(error)) from error

    async def _open_as_it_is(self) -> Die:
        host_challenge, guess = self._means.store.random(16), self._guess()
        seen = await self._link.run(self._clear(guess.kvn, host_challenge))
        status = se1.die_status(seen["DIE STATUS"])
        reading = _reading(status, seen["GET KEY INFO"])
        if reading.life_cycle is LifeCycle.TERMINATED:
            raise _ended(End.TERMINATED, reading)
        kvn = ISSUER if ISSUER in reading.key_sets else TRANSPORT
        offer = seen["INITIALIZE UPDATE"]
        if kvn != guess.kvn:
            offer = await self._ask_again(kvn, host_challenge)
        uid, payload = self._uid(seen["GET UID"]), self._payload(seen["SELECT"])
        session = await self._session(uid, kvn, host_challenge, offer)
        return Die(uid, payload, reading, status.slots, session)

    def _guess(self) -> Go:
        """Which keys a die should have by the journal alone, to save a round trip."""
        sealed = self._unit.standing is Standing.REGISTERED
        late = sealed or self._unit.intent in (Intent.ROTATE, Intent.LOCK)
        return Go(Phase.LOCK, ISSUER) if late else Go(Phase.SCREEN)

    def _clear(self, kvn: int, host_challenge: bytes) -> Script:
        script = Script("S0 open", may_park=True, factor=self._means.profile.budget_factor)
        busy = (StatusWord.OK, StatusWord.CONDITIONS, StatusWord.NOT_FOUND)
        script.reset()
        script.plain("SELECT", se1.select(), *busy, StatusWord.LOCKED_WARNING)
        script.plain("GET CPLC", se1.command("GET CPLC"), *busy)
        script.plain("GET UID", se1.command("GET UID"), *busy)
        script.plain("GET KEY INFO", se1.command("GET KEY INFO"), *busy)
        script.plain("DIE STATUS", se1.command("DIE STATUS"))
        update = scp03.initialize_update(kvn, host_challenge)
        script.plain("INITIALIZE UPDATE", update, *busy, StatusWord.RNG_FAILED)
        return script

    async def _ask_again(self, kvn: int, host_challenge: bytes) -> bytes:
        script = Script("S0 other keys", factor=self._means.profile.budget_factor)
        script.plain("INITIALIZE UPDATE", scp03.initialize_update(kvn, host_challenge))
        return (await self._link.run(script))["INITIALIZE UPDATE"]

    async def _instead(self, go: Go, uid: bytes, error: scp03.CryptogramError) -> tuple[Go, scp03.Session]:
        """The die does not know the new keys: go back to the old ones if there is a way, else give it up."""
        if go.instead is None:
            raise self._held(Code.CARD_CRYPTOGRAM, str(error)) from error
        host_challenge = self._means.store.random(16)
        offer = await self._ask_again(go.instead.kvn, host_challenge)
        try:
            return go.instead, await self._session(uid, go.instead.kvn, host_challenge, offer)
        except scp03.CryptogramError as second:
            raise self._held(Code.CARD_CRYPTOGRAM, str(second)) from second

    async def _session(self, uid: bytes, kvn: int, host_challenge: bytes, offer: bytes) -> scp03.Session:
        if not offer:
            raise DoubtError(Code.STATUS_WORD, f"the die refuses to open under key set {kvn:02x}")
        keys = await self._means.store.die_keys(uid, kvn, self._means.profile.product)
        try:
            session = scp03.open_session(keys, host_challenge, offer)
        except scp03.OfferError as error:
            keys.wipe()
            raise self._held(Code.KEY_SETS, str(error)) from error
        if offer[:10] != uid[6:16]:
            session.close()
            raise FaultError(Code.UID_MISMATCH, "the channel belongs to another UID than the die told")
        return session

    async def _screened(self, die: Die, go: Go) -> tuple[Die, Go]:
        """S1: authenticate, and read life cycle, key sets and self-tests where nobody can change them."""
        script = Script("S1 screen", die.session, factor=self._means.profile.budget_factor)
        script.authenticate()
        for command in ("DIE STATUS", "GET KEY INFO", "SELF TEST", "TRNG HEALTH"):
            script.secure(command, se1.command(command))
        if go.phase is Phase.SCREEN:
            die.born = self._means.work(self._means.store.rma_token, die.uid)
        seen = await self._link.run(script)
        status = se1.die_status(seen["DIE STATUS"])
        die.reading, die.slots = _reading(status, seen["GET KEY INFO"]), status.slots
        proven = self._action(die.reading)
        if proven.kvn != go.kvn and proven.instead != go:
            raise FaultError(Code.KEY_SETS, "the die told other key sets in the clear than in the channel")
        self._check_health(status, seen)
        return die, (go if proven.instead == go else proven)

    def _check_health(self, status: DieStatus, seen: dict[str, bytes]) -> None:
        self._check_alarms(status)
        test, trng = se1.self_test(seen["SELF TEST"]), se1.trng_health(seen["TRNG HEALTH"])
        if test.failed:
            raise self._held(Code.SELF_TEST, f"tests {test.failed:#06x} failed")
        wanted = self._means.profile.trng
        sound = trng.state == HEALTH[0]
        cutoffs = (trng.rct_cutoff, trng.apt_cutoff, trng.apt_window) == (
            wanted.rct,
            wanted.apt,
            wanted.window,
        )
        if not sound or not cutoffs or trng.rct_longest >= wanted.rct or trng.apt_worst >= wanted.apt:
            counts = f"RCT {trng.rct_longest}/{trng.rct_cutoff}, APT {trng.apt_worst}/{trng.apt_cutoff}"
            raise self._held(Code.TRNG_HEALTH, f"{trng.state}, {counts}")

    def _check_alarms(self, status: DieStatus) -> None:
        if status.alarms:
            code = Code.TRNG_HEALTH if status.alarms & ALARM_RNG else Code.SELF_TEST
            raise self._held(code, f"alarms {status.alarms:#06x}")

    def _held(self, code: Code, detail: str) -> FaultError:
        """A fault that holds the die back as a reject, or in quarantine once it has certificates."""
        late = self._unit.standing.value >= Standing.ISSUED.value
        return FaultError(code, detail, Fate.QUARANTINE if late else Fate.REJECT_HELD)

    def _action(self, reading: Reading) -> Go:
        action = recover(self._unit.standing, self._unit.intent, reading)
        if action is End.KEY_SETS:
            raise self._held(Code.KEY_SETS, f"other key sets than it should have: {_told(reading)}")
        if isinstance(action, End):
            raise _ended(action, reading)
        return action

    def _uid(self, reply: bytes) -> bytes:
        uid = se1.uid_of(reply)
        product = se1_objects.decode_uid(uid).product
        if product != self._means.profile.number:
            raise FaultError(Code.PROFILE_MISMATCH, f"a die of product {product:#06x}")
        if self._unit.uid not in (b"", uid):
            raise FaultError(Code.UID_MISMATCH, "the unit had another UID on an earlier contact")
        return uid

    def _payload(self, reply: bytes) -> int:
        limits = (se1.payload_size(reply), self._means.profile.payload_max, self._job.payload_max or 0xFFFF)
        return min(limits)


def _reading(status: DieStatus, info: bytes) -> Reading:
    key_sets = frozenset(se1.key_sets(info)) if info else frozenset[int]()
    return Reading(status.life_cycle, key_sets, bool(status.containers & IDENTITY_COMMITTED))


def _ended(end: End, reading: Reading) -> FaultError:
    fate, why = ENDS[end]
    return FaultError(Code.LIFE_CYCLE, f"{why}: {_told(reading)}", fate)


def _told(reading: Reading) -> str:
    sets = " ".join(f"{kvn:02x}" for kvn in sorted(reading.key_sets)) or "none"
    return f"{reading.life_cycle.name}, key sets {sets}"
