"""The trusted zone: a process of its own. Of this package the station imports `client` and nothing else.

`service` is what stations ask, `registry` and `journal` what is kept, `keyring` the keys. One die is served
in `die`, certificates are made in `pki`, persons come to the `desk`. `keys` is the key store, a process of
its own; `ceremonies` is how persons make keys; `plant` the registry that several vaults share; `evidence`
what leaves.
"""
