"""Dialects of BINON, and their messages there and back."""

import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.errors import ProtocolError
from drivers.protocols.binon import (
    BinLine,
    IdsReply,
    Profile,
    SitesReply,
    check_sites,
    profile_of,
    shipped_profiles,
)


@st.composite
def dialects(draw: st.DrawFn) -> Profile:
    """One of the shipped dialects, or one that a maker might have."""
    if draw(st.booleans()):
        return profile_of(draw(st.sampled_from(shipped_profiles())))
    groups, group, width = draw(st.integers(1, 4)), draw(st.integers(1, 8)), draw(st.integers(1, 3))
    alphabet = draw(st.lists(st.sampled_from("0123456789ABCDEFGH-"), min_size=3, max_size=12, unique=True))
    return Profile(
        bin_positions=groups * group,
        bin_group=draw(st.sampled_from([0, group])),
        bin_width=width,
        bin_alphabet="".join(alphabet[1:]),
        bin_filler=alphabet[0] * width if width == 1 else "0" * width,
        retest_code=draw(st.sampled_from([None, "R" * width])),
        bin_prefix=draw(st.sampled_from(["BINON:", "BIN ", "B"])),
        bin_separator=draw(st.sampled_from([",", " ", "//"])),
        bin_tail=draw(st.sampled_from(["", ";", "#"])),
        mask_digits=draw(st.integers(1, 9)),
        eol=draw(st.sampled_from(["\r\n", "\n", "\r", ""])),
    )


@given(dialects(), st.data())
def test_a_bin_line_says_what_was_meant(profile: Profile, data: st.DataObject) -> None:
    codes = [*profile.codes.values(), *([profile.retest_code] if profile.retest_code else [])]
    meant = data.draw(
        st.dictionaries(st.integers(1, profile.bin_positions), st.sampled_from(sorted(set(codes))))
    )
    line = BinLine(meant)
    sent = line.encode(profile)
    assert sent.endswith(profile.eol.encode())
    assert BinLine.decode(sent.decode().removesuffix(profile.eol), profile).codes == meant
    assert line.echoed_by(line.echo(profile), profile)
    groups = profile.bin_positions // profile.bin_group if profile.bin_group else 1
    length = len(profile.bin_prefix) + profile.bin_positions * profile.bin_width
    length += (groups - 1) * len(profile.bin_separator) + len(profile.bin_tail)
    assert len(sent) == length + len(profile.eol)


@given(dialects(), st.data())
def test_an_echo_with_one_wrong_byte_is_noticed(profile: Profile, data: st.DataObject) -> None:
    line = BinLine({1: next(iter(profile.codes.values()))})
    echo = line.echo(profile)
    matters = len(profile.echo_prefix + line.body(profile))
    at = data.draw(st.integers(0, matters - 1))
    wrong = echo[:at] + bytes((echo[at] ^ 1 << data.draw(st.integers(0, 7)),)) + echo[at + 1 :]
    assert not line.echoed_by(wrong, profile)
    assert not line.echoed_by(echo[: data.draw(st.integers(0, matters - 1))], profile)
    assert not line.echoed_by(echo[:matters] + b"1" + echo[matters:], profile)


def test_more_positions_are_no_tail() -> None:
    line, profile = BinLine({1: "1"}), profile_of("slt4")
    for more in (b"0", b",00000000", b"A;"):
        assert not line.echoed_by(line.echo(profile).removesuffix(b";\r\n") + more, profile)


@pytest.mark.parametrize("tail", [b"", b";", b"\r\n", b";\n", b"; ", b"#", b" OK"])
def test_tail_and_line_end_of_an_echo_are_free(tail: bytes) -> None:
    profile = profile_of("slt4")
    assert BinLine({1: "1"}).echoed_by(b"ECHO:00000000,00000000,00000000,00000001" + tail, profile)


@given(dialects(), st.data())
def test_a_mask_names_the_sites(profile: Profile, data: st.DataObject) -> None:
    sites = data.draw(st.frozensets(st.integers(1, profile.most_sites)))
    sent = SitesReply(sites).encode(profile)
    assert SitesReply.decode(sent, profile).sites == sites
    assert SitesReply.decode(sent.upper(), profile).sites == sites
    assert SitesReply.decode(sent.lower(), profile).sites == sites
    short = sent.rstrip()[: data.draw(st.integers(0, len(sent.rstrip()) - 1))]
    with pytest.raises(ProtocolError):
        SitesReply.decode(short, profile)


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"\r\n",
        b"F",
        b"Fullsites 000000_1",
        b"Fullsites +0000001",
        b"Fullsites 000000001",
        b"ECHO:00000001",
    ]
    + [b"\xc6ullsites 00000001", b"Fullsites 0000000\xb1", b"Fullsites 00000001 x"],
)
def test_what_is_no_mask(reply: bytes) -> None:
    with pytest.raises(ProtocolError):
        SitesReply.decode(reply, Profile())


@given(st.dictionaries(st.integers(1, 32), st.text(string.ascii_letters + string.digits, min_size=1)))
def test_ids_belong_to_their_sites(ids: dict[int, str]) -> None:
    profile = profile_of("configure")
    assert IdsReply.decode(IdsReply(ids).encode(profile), profile).ids == ids


def test_an_id_reply_needs_its_prefix() -> None:
    with pytest.raises(ProtocolError, match=r"no answer to QRC\?"):
        IdsReply.decode(b"P000001,\r\n", profile_of("configure"))


@pytest.mark.parametrize(
    "message",
    ["BINON:", "BINON:0", "BIN:00000000,00000000,00000000,00000001", "BINON:00000000,00000000,00000001"]
    + ["BINON:00000000,00000000,00000000,0000001", "BINON:00000000.00000000.00000000.00000001"],
)
def test_what_is_no_bin_line(message: str) -> None:
    with pytest.raises(ProtocolError):
        BinLine.decode(message, Profile())


def test_hard_bins_of_the_shipped_dialects() -> None:
    for name in shipped_profiles():
        assert profile_of(name).codes[10] == "A"
        assert set(profile_of(name).codes) == set(range(1, 16))


def test_codes_that_mean_something_else_are_no_hard_bins() -> None:
    profile = Profile(bin_width=2, bin_filler="00", retest_code="99")
    assert set(profile.codes) == set(range(1, 99))
    assert profile.codes[7] == "07"
    assert set(Profile(bin_filler="-", bin_alphabet="0123").codes) == {1, 2, 3}, "bins count from 1"


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"bin_alphabet": "01231"}, "bin_alphabet '01231': hard bins 1 and 4 share '1'"),
        ({"retest_code": "F"}, "bin_alphabet '0123456789ABCDEF': 'F' of hard bin 15 is retest_code too"),
        ({"bin_filler": "A"}, "'A' of hard bin 10 is bin_filler too; leave it out"),
        ({"retest_code": "0"}, "retest_code '0': is bin_filler too"),
        ({"retest_code": "99"}, "retest_code '99': 1 characters are allowed, as bin_width says"),
        ({"bin_width": 2}, "bin_filler '0': 2 characters are allowed"),
        ({"bin_alphabet": "0"}, "no hard bin is left"),
        ({"bin_group": 5}, "bin_group 5: a divisor of bin_positions 32, or 0"),
        ({"bin_positions": 0}, "bin_positions 0: 1 to 256 is allowed"),
        ({"retry_gap_s": 0.5}, "retry_gap_s 0.5: 1 to 60 is allowed"),
        ({"address": 31}, "address 31: 0 to 30 is allowed"),
        ({"eol": "x"}, "eol 'x': CR LF, LF, CR or nothing is allowed"),
        ({"bin_prefix": ""}, "bin_prefix is empty"),
        ({"bin_tail": "\u00e4"}, "bin_tail '\u00e4': only printable ASCII"),
        ({"ready_stb": []}, "ready_stb is empty"),
        ({"ready_stb": [1]}, "ready_stb 0x01: one byte with bit 0x40 set"),
        ({"startup": [{"send": "X", "stb": 3}]}, "startup 0x03: one byte"),
        (
            {"empty_check_stb": 0x41, "empty_check_text": "C", "empty_check_answer": "A"},
            "empty_check_stb 0x41: is a ready_stb too",
        ),
        ({"empty_check_stb": 0x44}, "empty_check_stb and empty_check_text: both or neither"),
        ({"ids_prefix": "Q:"}, "ids_query and ids_prefix: both or neither"),
        ({"pause": "P"}, "pause and resume: both or neither"),
        ({"lot_query": "Q", "lot_running": "1", "lot_ended": "1"}, "lot_ended '1': is lot_running too"),
        ({"echo": "twice"}, r"Invalid enum value 'twice' - at `\$.echo`"),
        ({"retest_cod": "R"}, "field 'retest_cod': one of address, .*, retest_code, .* is allowed"),
        ({"startup": [{"say": "X"}]}, "startup"),
    ],
)
def test_fields_that_cannot_be_meant(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says) as refusal:
        profile_of("", fields)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(("sites", "fine"), [({1, 32}, True), ({33}, False), ({0}, False), (set(), False)])
def test_the_positions_must_cover_the_sites(sites: set[int], fine: bool) -> None:
    if fine:
        check_sites(Profile(), frozenset(sites))
        return
    with pytest.raises(ValueError, match="one or more of 1 to 32 are allowed here"):
        check_sites(Profile(), frozenset(sites))
