"""Shamir's sharing against its definition, and shares under passphrases."""

import itertools
from functools import reduce

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from station.vault.keys.errors import PassphraseError
from station.vault.keys.shares import combine, product, quotient, seal, split, unseal
from station.vault.secret import Secret

BYTE = st.integers(0, 255)
STORE = bytes(16)


def by_hand(a: int, b: int) -> int:
    """Multiply polynomials, then reduce by x8 + x4 + x3 + x + 1."""
    long = reduce(lambda total, bit: total ^ (a << bit if b >> bit & 1 else 0), range(8), 0)
    for degree in range(15, 7, -1):
        if long >> degree & 1:
            long ^= 0x11B << (degree - 8)
    return long


@settings(deadline=None)
@given(BYTE, BYTE)
def test_product_is_that_of_the_field(a: int, b: int) -> None:
    assert product(a, b) == by_hand(a, b)


def test_product_as_in_fips_197() -> None:
    assert product(0x57, 0x83) == 0xC1  # section 4.2


@settings(deadline=None)
@given(BYTE, st.integers(1, 255))
def test_quotient_undoes_product(a: int, b: int) -> None:
    assert quotient(product(a, b), b) == a


@settings(deadline=None)
@given(st.binary(min_size=32, max_size=32), st.integers(1, 6), st.data())
def test_enough_shares_give_the_secret(content: bytes, shares: int, data: st.DataObject) -> None:
    threshold = data.draw(st.integers(1, shares))
    made = split(Secret(content), shares, threshold)
    chosen = data.draw(st.permutations(made))[:threshold]
    assert combine(chosen).reveal() == content
    assert combine(made).reveal() == content


def test_any_two_of_three_and_no_one() -> None:
    secret = bytes(range(32))
    made = split(Secret(secret), 3, 2)
    for pair in itertools.combinations(made, 2):
        assert combine(pair).reveal() == secret
    for share in made:
        assert combine([share]).reveal() != secret
        assert share.reveal()[1:] != secret


def test_a_share_alone_fits_every_secret() -> None:
    """With one share of two every byte of the secret is as likely as any other."""
    seen = {split(Secret(b"\x2a"), 2, 2)[0].reveal()[1] for _ in range(4000)}
    assert len(seen) > 250


@pytest.mark.parametrize("wrong", [(0, 1), (2, 3), (256, 2), (3, 0)])
def test_impossible_shares_are_refused(wrong: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="cannot be"):
        split(Secret(bytes(32)), *wrong)


def test_the_same_share_twice_is_refused() -> None:
    share = split(Secret(bytes(32)), 3, 2)[0]
    with pytest.raises(ValueError, match="must differ"):
        combine([share, share])


def test_a_share_opens_with_its_passphrase_only() -> None:
    share = split(Secret(bytes(range(32))), 3, 2)[1]
    sealed = seal(share, "anna", bytearray(b"correct horse battery"), STORE)
    assert unseal(sealed, bytearray(b"correct horse battery"), STORE).reveal() == share.reveal()
    assert bytes(share.reveal()) not in sealed.box
    with pytest.raises(PassphraseError, match="does not open the share of anna") as caught:
        unseal(sealed, bytearray(b"correct horse batterz"), STORE)
    assert "batterz" not in str(caught.value)


def test_a_share_is_of_one_store_and_custodian(cheap: None) -> None:
    del cheap
    share = split(Secret(bytes(32)), 3, 2)[0]
    sealed = seal(share, "anna", bytearray(b"correct horse battery"), STORE)
    for store, custodian in ((b"\1" * 16, "anna"), (STORE, "ben")):
        moved = type(sealed)(custodian, sealed.salt, sealed.nonce, sealed.box)
        with pytest.raises(PassphraseError):
            unseal(moved, bytearray(b"correct horse battery"), store)
