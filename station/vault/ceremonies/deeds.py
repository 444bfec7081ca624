"""What each step of a ceremony does to the key store. Each may be repeated after power went in its middle."""

import platform
from collections.abc import Callable
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from station.custody import durable_file
from station.vault.ceremonies import attributes, certificates, masks, rma, steps
from station.vault.ceremonies.plan import Plan
from station.vault.ceremonies.questions import Questions
from station.vault.keys import calls
from station.vault.keys.control import Control
from station.vault.keys.errors import PassphraseError, PolicyError, RequestError
from station.vault.keys.frames import wipe
from station.vault.keys.words import (
    DEVELOPMENT_CUSTODIAN,
    DEVELOPMENT_PASSPHRASE,
    Approval,
    BackupShare,
    Entry,
    Health,
    KeyProfile,
    Mode,
    SealedKey,
)

RMA_FILE = "rma.pub"
NETWORKS = Path("/sys/class/net")
BACKUP, SHARE = "backup", ".share"
TRIES = 3
Result = dict[str, Any]


class Sitting(NamedTuple):
    """What is carried out, and where its files lie."""

    plan: Plan
    folder: Path
    results: list[Result]
    """Of the steps that are done, also in earlier sittings."""


class Deeds:
    """Does the steps of one plan in one store."""

    def __init__(
        self, sitting: Sitting, store: Control, questions: Questions, activated: Callable[[str], None]
    ) -> None:
        self._plan, self._folder, self._results = sitting
        self._store, self._questions = store, questions
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
            case steps.Generate():
                return self._generated(step.profile, again=again)
            case steps.LoadSealed():
                return self._loaded(step, again=again)
            case steps.Move():
                return self._moved(step, again=again)
            case steps.Dump():
                keys = attributes.dumped(self._store, self._plan)
                return {"store": self._health().store, "keys": attributes.plain(keys)}
        return self._of_store(step, again=again)

    def _of_store(self, step: steps.Step, *, again: bool) -> Result:
        """What is done to the store as a whole."""
        match step:
            case steps.OpenStore():
                return _told(self._health())
            case steps.OpenLedger():
                self._store.ask(calls.OpenLedger(step.origin), object)
                return {"ledger": step.origin}
            case steps.Backup():
                return self._backed_up(step)
            case steps.Recover():
                return self._recovered(step, again=again)
        return self._certified(step)

    def _certified(self, step: steps.Step) -> Result:
        """What makes files of certificates."""
        match step:
            case steps.Request():
                return self._wrote({step.file: certificates.request(self._store, step)})
            case steps.CertifyRoot():
                return self._wrote({step.file: certificates.root(self._store, step, self._plan.made_at)})
            case steps.Certify():
                made_at = self._plan.made_at
                return self._wrote(
                    {step.file: certificates.certify(self._store, step, self._folder, made_at)}
                )
            case steps.RootList():
                made_at = self._plan.made_at
                return self._wrote(
                    {step.file: certificates.root_list(self._store, step, self._folder, made_at)}
                )
            case steps.TakeCertificate():
                taken = certificates.take(self._store, step, self._folder)
                for name, content in taken.items():
                    put(Path(step.into) / name, content)
                return self._wrote(taken)
        return self._for_product(step)

    def _for_product(self, step: steps.Step) -> Result:
        """What a product needs beside its keys."""
        match step:
            case steps.TakeRma():
                taken = rma.public_of(self._folder / step.file)
                put(Path(step.into) / RMA_FILE, taken)
                return self._wrote({RMA_FILE: taken})
            case steps.PublishRma():
                return self._wrote({step.file: rma.published(self._store, step.key)})
            case steps.OpenBox():
                unit, content = rma.opened(self._store, step, self._folder)
                return {"unit": unit} | self._wrote({step.file: content})
            case steps.Mask():
                return self._wrote({step.file: masks.hashes(self._store, step)})
        raise PolicyError(f"no step of a ceremony: {type(step).__name__}")

    def _wrote(self, files: dict[str, bytes]) -> Result:
        """Write files of the ceremony, and tell their hashes."""
        for name, content in files.items():
            put(self._folder / name, content)
        return {"files": {name: sha256(content).hexdigest() for name, content in files.items()}}

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
            self._questions.say(f"{health.shares} shares given; custodians: {', '.join(health.custodians)}")
            holder = self._holder()
            try:
                self._store.ask(self._share(holder), Health)
            except PassphraseError as error:
                tries -= 1
                if not tries:
                    raise
                self._questions.say(str(error))
            else:
                self._activated(holder.name)
            finally:
                wipe(holder.passphrase)

    def _holder(self) -> calls.Custodian:
        name = self._questions.word("custodian")
        return calls.Custodian(name, self._questions.secret(f"passphrase of custodian {name}", new=False))

    def _share(self, holder: calls.Custodian) -> calls.Activate | calls.Restore:
        """Of the store itself, or of a backup that the plan names."""
        folders = [step.backup for step in self._plan.steps if isinstance(step, steps.OpenStore)]
        path = Path(next(filter(None, folders), "")) / f"{holder.name}{SHARE}"
        if not any(folders) or not path.is_file():
            return calls.Activate(holder.name, holder.passphrase)
        try:
            return calls.Restore(msgspec.json.decode(path.read_bytes(), type=BackupShare), holder.passphrase)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise PassphraseError(f"{path}: not a share of a backup") from None

    def _approving(self, needed: int) -> tuple[calls.Custodian, ...]:
        return tuple(self._holder() for _ in range(needed))

    def _backed_up(self, step: steps.Backup) -> Result:
        by = self._approving(self._health().threshold)
        holders = tuple(self._custodian(name, Mode.PRODUCTION) for name in step.holders)
        try:
            shares = self._store.ask(calls.Backup(by, holders, step.threshold), tuple[BackupShare, ...])
        finally:
            for holder in (*by, *holders):
                wipe(holder.passphrase)
        written = {f"{BACKUP}/{one.holder}{SHARE}": msgspec.json.encode(one) for one in shares}
        return {"holders": list(step.holders), "threshold": step.threshold} | self._wrote(written)

    def _recovered(self, step: steps.Recover, *, again: bool) -> Result:
        """Give the store another key and id; found done if power went after it."""
        health = self._health()
        known = {result.get("store") for result in self._results}
        if not again or health.store in known:
            by = self._approving(self._opened_by)
            new = tuple(self._custodian(name, Mode.PRODUCTION) for name in step.custodians)
            try:
                call = calls.Reshare(by, new, step.threshold, True, step.lost)  # noqa: FBT003 - array
                self._store.ask(call, type(None))
            finally:
                for holder in (*by, *new):
                    wipe(holder.passphrase)
            health = self._health()
        return _told(health) | {"revoked": health.before}

    @property
    def _opened_by(self) -> int:
        """How many holders open the store: those of a backup, or its custodians."""
        for step in self._plan.steps:
            if isinstance(step, steps.OpenStore) and step.backup:
                found = sorted(Path(step.backup).glob(f"*{SHARE}"))
                return msgspec.json.decode(found[0].read_bytes(), type=BackupShare).threshold
        return self._health().threshold

    def _loaded(self, step: steps.LoadSealed, *, again: bool) -> Result:
        found = self._entry(step.profile.id) if again else None
        if found is None or not found.made:
            try:
                sent = msgspec.json.decode((self._folder / step.file).read_bytes(), type=SealedKey)
            except OSError as error:
                raise RequestError(f"{self._folder / step.file}: {error.strerror}") from error
            except (msgspec.DecodeError, UnicodeDecodeError):
                raise RequestError(f"{self._folder / step.file}: not a key sealed to a store") from None
            call = calls.LoadSealed(step.profile, step.kem, sent.ciphertext, sent.box)
            self._store.ask(call, type(None))
            found = self._entry(step.profile.id)
        if found is None or found.profile != step.profile:
            raise PolicyError(f"key {step.profile.id}: another one than this ceremony would load")
        return {"key": found.id, "where": found.where, "origin": found.origin}

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


def put(path: Path, content: bytes) -> None:
    """Write a file durably, in a folder that may not be there yet."""
    made_in = durable_file.make_folder(path.parent)
    durable_file.replace(path, content)
    durable_file.sync_all(made_in)
