"""A PostgreSQL server of our own: a cluster in a temporary folder, on a Unix socket, without a port."""

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg

ROOT = 0
USER = "postgres"
SETTINGS = "-c listen_addresses='' -c fsync=off -c full_page_writes=off -c max_connections=50"


def programs() -> Path | None:
    """The folder of the server's programs, wherever the system keeps it; None if it is not installed."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4]))
    found = debian[-1] if debian else shutil.which("initdb")
    return None if found is None else Path(found).resolve().parent


class Server:
    """A running cluster; it refuses to run as root, and is then run as the system's own user for it."""

    def __init__(self, folder: Path, bin_: Path) -> None:
        self._folder, self._bin, self._count = folder, bin_, 0
        self._user = pwd.getpwnam(USER) if os.getuid() == ROOT else None

    def make(self) -> None:
        """Make the cluster."""
        if self._user is not None:
            os.chown(self._folder, self._user.pw_uid, self._user.pw_gid)
        self._run("initdb", "--auth=trust", f"--username={USER}", "--no-sync", "--encoding=UTF8")

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = f"-k {self._folder} {SETTINGS}"
        self._run("pg_ctl", "--wait", f"--log={self._folder / 'log'}", f"--options={options}", "start")

    def kill(self) -> None:
        """End it in the middle of what it does, as a crash would."""
        self._run("pg_ctl", "--wait", "--mode=immediate", "stop")

    def database(self) -> str:
        """Make a database, and return its URL."""
        self._count += 1
        name = f"registry{self._count}"
        with psycopg.connect(self.address("postgres"), autocommit=True) as db:
            db.execute(f"CREATE DATABASE {name}".encode())
        return self.address(name)

    def address(self, name: str, user: str = USER) -> str:
        """The URL of a database."""
        return f"postgresql://{user}@/{name}?host={self._folder}"

    def _run(self, program: str, *arguments: str) -> None:
        command: list[str | Path] = [self._bin / program, "-D", self._folder / "data", *arguments]
        user = None if self._user is None else self._user.pw_uid
        group = None if self._user is None else self._user.pw_gid
        subprocess.run(  # noqa: S603 - the programs of the server, as the system has them
            command,
            check=True,
            user=user,
            group=group,
            extra_groups=None if user is None else [],
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )


@contextmanager
def running(bin_: Path) -> Iterator[Server]:
    """A server, ended by the id that it wrote down itself."""
    with TemporaryDirectory(prefix="hardbin-pg-", ignore_cleanup_errors=True) as folder:
        server = Server(Path(folder), bin_)
        server.make()
        server.start()
        try:
            yield server
        finally:
            server.kill()
