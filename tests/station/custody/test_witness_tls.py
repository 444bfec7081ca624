"""A witness on a network: over TLS, whoever else is silent."""

import socket
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from cryptography import x509

from station.custody.log_keys import signatures_by
from station.custody.witness import Witness
from station.custody.witness_client import WitnessUnreachableError, cosigned
from station.custody.witness_server import WitnessServer
from tests.station.console.test_listening import certificate
from tests.station.custody.ledgers import now, witness_signer
from tests.station.custody.test_witness import KEY, LOG_KEYS, TREE, note


def test_it_signs_over_tls_though_another_client_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tls = certificate(tmp_path, x509.IPAddress(ip_address("127.0.0.1")))
    (tmp_path / "state").mkdir()
    witness = Witness(tmp_path / "state", LOG_KEYS, witness_signer(), now)
    server = WitnessServer(witness, tls=tls.context())
    server.start()
    try:
        parts = urlsplit(server.url)
        assert parts.scheme == "https"
        with socket.create_connection((parts.hostname or "", parts.port or 0)):
            with pytest.raises(WitnessUnreachableError, match="certificate verify failed"):
                cosigned(server.url, note(40), TREE.node, [KEY])
            monkeypatch.setenv("SSL_CERT_FILE", str(tls.certificate))
            signed = cosigned(server.url, note(40), TREE.node, [KEY])
        assert set(signatures_by(signed, [KEY])) == {KEY}
    finally:
        server.stop()
