"""RMA tokens in a key store: from the box of the offline key to the store of a vault, and out of that one."""

from station.vault.keys import calls, sealed_keys
from station.vault.keys.store import Store
from station.vault.keys.words import SEALED_FOR_DIE, SealedKey
from station.vault.secret import Secret

INFO = b"PQP1-RMA"


def moved(store: Store, call: calls.Reseal | calls.RmaToken, now: float) -> SealedKey | Secret:
    """A token sealed to its vault's store; or, in that one, the token. Nothing else comes out this way."""
    name = SEALED_FOR_DIE + call.uid.hex()
    if isinstance(call, calls.RmaToken):
        return store.received(call.kem, call.ciphertext, name, call.box, now)
    with store.opened_box(call.key, call.box, INFO + call.uid, now) as token:
        sent = sealed_keys.seal(token.reveal(), name, bytes.fromhex(call.store), call.public)
    return SealedKey(call.store, call.kem, name, sent.ciphertext, sent.box)
