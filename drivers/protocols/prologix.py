"""What a Prologix or AR488 adapter is told, and how data passes it.

Ref: Prologix GPIB-ETHERNET manual 1.6.6, section 7 (commands), as PyVISA-py `prologix` reads it; `++srq` and
`++savecfg` are not in that.
"""

ESCAPE = 0x1B
SPECIAL = frozenset(b"\r\n\x1b+")
TCP_PORT = 1234
BAUD = 115200
READ_MS = 500
"""The longest that the adapter waits for the next byte of an answer."""
SETUP = (
    "++savecfg 0",
    "++mode 1",
    "++auto 0",
    f"++read_tmo_ms {READ_MS}",
    "++eos 3",
    "++eoi 1",
    "++eot_enable 0",
)


def escaped(data: bytes) -> bytes:
    """Write data so that the adapter takes none of it for itself."""
    out = bytearray()
    for byte in data:
        if byte in SPECIAL:
            out.append(ESCAPE)
        out.append(byte)
    return bytes(out)


def address(primary: int, secondary: int | None) -> str:
    """Write the command that chooses a device; a secondary address counts from 0, on the wire from 96."""
    return f"++addr {primary}" if secondary is None else f"++addr {primary} {96 + secondary}"


def whole(data: bytes) -> bool:
    """Whether an answer has come to its end: LF, outside of a block of binary data."""
    if not data.endswith(b"\n"):
        return False
    return len(data) >= _block_end(data)


def _block_end(data: bytes) -> int:
    """Where a definite-length block at the beginning ends (IEEE 488.2, 8.7.9); 0 if there is none."""
    if data[:1] != b"#" or not data[1:2].isdigit() or data[1:2] == b"0":
        return 0
    head = 2 + int(data[1:2])
    length = data[2:head]
    return head + int(length) if length.isdigit() else 0
