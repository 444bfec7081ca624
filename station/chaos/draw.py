"""Faults drawn from a seed: what a knob's number may be, and how often it strikes."""

from random import Random

VALUES: dict[str, tuple[str, ...]] = {
    "scpi_error": ("", "-222", "-113", "802"),
    "min_gap": ("1", "50"),
    "trip": ("", "ov"),
    "overrange": ("", "nan"),
    "stuck_on": ("", "lie"),
    "slow_rise": ("5", "500"),
    "usb_detach": ("1", "500", "5000"),
    "card_removed": ("5", "500"),
    "slow_card": ("1", "20"),
    "truncate": ("", "1", "5"),
    "drop_srq": ("", "line"),
    "late_srq": ("5", "3000"),
    "dup_srq": ("1", "4"),
    "jam": ("", "0x48"),
    "operator_skip": ("0.1", "2"),
    "announce_end": ("", "0x48"),
    "chunk": ("1", "3"),
    "mute_after": ("1", "10", "60"),
    "life_cycle": ("", "0x07"),
    "lost_slot": ("", "1"),
    "endless": ("", "0x2A", "0xCA"),
    "power_cut": ("1", "40", "60:before", "60:torn", "60:after", "90"),
    "dirt": ("", "1"),
    "temperature": ("85", "-40"),
    "population": ("ideal", "typical"),
}
"""What a knob's number may be; other knobs have none."""


def drawn(random: Random, machine: str, knob: str) -> str:
    """Return a fault of a machine as a command line writes it, with a value and a moment drawn."""
    values = VALUES.get(knob, ("",))
    if knob == "stuck_on" and not machine.startswith("supply"):
        values = ("",)
    value = random.choice(values)
    body = f"{machine}.{knob}" + (f"={value}" if value else "")
    if knob in ("temperature", "population"):
        return body
    if machine in ("socket", "chip", "dut"):
        return body + random.choice(("@p=0.1", "@p=0.5", "@every=3", "@once", ""))
    return body + random.choices((_rarely, _often, _once, _always), (12, 4, 2, 1))[0](random)


def _rarely(random: Random) -> str:
    """Once or a few times in a lot, past what a machine is asked when it is opened."""
    return f"@every={round(2 ** random.uniform(5, 10))}"


def _often(random: Random) -> str:
    return f"@p={2 ** random.uniform(-10, -3):.4f}"


def _once(random: Random) -> str:
    del random
    return "@once"


def _always(random: Random) -> str:
    del random
    return ""
