"""A port mapper that knows the VXI-11 server of one address, for clients that are told no port.

Ref: RFC 1833, section 3 (port mapper, version 2); VXI-11 1.0, B.1.
"""

from sim.served.rpc import (
    GARBAGE,
    PROCEDURE_UNAVAILABLE,
    PROGRAM_UNAVAILABLE,
    Call,
    CallConnection,
    integers,
)

PROGRAM, VERSION = 100000, 2
NULL, GET_PORT = 0, 3
TCP = 6
USUAL_PORT = 111


class PortMapper(CallConnection):
    """One client; it is told where a program is, 0 for one that is not here."""

    def __init__(self, ports: dict[tuple[int, int], int]) -> None:
        """Take the port of each program and version."""
        super().__init__()
        self._ports = ports

    def called(self, asked: Call) -> None:
        self._transport.write(self._answered(asked))

    def _answered(self, asked: Call) -> bytes:
        if (asked.program, asked.version) != (PROGRAM, VERSION):
            return asked.reply(b"", PROGRAM_UNAVAILABLE)
        match asked.procedure:
            case 0:
                return asked.reply(b"")
            case 3:
                return self._port(asked)
            case _:
                return asked.reply(b"", PROCEDURE_UNAVAILABLE)

    def _port(self, asked: Call) -> bytes:
        try:
            program, version, protocol, _ = asked.arguments.integers(4)
        except ValueError:
            return asked.reply(b"", GARBAGE)
        return asked.reply(integers(self._ports.get((program, version), 0) if protocol == TCP else 0))
