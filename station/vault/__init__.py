"""The trusted zone: a process of its own. Of this package the station imports `client` and nothing else.

`service` is what stations ask, `registry` and `journal` what is kept, `keyring` the keys. One die is served
in `die`, certificates are made in `pki`, persons come to the `desk`. `keys` is the key store, a process of
its own; `ceremonies` is how persons make keys; `plant` the registry that several vaults share; `evidence`
what leaves.
"""

import os

# gRPC reads it once, when it is first used, and has no other way to say which versions of TLS it may speak:
# left with suites for RSA keys, and with certificates that have none, it agrees on 1.3 only (see `tls`).
os.environ["GRPC_SSL_CIPHER_SUITES"] = "ECDHE-RSA-AES256-GCM-SHA384"
