"""PQP-1: how a good die gets keys, an identity and its lock, message by message. Its only I/O is `link.run`.

Forward only: what outlives power on the die is announced in the journal before, and told done after.
"""

from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256

import structlog

from drivers.errors import DutError
from drivers.protocols import se1, se1_objects
from drivers.protocols.se1_table import (
    COMMANDS,
    KeySet,
    LifeCycle,
    ObjectType,
    SlotState,
    StatusWord,
    Token,
)
from station.vault.asked import Purpose, Step
from station.vault.die import record, scp03
from station.vault.die.contents import Contents, identity_container
from station.vault.die.dossier import Dossier, Record, Screened
from station.vault.die.ending import terminate
from station.vault.die.imported import born, kinds_of
from station.vault.die.job import Die, Job, Link, Means, Sealed
from station.vault.die.loading import sort
from station.vault.die.opening import Opening
from station.vault.die.proofs import Attesting, Possession
from station.vault.die.recovery import Go, Intent, Phase, Standing
from station.vault.die.returned import open_rma
from station.vault.die.script import Script
from station.vault.die.slots import DieKeys
from station.vault.faults import Code, DoubtError, Fate, FaultError
from station.vault.pki.certificates import certified_key

log = structlog.get_logger()

SESSIONS = 3
"""How often one contact may begin anew."""
CONTACTS = 3
"""On how many contacts an untouched die may fail to answer before it is held as a reject."""

UNTOUCHED = (Intent.NONE, Intent.LOAD)
"""What was announced to a die that has nothing of a personalisation yet."""

IDENTITY_SIZE = 203
NONCE = 32


async def personalise(job: Job, link: Link, means: Means, known: Dossier | None = None) -> Sealed | None:
    """Bring the die to its end, in up to three sessions; FaultError tells what else became of it.

    Nothing is returned of a die that was terminated.

    `known` is what the journal has of the unit, if that was read just now.
    """
    for _ in range(SESSIONS):
        try:
            return await _session(job, link, means, known or await _known(job, means))
        except DoubtError as doubt:
            last = doubt
        except scp03.ChannelError as error:
            last = DoubtError(Code.R_MAC, str(error))
        await _note(job, means, last)
        known = None
    raise await _worn_out(job, means, last)


async def _known(job: Job, means: Means) -> Dossier:
    dossier = await means.registry.dossier(job.unit)
    if dossier is None:
        raise FaultError(Code.INTERNAL, f"unit {job.unit} was not admitted")
    return dossier


async def _session(job: Job, link: Link, means: Means, known: Dossier) -> Sealed | None:
    if job.purpose is Purpose.TERMINATE:
        await terminate(job, link, means, known.unit)
        return None
    if job.purpose is Purpose.RMA_OPEN:
        await open_rma(job, link, means, known.unit)
        return None
    if job.purpose.sorts:
        await sort(job, link, means, known.unit)
        return None
    die, go = await Opening(job, link, means, known.unit).open()
    contact = Contact(job, link, means, known, die)
    try:
        return await (contact.verify() if job.purpose is Purpose.VERIFY else contact.run(go))
    except DutError as error:
        raise DoubtError(Code.LINK, str(error)) from error
    finally:
        contact.die.session.close()


async def _note(job: Job, means: Means, doubt: DoubtError) -> None:
    """Keep what ended a session; a wrong MAC is an event of security."""
    log.warning("doubt", unit=job.unit, code=doubt.code.name, why=doubt.detail)
    means.vigilance.doubted(job.place, doubt.code, job.now)
    unit = await means.registry.unit(job.unit)
    if unit is not None:
        step = Step(job.unit, job.session, job.now, unit.standing, unit.intent)
        await means.registry.failed(step, doubt.code, Fate.RETRY)


async def _worn_out(job: Job, means: Means, last: DoubtError) -> FaultError:
    """The end of a die that would not answer: untouched while nothing was announced, for some contacts."""
    unit = await means.registry.unit(job.unit)
    # whatever it answers now, it stays what was sealed
    sealed = job.purpose in (Purpose.VERIFY, Purpose.RMA_OPEN)
    if unit is None or sealed or (unit.intent in UNTOUCHED and unit.contacts < CONTACTS):
        return FaultError(last.code, last.detail, Fate.RETRY)
    late = unit.standing.value >= Standing.ISSUED.value
    return FaultError(last.code, last.detail, Fate.QUARANTINE if late else Fate.REJECT_HELD)


class Contact:
    """One open session with a die, phase by phase."""

    def __init__(self, job: Job, link: Link, means: Means, known: Dossier, die: Die) -> None:
        self._job, self._link, self._means, self._known = job, link, means, known
        self.die = die
        self._registry = means.registry
        self._contents = Contents(job, means, known)
        self._keys = DieKeys(kinds_of(means.profile.kinds(), job.imported))
        self._proofs = dict(known.proofs)
        self._endorsement = means.endorsements.one()

    async def run(self, go: Go) -> Sealed:
        """Do the phase to go on from and every later one."""
        if go.phase in (Phase.PROVE, Phase.WRITE):
            await self._read_keys_again(go.phase)
        if go.phase is Phase.LOCK and self._known.unit.intent is Intent.ROTATE:
            await self._registry.forward(self._step(Standing.KEYS_ROTATED, Intent.LOCK))
        phases = (
            (Phase.SCREEN, self._screen),
            (Phase.KEYS, self._make_keys),
            (Phase.PROVE, self._prove),
            (Phase.WRITE, self._write),
            (Phase.ROTATE, self._rotate),
            (Phase.LOCK, self._lock),
            (Phase.LOCK_PROOF, self._prove_lock),
        )
        for phase, act in phases:
            if phase.value >= go.phase.value:
                await act()
        return await self._register()

    async def verify(self) -> Sealed:
        """A sealed die attests once more, under the customer's keys, and proves its lock."""
        for cert in self._contents.certificates:
            self._keys.public[cert.slot] = certified_key(cert.der, self._keys.kinds[cert.slot])
        attesting, host_challenge = self._attesting(), self._means.store.random(16)
        script = self._script("V attest")
        script.authenticate()
        attesting.ask(script, self.die.payload)
        script.plain("INITIALIZE UPDATE", scp03.initialize_update(KeySet.ISSUER, host_challenge))
        seen = await self._link.run(script)
        await self._attested(attesting, seen, LifeCycle.SECURED)
        self._reopen(self.die.session.keys.copy(), host_challenge, seen["INITIALIZE UPDATE"], Code.LOCK)
        await self._prove_lock()
        signed = await self._registry.record_of(self._job.unit)
        if signed is None:
            raise FaultError(Code.INTERNAL, f"unit {self._job.unit} is sealed and has no record")
        await self._registry.verified(self._job.unit, self._job.now)
        return self._sealed(signed, signed.leaf)

    async def _screen(self) -> None:
        """The die is sound and ours: bind its UID, and bear what it will be given."""
        uid, born = self.die.uid, self.die.born
        async with self._registry.claiming:
            token = self._means.work(self._means.store.rma_token, uid) if born is None else born
            token_hash, box = await token
            identity = self._contents.new_identity(uid, token_hash)
            screened = Screened(uid, identity, token_hash, box, self.die.session.challenge)
            claim = self._registry.screened(self._step(Standing.SCREENED, Intent.KEYS), screened)
        self._contents.identity = await claim
        if not self._contents.identity:
            raise FaultError(Code.UID_DUPLICATE, "another unit has this UID; both are quarantined")

    async def _make_keys(self) -> None:
        """S2: write the identity, have the missing keys generated, read all of it back, claim the keys."""
        keys, identity = self._keys, self._contents.identity
        script = self._script("S2 keys")
        if self.die.reading.life_cycle is LifeCycle.OP_READY:
            self._store(script, identity_container(identity))
        script.read("identity", ObjectType.IDENTITY, 0, IDENTITY_SIZE, self.die.payload)
        missing = [slot for slot in keys.kinds if self.die.slots[slot - 1] is not SlotState.VALID]
        async with born(self._means.store, keys.kinds, missing) as coming:
            for slot in missing:
                if slot in coming:
                    coming[slot].ask(script, self.die.session, self.die.payload)
                else:
                    script.secure("GENERATE KEY PAIR", keys.generate(slot), name=f"new key {slot}")
        keys.read(script, self.die.payload)
        seen = await self._link.run(script)
        if seen["identity"] != identity:
            raise FaultError(Code.STORE_HASH, "the identity reads back otherwise than it was written")
        for slot in missing:
            keys.check_new(slot, seen[f"new key {slot}"])
        keys.take(seen)
        for slot, key in coming.items():
            key.check(keys.public[slot])
        await self._registry.keys_ready(self._step(Standing.KEYS_READY, Intent.KEYS), keys.registered())

    async def _read_keys_again(self, phase: Phase) -> None:
        """After a doubt: the keys must still be the ones the registry has, from intent `issue` on."""
        script = self._script("S2 keys again")
        self._keys.read(script, self.die.payload)
        self._keys.take(await self._link.run(script))
        keys = self._keys.registered()
        if {key.spki_hash for key in keys} == self._known.keys:
            return
        if phase is not Phase.PROVE:
            raise FaultError(Code.KEY_FORMAT, "the die has other keys than were certified")
        await self._registry.keys_ready(self._step(Standing.KEYS_READY, Intent.KEYS), keys)

    async def _prove(self) -> None:
        """S3: each key proves itself over a fresh nonce; the vault builds what is signed itself."""
        store, uid, keys = self._means.store, self.die.uid, self._keys
        nonce, reject = store.random(NONCE), await store.drawn(uid, self._means.profile.rejection_check)
        possession = Possession(keys, nonce, reject=reject)
        # the die takes the fingerprint from the identity that it was given, maybe on an earlier contact
        fingerprint = se1_objects.decode_identity(self._contents.identity).fingerprint
        proof = se1_objects.Proof(uid, nonce, keys.hash(), fingerprint)
        script = self._script("S3 prove")
        try:
            possession.ask(script, self.die.payload)
            seen = await self._link.run(script)
            self._endorsement.begins()
            proofs = await possession.check(seen, proof, self._means.work)
        finally:
            possession.close()
        reserved = [self._contents.reserved(key, keys.spkis[key.slot]) for key in keys.registered()]
        step = self._step(Standing.POP_OK, Intent.ISSUE, proofs)
        self._contents.certificates = await self._registry.proven(step, reserved)

    async def _write(self) -> None:
        """Issue; S4: write the certificates, and have the die attest all that it holds."""
        await self._issue()
        await self._write_customer()
        attesting = self._attesting()
        script = self._script("S4 write")
        self._store(script, self._contents.credentials())
        script.secure("STORE HASH", se1.command("STORE HASH"))
        self._contents.read_back(script, self.die.payload)
        attesting.ask(script, self.die.payload)
        seen = await self._link.run(script)
        if seen["STORE HASH"] != self._contents.store_hash():
            raise FaultError(Code.STORE_HASH, "the die holds other containers than were written")
        self._contents.check_read_back(seen)
        proofs = await self._attested(attesting, seen, LifeCycle.INITIALIZED)
        await self._registry.forward(self._step(Standing.ATTESTED, Intent.ROTATE, proofs))

    async def _write_customer(self) -> None:
        """S4 for the customer's own data, if any; the store hash that the die tells next covers it."""
        if container := self._contents.customer():
            script = self._script("S4 customer")
            self._store(script, container)
            await self._link.run(script)

    async def _issue(self) -> None:
        """The unit's certificates: those that exist as they are, the reserved ones signed now."""
        await self._contents.sign(self.die.uid, self._keys)
        hashed = [(cert, sha256(cert.der).digest()) for cert in self._contents.certificates]
        await self._registry.issued(self._step(Standing.ISSUED, Intent.WRITE), hashed)
        self._endorsement.ends()

    def _attesting(self) -> Attesting:
        return Attesting(self._keys, self._means.profile.attesting, self._means.store.random(NONCE))

    async def _attested(
        self, attesting: Attesting, seen: Mapping[str, bytes], life_cycle: LifeCycle
    ) -> dict[str, str]:
        """The die must say of itself exactly what the vault knows of it."""
        known = (self.die.uid, life_cycle, self._contents.store_hash(), self.die.session.kvn)
        return await attesting.check(seen, known, self._means.work)

    async def _rotate(self) -> None:
        """S5: the issuer's keys go in under the session key, and are proven before the old ones go."""
        product = self._means.profile.product
        keys = await self._means.store.die_keys(self.die.uid, KeySet.ISSUER, product)
        host_challenge = self._means.store.random(16)
        try:
            offer = await self._put(keys, host_challenge)
        except BaseException:
            keys.wipe()
            raise
        self._reopen(keys, host_challenge, offer, Code.ROTATION)
        await self._registry.forward(self._step(Standing.KEYS_ROTATED, Intent.LOCK))

    async def _put(self, keys: scp03.KeySet, host_challenge: bytes) -> bytes:
        """Bring keys into the die, and return what it offers under them."""
        script = self._script("S5 rotate")
        if KeySet.ISSUER in self.die.reading.key_sets:
            script.secure("DELETE KEY", se1.delete_key(KeySet.ISSUER))
        put = self.die.session.wrapped_keys(keys)
        script.secure("PUT KEY", _put_key(put))
        script.plain("INITIALIZE UPDATE", scp03.initialize_update(KeySet.ISSUER, host_challenge))
        seen = await self._link.run(script)
        if seen["PUT KEY"] != bytes([KeySet.ISSUER]) + scp03.check_values(put):
            raise FaultError(Code.ROTATION, "the check values of the new keys are wrong")
        return seen["INITIALIZE UPDATE"]

    async def _lock(self) -> None:
        """S6: the transport keys go, the die becomes SECURED; then a new session under the new keys."""
        host_challenge = self._means.store.random(16)
        script = self._script("S6 lock")
        script.authenticate()
        if KeySet.TRANSPORT in self.die.reading.key_sets:
            script.secure("DELETE KEY", se1.delete_key(KeySet.TRANSPORT))
        script.secure("SET STATUS", se1.command("SET STATUS", life_cycle=LifeCycle.SECURED))
        script.reset()
        script.plain("SELECT", se1.select())
        script.plain("INITIALIZE UPDATE", scp03.initialize_update(KeySet.ISSUER, host_challenge))
        seen = await self._link.run(script)
        self._reopen(self.die.session.keys.copy(), host_challenge, seen["INITIALIZE UPDATE"], Code.LOCK)

    async def _prove_lock(self) -> None:
        """S7: the lock is proven by replies that carry a MAC; the refusals beside them test the chip."""
        script = self._script("S7 proof of lock")
        script.authenticate()
        for command in ("GET KEY INFO", "DIE STATUS", "STORE HASH"):
            script.secure(command, se1.command(command))
        for slot in self._keys.kinds:
            script.secure("GENERATE KEY PAIR", self._keys.generate(slot), StatusWord.CONDITIONS)
        script.reset()
        challenge = self._means.store.random(16)
        old = scp03.initialize_update(KeySet.TRANSPORT, challenge)
        script.plain("INITIALIZE UPDATE", old, StatusWord.NOT_FOUND)
        script.plain("VERIFY TOKEN", _verify_token(Token.TEST, bytes(32)), StatusWord.CONDITIONS)
        self._check_lock(await self._link.run(script))

    def _check_lock(self, seen: Mapping[str, bytes]) -> None:
        status = se1.die_status(seen["DIE STATUS"])
        if se1.key_sets(seen["GET KEY INFO"]) != (KeySet.ISSUER,):
            raise FaultError(Code.LOCK_PROOF, "the transport keys are still there")
        if status.life_cycle is not LifeCycle.SECURED or status.alarms:
            raise FaultError(Code.LOCK_PROOF, f"{status.life_cycle.name}, alarms {status.alarms:#06x}")
        if lost := [slot for slot in self._keys.kinds if status.slots[slot - 1] is not SlotState.VALID]:
            raise FaultError(Code.LOCK_PROOF, f"the key of slot {lost[0]} is gone")
        if seen["STORE HASH"] != self._contents.store_hash():
            raise FaultError(Code.LOCK_PROOF, "the containers changed after they were attested")

    async def _register(self) -> Sealed:
        """Sign the record and keep it: the device is sealed.

        That it became SECURED is written down with that: after intent `lock` a die that is so has its lock
        proven, whether or not the journal knows.
        """
        identity = se1_objects.decode_identity(self._contents.identity)
        checked = await self._registry.checked(self._job.unit)
        facts = record.Facts(identity, self._contents.certificates, self._proofs, checked)
        means = self._means
        signed = await record.compose(self._job, facts, means.profile, means.store)
        passed = (Standing.SECURED,) if self._known.unit.standing is not Standing.SECURED else ()
        step = replace(self._step(Standing.REGISTERED, Intent.NONE), passed=passed)
        leaf = await self._registry.register(step, signed)
        return self._sealed(signed, leaf)

    def _sealed(self, signed: Record, leaf: int) -> Sealed:
        hashes = tuple(sha256(cert.der).digest() for cert in self._contents.certificates)
        return Sealed(self.die.uid, signed.serial, signed.hash, hashes, leaf)

    def _step(self, standing: Standing, intent: Intent, proofs: Mapping[str, str] | None = None) -> Step:
        self._proofs |= proofs or {}
        return Step(self._job.unit, self._job.session, self._job.now, standing, intent, proofs)

    def _script(self, label: str) -> Script:
        return Script(label, self.die.session, factor=self._means.profile.budget_factor)

    def _store(self, script: Script, container: bytes) -> None:
        for apdu in se1.store_data(container, self.die.payload):
            script.secure("STORE DATA", apdu)

    def _reopen(self, keys: scp03.KeySet, host_challenge: bytes, offer: bytes, code: Code) -> None:
        """Go on in a new session, not yet authenticated."""
        self.die.session.close()
        try:
            self.die.session = scp03.open_session(keys, host_challenge, offer)
        except scp03.ChannelError as error:
            keys.wipe()
            raise FaultError(code, str(error)) from error


def _put_key(data: bytes) -> bytes:
    enc, mac, dek = data[1:48], data[48:95], data[95:142]
    return se1.command("PUT KEY", kvn=data[0], enc=enc, mac=mac, dek=dek)


def _verify_token(kind: Token, token: bytes) -> bytes:
    row = COMMANDS["VERIFY TOKEN"]
    return se1.apdu(bytes((row.cla, row.ins, 0, kind)), token)
