"""How a served machine is asked for: `hislip`, `tcp:127.0.0.1:5025`, `pty:/tmp/handler` and so on."""

from dataclasses import dataclass
from typing import Literal, TypeGuard

from sim.wiring import WorldError

Kind = Literal["tcp", "hislip", "vxi11", "pty"]
KINDS = ("tcp", "hislip", "vxi11", "pty")
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Wire:
    """One way to reach a machine."""

    kind: Kind
    host: str = LOOPBACK
    port: int = 0
    """0 takes any that is free."""
    link: str = ""
    """A name for the pseudo-terminal, which gets a symbolic link."""


def wire(text: str) -> Wire:
    """Read one; WorldError says what is allowed."""
    kind, _, rest = text.partition(":")
    if not _is_kind(kind):
        raise WorldError(
            f"wire {text!r}: write tcp, hislip or vxi11, each with :HOST:PORT or not, or pty[:PATH]"
        )
    if kind == "pty":
        return Wire(kind, link=rest)
    host, _, port = rest.rpartition(":") if ":" in rest else ("", "", rest)
    if port and not (port.isdigit() and int(port) < 65536):
        raise WorldError(
            f"wire {text!r}: {port!r} is no TCP port; write {kind}[:[HOST:]PORT], PORT 0 to 65535"
        )
    return Wire(kind, host or LOOPBACK, int(port or 0))


def _is_kind(text: str) -> TypeGuard[Kind]:
    return text in KINDS
