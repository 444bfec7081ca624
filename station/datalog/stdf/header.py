"""What stands before the first touchdown of a file, and its name."""

from collections.abc import Iterator
from datetime import UTC, datetime
from re import sub

from station.datalog.stdf import averages
from station.datalog.stdf.notes import earlier_text, offset_text, study_text
from station.datalog.stdf.records import whole
from station.datalog.stdf.writer import GROUP, HEAD, NOWHERE, plain
from station.model import LotInfo
from station.set_up import WaferGeometry

MILLIMETRES = 3
"""WF_UNITS."""
MOST_PASSES = 9
"""As many as RTST_COD can tell."""
FIRST_GROUP = 32_768
"""The least GRP_INDX."""
START_T_AT = 6 + 4 + 4
"""Where START_T of the MIR stands, behind FAR, header and SETUP_T."""


def file_name(info: LotInfo) -> str:
    """Return the name of a lot's file: lot, sublot if it has one, flow, station, UTC time, pass."""
    passed = "P" if info.second_pass is None else info.second_pass.name
    moment = datetime.fromtimestamp(info.set_up, UTC).strftime("%Y%m%d%H%M%S")
    name = "_".join(filter(None, [lot_id(info), info.sublot, info.flow, info.station, moment, passed]))
    plain_name = sub("[^A-Za-z0-9_]", "_", name)
    return (plain_name if plain_name[:1].isalpha() else f"L{plain_name}") + ".std"


def lot_id(info: LotInfo) -> str:
    """Return what stands in LOT_ID: the same in all passes of a lot."""
    return info.lot if info.second_pass is None else info.second_pass.lot


def header(info: LotInfo) -> Iterator[bytes]:
    """Yield FAR, MIR, RDR of a second pass, SDR, PMRs, PGRs and the DTRs with the fingerprint, in order."""
    yield whole("FAR", CPU_TYPE=2, STDF_VER=4)
    yield _master(info)
    if (again := info.second_pass) is not None:
        yield whole("RDR", NUM_BINS=len(again.bins), RTST_BIN=again.bins)
    yield whole(
        "SDR",
        HEAD_NUM=HEAD,
        SITE_GRP=GROUP,
        SITE_NUM=info.sites,
        HAND_TYP=plain(info.handler),
        HAND_ID=plain(info.handler_id),
        CARD_ID=plain(info.datalog.card),
        LOAD_ID=plain(info.datalog.board),
        CONT_ID=plain(info.datalog.contactor),
    )
    for site, indexes in pin_indexes(info).items():
        for pin, index in zip(all_pins(info), indexes, strict=True):
            name = plain(pin)
            yield whole("PMR", PMR_INDX=index, CHAN_NAM=name, PHY_NAM=name, LOG_NAM=name, SITE_NUM=site)
    yield from _groups(info)
    if info.wafers is not None:
        yield wafer_configuration(info.wafers)
    yield whole("DTR", TEXT_DAT=plain(f"fingerprint {info.fingerprint}"))
    if info.study is not None:
        yield whole("DTR", TEXT_DAT=plain(study_text(info.study)))
    for run in info.earlier:
        yield whole("DTR", TEXT_DAT=earlier_text(run))
    for offset in info.offsets:
        yield whole("DTR", TEXT_DAT=offset_text(offset))
    for text in averages.texts(info.averaging) if info.averaging else ():
        yield whole("DTR", TEXT_DAT=text)


def _groups(info: LotInfo) -> Iterator[bytes]:
    """Yield a PGR for each group of channels, with those of all sites in it, site by site."""
    for number, group in enumerate(info.datalog.groups, FIRST_GROUP):
        places = [at for at, pin in enumerate(all_pins(info)) if pin in group.pins]
        indexes = tuple(of_site[at] for of_site in pin_indexes(info).values() for at in places)
        yield whole("PGR", GRP_INDX=number, GRP_NAM=plain(group.name), PMR_INDX=indexes)


def _master(info: LotInfo) -> bytes:
    texts = {
        "LOT_ID": lot_id(info),
        "PART_TYP": info.product,
        "NODE_NAM": info.station,
        "TSTR_TYP": "HARDBIN",
        "JOB_NAM": info.sequence,
        "JOB_REV": info.sequence_version,
        "SBLOT_ID": info.sublot,
        "OPER_NAM": info.operator,
        "EXEC_TYP": "hardbin",
        "EXEC_VER": info.version,
        "TEST_COD": info.flow,
        "TST_TEMP": info.temperature,
        "USER_TXT": f"TZ=UTC;FP={info.fingerprint[:32]}",
        "FACIL_ID": info.plant,
        "FLOOR_ID": info.floor,
        "SPEC_NAM": info.limit_set,
        "FLOW_ID": info.flow,
    }
    return whole(
        "MIR",
        SETUP_T=int(info.set_up),
        START_T=int(info.set_up),
        STAT_NUM=info.station_number,
        MODE_COD=plain(info.mode)[:1] or " ",
        RTST_COD="N" if info.second_pass is None else str(min(info.second_pass.number, MOST_PASSES)),
        **{name: plain(text) for name, text in texts.items()},
    )


def wafer_configuration(wafers: WaferGeometry) -> bytes:
    """Encode the WCR: sizes in millimetres, the notch, where X and Y grow."""
    center = wafers.center or (NOWHERE, NOWHERE)
    return whole(
        "WCR",
        WAFR_SIZ=wafers.diameter_mm,
        DIE_WID=wafers.die_mm[0],
        DIE_HT=wafers.die_mm[1],
        WF_UNITS=MILLIMETRES,
        WF_FLAT=wafers.notch,
        CENTER_X=center[0],
        CENTER_Y=center[1],
        POS_X=wafers.x_grows,
        POS_Y=wafers.y_grows,
    )


def all_pins(info: LotInfo) -> tuple[str, ...]:
    """Return the channels of a site, those of the lot first, then what its tests name besides."""
    return tuple(dict.fromkeys([*info.pins, *(pin for test in info.tests for pin in test.pins)]))


def pin_indexes(info: LotInfo) -> dict[int, tuple[int, ...]]:
    """Return the PMR indexes of each site's channels: consecutive from 1."""
    count = len(all_pins(info))
    return {site: tuple(range(i * count + 1, (i + 1) * count + 1)) for i, site in enumerate(info.sites)}
