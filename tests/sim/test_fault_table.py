"""Each way to fail that the table names for handlers, cards and cell I/O is a knob of their simulators.

What the driver makes of it is in the tests of each model, and on its page.
"""

import pytest

from sim.card.pcsc import SimulatedPcsc
from sim.machines import MODELS

TABLE = {
    "service request lost": {"binon": {"drop_srq"}},
    "service request doubled or late": {"binon": {"dup_srq", "late_srq"}},
    "status byte without a request": {"binon": {"spurious_stb"}},
    "reply cut short": {"binon": {"truncate"}, "ccid": {"truncate"}},
    "reply empty, or none": {"binon": {"empty_reply", "drop_reply"}, "modbus": {"drop_reply"}},
    "echo wrong": {"binon": {"corrupt_echo"}},
    "bin for an empty site": {"binon": {"strict_sites"}},
    "result after the operator skipped": {"binon": {"operator_skip"}},
    "more sites than configured": {
        "binon": {"extra_site"},
        "geringer_pto92ut": {"extra_site"},
        "gem": {"extra_site"},
    },
    "sort command lost": {"exatron": {"drop_tx", "drop_rx"}, "geringer_pto92ut": {"drop_tx", "drop_rx"}},
    "start that nobody asked for": {"binon": {"manual_start"}, "exatron": {"manual_start"}},
    "alarm with code and text": {"gem": {"alarm"}, "geringer_pto92ut": {"jam"}, "ttl": {"error"}},
    "jam, part dropped": {
        "binon": {"jam"},
        "exatron": {"jam", "part_dropped"},
        "gem": {"part_dropped"},
    },
    "noise, split and joined lines": {
        "exatron": {"noise", "chunk"},
        "geringer_pto92ut": {"noise", "chunk"},
        "gem": {"chunk", "coalesce"},
        "velleman_k8090": {"noise", "chunk"},
        "patlite": {"chunk", "coalesce"},
        "modbus": {"noise", "chunk", "coalesce"},
        "text_line": {"noise", "chunk"},
        "keyboard": {"noise"},
    },
    "checksum wrong": {"geringer_pto92ut": {"bad_checksum"}, "velleman_k8090": {"bad_checksum"}},
    "connection broken": {"gem": {"rst"}, "patlite": {"rst"}, "modbus": {"rst"}},
    "power lost": {"exatron": {"power_cycle"}},
    "USB unplugged": {"ccid": {"usb_detach"}, "ftdi_mpsse": {"usb_detach"}, "keyboard": {"usb_detach"}},
    "interlock open": {"modbus": {"interlock_open"}},
    "card mute, removed, bad block, slow": {"ccid": {"mute", "card_removed", "bad_edc", "slow_card"}},
    "relay or line stuck": {
        "ftdi_mpsse": {"stuck"},
        "velleman_k8090": {"stuck"},
        "ttl": {"stuck"},
        "patlite": {"stuck"},
        "modbus": {"stuck"},
    },
    "GEM reply or event late, doubled, missing": {
        "gem": {"drop_reply", "late_event", "dup_event", "no_linktest", "reject"}
    },
    "TTL bounce, start missing, short, early": {"ttl": {"bounce", "no_sot", "short_sot", "early_sot"}},
    "id not read, twice, late": {
        "text_line": {"no_read", "double_read", "late_read"},
        "keyboard": {"no_read", "double_read"},
    },
    "answer to another request, bad frame, refusal": {
        "ccid": {"wrong_seq", "swap_answers", "bad_tck", "out_of_step"},
        "modbus": {"bad_crc", "exception", "swap_answers"},
        "patlite": {"nak"},
        "ftdi_mpsse": {"desync"},
    },
}


@pytest.mark.parametrize("what", TABLE)
def test_each_way_to_fail_has_its_knob(what: str) -> None:
    for model, knobs in TABLE[what].items():
        assert knobs <= MODELS[model].knobs, model


def test_the_service_of_readers_fails_too() -> None:
    assert SimulatedPcsc.knobs >= {"mute", "card_removed"}
