"""Where logs go: text on a terminal, JSON for collectors, with priorities to journald and syslog."""

import logging
import sys
from collections.abc import Mapping
from logging.handlers import SysLogHandler
from pathlib import Path

import structlog

from station.errors import ConfigError

VARIABLE, JOURNAL = "HARDBIN_LOG", "JOURNAL_STREAM"
"""Ours, and the one by which systemd says that standard error is the journal."""
FORMS = ("text", "json", "journal", "syslog")
SOCKET = "/dev/log"
_PRIORITIES = {
    logging.DEBUG: 7,
    logging.INFO: 6,
    logging.WARNING: 4,
    logging.ERROR: 3,
    logging.CRITICAL: 2,
}


def configure(environment: Mapping[str, str]) -> None:
    """Set up logging by `HARDBIN_LOG`; ConfigError if it is none of the forms, or there is no syslog."""
    form = environment.get(VARIABLE, "journal" if JOURNAL in environment else "text")
    name, _, where = form.partition(":")
    if name not in FORMS or (where and name != "syslog"):
        raise ConfigError(f"{VARIABLE}={form}: it is text, json, journal, or syslog[:SOCKET]")
    if name == "text":
        return
    handler = _syslog(where or SOCKET) if name == "syslog" else logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Prioritised() if name == "journal" else _json())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    structlog.configure(
        processors=[structlog.stdlib.add_log_level, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
    )


def _syslog(path: str) -> logging.Handler:
    if not Path(path).is_socket():
        raise ConfigError(f"{VARIABLE}: {path} is no socket of a syslog")
    handler = SysLogHandler(path)
    handler.ident = "hardbin: "
    return handler


def _json() -> logging.Formatter:
    before: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=before,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
    )


class _Prioritised(logging.Formatter):
    """Puts the priority before a line, as journald reads it from standard error (sd-daemon(3))."""

    def __init__(self) -> None:
        super().__init__()
        self._inner = _json()

    def format(self, record: logging.LogRecord) -> str:
        return f"<{_PRIORITIES.get(record.levelno, 6)}>{self._inner.format(record)}"
