"""Signed statements: what is believed, and what is not."""

import json
from base64 import urlsafe_b64encode

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, mldsa
from hypothesis import given
from hypothesis.strategies import binary, integers, sampled_from, text

from station.vault.desk.documents import KeyRelease, WorkOrder
from station.vault.desk.signers import development
from station.vault.desk.statement import (
    ED25519,
    ENVELOPE_MAX,
    ML_DSA_65,
    RELEASE,
    StatementError,
    countersigned,
    opened,
    signed,
)
from tests.station.vault.vaults import work_order

ENGINEER, OFFICER = development("p-00000001"), development("p-00000002")
KEYS = {
    one.kid: {ED25519: ed25519.Ed25519PrivateKey.from_private_bytes(bytes(one._seed.reveal())).public_key()}
    for one in (ENGINEER, OFFICER)
}
PUBLIC = {kid: {alg: key.public_bytes_raw() for alg, key in keys.items()} for kid, keys in KEYS.items()}
ORDER = work_order()


class ReleaseKey:
    """One of the two keys of a release."""

    kid = "REL-1"

    def __init__(self, algorithm: str) -> None:
        self.algorithm = algorithm
        self._key: ed25519.Ed25519PrivateKey | mldsa.MLDSA65PrivateKey = (
            mldsa.MLDSA65PrivateKey.generate()
            if algorithm == ML_DSA_65
            else ed25519.Ed25519PrivateKey.generate()
        )

    def sign(self, payload: bytes) -> bytes:
        return self._key.sign(payload)

    @property
    def public(self) -> bytes:
        return self._key.public_key().public_bytes_raw()


def test_two_sign_the_same_bytes_one_after_the_other() -> None:
    envelope = countersigned(signed(ORDER, [ENGINEER]), [OFFICER])
    found = opened(envelope)
    assert found.signed_by(PUBLIC.get) == (ENGINEER.kid, OFFICER.kid)
    assert found.read(WorkOrder) == ORDER


def test_another_kind_of_statement_is_refused_whatever_it_holds() -> None:
    with pytest.raises(
        StatementError, match="this is a 'hardbin.work-order.v1', not a 'hardbin.key-release.v1'"
    ):
        opened(signed(ORDER, [ENGINEER])).read(KeyRelease)


def test_a_release_needs_both_algorithms_of_its_key() -> None:
    keys = [ReleaseKey(ED25519), ReleaseKey(ML_DSA_65)]
    public = {"REL-1": {key.algorithm: key.public for key in keys}}
    assert opened(signed(ORDER, keys)).signed_by(public.get, RELEASE) == ("REL-1",)
    for alone in keys:
        with pytest.raises(StatementError, match="REL-1 has not signed with") as caught:
            opened(signed(ORDER, [alone])).signed_by(public.get, RELEASE)
        assert caught.value.code == "unsigned"


@pytest.mark.parametrize(
    ("keys", "code"),
    [
        ({}, "unknown_key"),
        ({ENGINEER.kid: PUBLIC[OFFICER.kid]}, "bad_signature"),
        ({ENGINEER.kid: {ML_DSA_65: bytes(1952)}}, "unknown_key"),
    ],
)
def test_who_is_not_known_has_not_signed(keys: dict[str, dict[str, bytes]], code: str) -> None:
    with pytest.raises(StatementError) as caught:
        opened(signed(ORDER, [ENGINEER])).signed_by(keys.get)
    assert caught.value.code == code


def test_nobody_signs_twice_and_nobody_is_not_enough() -> None:
    with pytest.raises(StatementError, match="signed twice"):
        opened(signed(ORDER, [ENGINEER, ENGINEER])).signed_by(PUBLIC.get)
    with pytest.raises(StatementError, match="nobody has signed"):
        opened(signed(ORDER, [])).signed_by(PUBLIC.get)


@given(place=integers(0), bit=integers(0, 7))
def test_no_bit_of_an_envelope_can_be_changed(place: int, bit: int) -> None:
    envelope = bytearray(SIGNED)
    envelope[place % len(envelope)] ^= 1 << bit
    try:
        found = opened(bytes(envelope))
        who = found.signed_by(PUBLIC.get)
    except StatementError:
        return
    assert (who, found.payload) == ((ENGINEER.kid,), opened(SIGNED).payload), "another order was believed"


SIGNED = signed(ORDER, [ENGINEER])


@given(junk=binary(max_size=300))
def test_junk_is_refused_with_one_error(junk: bytes) -> None:
    for envelope in (junk, json.dumps({"payload": _text(junk), "signatures": []}).encode()):
        with pytest.raises(StatementError):
            opened(envelope).read(WorkOrder)


@given(deep=sampled_from([b"[", b'{"a":']), times=integers(1, 60_000))
def test_what_is_nested_deep_is_refused(deep: bytes, times: int) -> None:
    with pytest.raises(StatementError):
        opened(deep * times)


@given(name=text(min_size=1, max_size=20))
def test_unknown_fields_are_refused(name: str) -> None:
    fields = json.loads(opened(SIGNED).payload)
    if name in fields:
        return
    payload = json.dumps(fields | {name: 1}).encode()
    with pytest.raises(StatementError):
        opened(json.dumps({"payload": _text(payload), "signatures": []}).encode()).read(WorkOrder)


def test_size_and_number_of_signatures_are_bounded() -> None:
    with pytest.raises(StatementError, match="bytes, at most"):
        opened(b" " * (ENVELOPE_MAX + 1))
    with pytest.raises(StatementError, match="9 signatures, at most 8"):
        opened(signed(ORDER, [ENGINEER] * 9))


@pytest.mark.parametrize("payload", ["YQ==", "Y Q", "YR", "é", "a"])
def test_base64_has_one_form(payload: str) -> None:
    with pytest.raises(StatementError, match="without padding"):
        opened(json.dumps({"payload": payload, "signatures": []}).encode())


def _text(payload: bytes) -> str:
    return urlsafe_b64encode(payload).rstrip(b"=").decode()
