"""Each way to fail that the table names is a knob of the simulators of the machines that fail so.

What the driver makes of it is in the tests of each model, and on its page.
"""

import pytest

from sim.card.pcsc import SimulatedPcsc
from sim.machines import MODELS

BUS = ("keysight_34465a", "keysight_34970a", "keysight_53230a")
SMUS = ("keithley_2600b", "keithley_2450", "keysight_b2900")
SUPPLIES = ("keysight_e36300", "keysight_n6700", "rohde_schwarz_hmp", "rohde_schwarz_ngx")
PROBERS = ("accretech_uf", "cascade_nucleus", "formfactor_velox", "mpi_sentio")
BOXES = (*SMUS, *SUPPLIES, *BUS, "keysight_infiniivision", "keysight_33500b", "keithley_707b")


def all_of(models: tuple[str, ...], *knobs: str) -> dict[str, set[str]]:
    return {model: set(knobs) for model in models}


TABLE: dict[str, dict[str, set[str]]] = {
    "probers: SRQ lost, doubled, late, of another cause, split": {
        "accretech_uf": {"drop_srq", "dup_srq", "late_srq", "spurious_stb", "split_srq"}
    },
    "meters: SRQ lost, doubled, late, of another cause": all_of(
        BUS, "drop_srq", "dup_srq", "late_srq", "spurious_stb"
    ),
    "reply cut short, empty, or none from a prober": {
        "cascade_nucleus": {"truncate", "empty_reply", "drop_reply"},
        "formfactor_velox": {"drop_reply"},
        "mpi_sentio": {"drop_reply"},
    },
    "position differs from the one asked for": all_of(PROBERS, "shift_die"),
    "destination outside of the probing area": all_of(PROBERS, "edge_quirk"),
    "start and pause by the operator": {"accretech_uf": {"manual_start", "pause"}},
    "more sites, other width of coordinates": {"accretech_uf": {"extra_site", "coord_width"}},
    "alarm of a prober": all_of(PROBERS, "alarm"),
    "vacuum, loader, door": all_of(PROBERS, "vacuum_fail", "door_open"),
    "no contact": all_of(PROBERS, "contact_fail"),
    "a command that never ends, a number in another format": {"mpi_sentio": {"hang_async", "number_format"}},
    "TCP of probers": all_of(("formfactor_velox", "mpi_sentio"), "rst", "coalesce", "chunk", "no_newline"),
    "too soon for a slow device": all_of((*BOXES, "intest_thermostream", "ers_ac3"), "min_gap"),
    "power of an instrument lost": all_of((*BOXES, "intest_thermostream", "ers_ac3"), "power_cycle"),
    "error queue not empty": all_of(BOXES, "scpi_error"),
    "no answer of an instrument": all_of(BOXES, "drop_reply", "mute"),
    "compliance, trips": all_of((*SMUS, *SUPPLIES), "trip", "overrange", "stuck_on"),
    "interlock of an instrument": all_of((*SMUS, "keithley_707b"), "interlock_open"),
    "a relay of an instrument stuck": all_of(("keithley_707b", "keysight_34970a"), "stuck"),
    "temperature not reached, error bits": {
        "intest_thermostream": {"slow_soak", "eror", "head_locked", "no_flow"},
        "ers_ac3": {"slow_soak", "ers_error"},
        **all_of(PROBERS, "slow_soak"),
    },
    "slow, never triggers, block shorter than announced": {
        **all_of(SUPPLIES, "slow_rise"),
        **all_of((*BUS, "keysight_infiniivision"), "no_trigger", "block_length"),
        "keithley_2600b": {"block_length"},
    },
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
