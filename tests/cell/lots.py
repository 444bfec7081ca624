"""Runs of the `hardbin` command, in processes of their own as a plant's IT would call it, or in this one."""

import io
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

from msgspec import json

from station.cli import code_of

LOT = "T1"


def hardbin(
    *arguments: str, hash_seed: str = "0", timeout_s: float = 110
) -> "subprocess.CompletedProcess[str]":
    """Run the command to its end."""
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "COLUMNS": "100"}
    return subprocess.run(
        [sys.executable, "-m", "station.cli", *arguments],
        capture_output=True,
        text=True,
        env=environment,
        timeout=timeout_s,
        check=False,
    )


def here(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run the command in this process: as `hardbin`, without the time that an interpreter takes to start."""
    out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = code_of(list(arguments))
    out.seek(0)
    return subprocess.CompletedProcess(arguments, code, out.read(), err.getvalue())


def lot_here(out: Path, *arguments: str) -> tuple[int, dict[str, Any]]:
    """Run one small lot in this process and return the exit code and its result object."""
    ran = here("run", "--lot", LOT, "--out", str(out), "--json", *arguments)
    assert ran.stdout, ran.stderr
    result: dict[str, Any] = json.decode(ran.stdout)
    return ran.returncode, result


def lot(out: Path, *arguments: str, hash_seed: str = "0") -> tuple[int, dict[str, Any]]:
    """Run one small lot and return the exit code and its result object."""
    ran = hardbin("run", "--lot", LOT, "--out", str(out), "--json", *arguments, hash_seed=hash_seed)
    assert ran.stdout, ran.stderr
    result: dict[str, Any] = json.decode(ran.stdout)
    return ran.returncode, result
