"""`hardbin-keys` with cheap passphrases, and a back end that misbehaves at will: run as a script.

The label of a derivation says how: it hangs with the interpreter's lock held, crashes, or shows a secret in
an error.
"""

import ctypes
import sys

from station.vault.keys import __main__ as keys
from station.vault.keys import calls, deadlines, sealing, soft

HANG, CRASH, TELL = b"please hang!", b"please crash", b"please tell!"
SECRET = b"a secret that an error would show"
REAL, DEADLINE_S = soft.SoftKeys.mac, deadlines.deadline_s


def mac(store: soft.SoftKeys, key: str, message: bytes) -> bytes:
    """Misbehave, or compute the MAC."""
    if message.startswith(HANG):
        ctypes.PyDLL(None).sleep(600)
    if message.startswith(CRASH):
        ctypes.string_at(0)
    if message.startswith(TELL):
        raise ZeroDivisionError(SECRET.decode())
    return REAL(store, key, message)


def deadline_s(call: calls.Call) -> float:
    """Leave little time to those that will hang, so that the test does not."""
    return 0.2 if isinstance(call, calls.Derive) and call.labels == (HANG,) else DEADLINE_S(call)


if __name__ == "__main__":
    deadlines.deadline_s = deadline_s
    sealing.MEMORY_KIB = 8
    setattr(soft.SoftKeys, "mac", mac)  # noqa: B010 - a method is not assigned to otherwise
    sys.exit(keys.main())
