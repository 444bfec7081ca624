"""Terminating a die: from then on it tells what it is, and nothing else. For rejects, before they go."""

from drivers.errors import DutError
from drivers.protocols import se1
from drivers.protocols.se1_table import LifeCycle
from station.vault.die.dossier import Unit
from station.vault.die.job import Job, Link, Means
from station.vault.die.opening import Opening
from station.vault.die.script import Script
from station.vault.faults import Code, DoubtError


async def terminate(job: Job, link: Link, means: Means, unit: Unit) -> None:
    """Set the life cycle through a channel, whose reply with a MAC proves it; FaultError, DoubtError."""
    die = await Opening(job, link, means, unit).open_as_it_is()
    script = Script("T terminate", die.session, factor=means.profile.budget_factor)
    script.authenticate()
    script.secure("SET STATUS", se1.command("SET STATUS", life_cycle=LifeCycle.TERMINATED))
    try:
        await link.run(script)
    except DutError as error:
        raise DoubtError(Code.LINK, str(error)) from error
    finally:
        die.session.close()
    await means.registry.terminated(job.unit, job.now)
