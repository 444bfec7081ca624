"""The station's own errors; the equipment's are in `drivers.errors`."""


class ConfigError(Exception):
    """The configuration cannot be meant: refused at start, with file, key and what is allowed."""


class SequenceError(Exception):
    """A sequence that cannot be valid: refused at load, never with a device in contact."""


class CustodyError(Exception):
    """Journal, ledger, permit or vault are unsafe: personalisation locks."""


class StorageError(CustodyError):
    """A record could not be made durable: the devices in contact go to the error bin and the lot is held."""


class AnalysisError(Exception):
    """What is to be analysed cannot be: too few values, no limit, groups of different sizes."""


class MapError(CustodyError):
    """A wafer map cannot be read, cannot hold what it should, or does not agree with itself."""


class LedgerError(CustodyError):
    """An entry, a checkpoint, a proof or a ledger's folder is not what it must be."""


class EvidenceError(CustodyError):
    """A bundle of evidence, or a part of it, cannot be read, or is not what was signed."""


class TrustError(CustodyError):
    """There is no key to believe: no trust file, a bad one, or something signed by a key that it lacks."""


class UntrustedError(Exception):
    """Something signed is not believed: by nobody who is trusted, by too few, or out of its time."""


class BusyError(Exception):
    """Somebody else has what is asked for."""


class StoppedError(Exception):
    """Somebody has stopped a run before there was a lot."""
