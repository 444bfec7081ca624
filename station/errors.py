"""The station's own errors; the equipment's are in `drivers.errors`."""


class ConfigError(Exception):
    """The configuration cannot be meant: refused at start, with file, key and what is allowed."""


class SequenceError(Exception):
    """A sequence that cannot be valid: refused at load, never with a device in contact."""


class CustodyError(Exception):
    """Journal, ledger, permit or vault are unsafe: personalisation locks."""


class StorageError(CustodyError):
    """A record could not be made durable: the devices in contact go to the error bin and the lot is held."""


class LedgerError(CustodyError):
    """An entry, a checkpoint, a proof or a ledger's folder is not what it must be."""


class StoppedError(Exception):
    """Somebody has stopped a run before there was a lot."""
