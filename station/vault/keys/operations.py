"""The calls of the key store's process by their names, who may ask them, and what in them is wiped."""

from station.vault.keys import calls

SOCKET = "keys.sock"
"""Where people reach the process, in the store's folder."""
CALLS: dict[str, type[calls.Call]] = {
    "init": calls.Init,
    "activate": calls.Activate,
    "health": calls.Health,
    "entries": calls.Entries,
    "zeroise": calls.Zeroise,
    "decide": calls.Decide,
    "decide_signed": calls.DecideSigned,
    "repassphrase": calls.Repassphrase,
    "reshare": calls.Reshare,
    "backup": calls.Backup,
    "restore": calls.Restore,
    "trust": calls.Trust,
    "state_register": calls.StateRegister,
    "sign_request": calls.SignRequest,
    "load_sealed": calls.LoadSealed,
    "reseal": calls.Reseal,
    "rma_token": calls.RmaToken,
    "generate": calls.Generate,
    "load": calls.Load,
    "derive": calls.Derive,
    "random": calls.Random,
    "wrap": calls.Wrap,
    "unwrap": calls.Unwrap,
    "sign": calls.Sign,
    "sign_all": calls.SignAll,
    "decapsulate": calls.Decapsulate,
    "open_ledger": calls.OpenLedger,
    "rotate_ledger": calls.RotateLedger,
    "sign_checkpoint": calls.SignCheckpoint,
    "open_order": calls.OpenOrder,
    "change": calls.Move,
    "public": calls.Public,
    "prove": calls.Prove,
    "attest": calls.Attest,
    "usage": calls.Usage,
}
NAMES = {call: name for name, call in CALLS.items()}
OF_PEOPLE: tuple[type[calls.Call], ...] = (
    calls.Activate,
    calls.Restore,
    calls.Health,
    calls.Entries,
    calls.Usage,
    calls.Attest,
    calls.Prove,
    calls.Decide,
    calls.DecideSigned,
    calls.Repassphrase,
    calls.Reshare,
    calls.Backup,
    calls.Trust,
    calls.StateRegister,
    calls.Zeroise,
)
"""What people may ask at the socket in the store's folder; the rest is the vault's."""


def operation(call: calls.Call) -> list[object]:
    """The part of a request's frame that says what is wanted."""
    return [NAMES[type(call)], call]


def secrets(call: calls.Call) -> list[bytearray]:
    """What a call brings that must be wiped."""
    match call:
        case calls.Activate() | calls.Restore():
            return [call.passphrase]
        case calls.Repassphrase():
            return [call.old, call.new]
        case calls.Load() | calls.Wrap():
            return [call.key]
        case calls.Init():
            token = [] if call.token is None else [call.token.pin]
            return [*_passphrases(call.custodians), *token]
        case calls.Decide() | calls.Trust():
            return _passphrases(call.by)
        case calls.Reshare():
            return _passphrases((*call.by, *call.custodians))
        case calls.Backup():
            return _passphrases((*call.by, *call.holders))
        case _:
            return []


def _passphrases(custodians: tuple[calls.Custodian, ...]) -> list[bytearray]:
    return [custodian.passphrase for custodian in custodians]
