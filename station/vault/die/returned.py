"""RMA: a sealed die that came back wipes its keys and opens, by the token that a ceremony yielded for it."""

from hashlib import sha384

from drivers.errors import DutError
from drivers.protocols import se1
from drivers.protocols.se1_table import LifeCycle, StatusWord, Token
from station.vault.asked import Step
from station.vault.die.dossier import Unit
from station.vault.die.job import Job, Link, Means
from station.vault.die.loading import TOKEN_ANSWERS
from station.vault.die.opening import Opening
from station.vault.die.recovery import Intent, Standing
from station.vault.die.script import Script
from station.vault.faults import Code, DoubtError, Fate, FaultError
from station.vault.returns import Permit
from station.vault.secret import Secret

CLOSED = (LifeCycle.SECURED, LifeCycle.CARD_LOCKED)
HASHED = b"PQP1-RMA"


async def open_rma(job: Job, link: Link, means: Means, unit: Unit) -> None:
    """Prove that the die is the unit, then present its token; FaultError, DoubtError."""
    try:
        await Returned(job, link, means, unit).open()
    except DutError as error:
        raise DoubtError(Code.LINK, str(error)) from error


class Returned:
    """One session with a die that came back."""

    def __init__(self, job: Job, link: Link, means: Means, unit: Unit) -> None:
        self._job, self._link, self._means, self._unit = job, link, means, unit

    async def open(self) -> None:
        """Open the die, or find it open after a doubt."""
        permit = await self._means.registry.returns.permit(self._job.unit)
        state = await self._life_cycle()
        if state in CLOSED:
            await self._proven()
            await self._presented(permit)
        elif state is not LifeCycle.RMA or self._unit.intent is not Intent.OPEN:
            raise FaultError(Code.LIFE_CYCLE, f"it is {state.name}, not locked", Fate.UNTOUCHED)
        done = Step(self._job.unit, self._job.session, self._job.now, Standing.RMA, Intent.NONE)
        await self._means.registry.returns.opened(done)

    async def _life_cycle(self) -> LifeCycle:
        script = self._script("R0 read")
        script.reset()
        script.plain("SELECT", se1.select(), StatusWord.OK, StatusWord.LOCKED_WARNING)
        script.plain("DIE STATUS", se1.command("DIE STATUS"))
        script.plain("GET UID", se1.command("GET UID"))
        seen = await self._link.run(script)
        if se1.uid_of(seen["GET UID"]) != self._unit.uid:
            raise FaultError(Code.UID_MISMATCH, "the die is another one than was sealed", Fate.UNTOUCHED)
        return se1.die_status(seen["DIE STATUS"]).life_cycle

    async def _proven(self) -> None:
        """The die knows the issuer's keys of its UID: it is no other one that tells the same UID."""
        die = await Opening(self._job, self._link, self._means, self._unit).open_as_it_is()
        try:
            script = Script("R1 prove", die.session, factor=self._means.profile.budget_factor)
            script.authenticate()
            script.secure("DIE STATUS", se1.command("DIE STATUS"))
            seen = await self._link.run(script)
        finally:
            die.session.close()
        if se1.die_status(seen["DIE STATUS"]).life_cycle not in CLOSED:
            raise FaultError(Code.LIFE_CYCLE, "it told another life cycle in the clear", Fate.UNTOUCHED)

    async def _presented(self, permit: Permit) -> None:
        with await self._means.store.brought_token(self._unit.uid, permit.sealed) as token:
            self._check(token, permit)
            announced = Step(
                self._job.unit, self._job.session, self._job.now, self._unit.standing, Intent.OPEN
            )
            await self._means.registry.returns.opening(announced)
            script = self._script("R2 open")
            script.reset()
            script.plain("SELECT", se1.select(), StatusWord.OK, StatusWord.LOCKED_WARNING)
            apdu = se1.command("VERIFY TOKEN", token=bytes(token.reveal()), kind=Token.RMA)
            script.plain("VERIFY TOKEN", apdu, *TOKEN_ANSWERS)
        script.plain("DIE STATUS", se1.command("DIE STATUS"))
        state = se1.die_status((await self._link.run(script))["DIE STATUS"]).life_cycle
        if state is not LifeCycle.RMA:
            raise FaultError(
                Code.LIFE_CYCLE, f"it does not take its RMA token: {state.name}", Fate.QUARANTINE
            )

    def _check(self, token: Secret, permit: Permit) -> None:
        """A wrong token would cost the die one of its tries."""
        if sha384(HASHED + self._unit.uid + bytes(token.reveal())).digest() != permit.token_hash:
            raise FaultError(Code.KEY_NOT_ACTIVE, "the token that was brought is not this unit's")

    def _script(self, label: str) -> Script:
        return Script(label, factor=self._means.profile.budget_factor)
