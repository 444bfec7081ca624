"""Terminating a die: from then on it tells what it is, and nothing else. For rejects, before they go."""

from drivers.errors import DutError
from drivers.protocols import se1
from drivers.protocols.se1_table import LifeCycle, StatusWord
from station.vault.die.dossier import Unit
from station.vault.die.job import Job, Link, Means
from station.vault.die.opening import Opening
from station.vault.die.recovery import Standing
from station.vault.die.script import Script
from station.vault.faults import Code, DoubtError, Fate, FaultError

ANY = (StatusWord.OK, StatusWord.CONDITIONS)


async def terminate(job: Job, link: Link, means: Means, unit: Unit) -> None:
    """Set the life cycle through a channel, whose reply with a MAC proves it; FaultError, DoubtError."""
    if unit.standing is Standing.RMA:
        await _ended_open(link, means)
        await means.registry.terminated(job.unit, job.now)
        return
    die = await Opening(job, link, means, unit).open_as_it_is()
    try:
        script = Script("T terminate", die.session, factor=means.profile.budget_factor)
        script.authenticate()
        script.secure("SET STATUS", se1.command("SET STATUS", life_cycle=LifeCycle.TERMINATED))
        await link.run(script)
    except DutError as error:
        raise DoubtError(Code.LINK, str(error)) from error
    finally:
        die.session.close()
    await means.registry.terminated(job.unit, job.now)


async def _ended_open(link: Link, means: Means) -> None:
    """A die that was opened has no keys for a channel: it is told in the clear, and believed."""
    script = Script("T terminate", factor=means.profile.budget_factor)
    script.reset()
    script.plain("SELECT", se1.select(), StatusWord.OK, StatusWord.CONDITIONS)
    script.plain("SET STATUS", se1.command("SET STATUS", life_cycle=LifeCycle.TERMINATED), *ANY)
    script.plain("DIE STATUS", se1.command("DIE STATUS"))
    try:
        state = se1.die_status((await link.run(script))["DIE STATUS"]).life_cycle
    except DutError as error:
        raise DoubtError(Code.LINK, str(error)) from error
    if state is not LifeCycle.TERMINATED:
        raise FaultError(Code.LIFE_CYCLE, f"it is {state.name} after it was terminated", Fate.QUARANTINE)
