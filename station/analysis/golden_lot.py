"""Golden units as a lot has measured them: its store beside the file of the units."""

from pathlib import Path

from station.analysis.golden import Check, Contact, offsets, read, seen
from station.datalog.store import Store
from station.errors import AnalysisError
from station.model import LotInfo


def measured(path: Path) -> tuple[LotInfo, list[Contact], float]:
    """Return the lot of a store, the contacts of its units, and when the last one ended."""
    store = Store(path)
    try:
        info, landings = store.info(1), list(store.touchdowns(1))
    finally:
        store.close()
    ended = max((landing.ended for landing in landings), default=info.set_up)
    contacts = [
        Contact(
            device.part, device.site, {m.test: m.value for m in device.measurements if m.value is not None}
        )
        for landing in landings
        for device in landing.devices
    ]
    return info, contacts, ended


def checked(units: Path, store: Path) -> Check:
    """Compare a lot with the references of its units; AnalysisError if they are of another product."""
    known = read(units)
    info, contacts, ended = measured(store)
    if (known.product, known.sequence) != (info.product, info.sequence):
        raise AnalysisError(
            f"{units}: for {known.product}, sequence {known.sequence}; "
            f"the cell tests {info.product}, {info.sequence}"
        )
    if len(known.units) < max((contact.part for contact in contacts), default=0):
        raise AnalysisError(f"{units}: {len(known.units)} units, and the lot has more")
    found = seen(known, info.tests, info.sites, contacts)
    return Check(
        known.name,
        known.digest(),
        info.product,
        info.sequence,
        info.fingerprint,
        info.station,
        info.sites,
        ended,
        all(one.passed for one in found),
        found,
        offsets(found, info.tests),
    )
