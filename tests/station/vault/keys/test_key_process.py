"""The key store as a process: crash, hang, restart, and what can be seen of its secrets."""

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest

from station.vault.keys import client, deadlines, frames
from station.vault.keys.__main__ import REFUSED
from station.vault.keys.client import KeyStoreClient
from station.vault.keys.errors import (
    DownError,
    KeyStoreError,
    LimitError,
    LockedError,
    PassphraseError,
    PolicyError,
    RequestError,
)
from station.vault.keys.words import Algorithm, KeyProfile, KeyRef, KeyState, Purpose, Ticket
from station.vault.secret import Secret
from tests.station.vault.keys import unruly
from tests.station.vault.keys.stores import LABEL, OFFICER, PASSPHRASES, development, production, profile

UNRULY = (sys.executable, str(Path(unruly.__file__)))
MASTER = sha256(b"planted master").digest()


@asynccontextmanager
async def started(folder: Path, *, command: tuple[str, ...] = UNRULY) -> AsyncIterator[KeyStoreClient]:
    """A development store in a process of its own; with cheap passphrases, if not told otherwise."""
    store = KeyStoreClient(folder, command=command)
    store.begin()
    try:
        if not (folder / "keys.hbks").exists():
            await store.init(development())
        yield store
    finally:
        await store.aclose()


async def activated(store: KeyStoreClient, wanted: KeyProfile) -> KeyRef:
    key = await store.generate(wanted)
    await store.change(key, KeyState.ACTIVE, OFFICER)
    return key


def told_of(pid: int | None, what: str) -> str:
    """What the system tells of a process; nothing, if there is none."""
    try:
        return Path(f"/proc/{pid}/{what}").read_text("utf-8")
    except FileNotFoundError:
        return ""


def killed(store: KeyStoreClient) -> int:
    """Kill its process, and return when that is dead: whoever asks sooner is told that it is down."""
    pid = store.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    return pid


async def test_it_is_hardened_and_ends_with_its_vault(tmp_path: Path) -> None:
    async with started(tmp_path, command=()) as store:
        health = await store.health()
        pid = store.pid
        assert (health.state, health.dumpable) == ("active", False)
        limits = told_of(pid, "limits")
        (core,) = [line.split() for line in limits.splitlines() if line.startswith("Max core file size")]
        assert core[4:6] == ["0", "0"]
        assert (tmp_path / "keys.sock").lstat().st_mode & 0o077 == 0
    assert store.pid is None
    assert not told_of(pid, "limits")


async def test_limits_hold_when_many_ask_at_once(tmp_path: Path) -> None:
    async with started(tmp_path) as store:
        key = await activated(store, profile("TM", Algorithm.AES_256, Purpose.DERIVE, limit=250))

        async def one() -> int:
            try:
                with await store.derive(key, LABEL, os.urandom(16), 256):
                    return 1
            except LimitError:
                return 0

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one()) for _ in range(300)]
        assert sum(task.result() for task in tasks) == 250


async def test_a_killed_process_is_started_again_and_counts_are_wasted(tmp_path: Path) -> None:
    async with started(tmp_path) as store:
        key = await activated(store, profile(limit=10_000))
        await store.sign(key, b"m", Ticket())
        first = killed(store)
        assert await store.sign(key, b"m", Ticket())
        assert store.pid not in (None, first)
        assert store.restarts == 1
        usage = await store.usage(key)
        assert (usage.used, usage.leased) == (101, 200)


async def test_the_end_of_one_process_is_one_failure_however_many_wait(tmp_path: Path) -> None:
    async with started(tmp_path) as store:
        assert store.pid is not None
        os.kill(store.pid, signal.SIGSTOP)
        asked = [asyncio.create_task(store.random(8)) for _ in range(8)]
        await asyncio.sleep(0)
        os.kill(store.pid, signal.SIGKILL)
        await asyncio.wait(asked)
        assert {type(task.exception()) for task in asked} == {DownError}
        assert not store.breaker.open
        assert len(await store.random(8)) == 8


async def test_a_production_store_is_sealed_again_after_a_crash(tmp_path: Path) -> None:
    store = KeyStoreClient(tmp_path, command=UNRULY)
    store.begin()
    await store.init(production())
    with pytest.raises(PassphraseError):
        await store.activate("anna", bytearray(b"planted wrong passphrase"))
    for name in ("anna", "ben"):
        await store.activate(name, bytearray(PASSPHRASES[name]))
    assert len(await store.random(8)) == 8
    killed(store)
    with pytest.raises(LockedError, match="its custodians must activate it"):
        await store.random(8)
    await store.aclose()


async def test_a_module_that_hangs_or_crashes_takes_only_its_process_along(tmp_path: Path) -> None:
    async with started(tmp_path) as store:
        key = await activated(store, profile("TM", Algorithm.AES_256, Purpose.DERIVE))
        for label, killer in ((unruly.HANG, signal.SIGALRM), (unruly.CRASH, signal.SIGSEGV)):
            assert store.pid is not None
            os.kill(store.pid, signal.SIGSTOP)  # so that both have asked before it ends
            others = [asyncio.ensure_future(store.derive(key, label, b"", 128)) for _ in range(2)]
            await asyncio.sleep(0)
            os.kill(store.pid, signal.SIGCONT)
            for outcome in [await asyncio.wait([task]) for task in others]:
                (done,) = outcome[0]
                assert isinstance(done.exception(), DownError)
            assert store.ended == -killer
            assert len(await store.derive(key, LABEL, b"", 128)) == 16
        assert store.restarts == 2


async def test_a_process_that_stands_still_is_killed_by_the_vault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with started(tmp_path) as store:
        await store.random(1)
        first = store.pid
        assert first is not None
        os.kill(first, signal.SIGSTOP)
        with monkeypatch.context() as patched:
            patched.setattr(deadlines, "SECONDS", 0.1)
            patched.setattr(client, "GRACE_S", 0.1)
            with pytest.raises(DownError, match="did not answer in time; its process was killed"):
                await store.random(1)
        assert not told_of(first, "limits")
        assert len(await store.random(1)) == 1


async def test_who_gives_up_harms_nobody(tmp_path: Path) -> None:
    async with started(tmp_path) as store:
        await store.random(1)
        first = store.pid
        for size in range(1, 40):
            task = asyncio.ensure_future(store.random(size))
            await asyncio.sleep(0)
            task.cancel()
            assert len(await store.random(size + 100)) == size + 100
        assert store.pid == first
        assert not store.breaker.open


async def test_a_folder_whose_socket_has_no_room_serves_the_vault_alone(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 30)
    store = KeyStoreClient(folder, command=UNRULY)
    with pytest.raises(LockedError, match="there is no key store yet"):
        await store.start()
    await store.aclose()
    said = "people cannot reach this store: .* the path of a socket has at most 100 bytes"
    assert re.search(said, (folder / "keys.log").read_text("utf-8"))


def test_without_a_vault_people_must_reach_it(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 30)
    alone = subprocess.run([*UNRULY, "--folder", folder], capture_output=True, text=True, check=False)
    assert alone.returncode == REFUSED
    assert "at most 100 bytes" in alone.stderr


async def test_after_three_failures_nobody_waits(tmp_path: Path) -> None:
    async with started(tmp_path) as store:
        key = await activated(store, profile("TM", Algorithm.AES_256, Purpose.DERIVE))
        for _ in range(3):
            with pytest.raises(DownError, match="ended before it answered"):
                await store.derive(key, unruly.CRASH, b"", 128)
        assert store.breaker.open
        with pytest.raises(DownError, match="it is tried again in 30 s"):
            await store.derive(key, LABEL, b"", 128)
        assert store.pid is None


async def test_a_process_that_refuses_to_start_says_why_in_its_log(tmp_path: Path) -> None:
    async with started(tmp_path):
        second = KeyStoreClient(tmp_path, command=UNRULY)
        second.begin()
        with pytest.raises(DownError):
            await second.health()
        await second.aclose()
    assert "another key store process runs on this folder" in (tmp_path / "keys.log").read_text("utf-8")


def asked(folder: Path, request: bytes) -> tuple[int, str, object]:
    """Ask at the socket for people, in raw bytes."""
    with socket.socket(socket.AF_UNIX) as end:
        end.settimeout(20)
        end.connect(str(folder / "keys.sock"))
        end.sendall(len(request).to_bytes(4) + request)
        reply = b""
        while len(reply) < 4 or len(reply) < 4 + int.from_bytes(reply[:4]):
            part = end.recv(65536)
            if not part:
                raise EOFError
            reply += part
    return msgspec.msgpack.decode(reply[4:], type=tuple[int, str, object])


async def test_people_may_ask_for_little_and_nonsense_is_an_answer(tmp_path: Path) -> None:
    async with started(tmp_path) as store:
        pack = msgspec.msgpack.encode
        number, verdict, value = asked(tmp_path, pack([7, "health", []]))
        assert (number, verdict) == (7, "ok")
        for request, kind in (
            (pack([8, "random", [16]]), "policy"),
            (pack([8, "derive", ["TM", [LABEL], b"", 256]]), "policy"),
            (pack([8, "dump", []]), "request"),
            (pack([8, "activate", ["planted-custodian"]]), "request"),
            (pack([8, "activate", ["anna", "planted text"]]), "request"),
            (pack({"planted": 1}), "request"),
            (b"\xc1planted", "request"),
            (b"", "request"),
        ):
            _, verdict, value = asked(tmp_path, request)
            assert isinstance(value, dict)
            assert (verdict, value["kind"]) == ("error", kind)
            assert "planted" not in str(value)
        with pytest.raises(EOFError), socket.socket(socket.AF_UNIX) as end:
            end.connect(str(tmp_path / "keys.sock"))
            end.sendall((frames.FRAME_MAX + 1).to_bytes(4))
            if not end.recv(1):
                raise EOFError
        assert len(await store.random(4)) == 4


async def test_errors_show_no_secret(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with started(tmp_path) as store:
        said = []
        tm = profile("TM", Algorithm.AES_256, Purpose.DERIVE)
        await store.load(tm, Secret(MASTER))
        wrong = (
            store.load(tm, Secret(MASTER)),
            store.load(profile("T2", Algorithm.AES_256, Purpose.DERIVE), Secret(MASTER + MASTER)),
            store.activate("everybody", bytearray(b"planted passphrase")),
            store.wrap(KeyRef("TM"), Secret(MASTER)),
            store.unwrap(Secret(MASTER), bytes(40)),
        )
        for call in wrong:
            with pytest.raises((PolicyError, RequestError)) as caught:
                await call
            said.append(repr(caught.value) + repr(caught.value.__context__))
        await store.change(KeyRef("TM"), KeyState.ACTIVE, OFFICER)
        with pytest.raises(KeyStoreError, match="internal: ZeroDivisionError") as told:
            await store.derive(KeyRef("TM"), unruly.TELL, b"", 128)
        said += [repr(told.value), repr(await store.entries()), caplog.text]
    seen = " ".join(said).encode() + (tmp_path / "keys.log").read_bytes()
    assert b"unruly.py:" in seen, "an internal error says where"
    for secret in (b"planted", unruly.SECRET, MASTER, MASTER.hex().encode(), repr(MASTER)[2:-1].encode()):
        assert secret not in seen


def memory_of(pid: int) -> bytes:
    """All writable memory of a process, as a core dump would have it."""
    parts = []
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text("utf-8").splitlines():
            span, permissions = line.split()[:2]
            if permissions.startswith("rw"):
                start, end = (int(bound, 16) for bound in span.split("-"))
                try:
                    memory.seek(start)
                    parts.append(memory.read(end - start))
                except (OSError, OverflowError):
                    continue
    return b"".join(parts)


async def test_memory_of_the_vault_holds_no_master_key_and_no_key_that_was_wiped(tmp_path: Path) -> None:
    async with asyncio.timeout(60):
        async with started_production(tmp_path) as store:
            tm = profile("TM", Algorithm.AES_256, Purpose.DERIVE)
            await store.load(tm, Secret(MASTER))
            await store.change(KeyRef("TM"), KeyState.ACTIVE, OFFICER)
            derived = bytes((await store.derive(KeyRef("TM"), LABEL, bytes(16), 256)).reveal())
        holder = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.station.vault.keys.holder", str(tmp_path),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert holder.stdin is not None
        assert holder.stdout is not None
        for name in ("anna", "cleo"):
            masked = bytes(byte ^ 0xFF for byte in PASSPHRASES[name])
            holder.stdin.write(masked.hex().encode() + b"\n")
        assert await holder.stdout.readline() == b"used 32\n"
        try:
            using = memory_of(holder.pid)
        except PermissionError:
            holder.kill()
            await holder.wait()
            pytest.skip("this system lets nobody look into a process")
        assert derived in using, "a key in use is found, so that the search is one"
        holder.stdin.write(b"\n")
        assert (await holder.stdout.readline()).startswith(b"wiped")
        after = memory_of(holder.pid)
        holder.stdin.write(b"\n")
        await holder.wait()
    assert b"not to be wiped: control" in after
    assert derived not in after
    for memory in (using, after):
        assert MASTER not in memory
        assert PASSPHRASES["anna"] not in memory
        assert PASSPHRASES["cleo"] not in memory


@asynccontextmanager
async def started_production(folder: Path) -> AsyncIterator[KeyStoreClient]:
    """A production store, activated."""
    store = KeyStoreClient(folder, command=UNRULY)
    store.begin()
    try:
        await store.init(production())
        for name in ("anna", "ben"):
            await store.activate(name, bytearray(PASSPHRASES[name]))
        yield store
    finally:
        await store.aclose()


async def test_zeroise(tmp_path: Path) -> None:
    async with started(tmp_path) as store:
        key = await activated(store, profile())
        await store.zeroise()
        with pytest.raises(LockedError, match="zeroised"):
            await store.sign(key, b"m", Ticket())
    async with started(tmp_path) as again:
        assert (await again.health()).state == "zeroised"
