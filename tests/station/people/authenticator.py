"""A security key in software, by the WebAuthn standard: ES256, with user verification, no attestation."""

import json
import os
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import cbor2
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256

PRESENT, VERIFIED, ATTESTED = 0x01, 0x04, 0x40


@dataclass
class Authenticator:
    """Answers a browser's questions; `origin` is the page that it is shown on."""

    origin: str
    credential: bytes = field(default_factory=lambda: os.urandom(32))
    flags: int = PRESENT | VERIFIED
    counter: int = 0

    def __post_init__(self) -> None:
        self._key = generate_private_key(SECP256R1())

    def create(self, options: str) -> str:
        asked = json.loads(options)
        said = self._said("webauthn.create", asked["challenge"])
        public = self._key.public_key().public_numbers()
        cose = {1: 2, 3: -7, -1: 1, -2: public.x.to_bytes(32), -3: public.y.to_bytes(32)}
        attested = bytes(16) + len(self.credential).to_bytes(2) + self.credential + cbor2.dumps(cose)
        data = self._data(asked["rp"]["id"], ATTESTED) + attested
        made = {"fmt": "none", "attStmt": {}, "authData": data}
        return self._answer({"clientDataJSON": _b64(said), "attestationObject": _b64(cbor2.dumps(made))})

    def get(self, options: str) -> str:
        asked = json.loads(options)
        self.counter += 1
        said, data = self._said("webauthn.get", asked["challenge"]), self._data(asked["rpId"], 0)
        signature = self._key.sign(data + sha256(said).digest(), ECDSA(SHA256()))
        return self._answer(
            {
                "clientDataJSON": _b64(said),
                "authenticatorData": _b64(data),
                "signature": _b64(signature),
            }
        )

    def _said(self, kind: str, challenge: str) -> bytes:
        return json.dumps({"type": kind, "challenge": challenge, "origin": self.origin}).encode()

    def _data(self, host: str, flags: int) -> bytes:
        return sha256(host.encode()).digest() + bytes([self.flags | flags]) + self.counter.to_bytes(4)

    def _answer(self, response: dict[str, Any]) -> str:
        name = _b64(self.credential)
        return json.dumps({"id": name, "rawId": name, "type": "public-key", "response": response})


def _b64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
