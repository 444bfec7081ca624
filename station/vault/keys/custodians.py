"""What people may have done to an active store, and what they must show for it."""

import hmac

from station.vault.keys import calls, holders, orders
from station.vault.keys.errors import PolicyError, RequestError
from station.vault.keys.header import Header
from station.vault.keys.shares import SealedShare
from station.vault.keys.store import Store
from station.vault.keys.words import BackupShare, KeyState, Mode

STOPPING = frozenset({KeyState.SUSPENDED, KeyState.COMPROMISED})
"""Whoever reaches the socket may stop a key: to stop needs no role."""


def done(store: Store, call: calls.Call, backup: tuple[SealedShare, ...], now: float) -> object:
    """Do what people ask; PassphraseError if they do not show enough shares. `backup` opened the store."""
    match call:
        case calls.Decide():
            if call.state not in STOPPING:
                _approved(store, call.by, backup)
            store.change(call.key, call.state, call.approval, now)
        case calls.Repassphrase():
            _repassphrased(store, call)
        case calls.Reshare():
            _of_production(store)
            _approved(store, call.by, backup)
            _reshared(store, call)
        case calls.Trust():
            _of_production(store)
            _approved(store, call.by, backup)
            orders.foreign(call.persons)
            store.trust(orders.checked(call.persons))
        case calls.Backup():
            _of_production(store)
            _approved(store, call.by, backup)
            return _backed_up(store, call)
        case _:
            raise RequestError("this is not asked of an active store")
    return None


def _approved(store: Store, by: tuple[calls.Custodian, ...], backup: tuple[SealedShare, ...]) -> None:
    """Custodians of the file approve, or those holders of a backup who opened it."""
    names = {holder.name for holder in by}
    of_backup = bool(backup) and names <= {share.custodian for share in backup}
    holders.approved(store.header, backup if of_backup else store.header.shares, by)


def _of_production(store: Store) -> None:
    if store.header.mode is not Mode.PRODUCTION:
        raise PolicyError("a development store has one share, which everybody opens")


def _repassphrased(store: Store, call: calls.Repassphrase) -> None:
    _of_production(store)
    header = store.header
    new = calls.Custodian(call.custodian, call.new)
    holders.check_passphrases([new])
    if hmac.compare_digest(call.new, call.old):
        raise RequestError("the new passphrase is the old one")
    with holders.opened(header.shares, call.custodian, call.old, header.store) as share:
        sealed = holders.sealed(share, new, header.store)
    kept = tuple(sealed if one.custodian == call.custodian else one for one in header.shares)
    store.reshared(kept, header.threshold)


def _reshared(store: Store, call: calls.Reshare) -> None:
    holders.check(call.custodians, call.threshold)
    if call.lost < 0 or (call.lost and not call.recovered):
        raise RequestError("uses are lost only where a store is recovered")
    if call.recovered:
        store.lose(call.lost)
    identity = holders.identity() if call.recovered else store.header.store
    kek = holders.fresh()
    try:
        sealed = holders.cut(kek, call.custodians, call.threshold, identity)
        store.reshared(sealed, call.threshold, kek, identity)
    except BaseException:
        kek.wipe()
        raise


def _backed_up(store: Store, call: calls.Backup) -> tuple[BackupShare, ...]:
    holders.check(call.holders, call.threshold)
    header = store.header
    with store.key() as kek:
        sealed = holders.cut(kek, call.holders, call.threshold, header.store)
    return tuple(_backup(header, share, call.threshold, len(sealed)) for share in sealed)


def _backup(header: Header, share: SealedShare, threshold: int, of: int) -> BackupShare:
    return BackupShare(header.store.hex(), share.custodian, threshold, of, share.salt, share.nonce, share.box)
