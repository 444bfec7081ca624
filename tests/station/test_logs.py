"""Logs in the form that the environment asks for."""

import json
import logging
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from station import logs
from station.errors import ConfigError

SAY = (
    "import os, logging, structlog; from station import logs; logs.configure(os.environ); "
    "logging.getLogger('station.x').warning('lot %s', 'L1'); structlog.get_logger().error('ledger', leaf=3)"
)


def said(**environment: str) -> list[str]:
    clean = {name: value for name, value in os.environ.items() if name not in (logs.VARIABLE, logs.JOURNAL)}
    done = subprocess.run(
        [sys.executable, "-c", SAY], env=clean | environment, capture_output=True, text=True, check=True
    )
    return done.stderr.splitlines()


def test_json_is_one_object_a_line() -> None:
    first, second = (json.loads(line) for line in said(HARDBIN_LOG="json"))
    assert (first["event"], first["level"], first["logger"]) == ("lot L1", "warning", "station.x")
    assert first["timestamp"].endswith("Z")
    assert (second["event"], second["leaf"], second["level"]) == ("ledger", 3, "error")


def test_under_systemd_each_line_has_its_priority() -> None:
    first, second = said(JOURNAL_STREAM="8:1")
    assert first.startswith('<4>{"')
    assert second.startswith('<3>{"')


def test_syslog_gets_datagrams(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        log.bind(str(path))
        log.settimeout(20)
        assert said(HARDBIN_LOG=f"syslog:{path}") == []
        first = log.recv(4096)
    assert first.startswith(b"<12>hardbin: {")  # user, warning
    assert b"lot L1" in first


@pytest.mark.parametrize("form", ["xml", "json:x", "syslog:/nowhere"])
def test_what_cannot_be_meant_is_said(form: str) -> None:
    before = logging.getLogger().handlers[:]
    with pytest.raises(ConfigError, match="HARDBIN_LOG"):
        logs.configure({logs.VARIABLE: form})
    assert logging.getLogger().handlers == before
