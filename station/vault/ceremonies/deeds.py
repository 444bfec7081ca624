"""What each step of a ceremony does to the key store. Each may be repeated after power went in its middle."""

import platform
from collections.abc import Callable
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

from station.vault.ceremonies import attributes, steps
from station.vault.ceremonies.plan import Plan
from station.vault.ceremonies.questions import Questions
from station.vault.keys import calls
from station.vault.keys.control import Control
from station.vault.keys.errors import PassphraseError, PolicyError
from station.vault.keys.frames import wipe
from station.vault.keys.words import (
    DEVELOPMENT_CUSTODIAN,
    DEVELOPMENT_PASSPHRASE,
    Approval,
    Entry,
    Health,
    KeyProfile,
    Mode,
)

NETWORKS = Path("/sys/class/net")
TRIES = 3
Result = dict[str, Any]


class Deeds:
    """Does the steps of one plan in one store."""

    def __init__(
        self, plan: Plan, store: Control, questions: Questions, activated: Callable[[str], None]
    ) -> None:
        self._plan, self._store, self._questions = plan, store, questions
        self._activated = activated

    def do(self, step: steps.Step, *, again: bool) -> Result:
        """Do a step and tell what came of it; `again` if it had begun before."""
        match step:
            case steps.Inspect():
                return inspected()
            case steps.MakeStore():
                return self._made_store(step, again=again)
        self._open()
        match step:
            case steps.OpenStore():
                return _told(self._health())
            case steps.Generate():
                return self._generated(step.profile, again=again)
            case steps.OpenLedger():
                self._store.ask(calls.OpenLedger(step.origin), object)
                return {"ledger": step.origin}
            case steps.Move():
                return self._moved(step, again=again)
            case steps.Dump():
                keys = attributes.dumped(self._store, self._plan)
                return {"store": self._health().store, "keys": attributes.plain(keys)}

    def _health(self) -> Health:
        return self._store.ask(calls.Health(), Health)

    def _entry(self, key: str) -> Entry | None:
        entries = self._store.ask(calls.Entries(), list[Entry])
        return next((entry for entry in entries if entry.id == key), None)

    def _made_store(self, step: steps.MakeStore, *, again: bool) -> Result:
        if again and (Path(self._plan.store) / "keys.hbks").exists():
            health = self._health()
            if health.keys or health.mode is not step.mode or health.custodians != _custodians(step):
                raise PolicyError(f"{self._plan.store}: another store than this ceremony would make")
            return _told(health)
        holders = tuple(self._custodian(name, step.mode) for name in _custodians(step))
        token = None
        if step.module:
            pin = self._questions.secret("pin of the token", new=False)
            token = calls.TokenPlan(step.module, step.token, step.pq, pin)
        try:
            return _told(self._store.ask(calls.Init(step.mode, holders, token), Health))
        finally:
            for holder in holders:
                wipe(holder.passphrase)

    def _custodian(self, name: str, mode: Mode) -> calls.Custodian:
        if mode is Mode.DEVELOPMENT:
            return calls.Custodian(name, bytearray(DEVELOPMENT_PASSPHRASE))
        return calls.Custodian(name, self._questions.secret(f"passphrase of custodian {name}", new=True))

    def _open(self) -> None:
        """Have custodians come until the store is open."""
        tries = TRIES
        while (health := self._health()).state == "sealed":
            self._questions.say(
                f"{health.shares} of {health.threshold} shares; custodians: {', '.join(health.custodians)}"
            )
            name = self._questions.word("custodian")
            passphrase = self._questions.secret(f"passphrase of custodian {name}", new=False)
            try:
                self._store.ask(calls.Activate(name, passphrase), Health)
            except PassphraseError as error:
                tries -= 1
                if not tries:
                    raise
                self._questions.say(str(error))
            else:
                self._activated(name)
            finally:
                wipe(passphrase)

    def _generated(self, profile: KeyProfile, *, again: bool) -> Result:
        found = self._entry(profile.id) if again else None
        if found is None or not found.made:
            self._store.ask(calls.Generate(profile), type(None))
            found = self._entry(profile.id)
        if found is None or found.profile != profile:
            raise PolicyError(f"key {profile.id}: another one than this ceremony would make")
        told = {"key": found.id, "where": found.where, "mark": found.mark}
        return told | ({"public key": sha256(found.public).hexdigest()} if found.public else {})

    def _moved(self, step: steps.Move, *, again: bool) -> Result:
        found = self._entry(step.key) if again else None
        if found is None or found.state is not step.state:
            persons = ",".join(person.name for person in self._plan.persons)
            approval = Approval(persons, f"{self._plan.ceremony}: {step.reason}")
            self._store.ask(calls.Move(step.key, step.state, approval), type(None))
        return {"key": step.key, "state": step.state.value}


def _custodians(step: steps.MakeStore) -> tuple[str, ...]:
    return (DEVELOPMENT_CUSTODIAN,) if step.mode is Mode.DEVELOPMENT else step.custodians


def _told(health: Health) -> Result:
    return {
        "store": health.store,
        "mode": health.mode.value,
        "back end": health.backend,
        "module": health.module,
        "custodians": list(health.custodians),
        "threshold": health.threshold,
        "memory locked": health.memory_locked,
    }


def inspected() -> Result:
    """What this machine is and runs."""
    return {
        "hardbin": version("hardbin"),
        "python": platform.python_version(),
        "cryptography": version("cryptography"),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "networks up": networks(),
    }


def networks(folder: Path = NETWORKS) -> list[str]:
    """The interfaces that may carry something, but the machine's own loop."""
    states = {path.parent.name: path.read_text("ascii").strip() for path in folder.glob("*/operstate")}
    return sorted(name for name, state in states.items() if name != "lo" and state != "down")
