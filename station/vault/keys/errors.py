"""What a key store refuses, named by what the caller can do about it. No message ever holds a secret."""

from station.errors import CustodyError


class KeyStoreError(CustodyError):
    """The key store did not do what it was asked for."""

    kind = "fault"
    """Its name between the processes."""


class RequestError(KeyStoreError):
    """Not a request that this store knows; nothing was done."""

    kind = "request"


class LockedError(KeyStoreError):
    """Custodians have not activated the store yet, or it was zeroised."""

    kind = "locked"


class PassphraseError(KeyStoreError):
    """A passphrase does not open the share of this custodian."""

    kind = "passphrase"


class DamagedError(KeyStoreError):
    """A file of the store is not what the store wrote."""

    kind = "damaged"


class PolicyError(KeyStoreError):
    """State, purpose, period, order or mode forbid this use of the key."""

    kind = "policy"


class LimitError(KeyStoreError):
    """The key, or the order, has no use left."""

    kind = "limit"


class ModuleError(KeyStoreError):
    """The hardware module refused or failed."""

    kind = "module"


class DownError(KeyStoreError):
    """The key store's process does not answer; it is started again by itself."""

    kind = "down"


KINDS = {
    error.kind: error
    for error in (
        KeyStoreError,
        RequestError,
        LockedError,
        PassphraseError,
        DamagedError,
        PolicyError,
        LimitError,
        ModuleError,
        DownError,
    )
}
