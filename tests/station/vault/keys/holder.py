"""A vault that uses a key and lets go of it, then waits to be looked into: run as a script.

It reads the passphrases with their bits turned over, so that only the client can leave them about.
"""

import asyncio
import sys
from pathlib import Path

from station.vault.keys.client import KeyStoreClient
from station.vault.keys.words import KeyRef
from tests.station.vault.keys import unruly


async def main(folder: Path) -> None:
    """Activate by two custodians, derive a key, wipe it, and wait."""
    client = KeyStoreClient(folder, command=(sys.executable, str(Path(unruly.__file__))))
    await client.start()
    for name in ("anna", "cleo"):
        masked = bytes.fromhex(await heard())
        await client.activate(name, bytearray(byte ^ 0xFF for byte in masked))
    kept = bytearray(b"not to be wiped: ") + b"control"
    with await client.derive(KeyRef("TM"), b"PQP1-DIE-ENC", bytes(16), 256) as derived:
        say(f"used {len(derived)}")
        await heard()
    say(f"wiped {len(kept)}")
    await heard()
    await client.aclose()


async def heard() -> str:
    """Return the next line that the test says."""
    return await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)


def say(what: str) -> None:
    """Tell the test that looks into us."""
    sys.stdout.write(what + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
